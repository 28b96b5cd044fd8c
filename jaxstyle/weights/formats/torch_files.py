"""State dicts in torch's own files, read without torch, and without running anything that is in them (`pickles`).

Both containers: the zip of torch 1.6 and after, NAME/data.pkl and NAME/data/KEY for each storage; and the older stream,
five pickles and then the storages, each a count of 8 bytes and little-endian elements.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxstyle.weights.formats.archives import Archive
from jaxstyle.weights.formats.pickles import MOST_BYTES, Machine, Storage, Tensor
from jaxstyle.weights.formats.state_dicts import read_state_dict
from jaxstyle.weights.formats.stored import (
    BFLOAT16,
    Refusal,
    Region,
    Stored,
    StoredFile,
    called,
    check_number,
    from_bfloat16,
    listed,
)

MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # the first pickle of the older container
DEEPEST = 4  # dicts in one another, among which a state dict is looked for
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "params")
_WORDS = {Tensor: "a tensor", list: "a list", tuple: "a tuple", str: "a text", type(None): "nothing"}

Places = Callable[[Storage], Region]


def is_stream(head: bytes) -> bool:
    """Whether a file that begins so is an older container."""
    return head[:1] == b"\x80" and MAGIC in head


def read_zip(archive: Archive, pickle: str) -> StoredFile:
    """What the newer container holds whose pickle has that name."""
    folder = pickle.removesuffix("data.pkl")
    order = f"{folder}byteorder"
    big = order in archive.names and _record(archive, order).strip() == b"big"
    value = Machine(_record(archive, pickle)).load()
    return _read(value, lambda storage: archive.stored(f"{folder}data/{storage.key}"), ">" if big else "<")


def _record(archive: Archive, name: str) -> bytes:
    region = archive.stored(name)
    if region.size > MOST_BYTES:
        raise ValueError(f"{name} has {region.size} bytes")
    return region.read(0, region.size)


def read_stream(region: Region) -> StoredFile:
    """What the older container holds."""
    machine = Machine(region.read(0, min(region.size, MOST_BYTES)))
    for _ in ("magic number", "protocol", "system"):
        machine.load()
    value, keys = machine.load(), machine.load()
    sound = isinstance(keys, list) and all(isinstance(key, str) for key in keys)  # of others the hash may never end
    if not sound or len(keys) != len({*filter(machine.storages.get, keys)}):
        raise ValueError("a list of storages that makes no sense")
    places, place = {}, machine.place
    for key in keys:
        storage = machine.storages[key]
        if place + 8 > region.size or int.from_bytes(region.read(place, 8), "little") != storage.elements:
            raise ValueError(f"storage {key} is not where it should be")
        places[key] = Region(region.file, region.start + place + 8, _bytes(storage))
        place += 8 + places[key].size
    if place > region.size:
        raise ValueError(f"{place - region.size} bytes are missing at its end")
    return _read(value, lambda storage: places[storage.key], "<")


def _read(value: Any, place: Places, order: str) -> StoredFile:
    """A state dict, by itself or within a checkpoint."""
    found = _state_dict(value)
    check_number(len(found))
    return read_state_dict("torch", {key: _stored(tensor, place, order) for key, tensor in found.items()}, {})


def _state_dict(value: Any) -> dict[str, Tensor]:
    """The tensors of what was pickled: a state dict, or a checkpoint that has one inside.

    Raises:
      Refusal: it is something else, or there are several, of which none has a usual name.
    """
    if not isinstance(value, dict):
        raise Refusal(f"holds no state dict but {_WORDS.get(type(value), 'something else')}")
    dicts = [*_dicts(value)]
    found = [(path, tensors) for path, tensors in dicts if any(map(_is_kernel, tensors.items()))]
    if not found:
        return dicts[0][1]
    shallowest = [(path, tensors) for path, tensors in found if len(path) == len(found[0][0])]
    usual = [next((one for one in shallowest if one[0][-1:] == (name,)), None) for name in _USUAL]
    chosen = shallowest[0] if len(shallowest) == 1 else next(filter(None, usual), None)
    if chosen is None:
        names = listed(".".join(path) for path, _ in shallowest)
        raise Refusal(f"holds several state dicts, {names}; save the one that is meant by itself")
    return chosen[1]


def _dicts(value: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """All dicts in one another, shallow ones first, each once: the way there, and its tensors."""
    todo: deque[tuple[tuple[str, ...], dict[str, Any]]] = deque([((), value)])
    seen = {id(value)}
    while todo:
        path, found = todo.popleft()
        yield path, {key: x for key, x in found.items() if isinstance(x, Tensor)}
        for key, inside in found.items():
            if isinstance(inside, dict) and id(inside) not in seen and len(path) < DEEPEST:
                seen.add(id(inside))
                todo.append(((*path, key), inside))


def _is_kernel(item: tuple[str, Tensor]) -> bool:
    """Whether a tensor may be a convolution's, as a state dict has it."""
    return len(item[1].shape) == 4 and item[0].endswith(("weight", "_W_q"))


def _stored(tensor: Tensor, place: Places, order: str) -> Stored:
    """A tensor's values, as a view into its storage; `order` is NumPy's "<" or ">"."""
    storage, offset, shape, strides = tensor
    type_ = storage.type.replace("<", order)
    dtype = np.dtype(f"{order}u2" if type_ == BFLOAT16 else type_)
    reach = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if 0 in shape:
        return Stored(shape, type_, 0, lambda: np.zeros(shape, dtype))
    # The second is against strides of zero, by which a small file could fill the memory.
    if offset + reach > storage.elements or math.prod(shape) > storage.elements:
        raise ValueError("a tensor that reaches past its storage")

    def read() -> np.ndarray:
        region = place(storage)
        if region.size != _bytes(storage):
            raise ValueError(f"storage {called(storage.key)} has {region.size} bytes, not {_bytes(storage)}")
        values = np.frombuffer(region.read(offset * dtype.itemsize, reach * dtype.itemsize), dtype)
        view = np.lib.stride_tricks.as_strided(values, shape, [n * dtype.itemsize for n in strides], writeable=False)
        return from_bfloat16(view) if type_ == BFLOAT16 else view

    return Stored(shape, type_, reach * dtype.itemsize, read)


def _bytes(storage: Storage) -> int:
    return storage.elements * np.dtype("<u2" if storage.type == BFLOAT16 else storage.type).itemsize
