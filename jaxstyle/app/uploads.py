"""Pictures from a browser: a stranger's bytes under a stranger's name, read or refused with one plain line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxstyle.cli.masks import read_mask
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources, read_picture
from jaxstyle.cli.values import SIDES
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Held, Picture, own_size

LONGEST_NAME = 80  # characters, of which each is one that is no command, markup or path


@dataclass(frozen=True)
class Limits:
    """What the app takes and makes.

    Attributes:
      megabytes: of an upload.
      megapixels: of an upload.
      side: long side of a result in pixels.
    """

    megabytes: int = 32
    megapixels: int = 50
    side: int = 1024


def safe_name(name: str) -> str:
    """A file's name of plain characters: letters, digits, and of others only - _ . and blanks within."""
    plain = re.sub(r"[^\w.\- ]+", "_", Path(name.replace("\\", "/")).name).strip(" .-")
    stem, dot, ending = plain.rpartition(".")
    return f"{stem[: LONGEST_NAME - len(ending)]}{dot}{ending}"[-LONGEST_NAME:] or "picture"


def taken(path: str, limits: Limits) -> Held:
    """An upload's bytes and name, once its header says that it is a picture and not too large.

    Raises:
      InputError: it is none, or too large.
    """
    file = Path(path)
    name = safe_name(file.name)
    if file.stat().st_size > limits.megabytes * 10**6:
        raise InputError(f"{name} has more than {limits.megabytes} MB; make it smaller first")
    held = Held(file.read_bytes(), name, name)
    height, width = own_size(held, large=True)
    if height * width > limits.megapixels * 10**6:
        raise InputError(f"{name} has {width} x {height} pixels; at most {limits.megapixels} million are taken")
    return held


def sources_of(
    content: Held,
    styles: Sequence[Held],
    start: Held | None,
    out: Path,
    settings: Settings,
    limits: Limits,
    *,
    masks: Sequence[Held] = (),
) -> Sources:
    """What a transfer of these settings reads; masks are one for each style, or none."""
    size = min(settings.size, limits.side)
    side = round(size * settings.style_scale)
    if not SIDES[0] <= side <= SIDES[1]:
        raise InputError(f"a style scale of {settings.style_scale:g} makes styles of {side} pixels at size {size}")

    def read(held: Held, long_side: int) -> Picture:
        return read_picture(held, long_side, large=True)

    whole, pictures = read(content, size), [read(style, side) for style in styles]
    named = {mask.path: mask for mask in masks}
    regions = [read_mask(path, whole, read=lambda name, own: read_picture(named[name], own)) for path in named]
    return Sources(whole, pictures, None if start is None else read(start, size), out, size, regions or None)
