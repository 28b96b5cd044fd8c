"""State dicts in torch's own files, read without torch, and without running anything that is in them.

A torch file is a pickle, which can name any function and have it called. Ours knows a handful of names, none
of which does more than remember its arguments; the numbers are then read from their place in the file.
"""

import contextlib
import functools
import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxstyle.errors import InputError

STREAM_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # the first pickle of the older container


class State(NamedTuple):
    """A state dict while its file is open: the tensors' shapes by name, and what reads the one of a name."""

    shapes: Mapping[str, tuple[int, ...]]
    get: Callable[[str], np.ndarray]


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 of the same values: bfloat16 is its upper half."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


# Pickles get hold of strings and of tuples without attributes only, none of which they can change.


class _Storage(NamedTuple):
    """An array of the file, not yet read; `code` is NumPy's name of its elements' type, u2 for bfloat16."""

    key: str
    code: str
    elements: int


class _Tensor(NamedTuple):
    """A view into a storage; all in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Call(NamedTuple):
    """A function that a pickle may call; of the bare function it could set attributes."""

    function: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """What torch's functions of this name are called with; the rest is about gradients."""
    sound = isinstance(storage, _Storage) and len(shape) == len(strides)
    if not sound or not all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
        raise ValueError("a tensor that makes no sense")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


# `_rebuild_tensor` is what torchvision's own VGG files, of 2017, still say.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Call(lambda tensor, *_: tensor),
}
_CODES = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "u2", "Long": "i8"}
_CODES |= {"Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?"}
for _name, _code in _CODES.items():
    _ALLOWED["torch", f"{_name}Storage"] = _ALLOWED["torch.cuda", f"{_name}Storage"] = _code


class _Unpickler(pickle.Unpickler):
    """Reads a pickle that may hold plain values and tensors, and nothing else."""

    def __init__(self, file: Any, path: Path):
        super().__init__(file)
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Called for every global that a pickle names, whichever opcode names it."""
        if (module, name) not in _ALLOWED:
            raise InputError(
                f"{self.path} asks for {module}.{name}, which weights do not need, and was read no further; "
                "give a state dict of tensors, or a .safetensors file"
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """('storage', type, key, device, elements), in the older container with a view's place after it."""
        kind, code, key, _, elements, *view = pid
        sound = kind == "storage" and code in _CODES.values() and isinstance(key, str)
        if not sound or any(view) or type(elements) is not int or elements < 0:
            raise ValueError("a storage that makes no sense")
        return self.storages.setdefault(key, _Storage(key, code, elements))


def _array(tensor: _Tensor, fetch: Callable[[_Storage], bytes], order: str) -> np.ndarray:
    """A tensor's values, as a view into its storage; `order` is NumPy's "<" or ">"."""
    storage, offset, shape, strides = tensor
    reach = offset + 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    # The second check is against strides of zero, by which a small file could fill the memory.
    if 0 in shape or reach > storage.elements or math.prod(shape) > storage.elements:
        raise ValueError("a tensor that is empty or reaches past its storage")
    values = np.frombuffer(fetch(storage), order + storage.code)
    if values.size != storage.elements:
        raise ValueError(f"storage {storage.key} has {values.size} elements, not {storage.elements}")
    steps = [stride * values.itemsize for stride in strides]
    view = np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)
    return from_bfloat16(view) if storage.code == "u2" else view


def _state(path: Path, state: Any, fetch: Callable[[_Storage], bytes], order: str = "<") -> State:
    """What was unpickled: a state dict, or a checkpoint that has one as `state_dict`."""
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        raise InputError(f"{path} holds no state dict but a {type(state).__name__.strip('_')}")
    shapes = {key: value.shape for key, value in state.items() if isinstance(key, str) and isinstance(value, _Tensor)}
    return State(shapes, lambda key: _array(state[key], fetch, order))


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[State]:
    """The container since torch 1.6: NAME/data.pkl, NAME/data/KEY for each storage, often NAME/byteorder.

    Or a Python package (a wheel) that holds one file in the older container.
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        streams = [] if names else [member for member in archive.infolist() if _is_stream(archive, member)]
        if len(streams) == 1:
            yield _stream_state(path, io.BytesIO(_unpacked(archive, streams[0])))
            return
        if len(names) != 1:
            raise InputError(f"{path} is a zip archive, but not of torch (no data.pkl) and no package with weights")
        folder = names[0].removesuffix("data.pkl")

        def record(name: str) -> bytes:
            # torch never compresses; a compressed record could be a thousand times the file's size.
            if archive.getinfo(folder + name).compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"record {name} is compressed")
            return archive.read(folder + name)

        big = f"{folder}byteorder" in archive.namelist() and record("byteorder").strip() == b"big"
        state = _Unpickler(io.BytesIO(record("data.pkl")), path).load()
        fetch = functools.lru_cache(maxsize=1)(lambda storage: record(f"data/{storage.key}"))
        yield _state(path, state, fetch, ">" if big else "<")


def is_stream(head: bytes) -> bool:
    """Whether a file that begins so is an older container."""
    return head[:1] == b"\x80" and STREAM_MAGIC in head


def _is_stream(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as file:
        return is_stream(file.read(64))


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, which may be compressed, but not as no weights can be, to fill the memory."""
    if member.file_size > 10 * member.compress_size + 10**6:
        raise ValueError(f"{member.filename} has {member.file_size} bytes, packed in {member.compress_size}")
    return archive.read(member)


@contextlib.contextmanager
def open_stream(path: Path) -> Iterator[State]:
    """The older container: five pickles, then the storages: a count of 8 bytes, little-endian elements."""
    with path.open("rb") as file:
        yield _stream_state(path, file)


def _stream_state(path: Path, file: Any) -> State:
    """The state dict of an older container; `path` is for messages."""
    for _ in ("magic number", "protocol", "system"):
        _Unpickler(file, path).load()
    unpickler = _Unpickler(file, path)
    state, keys = unpickler.load(), _Unpickler(file, path).load()
    places, place, end = {}, file.tell(), file.seek(0, io.SEEK_END)
    for key in keys:
        storage = unpickler.storages[key]
        file.seek(place)
        if int.from_bytes(file.read(8), "little") != storage.elements:
            raise ValueError(f"storage {key} is not where it should be")
        places[key], size = place + 8, storage.elements * np.dtype(storage.code).itemsize
        place += 8 + size
    if place > end:
        raise ValueError(f"{place - end} bytes are missing at its end")

    def fetch(storage: _Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(storage.elements * np.dtype(storage.code).itemsize)

    return _state(path, state, fetch)
