"""Pictures from disk to arrays: sRGB, float32 in [0, 1], rows first, (height, width, 3).

Reading turns any picture upright (EXIF), takes it to sRGB through its own colour profile, sets alpha aside and resizes
in float, a band of rows at a time. Everything is NumPy, so that nothing here imports JAX. What is read of which format
is in docs/pictures.md.
"""

import contextlib
import hashlib
import math
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, near, shown
from jaxstyle.pictures.formats import heif, jpeg2000, png, raster, webp
from jaxstyle.pictures.kinds import READ, Kind, kind_of
from jaxstyle.pictures.profiles import to_srgb, unit
from jaxstyle.pictures.resample import fit
from jaxstyle.pictures.stored import MAX_PIXELS, Samples, Stored

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_SIDE",
    "Held",
    "Picture",
    "has_colours",
    "kind_at",
    "load_image",
    "load_picture",
    "mask_of",
    "open_file",
    "own_size",
    "pillow",
    "sha256_of",
]

MIN_SIDE = 16  # one cell of a VGG's relu5_1, which comes after four poolings
MAX_SIDE = 16_384
OFF_SCALE = 1e-3  # by which floats may be outside of 0 to 1, for rounding
COLOURED = 0.2, 0.001  # there are colours where channels differ by more than this, in more than this share of pixels

Pixels = Float32[np.ndarray, "h w 3"]
Alpha = Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Held:
    """A picture's file in memory: what came through a pipe.

    Attributes:
      content: all its bytes.
      path: what stands for its name in records.
      name: the same in messages.
    """

    content: bytes
    path: str
    name: str


Source = StrPath | Held


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read: its colours, its opacity, and where they came from."""

    pixels: Pixels  # sRGB in [0, 1], not multiplied by alpha
    alpha: Alpha | None  # opacity in [0, 1]; None where every pixel is opaque
    path: str
    sha256: str  # of the file's bytes
    own_size: tuple[int, int]  # (height, width) in the file, upright


def load_image(path: Source, size: int | None = None, *, large: bool = False) -> Pixels:
    """The colours of `load_picture`: sRGB float32 (h, w, 3) in [0, 1]; `size` is the long side in pixels."""
    return load_picture(path, size, large=large).pixels


def load_picture(
    path: Source,
    size: int | None = None,
    *,
    multiple: int = 1,
    large: bool = False,
    smallest: int = MIN_SIDE,
    hidden: bool = False,
) -> Picture:
    """Read a picture, upright and in sRGB, its long side resized to exactly `size` pixels if given, the other one to
    the nearest `multiple` of pixels.

    Where a picture is fully transparent its hidden colours are replaced by the mean of the visible ones.

    Args:
      path: a file of one of the formats in docs/pictures.md, whatever its name ends in; or its bytes.
      size: of the long side, `MIN_SIDE` to `MAX_SIDE`; None for the file's own.
      multiple: of pixels, for the short side of a picture that is resized.
      large: whether it may have more than `MAX_PIXELS` pixels, or fewer where its format takes more memory.
      smallest: pixels a side that it must have in the end.
      hidden: whether it may be fully transparent.

    Raises:
      InputError: the file is absent, unreadable, no picture, of a kind that is not read, damaged, too large, or fewer
        than `smallest` pixels on a side once resized; or `size` is out of range.
    """
    _check_size(size)
    name = _told(path)
    with open_file(path) as file, pillow(name):
        stored = _open(file, name, large=large)
        own = _upright_size(stored)
        height, width = _target_size(name, *own, size, multiple, smallest)
        turned = (width, height) if stored.orientation >= 5 else (height, width)
        samples = stored.samples(max(own) / max(height, width))
        pixels, alpha = _fitted(name, samples, turned, hidden=hidden)
        sha256 = _digest(file)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    pixels = np.ascontiguousarray(_upright(pixels, stored.orientation))
    if alpha is not None:
        alpha = np.ascontiguousarray(_upright(alpha, stored.orientation))
    named = path.path if isinstance(path, Held) else os.fspath(path)
    return Picture(pixels=pixels, alpha=alpha, path=named, sha256=sha256, own_size=own)


def own_size(path: Source, *, large: bool = False) -> tuple[int, int]:
    """(height, width) of a picture, upright, by its header alone; raises as `load_picture` does."""
    name = _told(path)
    with open_file(path) as file, pillow(name):
        return _upright_size(_open(file, name, large=large))


def sha256_of(path: StrPath) -> str:
    """The hash of a picture's file, as in `Picture.sha256`; raises `InputError` where there is none to read."""
    with open_file(path) as file:
        return _digest(file)


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def kind_at(path: StrPath) -> Kind | None:
    """What a file is, by its content; None where that is not known. Raises `InputError` if it cannot be read."""
    with open_file(path) as file:
        return kind_of(file)


