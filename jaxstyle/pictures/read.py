"""Pictures from disk to arrays: sRGB, float32 in [0, 1], rows first, (height, width, 3).

Reading turns any picture upright (EXIF), takes it to sRGB through its own colour profile, sets alpha aside and resizes
in float. Everything is NumPy, so that nothing here imports JAX.
"""

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageCms, UnidentifiedImageError

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, near, shown
from jaxstyle.pictures.resample import fit, fit_with_alpha, unit

MAX_PIXELS = 200_000_000  # of a file; above it, a small file that unpacks to fill the memory is likelier
MIN_SIDE = 16  # one cell of a VGG's relu5_1, which comes after four poolings
MAX_SIDE = 16_384

# Named, so that a renamed PostScript file never starts Ghostscript.
READ_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")

Pixels = Float32[np.ndarray, "h w 3"]
Alpha = Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read: its colours, its opacity, and where they came from."""

    pixels: Pixels  # sRGB in [0, 1], not multiplied by alpha
    alpha: Alpha | None  # opacity in [0, 1]; None where every pixel is opaque
    path: str
    sha256: str  # of the file's bytes
    own_size: tuple[int, int]  # (height, width) in the file, upright


def load_image(path: StrPath, size: int | None = None) -> Pixels:
    """The colours of `load_picture`: sRGB float32 (h, w, 3) in [0, 1]; `size` is the long side in pixels."""
    return load_picture(path, size).pixels


def load_picture(path: StrPath, size: int | None = None, *, multiple: int = 1) -> Picture:
    """Read a picture, upright and in sRGB, its long side resized to exactly `size` pixels if given, the other one to
    the nearest `multiple` of pixels.

    Where a picture is fully transparent its hidden colours are replaced by the mean of the visible ones.
    Raises `InputError` for a file that is absent, unreadable, no picture, damaged, larger than `MAX_PIXELS`,
    or less than `MIN_SIDE` pixels on a side once resized, and for a `size` out of range.
    """
    _check_size(size)
    name = shown(path)
    with open_file(path) as file:
        with pillow(name):
            image = Image.open(file, formats=READ_FORMATS)
            samples, alpha = _decode(name, image)
        file.seek(0)
        sha256 = hashlib.sha256(file.read()).hexdigest()
    own_size = samples.shape[0], samples.shape[1]
    height, width = _target_size(name, *own_size, size, multiple)
    if alpha is None:
        pixels = fit(samples, height, width)
    else:
        pixels, alpha = fit_with_alpha(samples, alpha, height, width)
    return Picture(pixels=pixels, alpha=alpha, path=os.fspath(path), sha256=sha256, own_size=own_size)


def mask_of(picture: Picture, height: int, width: int) -> Alpha:
    """A picture as a mask (height, width) in [0, 1]: white is 1, black and transparent are 0.

    Colours count by the mean of their channels. Resampled by a triangle, widened when shrinking: it never overshoots,
    as Lanczos does, so that what is black stays 0.
    """
    values = picture.pixels.mean(2, dtype=np.float32)
    if picture.alpha is not None:
        values = values * picture.alpha
    if values.shape != (height, width):
        resized = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
        values = np.asarray(resized, np.float32)
    return np.clip(values, 0, 1)


def _check_size(size: object) -> None:
    if size is not None and not (isinstance(size, int | np.integer) and MIN_SIDE <= size <= MAX_SIDE):
        raise InputError(f"size {size!r} is not a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}")


def open_file(path: StrPath) -> BinaryIO:
    """A picture's file, opened to be read.

    Raises:
      InputError: it is not there, is no plain file, is empty, or cannot be read.
    """
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
    """Run Pillow on untrusted bytes: our limit, not its own; no warnings; every failure an `InputError`."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has too many pixels; at most {MAX_PIXELS} are allowed") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(READ_FORMATS)
        raise InputError(f"{name} is not a picture, or one cut short; allowed are {kinds}") from error
    except Exception as error:  # a decoder may raise nearly anything on damaged data
        raise InputError(f"{name} is damaged or cut short; give a whole picture file") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _decode(name: str, image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Samples (h, w, 1 or 3), sRGB in the file's own number type, and alpha (h, w) float32 if not all 1."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} has {width} x {height} pixels; at most {MAX_PIXELS} in all are allowed")
    image.load()
    orientation = _orientation(image)  # after load: a TIFF is turned, and its tag removed, by Pillow itself
    colour, alpha = _split_alpha(image)
    samples = np.asarray(_to_srgb(colour, image.info.get("icc_profile")))
    samples = _upright(_known_scale(name, samples, image.format), orientation)
    samples = samples.reshape(*samples.shape[:2], -1)
    if alpha is None or np.all(alpha == 1):
        return samples, None
    if not np.any(alpha):
        raise InputError(f"{name} is fully transparent; give a picture with something to see")
    return samples, _upright(alpha, orientation)


def _orientation(image: Image.Image) -> int:
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        return int(image.getexif().get(0x0112, 1))
    return 1


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation: from 5 on rows and columns change places, then either axis may be flipped."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array


def _split_alpha(image: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """Colour in mode L, RGB, CMYK, LAB, or one wide channel, and alpha float32 (h, w) if the file has any."""
    if image.mode.startswith(("I", "F")):
        key = image.info.get("transparency")  # the one grey that is not there
        return image, None if key is None else (np.asarray(image) != key).astype(np.float32)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        both = image.convert("LA" if grey else "RGBA")
        return both.convert("L" if grey else "RGB"), unit(np.asarray(both.getchannel("A")))
    if image.mode in ("CMYK", "LAB"):
        return image, None
    return image.convert("L" if grey else "RGB"), None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` through its colour profile into sRGB; a profile that is broken or does not fit is ignored."""
    if image.mode == "LAB":
        return _transform(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    with contextlib.suppress(Exception):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        space = source.profile.xcolor_space.strip()
        if space == "RGB" and image.mode in ("L", "RGB"):
            return _transform(image.convert("RGB"), source)
        if (space, image.mode) in (("GRAY", "L"), ("GRAY", "I;16"), ("GRAY", "I;16B"), ("CMYK", "CMYK")):
            return _transform(image, source)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _transform(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if image.mode != "RGB":  # LittleCMS's short cuts for ink and grey are 4/255 and 10/255 off in the shadows
        flags |= ImageCms.Flags.NOOPTIMIZE
    intent, target = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, source, target, intent, outputMode="RGB", flags=flags)
    assert result is not None  # it is only when asked to work in place
    return result


def _known_scale(name: str, samples: np.ndarray, kind: str | None) -> np.ndarray:
    """`samples` if full scale is known: 8 or 16 bits, or float 0 to 1. Anything else would be a guess."""
    if samples.dtype == np.int32:
        if kind not in ("PPM", "PNG"):  # the two whose 16-bit greys Pillow may hand over as 32-bit ones
            raise InputError(f"{name} holds 32-bit whole numbers; allowed are 8 or 16 bits, or float 0 to 1")
        return samples.astype(np.uint16)
    if samples.dtype == np.float32:
        low, high = samples.min(), samples.max()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # so written, NaN is refused too
            raise InputError(f"{name} holds values from {low:g} to {high:g}; allowed are 0 to 1")
    return samples


def _target_size(name: str, height: int, width: int, size: int | None, multiple: int) -> tuple[int, int]:
    """(height, width) with `size` as the long side, the other in proportion, but for what makes it a multiple."""
    if size is not None:
        scale, longest = size / max(height, width), max(height, width)
        height, width = (
            size if side == longest else max(1, multiple * round(side * scale / multiple)) for side in (height, width)
        )
    if min(height, width) < MIN_SIDE:
        when = "" if size is None else " once resized"
        raise InputError(f"{name} is {width} x {height} pixels{when}; at least {MIN_SIDE} a side are needed")
    return height, width
