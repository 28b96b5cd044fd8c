"""What an HDF5 file says that it holds, found in a process of its own.

The HDF5 library crashes, hangs or fills the memory on files made for that, and follows links into other files. So a
foreign file is looked through by a process that may not open any other file, and has little memory and time. It reads
no array: it prints, as JSON, the attributes of all groups, and shape, type and place of all arrays. `hdf5` runs this
file as a program, and imports it for files of our own; it must not import jaxstyle, which is slow.
"""

import codecs
import contextlib
import io
import json
import os
import signal
import sys
import time
from typing import Any, BinaryIO

import h5py
import numpy as np

MOST_OBJECTS = 8_000  # groups, arrays and attributes; DenseNet121 in Keras 3 has 1,900, with its optimizer 3,400
MOST_TEXT = 4_000_000  # characters of attributes and names
MOST_TEXTS = 20_000  # in attributes that are lists; DenseNet121 in Keras 2 has 1,300
MOST_CHUNKS = 50_000
DEEPEST = 32  # groups in one another
MEMORY = 200_000_000  # bytes more than an idle process has
SECONDS = 1.0  # of a processor; DenseNet121 takes 0.1


class TooMuchError(Exception):
    """A file has more of something than any file of weights: words to come after the file's name."""


class Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self._file, self._start, self._size, self._place = file, start, size, 0

    def seekable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of files."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """As of files."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """As of files."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._place)
        data = self._file.read(max(0, min(len(view), self._size - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


def index(file: BinaryIO, start: int, size: int) -> dict[str, Any]:
    """What is in the HDF5 file that a part of a file is.

    Returns:
      "groups": path -> attributes, name -> text or list of texts, "" being the root's path;
      "arrays": path -> shape, type (NumPy's), and `offset`, or `chunk`, `chunks` and `filters`, or `unread`, why it has
      none of these; or only `elsewhere`, where it is instead;
      "links": path -> where a link leads that was not followed.

    Raises:
      TooMuchError: more of anything than any file of weights has.
    """
    found: dict[str, dict[str, Any]] = {"groups": {}, "arrays": {}, "links": {}}
    left = {"objects": MOST_OBJECTS, "texts": MOST_TEXTS, "characters of text": MOST_TEXT, "chunks": MOST_CHUNKS}

    def spend(what: str, number: int = 1) -> None:
        left[what] -= number
        if left[what] < 0:
            raise TooMuchError(f"has more {what} than any file of weights")

    with h5py.File(Window(file, start, size), "r") as root:
        todo, seen = [("", root.id, 0)], set()
        while todo:
            path, group, depth = todo.pop()
            place = h5py.h5o.get_info(group).addr
            if place in seen or depth > DEEPEST:
                found["links"][path] = "a group that contains it, or is too deep"
                continue
            seen.add(place)
            found["groups"][path] = _attributes(group, spend)
            for name in h5py.Group(group):
                inside = f"{path}/{name}".removeprefix("/")
                spend("objects")
                spend("characters of text", len(inside))
                link = group.links.get_info(name.encode("utf-8", "surrogateescape")).type
                if link != h5py.h5l.TYPE_HARD:
                    other = {h5py.h5l.TYPE_SOFT: "another place", h5py.h5l.TYPE_EXTERNAL: "another file"}
                    found["links"][inside] = other.get(link, "an unknown place")
                    continue
                thing = h5py.h5o.open(group, name.encode("utf-8", "surrogateescape"))
                if isinstance(thing, h5py.h5g.GroupID):
                    todo.append((inside, thing, depth + 1))
                elif isinstance(thing, h5py.h5d.DatasetID):
                    found["arrays"][inside] = _array(thing, spend)
    return found


def _attributes(group: Any, spend: Any) -> dict[str, str | list[str]]:
    """Those of a group that are text, or short enough to be written as text."""
    found: dict[str, str | list[str]] = {}
    attributes = h5py.Group(group).attrs
    for number in range(h5py.h5a.get_num_attrs(group)):
        spend("objects")
        attribute = h5py.h5a.open(group, index=number)
        name = attribute.name.decode("utf-8", "backslashreplace")
        values = attribute.get_space().get_simple_extent_npoints()
        spend("characters of text", len(name) + (attribute.get_storage_size() if values else 0))  # which fails of none
        value = attributes[name] if 0 < values <= MOST_OBJECTS else np.zeros(0)
        several = isinstance(value, np.ndarray)
        texts = [_text(x) for x in value.ravel()] if isinstance(value, np.ndarray) else [_text(value)]
        spend("texts", len(texts))
        spend("characters of text", sum(map(len, texts)))
        found[name] = texts if several else texts[0]
    return found


def _text(value: Any) -> str:
    """h5py gives bytes for the strings of fixed length that older Keras wrote."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _array(dataset: Any, spend: Any) -> dict[str, Any]:
    """Shape, type and place of an array."""
    plan = dataset.get_create_plist()
    layout = plan.get_layout()
    if plan.get_external_count():
        return {"elsewhere": "in other files"}
    if layout == h5py.h5d.VIRTUAL:
        return {"elsewhere": "in other files, as a view"}
    type_ = dataset.get_type()
    found: dict[str, Any] = {"shape": dataset.shape, "type": type_.dtype.str}
    if type_.dtype.kind not in "fiu" or not h5py.h5t.py_create(type_.dtype).equal(type_):
        return found | {"unread": "has values of an unusual type"}
    if not np.prod(dataset.shape, dtype=float):
        return found | {"offset": 0}
    if layout == h5py.h5d.CONTIGUOUS:
        offset = dataset.get_offset()
        return found | ({"unread": "has no values"} if offset is None else {"offset": offset})
    if layout != h5py.h5d.CHUNKED:
        return found | {"unread": "is kept among the descriptions"}
    spend("chunks", dataset.get_num_chunks())
    chunks: list[Any] = []

    def add(chunk: Any) -> None:
        spend("chunks", len(chunks) >= dataset.get_num_chunks())
        chunks.append([*chunk.chunk_offset, chunk.filter_mask, chunk.byte_offset, chunk.size])

    dataset.chunk_iter(add)
    filters = [plan.get_filter(n) for n in range(plan.get_nfilters())]
    names = [_text(name) or str(code) for code, _, _, name in filters]
    return found | {"chunk": plan.get_chunk(), "chunks": chunks, "filters": names}


def confine() -> None:
    """Takes from this process what a damaged file could make it misuse; where the system cannot, less is taken."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = {"CORE": 0, "FSIZE": 0, "NPROC": 0, "CPU": int(time.process_time() + SECONDS) + 2, "AS": held + MEMORY}
    for name, most in [*limits.items(), ("NOFILE", 3)]:  # 0 to 2 are open; nothing else can be
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def main() -> None:
    """Looks through standard input, from the first argument on, as many bytes as the second says."""
    start, size = map(int, sys.argv[1:3])
    with open(0, "rb", buffering=0) as file:
        for name in ("ascii", "latin-1", "utf-8"):
            codecs.lookup(name)  # each is in a file of Python's own, which h5py opens when it first needs it
        confine()
        try:
            found = index(file, start, size)
        except TooMuchError as error:
            found = {"refusal": str(error)}
        except MemoryError:
            found = {"refusal": "asks for more memory than weights need"}
        except Exception as error:  # whatever h5py raises of a damaged file
            found = {"error": str(error)[:200] or type(error).__name__}
        sys.stdout.write(json.dumps(found))
        sys.stdout.flush()
        os._exit(0)  # without taking apart what may be in disorder


if __name__ == "__main__":
    main()
