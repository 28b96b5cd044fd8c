"""What Pillow reads rightly: JPEG, GIF, BMP, PPM, AVIF, and PNG of up to 8 bits or of 16-bit greys."""

import contextlib
import io
import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats import boxes
from jaxstyle.pictures.stored import MAX_PIXELS, Model, Samples, Stored

GREYS = ("1", "L", "LA", "La")
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7}  # JPEG's SOF
JPEG_LS = 0xF7
MOST = {"AVIF": 100_000_000}  # decoders that take more memory: 9 bytes for each pixel


def open_jpeg(file: BinaryIO, name: str) -> Stored:
    """A JPEG, the first of several in one file; decoded at 1/2, 1/4 or 1/8 of its size where that is enough."""
    kind, depth = jpeg_frame(file)[:2]
    if kind == JPEG_LS:
        raise InputError(f"{name} is a JPEG-LS, which is not read; save it as PNG or TIFF")
    if depth not in (0, 8):
        raise InputError(f"{name} is a JPEG of {depth} bits; those of 8 are read; save it as PNG or TIFF")
    image = _opened(file, "JPEG")
    width, height = image.size

    def samples(times: float) -> Samples:
        divisor = stored.reduction(times, (2, 4, 8))
        if divisor > 1:
            image.draft(None, (width // divisor, height // divisor))
        return samples_of_image(image, extent=(height / divisor, width / divisor))

    stored = Stored(height, width, samples, orientation_of(image))
    return stored


def open_gif(file: BinaryIO, name: str) -> Stored:
    """The first picture of a GIF; of the screen around it nothing is seen."""
    image = _opened(file, "GIF")
    tiles: Any = getattr(image, "tile", None)
    left, top, right, bottom = tiles[0][1] if tiles else (0, 0, *image.size)
    width, height = image.size

    def samples(times: float) -> Samples:
        del times
        found = samples_of_image(image)
        if (left, top, right, bottom) == (0, 0, width, height) or found.alpha:
            return found

        def rows(first: int, last: int) -> np.ndarray:
            colours = found.rows(first, last)
            alpha = np.zeros((*colours.shape[:2], 1), colours.dtype)
            alpha[max(0, top - first) : max(0, bottom - first), left:right] = 255
            return np.concatenate([colours, alpha], 2)

        return Samples(rows, height, width, found.model, found.white, "straight")

    return Stored(height, width, samples)


def open_avif(file: BinaryIO, name: str) -> Stored:
    """An AVIF, to 8 bits."""
    profile = boxes.color_profile(file, name)
    image = _opened(file, "AVIF")
    return stored_image(image, profile=profile, most=MOST["AVIF"])


def open_bmp(file: BinaryIO, name: str) -> Stored:
    """A BMP."""
    return stored_image(_opened(file, "BMP"))


def open_ppm(file: BinaryIO, name: str) -> Stored:
    """A PBM, PGM or PPM, its colours to 8 bits."""
    return stored_image(_opened(file, "PPM"))


def stored_image(image: Image.Image, *, profile: bytes | None = None, most: int = MAX_PIXELS) -> Stored:
    """A picture that Pillow has opened; a profile within goes before the one given."""
    return Stored(
        image.height,
        image.width,
        lambda times: samples_of_image(image, profile=profile),
        orientation_of(image),
        most,
    )


def orientation_of(image: Image.Image) -> int:
    """EXIF's, 1 to 8."""
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        # Of `Image`, and not PNG's own, which decodes the picture to look for EXIF behind it.
        found = int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
        return found if 1 <= found <= 8 else 1
    return 1


def samples_of_image(
    image: Image.Image, *, profile: bytes | None = None, extent: tuple[float, float] | None = None
) -> Samples:
    """Decodes the picture; bands of it become arrays only when they are asked for."""
    image.load()
    width, height = image.size
    if image.mode.startswith("I"):
        return _deep_greys(image, profile=image.info.get("icc_profile") or profile)
    grey = image.mode in GREYS
    alpha = image.has_transparency_data
    model: Model = "grey" if grey else "cmyk" if image.mode == "CMYK" else "rgb"
    mode = "CMYK" if model == "cmyk" else ("LA" if grey else "RGBA") if alpha else "L" if grey else "RGB"

    def rows(first: int, last: int) -> np.ndarray:
        band = np.asarray(image.crop((0, first, width, last)).convert(mode))
        return band.reshape(last - first, width, -1)

    return Samples(
        rows=rows,
        height=height,
        width=width,
        model=model,
        white=255.0,
        alpha="straight" if alpha else None,
        profile=image.info.get("icc_profile") or profile,
        extent=extent,
    )


def _deep_greys(image: Image.Image, *, profile: bytes | None) -> Samples:
    """16-bit greys, which Pillow may hand over as 32-bit ones; one of them may be that which is not there."""
    width, height = image.size
    key = image.info.get("transparency")

    def rows(first: int, last: int) -> np.ndarray:
        band = np.asarray(image.crop((0, first, width, last))).astype(np.uint16)[..., None]
        return band if key is None else np.concatenate([band, np.where(band == key, 0, 65535).astype(np.uint16)], 2)

    return Samples(rows, height, width, "grey", 65535.0, None if key is None else "straight", profile)


def _opened(file: BinaryIO, kind: str) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=(kind,))  # named, so that a renamed PostScript file never starts Ghostscript


def jpeg_frame(file: BinaryIO | io.BytesIO) -> tuple[int, int, int, int]:
    """The marker of a JPEG's frame, its bits, height and width; zeros where there is none."""
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker[0] == 0xFF:
        if marker[1] == 0xFF:  # filling
            file.seek(-1, 1)
            continue
        head = file.read(7)
        if len(head) < 7:
            break
        length, depth, height, width = struct.unpack(">HBHH", head)
        if marker[1] in FRAMES:
            return marker[1], depth, height, width
        file.seek(length - 7, 1)
    return 0, 0, 0, 0
