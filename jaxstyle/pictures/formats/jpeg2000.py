"""JPEG 2000: of 8 bits by Pillow, of other depths by OpenJPEG directly, since Pillow lets their whites overflow."""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats import boxes
from jaxstyle.pictures.formats.raster import samples_of_image
from jaxstyle.pictures.stored import Samples, Stored, samples_of

MOST = 50_000_000  # 19 bytes for each pixel
CODESTREAM = b"\xff\x4f\xff\x51"
SRGB, GREYS = 16, 17  # of the colour spaces that a file may name


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its size, and of each component the bits, the sign and the step in pixels."""

    height: int
    width: int
    depths: tuple[int, ...]
    signed: bool
    stepped: bool
    space: int | None
    profile: bytes | None


def open_jpeg2000(file: BinaryIO, name: str) -> Stored:
    """A JPEG 2000, in a file of boxes or bare; of 8 bits it is decoded at 1/2, 1/4 or 1/8 where that is enough."""
    header = header_of(file)
    if set(header.depths) == {8}:
        return _by_pillow(file, header)
    depth, count = header.depths[0], len(header.depths)
    plain = set(header.depths) == {depth} and not (header.signed or header.stepped) and depth <= 16 and count <= 4
    if not plain or header.space not in (None, SRGB, GREYS):
        raise InputError(
            f"{name} is a JPEG 2000 with components of {', '.join(map(str, header.depths[:5]))} bits, of a kind that "
            "is not read; save it as PNG or TIFF"
        )

    def samples(times: float) -> Samples:
        del times
        file.seek(0)
        array = imagecodecs.jpeg2k_decode(file.read())
        if array.shape[:2] != (header.height, header.width):
            raise ValueError("of another size than its header says")
        return samples_of(array, white=float(2**depth - 1), profile=header.profile)

    return Stored(header.height, header.width, samples, most=MOST)


def _by_pillow(file: BinaryIO, header: Header) -> Stored:
    file.seek(0)
    image = Image.open(file, formats=("JPEG2000",))

    def samples(times: float) -> Samples:
        divisor = stored.reduction(times, (2, 4, 8))
        if divisor > 1:
            image.reduce = divisor.bit_length() - 1  # type: ignore[method-assign, assignment]
        extent = header.height / divisor, header.width / divisor
        return samples_of_image(image, profile=header.profile, extent=extent)

    stored = Stored(image.height, image.width, samples, most=MOST)
    return stored


def header_of(file: BinaryIO | io.BytesIO) -> Header:
    """The size of the image and its components, from the codestream's SIZ; its colours, from the boxes."""
    file.seek(0)
    start, space, profile = 0, None, None
    if file.read(4) != CODESTREAM:
        size = file.seek(0, 2)
        for box in boxes.inside(file, 0, size, b"jp2h", b"colr"):
            data = boxes.content(file, box)
            if data[:1] == b"\1" and len(data) >= 7 and space is None:
                space = struct.unpack_from(">I", data, 3)[0]
            elif data[:1] == b"\2" and profile is None:
                profile = data[3:]
        start = next(boxes.inside(file, 0, size, b"jp2c")).start
    file.seek(start)
    head = file.read(4096)
    if head[:4] != CODESTREAM:
        raise ValueError("no codestream")
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    count = struct.unpack_from(">H", head, 40)[0]
    parts = [head[42 + 3 * i : 45 + 3 * i] for i in range(min(count, 16))]
    return Header(
        height=bottom - top,
        width=right - left,
        depths=tuple((part[0] & 0x7F) + 1 for part in parts),
        signed=any(part[0] & 0x80 for part in parts),
        stepped=any(part[1:] != b"\1\1" for part in parts),
        space=space,
        profile=profile,
    )