def mask_of(picture: Picture, height: int, width: int) -> Alpha:
    """A picture as a mask (height, width) in [0, 1]: white is 1, black and transparent are 0.

    Colours count by the mean of their channels; a mask should have none (`has_colours`). Resampled by a triangle,
    widened when shrinking: it never overshoots, as Lanczos does, so that what is black stays 0.
    """
    values = picture.pixels.mean(2, dtype=np.float32)
    if picture.alpha is not None:
        values = values * picture.alpha
    if values.shape != (height, width):
        resized = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
        values = np.asarray(resized, np.float32)
    return np.clip(values, 0, 1)


def has_colours(picture: Picture) -> bool:
    """Whether a picture has colours that can be seen, more than a lossy format leaves in greys."""
    least, share = COLOURED
    colour = picture.pixels.max(2) - picture.pixels.min(2)
    if picture.alpha is not None:
        colour *= picture.alpha
    return bool(np.count_nonzero(colour > least) > share * colour.size)


def _check_size(size: object) -> None:
    if size is not None and not (isinstance(size, int | np.integer) and MIN_SIDE <= size <= MAX_SIDE):
        raise InputError(f"size {size!r} is not a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}")


def _told(path: Source) -> str:
    """A picture's name in messages."""
    return path.name if isinstance(path, Held) else shown(path)


def open_file(path: Source) -> BinaryIO:
    """A picture's file, opened to be read.

    Raises:
      InputError: it is not there, is no plain file, is empty, or cannot be read.
    """
    if isinstance(path, Held):
        if not path.content:
            raise InputError(f"{path.name} is empty (0 bytes); give a picture file")
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it; some decoders want a file
        file.write(path.content)
        file.seek(0)
        return file
    source, name = Path(path), shown(path)
    try:
        if not source.exists():
            raise InputError(f"{name} does not exist; give a picture file{near(source)}")
        if not source.is_file():  # a pipe would be waited for, and cannot be read twice
            kind = "a directory" if source.is_dir() else "not a plain file"
            raise InputError(f"{name} is {kind}; give a picture file")
        if source.stat().st_size == 0:
            raise InputError(f"{name} is empty (0 bytes); give a picture file")
        return open(source, "rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}; give a picture file") from error


