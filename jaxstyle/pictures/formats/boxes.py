"""Boxes of ISO media files (AVIF, HEIC) and of JPEG 2000: a length, a name of four letters, and what is in it."""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.pictures.profiles import BT709, D65, decoded, rgb_profile

# ITU-T H.273: primaries and white point by their number; what is not named is taken as BT.709's.
PRIMARIES = {
    1: (BT709, D65),
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), D65),
    6: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),
    7: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), D65),
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), D65),
}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # transfers that are powers; others are shown as sRGB's is
HIGH_RANGE = {16: "PQ", 18: "HLG"}
SRGB_CURVE = decoded(np.linspace(0, 1, 4096))


class Box(NamedTuple):
    """A box's name, and where its contents are in the file."""

    name: bytes
    start: int
    end: int


def walk(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places of a file."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        length, name = struct.unpack_from(">I4s", head)
        body = start + 8
        if length == 1 and len(head) == 16:
            length, body = struct.unpack_from(">Q", head, 8)[0], start + 16
        stop = end if length == 0 else start + length
        if stop < body:
            return
        yield Box(name, body, min(stop, end))
        start = stop


def inside(file: BinaryIO, start: int, end: int, *path: bytes) -> Iterator[Box]:
    """The boxes that a path of names leads to; "meta" has four bytes before the boxes in it."""
    for box in walk(file, start, end):
        if box.name == path[0]:
            if len(path) == 1:
                yield box
            else:
                yield from inside(file, box.start + (4 if box.name == b"meta" else 0), box.end, *path[1:])


def content(file: BinaryIO, box: Box, most: int = 16_000_000) -> bytes:
    """What is in a box, or its beginning."""
    file.seek(box.start)
    return file.read(min(box.end - box.start, most))


def color_profile(file: BinaryIO, name: str) -> bytes | None:
    """The profile of the numbers by which an AVIF or HEIC tells its colours; None for sRGB."""
    size = file.seek(0, 2)
    for box in inside(file, 0, size, b"meta", b"iprp", b"ipco", b"colr"):
        data = content(file, box, 16)
        if data[:4] == b"nclx" and len(data) >= 8:
            return coded_profile(*struct.unpack_from(">HH", data, 4), name=name)
    return None


def coded_profile(primaries: int, transfer: int, *, name: str) -> bytes | None:
    """The profile of H.273's numbers; None for sRGB. What is brighter than white cannot be shown, and is refused."""
    if transfer in HIGH_RANGE:
        raise InputError(
            f"{name} is of high dynamic range ({HIGH_RANGE[transfer]}), which is not read; export it as sRGB"
        )
    known = PRIMARIES.get(primaries, PRIMARIES[1])
    if known == PRIMARIES[1] and transfer not in GAMMAS:
        return None
    return rgb_profile(*known, GAMMAS.get(transfer, SRGB_CURVE))
