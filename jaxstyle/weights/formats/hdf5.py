"""HDF5 files: what is in them, found by `hdf5_index`, and their arrays, read from their places without that library.

So whatever the library does with a file made to break it, it does in another process; and nothing is unpacked beyond
the size that an array says it has.
"""

import functools
import itertools
import json
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from jaxstyle.weights.formats import hdf5_index
from jaxstyle.weights.formats.stored import Refusal, Region, Stored, called

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MOST_ARRAY = 100_000_000  # bytes of one array in chunks; the largest kernel of VGG19 has 9 million
_PATIENCE = 20.0  # seconds, where the process that looks through a file cannot be confined to fewer

Attributes = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Tree:
    """What an HDF5 file holds, by path: "" is the root, "a/b" what is b in the group a.

    Attributes:
      groups: attributes of each group.
      found: what `hdf5_index` has found of each array.
      links: where a link leads that was not followed.
      region: where the file is.
    """

    groups: Mapping[str, Attributes]
    found: Mapping[str, Any]
    links: Mapping[str, str]
    region: Region

    def group(self, path: str) -> Attributes:
        """A group's attributes.

        Raises:
          ValueError: there is none.
          Refusal: a link is on the way to it.
        """
        self._check(path, self.groups)
        return self.groups[path]

    def array(self, path: str) -> Stored:
        """An array.

        Raises:
          ValueError: there is none, or it reaches past the end.
          Refusal: it is in another file.
        """
        self._check(path, self.found)
        found = self.found[path]
        if "elsewhere" in found:
            raise Refusal(f"keeps {called(path)} {found['elsewhere']}, which are not opened")
        shape, type_ = tuple(found["shape"]), found["type"]
        if "unread" in found:

            def fail() -> NoReturn:
                raise ValueError(f"{path} {found['unread']}")

            return Stored(shape, type_, 0, fail)
        if "offset" in found:
            return self.region.array(found["offset"], shape, type_)
        return _chunked(self.region, path, shape, np.dtype(type_), found)

    def inside(self, path: str) -> list[str]:
        """Names of the arrays right within a group."""
        return self._names.get(path, [])

    @functools.cached_property
    def _names(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for path in self.found:
            group, _, name = path.rpartition("/")
            names.setdefault(group, []).append(name)
        return names

    def _check(self, path: str, things: Mapping[str, object]) -> None:
        """Whether there is something at a path, and no link on the way."""
        if path in things:
            return
        parts = path.split("/")
        for way in ("/".join(parts[:n]) for n in range(1, min(len(parts), hdf5_index.DEEPEST + 1) + 1)):
            if way in self.links:
                raise Refusal(f"has a link at {called(way)} to {self.links[way]}, which is not followed")
        raise ValueError(f"it has no {called(path)}")


def tree(region: Region, trusted: bool) -> Tree:
    """What an HDF5 file holds.

    Args:
      region: where the file is.
      trusted: whether it is of our own making, and may be looked through in this process: that is faster.

    Raises:
      ValueError: it is damaged, or made to break its reader.
      Refusal: it has more of something than any file of weights.
    """
    try:
        found = hdf5_index.index(*region[:3]) if trusted else _found_elsewhere(region)
    except hdf5_index.TooMuchError as error:
        raise Refusal(str(error)) from error
    return Tree(found["groups"], found["arrays"], found["links"], region)


def _found_elsewhere(region: Region) -> dict[str, Any]:
    """`hdf5_index.index` in a process of its own."""
    command = [sys.executable or "python3", "-P", hdf5_index.__file__, str(region.start), str(region.size)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    environment |= {"HDF5_PLUGIN_PRELOAD": "::"}  # no filters from elsewhere
    try:
        done = subprocess.run(
            command,
            stdin=region.file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_PATIENCE,
            check=True,
        )
        found = json.loads(done.stdout)
    except OSError as error:
        raise Refusal(
            f"is not read: HDF5 is looked through in a process of its own, which cannot be run ({error.strerror})"
        ) from error
    except (subprocess.SubprocessError, ValueError) as error:
        raise ValueError("the HDF5 library breaks down over it") from error
    finally:
        region.file.seek(0, os.SEEK_END)  # it has moved, which this file's buffer does not know
    if "refusal" in found:
        raise Refusal(found["refusal"])
    if "error" in found:
        raise ValueError(found["error"])
    return found


def _chunked(region: Region, path: str, shape: tuple[int, ...], dtype: np.dtype, found: Mapping[str, Any]) -> Stored:
    """An array in chunks, each of which may be packed."""
    chunk, filters = tuple(found["chunk"]), found["filters"]
    if unknown := [name for name in filters if name not in ("deflate", "shuffle")]:
        raise ValueError(f"{path} is packed by {unknown[0]!r}; only gzip and shuffle are read")

    rows = [range(0, side, step) for side, step in zip(shape, chunk, strict=True)]
    wanted = math.prod(map(len, rows))
    unpacked = wanted * math.prod(chunk) * dtype.itemsize

    def read() -> np.ndarray:
        if unpacked > MOST_ARRAY:
            raise ValueError(f"{path} of {shape} in chunks of {chunk} is larger than any array of weights")
        places = {tuple(row[:-3]): row[-3:] for row in found["chunks"]}
        if len(places) != wanted:
            raise ValueError(f"{path} has {len(places)} of its {wanted} chunks")
        values = np.empty(shape, dtype)
        for corner in itertools.product(*rows):
            mask, offset, size = places[corner]  # KeyError: a chunk that is elsewhere
            data = _unpacked(region.read(offset, size), filters, mask, math.prod(chunk), dtype.itemsize)
            place = tuple(slice(a, a + step) for a, step in zip(corner, chunk, strict=True))
            part = np.frombuffer(data, dtype).reshape(chunk)
            values[place] = part[tuple(slice(n) for n in values[place].shape)]
        return values

    cost = sum(row[-1] for row in found["chunks"])
    return Stored(shape, dtype.str, cost, read, unpacked)


def _unpacked(data: bytes, filters: Sequence[str], mask: int, elements: int, itemsize: int) -> bytes:
    """A chunk as it was before its filters; bit n of the mask says that the n-th was passed over."""
    size = elements * itemsize
    for n, name in reversed([*enumerate(filters)]):
        if mask >> n & 1:
            continue
        if name == "deflate":
            data = zlib.decompressobj().decompress(data, size + 1)
        elif len(data) == size:  # "shuffle": the first bytes of all elements, then the second ones
            data = np.frombuffer(data, np.uint8).reshape(itemsize, elements).T.tobytes()
    if len(data) != size:
        raise ValueError(f"a chunk of {size} bytes has {len(data)}")
    return data
