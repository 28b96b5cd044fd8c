"""An earlier result that a transfer begins with, `--from`: what its record says.

A record may be a stranger's. It is read into the same typed options as the words of a command line, by the same checks,
and says no more than how the picture was made: which pictures it was made from, and with what settings. It can name
neither what is written, nor any other file to be read.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxstyle import defaults
from jaxstyle.cli.masks import WHOLE
from jaxstyle.cli.settings import check_data
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import open_file
from jaxstyle.pictures.write import read_record

MASKS = ("masks", "style_masks")
OWN = ("size", "min_size", "init", "weights")  # settings that the picture itself replaces, and a file


@dataclass(frozen=True)
class Named:
    """A picture that a record names."""

    file: str
    sha256: str  # of the file's bytes


@dataclass(frozen=True)
class Earlier:
    """How an earlier result was made.

    Attributes:
      path: the result.
      content, styles: what it was made from.
      masks: by name of the option; None for a style that is taken whole.
      settings: checked; those that `OWN` names are not among them.
      weights: the file of weights that the record names, if any.
      weights_sha256: of the weights; "" where the record does not say.
    """

    path: str
    content: Named
    styles: tuple[Named, ...]
    masks: Mapping[str, tuple[Named | None, ...]]
    settings: Mapping[str, Any]
    weights: str | None
    weights_sha256: str

    def pictures(self) -> tuple[str, tuple[str, ...]]:
        """The content and the styles as they can be found now."""
        return self._found(self.content, "content"), tuple(self._found(style, "style") for style in self.styles)

    def mask_files(self, name: str) -> tuple[str, ...] | None:
        """The masks as they can be found now; None where there are none."""
        if name not in self.masks:
            return None
        return tuple(WHOLE if mask is None else self._found(mask, "mask") for mask in self.masks[name])

    def _found(self, picture: Named, what: str) -> str:
        """Where a picture is: from here as the record says, or beside the result."""
        told = f"the record of {shown(self.path)} names {shown(picture.file)} as its {what}"
        there = False
        for place in _places(picture.file, Path(self.path).parent):
            if os.path.exists(place):
                there = True
                if _digest(place) == picture.sha256:
                    return place
        reason = f"; {shown(picture.file)} has changed since" if there else ", which is neither here nor beside it"
        raise InputError(f"--from: {told}{reason}; name CONTENT and STYLE")


def read_earlier(path: str) -> Earlier:
    """What the record of a picture says.

    Raises:
      InputError: there is none, or it is not one of a transfer.
    """
    open_file(path).close()  # what is no file at all is told as that
    record, told = read_record(path), f"--from {shown(path)}"
    try:
        content = _named(record["content"])
        styles = tuple(_named(style) for style in _listed(record["styles"]))
        masks = {
            name: tuple(None if mask is None else _named(mask) for mask in _listed(record[name]))
            for name in MASKS
            if record.get(name)
        }
        settings = record["settings"]
        if not styles or not isinstance(settings, dict):
            raise ValueError
        weights, held = settings.get("weights"), record.get("weights")
        digest = held.get("sha256") if isinstance(held, dict) else None
        if not isinstance(weights, str | None) or not isinstance(digest, str | None):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{told}: its record is not one of a transfer") from error
    known = check_data({name: value for name, value in settings.items() if name not in OWN}, told)
    return Earlier(path, content, styles, masks, known, weights, digest or "")


def _digest(path: str) -> str:
    """SHA-256 of a file, which may be larger than the memory."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _listed(value: Any) -> list[Any]:
    """A list, of no more than could have been given."""
    if not isinstance(value, list) or len(value) > defaults.MOST_CELLS:
        raise ValueError
    return value


def _named(value: Any) -> Named:
    """A picture as records have it."""
    file, digest = value["file"], value["sha256"]
    if not isinstance(file, str) or not isinstance(digest, str) or not file or "\0" in file:
        raise ValueError
    os.fsencode(file)  # raises UnicodeEncodeError, a ValueError, for what no file is called
    return Named(file, digest)


def _places(file: str, folder: Path) -> Iterator[str]:
    """Where a file that a record names may be."""
    yield file
    if not os.path.isabs(file):
        yield str(folder / file)
    yield str(folder / Path(file).name)