@contextlib.contextmanager
def pillow(name: str) -> Iterator[None]:
    """Run decoders on untrusted bytes: our limit of pixels, not Pillow's; no warnings; all failures `InputError`s."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} is too large for the memory of this machine; make it smaller first") from error
    except Exception as error:  # a decoder may raise nearly anything on damaged data
        told = " ".join(str(error).split())[:100]
        if re.search(r"unsupported|not supported|not implemented", told, re.IGNORECASE):
            reason = f"is of a kind that is not read ({told}); save it as PNG or JPEG"
        else:
            reason = "is damaged or cut short; give a whole picture file"
        raise InputError(f"{name} {reason}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _open(file: BinaryIO, name: str, *, large: bool) -> Stored:
    """The picture in a file, by its header; raises `InputError` for one that is not read, or too large."""
    kind = kind_of(file)
    if kind is None:
        kinds = ", ".join(READ)
        raise InputError(f"{name} is not a picture, or one cut short; allowed are {kinds}")
    if kind.reader is None:
        which = ", which is not read" if kind.picture else ""
        raise InputError(f"{name} is {kind.name}{which}; {kind.advice}")
    stored = _readers()[kind.reader](file, name)
    height, width = stored.height, stored.width
    if height < 1 or width < 1:
        raise ValueError("no pixels")
    if height * width > stored.most and not large:
        raise InputError(
            f"{name} has {width} x {height} pixels; more than {stored.most} in all are read of {kind.name} only with "
            "--large (large=True in Python)"
        )
    return stored


def _readers() -> dict[str, Callable[[BinaryIO, str], Stored]]:
    return {
        "png": png.open_png,
        "jpeg": raster.open_jpeg,
        "webp": webp.open_webp,
        "tiff": _open_tiff,
        "gif": raster.open_gif,
        "bmp": raster.open_bmp,
        "ppm": raster.open_ppm,
        "avif": raster.open_avif,
        "jpeg2000": jpeg2000.open_jpeg2000,
        "heic": heif.open_heic,
    }


def _open_tiff(file: BinaryIO, name: str) -> Stored:
    from jaxstyle.pictures.formats.tiff import open_tiff  # tifffile takes as long to import as Pillow

    return open_tiff(file, name)


def _fitted(name: str, samples: Samples, target: tuple[int, int], *, hidden: bool) -> tuple[np.ndarray, Alpha | None]:
    """Colours in sRGB (height, width, 1 or 3) and alpha, resized to `target`, not yet upright."""
    convert: Callable[[np.ndarray], np.ndarray] | None = None
    low, high = math.inf, -math.inf

    def rows(first: int, last: int) -> tuple[np.ndarray, np.ndarray | None]:
        nonlocal convert, low, high
        band = samples.rows(first, last)
        colours, alpha = (band[..., :-1], unit(band[..., -1], samples.white)) if samples.alpha else (band, None)
        if colours.dtype == np.float32 and samples.model != "lab":
            low, high = np.minimum(low, colours.min()), np.maximum(high, colours.max())  # NaN goes through
        if alpha is not None and samples.alpha == "premultiplied":
            colours = unit(colours, samples.white) / np.maximum(alpha, 1e-6)[..., None]
            colours = np.clip(colours, 0, 1, out=colours)
        if convert is None:
            white = 1.0 if colours.dtype == np.float32 else samples.white
            convert = to_srgb(samples.model, colours.dtype, white, samples.profile)
        return convert(colours), None if alpha is None else np.clip(alpha, 0, 1)

    pixels, alpha = fit(rows, (samples.height, samples.width), target, samples.extent)
    if not (low >= -OFF_SCALE and high <= 1 + OFF_SCALE) and (low, high) != (math.inf, -math.inf):
        raise InputError(f"{name} holds values from {low:g} to {high:g}; allowed are 0 to 1")
    if alpha is not None and not alpha.any() and not hidden:
        raise InputError(f"{name} is fully transparent; give a picture with something to see")
    return pixels, alpha


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: from 5 on rows and columns change places, then either axis may be flipped."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array


def _upright_size(stored: Stored) -> tuple[int, int]:
    """(height, width) once it is upright."""
    height, width = stored.height, stored.width
    return (width, height) if stored.orientation >= 5 else (height, width)


def _target_size(name: str, height: int, width: int, size: int | None, multiple: int, smallest: int) -> tuple[int, int]:
    """(height, width) with `size` as the long side, the other in proportion, but for what makes it a multiple."""
    long, short = max(height, width), min(height, width)
    if size is None:
        if short < smallest:
            raise InputError(f"{name} is {width} x {height} pixels; at least {smallest} a side are needed")
        return height, width

    def resized(step: int) -> tuple[int, int]:
        scale = size / long
        return tuple(size if x == long else max(1, step * round(x * scale / step)) for x in (height, width))  # type: ignore[return-value]

    plain = resized(1)
    if min(plain) < smallest:
        needed = math.ceil(smallest * long / short)
        way_out = f"; a --size of {needed} has them" if needed <= MAX_SIDE else ""
        raise InputError(
            f"{name} is {plain[1]} x {plain[0]} pixels once resized; at least {smallest} a side are needed{way_out}"
        )
    return resized(multiple)
