"""WebP, by libwebp without the three further pictures that its decoder of animations holds."""

import contextlib
import io
import struct
from typing import BinaryIO

import imagecodecs
from PIL import ExifTags, Image

from jaxstyle.pictures.formats.raster import stored_image
from jaxstyle.pictures.stored import Samples, Stored, samples_of

ANIMATED = 0x02  # among the flags of VP8X
MOST_ANIMATED = 50_000_000  # 16 bytes for each pixel


def open_webp(file: BinaryIO, name: str) -> Stored:
    """A WebP; of an animation the first picture."""
    chunks = _chunks(file)
    if chunks.get(b"VP8X", b"\0")[0] & ANIMATED:
        file.seek(0)
        return stored_image(Image.open(file, formats=("WEBP",)), most=MOST_ANIMATED)
    height, width = _size(chunks)

    def samples(times: float) -> Samples:
        del times
        file.seek(0)
        array = imagecodecs.webp_decode(file.read())
        if array.shape[:2] != (height, width):
            raise ValueError("the picture is not as large as its canvas")
        return samples_of(array, white=255.0, profile=chunks.get(b"ICCP"))

    return Stored(height, width, samples, _orientation(chunks.get(b"EXIF", b"")))


def _chunks(file: BinaryIO | io.BytesIO) -> dict[bytes, bytes]:
    """The chunks by their names; of those of the picture the beginning."""
    size, place = file.seek(0, 2), 12
    found: dict[bytes, bytes] = {}
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        found.setdefault(name, file.read(16 if name in (b"VP8 ", b"VP8L", b"ALPH") else min(length, 16_000_000)))
        place += 8 + length + length % 2
    return found


def size_of(file: BinaryIO | io.BytesIO) -> tuple[int, int]:
    """(height, width)."""
    return _size(_chunks(file))


def _size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    """(height, width) of the canvas, or of the only picture."""
    if len(canvas := chunks.get(b"VP8X", b"")) >= 10:
        return 1 + int.from_bytes(canvas[7:10], "little"), 1 + int.from_bytes(canvas[4:7], "little")
    if len(lossless := chunks.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
    return height & 0x3FFF, width & 0x3FFF


def _orientation(exif: bytes) -> int:
    with contextlib.suppress(Exception):  # a picture with broken EXIF is still a picture
        found = Image.Exif()
        found.load(exif)
        value = int(found.get(ExifTags.Base.Orientation, 1))
        return value if 1 <= value <= 8 else 1
    return 1
