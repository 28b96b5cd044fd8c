"""PNG: its chunks, what they say of colour, and the pictures of 16 bits a channel, of which Pillow keeps 8.

Of what a file says of its colours, the first of these counts, as in browsers: cICP, iCCP, sRGB, gAMA with cHRM.
"""

import contextlib
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.formats.boxes import SRGB_CURVE, coded_profile
from jaxstyle.pictures.formats.raster import orientation_of, samples_of_image
from jaxstyle.pictures.profiles import BT709, D65, fits, rgb_profile
from jaxstyle.pictures.stored import Samples, Stored, samples_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"eXIf")
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # Adam7's
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
GAMMAS = (0.1, 10.0)  # that a file may have; others are mistakes


@dataclass(frozen=True)
class Chunks:
    """What the chunks say.

    Attributes:
      header: width, height, bits, colour type, compression, filter, interlacing.
      small: chunks by name.
      data: where the picture's chunks are in the file, and how long each is with its head and tail.
    """

    header: tuple[int, ...]
    small: dict[bytes, bytes]
    data: tuple[tuple[int, int], ...]


def open_png(file: BinaryIO, name: str) -> Stored:
    """A PNG; of an animation the picture that it is without."""
    chunks = _chunks(file)
    width, height, depth, kind = chunks.header[:4]
    file.seek(0)
    image = Image.open(file, formats=("PNG",))
    if b"eXIf" in chunks.small:  # it may stand behind the picture
        image.info["exif"] = b"Exif\0\0" + chunks.small[b"eXIf"]
    icc = image.info.get("icc_profile")
    profile = _profile(chunks, icc if isinstance(icc, bytes) else None, name)

    def samples(times: float) -> Samples:
        del times
        if depth == 16 and kind != 0:
            return samples_of(_deep(file, chunks), white=65535.0, profile=profile)
        image.load()
        image.info.pop("icc_profile", None)  # the profile that counts may be another
        key = image.info.get("transparency")
        if kind == 0 and depth in (2, 4) and isinstance(key, int):  # Pillow scales the greys, and not this one
            image.info["transparency"] = key * (255 // (2**depth - 1))
        return samples_of_image(image, profile=profile)

    return Stored(height, width, samples, orientation_of(image))


def _chunks(file: BinaryIO) -> Chunks:
    """The chunks to the end of the file; those of the picture are passed over."""
    size, place = file.seek(0, 2), len(SIGNATURE)
    header: tuple[int, ...] | None = None
    small: dict[bytes, bytes] = {}
    data: list[tuple[int, int]] = []
    while place + 12 <= size:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IHDR" and header is None:
            header = struct.unpack(">IIBBBBB", file.read(13))
        elif name == b"IDAT":
            data.append((place, length + 12))
        elif name in KEPT and length < 1_000_000:
            small.setdefault(name, file.read(length))
        elif name == b"IEND":
            break
        place += length + 12
    if header is None:
        raise ValueError("no header")
    return Chunks(header, small, tuple(data))


def _profile(chunks: Chunks, icc: bytes | None, name: str) -> bytes | None:
    """The profile of the file's colours; None for sRGB."""
    small, grey = chunks.small, chunks.header[3] in (0, 4)
    if len(code := small.get(b"cICP", b"")) == 4:
        if code[2] or not code[3]:
            raise InputError(f"{name} holds video levels (cICP), which are not read; export it as sRGB")
        return coded_profile(code[0], code[1], name=name)
    if icc and fits(icc, "grey" if grey else "rgb"):
        return icc
    if b"sRGB" in small or len(small.get(b"gAMA", b"")) != 4:
        return None
    return _gamma_profile(struct.unpack(">I", small[b"gAMA"])[0] / 100_000, small.get(b"cHRM", b""))


def _gamma_profile(exponent: float, chromaticities: bytes) -> bytes | None:
    """The profile of gAMA and cHRM; what is near to sRGB's gamma (5 %) and primaries (0.01) is meant to be them."""
    if exponent == 0 or not GAMMAS[0] <= 1 / exponent <= GAMMAS[1]:
        return None
    curve = SRGB_CURVE if abs(exponent * 2.2 - 1) < 0.05 else 1 / exponent
    numbers = np.asarray(struct.unpack(">8I", chromaticities) if len(chromaticities) == 32 else (), float) / 100_000
    if len(numbers) and np.abs(numbers - [*D65, *BT709]).max() > 0.01:
        with contextlib.suppress(imagecodecs.CmsError, ValueError):  # numbers that are no primaries
            return rgb_profile(numbers[2:].tolist(), numbers[:2].tolist(), curve)
    return None if curve is SRGB_CURVE else rgb_profile(BT709, D65, curve)


def _deep(file: BinaryIO, chunks: Chunks) -> np.ndarray:
    """A picture of 16 bits with all of them, and alpha where one colour is that which is not there.

    libpng gets the chunks that it needs and no others, of which it would complain on standard error.
    """
    width, height, depth, kind, *_, interlaced = chunks.header
    transparent = chunks.small.get(b"tRNS", b"")
    key = _chunk(b"tRNS", transparent) if kind == 2 and len(transparent) == 6 else b""

    def decoded(width: int, height: int, data: bytes) -> np.ndarray:
        header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
        found = imagecodecs.png_decode(SIGNATURE + _chunk(b"IHDR", header) + key + data + _chunk(b"IEND", b""))
        return found.reshape(height, width, -1)

    if not interlaced:
        return decoded(width, height, b"".join(_read(file, *place) for place in chunks.data))
    result = np.zeros((height, width, CHANNELS[kind] + bool(key)), np.uint16)
    inflate = zlib.decompressobj()
    packed = b"".join(_read(file, place + 8, length - 12) for place, length in chunks.data)
    for top, left, down, across in PASSES:
        part = result[top::down, left::across]
        if part.size:  # each is a picture of its own
            wanted = part.shape[0] * (1 + 2 * CHANNELS[kind] * part.shape[1])
            rows = inflate.decompress(packed, wanted)
            packed = inflate.unconsumed_tail
            if len(rows) < wanted:
                raise ValueError("cut short")
            part[:] = decoded(part.shape[1], part.shape[0], _chunk(b"IDAT", zlib.compress(rows, 1)))
    return result


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
