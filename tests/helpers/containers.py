"""torch's containers and the pickles in them, written byte by byte."""

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np

Tensors = dict[str, np.ndarray]  # by a state dict's names

# A pickle's opcodes, protocol 2; see pickletools.


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tuple_(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def call(name: str, *arguments: bytes) -> bytes:
    return global_(name) + tuple_(*arguments) + b"R"


def global_(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(key: str, kind: str, size: int, *view: bytes) -> bytes:
    return tuple_(text("storage"), global_(f"torch.{kind}"), text(key), text("cpu"), number(size), *view) + b"Q"


def tensor(store: bytes, offset: int, shape: tuple, strides: tuple, rebuild: str = "_rebuild_tensor_v2") -> bytes:
    more = () if rebuild == "_rebuild_tensor" else (b"\x89", call("collections.OrderedDict"))
    sizes = (tuple_(*map(number, shape)), tuple_(*map(number, strides)))
    return call(f"torch._utils.{rebuild}", store, number(offset), *sizes, *more)


def dictionary(items: dict[str, bytes]) -> bytes:
    """An OrderedDict with torch's `_metadata`, an attribute which a BUILD sets."""
    inside = b"".join(text(key) + value for key, value in items.items())
    metadata = b"}(" + text("_metadata") + call("collections.OrderedDict") + b"u"
    return call("collections.OrderedDict") + b"(" + inside + b"u" + metadata + b"b"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))


KINDS = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "u2": "BFloat16Storage"}
KINDS |= {"i8": "LongStorage", "u1": "ByteStorage"}


def pickled(tensors: Tensors, old: bool = False) -> tuple[bytes, dict[str, bytes]]:
    """A state dict's pickle, and its storages: one a tensor, little-endian."""
    items, storages = {}, {}
    for key, (name, array) in enumerate(tensors.items()):
        view = (b"N",) if old else ()
        store = storage(str(key), KINDS[array.dtype.str[1:]], array.size, *view)
        rebuild = "_rebuild_tensor" if old else "_rebuild_tensor_v2"
        items[name] = tensor(store, 0, array.shape, contiguous(array.shape), rebuild)
        storages[str(key)] = array.tobytes()
    return dictionary(items), storages


def zip_file(path: Path, body: bytes, storages: dict[str, bytes], order: str | None = "little") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vgg/data.pkl", program(body))
        if order:
            archive.writestr("vgg/byteorder", order)
        for key, data in storages.items():
            archive.writestr(f"vgg/data/{key}", data)
        archive.writestr("vgg/version", "3\n")


def stream_file(
    path: Path, body: bytes, storages: dict[str, bytes], size: int = 4, sizes: dict[str, int] | None = None
) -> None:
    """`size` is of all elements in bytes, `sizes` of those of some storages."""
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, info):
            pickle.dump(value, file, protocol=2)
        file.write(program(body))
        pickle.dump(sorted(storages), file, protocol=2)
        for key in sorted(storages):
            file.write(struct.pack("<q", len(storages[key]) // (sizes or {}).get(key, size)) + storages[key])
