"""Files made to do harm to whoever reads them as weights: small, but they ask for much.

Each is written into a folder.
"""

# ruff: noqa: E501 - a pickle is one line

import io
import itertools
import json
import lzma
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

MAKERS: dict[str, Callable[[Path], Path]] = {}  # name -> writes the file, and what belongs to it, into a folder


def made(maker: Callable[[Path], Path]) -> Callable[[Path], Path]:
    MAKERS[maker.__name__] = maker
    return maker


# HDF5

LAYERS = [f"block{b}_conv{i}" for b, depth in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, depth + 1)]


def keras(path: Path, fill: Callable[[h5py.Group, str, str], None], layers: list[str] = LAYERS) -> Path:
    """A file of Keras whose arrays are made by `fill(group, "kernel" or "bias", layer)`."""
    with h5py.File(path, "w", libver="latest") as file:
        for layer in layers:
            group = file.create_group(layer)
            for name in ("kernel", "bias"):
                fill(group, name, layer)
            group.attrs["weight_names"] = ["kernel", "bias"]
        file.attrs["layer_names"] = layers
    return path


def secret(folder: Path) -> Path:
    """A file that is somebody else's."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["kernel"], file["bias"] = np.full((3, 3, 3, 64), 0.1234567, "f4"), np.full(64, 0.1234567, "f4")
    return path


@made
def external_links(folder: Path) -> Path:
    path = secret(folder)

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        group[name] = h5py.ExternalLink(str(path), name)

    return keras(folder / "a.h5", fill)


@made
def external_links_to_groups(folder: Path) -> Path:
    path = folder / "a.h5"
    other = secret(folder)
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink(str(other), "/")
        file.attrs["layer_names"] = ["layers"]
    return path


@made
def links_into_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        group[name] = h5py.ExternalLink(str(folder / "pipe"), name)

    return keras(folder / "a.h5", fill)


@made
def external_storage(folder: Path) -> Path:
    (folder / "secret").write_bytes(b"\x3f" * 3 * 3 * 3 * 64 * 4)

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        shape = (3, 3, 3, 64) if name == "kernel" else (64,)
        size = 4 * int(np.prod(shape))
        group.create_dataset(name, shape, "f4", external=[(str(folder / "secret"), 0, size)])

    return keras(folder / "a.h5", fill, LAYERS[:1])


@made
def virtual_datasets(folder: Path) -> Path:
    other = secret(folder)

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        shape = (3, 3, 3, 64) if name == "kernel" else (64,)
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource(str(other), name, shape)
        group.create_virtual_dataset(name, layout)

    return keras(folder / "a.h5", fill, LAYERS[:1])


@made
def virtual_datasets_over_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        layout = h5py.VirtualLayout((64,), "f4", maxshape=(None,))
        layout[...] = h5py.VirtualSource(str(folder / "pipe"), name, (64,))
        group.create_virtual_dataset(name, layout)

    return keras(folder / "a.h5", fill, LAYERS[:1])


@made
def hard_links(folder: Path) -> Path:
    """One array of 9 MB under a thousand names."""
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        file["one"], file["bias"] = np.zeros((3, 3, 512, 512), "f4"), np.zeros(512, "f4")
        for n in range(1000):
            group = file.create_group(f"conv{n}")
            group["k"], group["b"] = file["one"], file["bias"]
            group.attrs["weight_names"] = ["k", "b"]
        file.attrs["layer_names"] = [f"conv{n}" for n in range(1000)]
    return path


@made
def declared_sizes(folder: Path) -> Path:
    """Arrays of 7 GB of which nothing is written."""

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        shape = (3, 3, 3500, 3500) if name == "kernel" else (3500,)
        group.create_dataset(name, shape, "f4", chunks=shape[:2] + tuple(min(s, 500) for s in shape[2:]))

    return keras(folder / "a.h5", fill)


@made
def nothing_written(folder: Path) -> Path:
    """The shapes of VGG19, of which nothing is written: zeros would be made up."""
    widths = dict(zip("12345", (64, 128, 256, 512, 512), strict=True))
    before = [3]

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        width = widths[layer[5]]
        if name == "kernel":
            group.create_dataset(name, (3, 3, before.pop(), width), "f4")
            before.append(width)
        else:
            group.create_dataset(name, (width,), "f4")

    return keras(folder / "a.h5", fill)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(size >> 20)) + packer.flush()


@made
def packed_shapes(folder: Path) -> Path:
    """900 million zeros, packed."""
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("conv")
        chunk = (3, 3, 1000, 1000)
        group.create_dataset("k", (3, 3, 10_000, 10_000), "f4", chunks=chunk, compression="gzip")
        data = bomb(36_000_000)
        for i, j in itertools.product(range(10), repeat=2):
            group["k"].id.write_direct_chunk((0, 0, 1000 * i, 1000 * j), data)
        group.attrs["weight_names"], file.attrs["layer_names"] = ["k"], ["conv"]
    return path


@made
def packed_chunks(folder: Path) -> Path:
    """Right shapes, but each of the chunks becomes a quarter of a gigabyte."""
    data = bomb(1 << 28)

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        shape = (3, 3, 3, 64) if name == "kernel" else (64,)
        group.create_dataset(name, shape, "f4", chunks=shape, compression="gzip")
        group[name].id.write_direct_chunk((0,) * len(shape), data)

    return keras(folder / "a.h5", fill, LAYERS[:1])


@made
def groups_in_groups(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["back"] = file["/"]
    return path


@made
def many_groups(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        group = file.create_group("layers")
        for n in range(30_000):
            group.create_group(f"g{n}")
    return path


@made
def large_attributes(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.zeros(30_000_000, "S1")
    return path


@made
def one_text_many_times(folder: Path) -> Path:
    """A list of names that all stand for the same text of 60 kB."""
    path = folder / "a.h5"
    marks = [f"{n:08d}" + "x" * 60_000 for n in range(2)]
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", [marks[0]] + ["y"] * 4000, dtype=h5py.string_dtype())
    data = bytearray(path.read_bytes())
    first = data.find(struct.pack("<I", 60_008))
    entry = bytes(data[first : first + 16])
    data[first : first + 16 * 4001] = entry * 4001
    path.write_bytes(data)
    return path


@made
def names_again_and_again(folder: Path) -> Path:
    """Each of many groups says eight thousand times that it has the same array."""
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for n in range(200):
            group = file.create_group(f"{n}")
            group["k"] = np.zeros((3, 3, 1, 1), "f4")
            group.attrs["weight_names"] = np.full(7_900, b"k")
        file.attrs["layer_names"] = [f"{n}" for n in range(200)]
    return path


@made
def a_name_of_slashes(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.array([b"a/" * 900_000])
    return path


@made
def wide_chunks(folder: Path) -> Path:
    """Arrays of nine numbers in chunks of 80 MB."""
    data = bomb(80 << 20)

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        if name == "bias":
            group["bias"] = np.zeros(1, "f4")
            return
        chunk = (1, 1, 1024, 20 * 1024)
        group.create_dataset(name, (1, 1, 1, 1), "f4", maxshape=(None,) * 4, chunks=chunk, compression="gzip")
        group[name].id.write_direct_chunk((0, 0, 0, 0), data)

    return keras(folder / "a.h5", fill)


def packed_kernels(folder: Path, sides: tuple[int, ...], type_: str, count: int) -> Path:
    """Zeros, packed, as many as are read."""
    data = bomb(np.dtype(type_).itemsize * int(np.prod(sides)))

    def fill(group: h5py.Group, name: str, layer: str) -> None:
        if name == "bias":
            group["bias"] = np.zeros(sides[-1:], type_)
            return
        group.create_dataset(name, sides, type_, chunks=sides, compression="gzip")
        group[name].id.write_direct_chunk((0,) * len(sides), data)

    return keras(folder / "a.h5", fill, LAYERS[:count])


@made
def as_many_weights_as_are_read(folder: Path) -> Path:
    return packed_kernels(folder, (1, 1, 4096, 4864), "<f4", 2)


@made
def as_many_weights_in_float64(folder: Path) -> Path:
    return packed_kernels(folder, (1, 1, 4096, 2432), "<f8", 4)


@made
def as_many_codes_as_are_read(folder: Path) -> Path:
    path, sides = folder / "a.h5", (1, 1, 4096, 9728)
    with h5py.File(path, "w") as file:
        group = file.create_group("conv1_1")
        group.create_dataset("codes", sides, "u1", chunks=sides, compression="gzip")
        group["codes"].id.write_direct_chunk((0, 0, 0, 0), bomb(int(np.prod(sides))))
        group["table"], group["bias"] = np.ones(1, "f4"), np.ones(sides[-1], "f4")
        about = {"format": "jaxstyle-2", "network": "none", "preprocessing": "keras", "layers": "conv1_1"}
        file.attrs.update(about)
    return path


# Pickles


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tensor(key: str, elements: int, shape: bytes, strides: bytes, offset: int = 0) -> bytes:
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(elements) + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + storage + number(offset) + shape + strides + b"\x89ccollections\nOrderedDict\n)RtR"


def shape(*sides: int) -> bytes:
    return b"(" + b"".join(map(number, sides)) + b"t"


def zipped(path: Path, body: bytes, storages: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + body + b".")
        for key, data in (storages or {}).items():
            archive.writestr(f"a/data/{key}", data)
    return path


def streamed(path: Path, body: bytes, keys: bytes = b"") -> Path:
    """The older container, whose storages are missing."""
    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        file.write(b"\x80\x02" + body + b"." + keys)
    return path


PICKLES = {
    "deep_tuples": b")" + b"\x85" * 400_000,
    "deep_lists": b"]" + b"]a" * 100 + b"]" * 300_000 + b"a" * 299_999,
    "deep_keys": b"}" + b")" + b"\x85" * 100_000 + b"K\x01s",
    "colliding_keys": b"}(" + b"".join(b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(9_000)) + b"u",
    "doubled_tuples": b"}" + b")" + b"2\x86" * 200 + b"K\x01s",
    "doubled_lists": b"}" + text("state_dict") + b"]" + b"".join(b"q%c](h%ch%ce" % (n, n, n) for n in range(100)) + b"s",
    "memo_index": b"}r\xff\xff\xff\x7f" + text("a") + b"K\x01s",
    "huge_bytearray": b"\x96" + struct.pack("<Q", 2**34) + b"x",
    "huge_bytes": b"\x8e" + struct.pack("<Q", 2**62) + b"x",
    "huge_text": b"\x8d" + struct.pack("<Q", 2**40) + b"x",
    "huge_number": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1",
    "long_digits": b"L" + b"9" * 2_000_000 + b"L\n",
    "long_float": b"F" + b"9" * 2_000_000 + b"\n",
    "endless_name": b"c" + b"a" * 3_000_000,
    "many_marks": b"(" * 1_000_000,
    "many_pops": b"N0" * 500_000,
    "pairs_again_and_again": b"](" + b"X\x00\x00\x00\x00N\x86" * 30_000 + b"eq\x01" + b"ccollections\nOrderedDict\nh\x01\x85R0" * 30_000,
    "long_shapes": b"(" + b"K\x01" * 60_000 + b"tq\x01" + b"}(" + b"".join(text(f"{n}.weight") + tensor("0", 9, b"h\x01", b"h\x01") for n in range(800)) + b"u",
    "a_dict_in_itself": b"}q\x01" + text("state_dict") + b"h\x01s",
    "dicts_of_the_same_dicts": b"}" + b"".join(b"q%c}(" % n + b"".join(text(k) + b"h%c" % n for k in "abcdefgh") + b"u" for n in range(60)),
    "many_dicts": b"}(" + b"".join(text(f"{n}") + b"}" for n in range(70_000)) + b"u",
    "parts_of_one_layer": b"}(" + b"".join(text(f"a.{'x' * 90}{n}") + tensor("0", 9, shape(1), shape(1)) for n in range(2_000)) + text("a.weight") + tensor("0", 9, shape(1, 1, 3, 3), shape(9, 9, 3, 1)) + b"u",
    "a_set": b"\x8f(" + b"N" * 10 + b"\x90",
    "an_object": b"ccollections\nOrderedDict\n)\x81}b",
    "state_of_a_function": b"ctorch._utils\n_rebuild_tensor_v2\n}" + text("x") + b"K\x01sb",
    "a_call_without_arguments": b"ctorch._utils\n_rebuild_parameter\n)R",
    "a_storage_called": b"ctorch\nFloatStorage\n)R",
    "a_name_as_a_key": b"}ctorch\nFloatStorage\nNs",
    "nothing": b"",
    "too_many_pops": b"0000",
    "persistent_text": b"Psecret\n",
    "an_extension": b"\x82\x01",
    "a_buffer": b"\x97",
    "no_tensor_but_a_size": tensor("0", 2**31 - 1, shape(1, 1), shape(1, 1)),
}  # fmt: skip


def _pickle(name: str) -> None:
    def zip_file(folder: Path) -> Path:
        return zipped(folder / "a.pth", PICKLES[name], {"0": bytes(36)})

    def stream_file(folder: Path) -> Path:
        return streamed(folder / "a.pth", PICKLES[name])

    MAKERS[f"{name}_in_a_zip"], MAKERS[f"{name}_in_a_stream"] = zip_file, stream_file


for _name in PICKLES:
    _pickle(_name)


def many_tensors(one: bytes, count: int) -> bytes:
    return b"}(" + b"".join(text(f"features.{n}.weight") + one for n in range(count)) + b"u"


def large_views(folder: Path, count: int) -> Path:
    one = tensor("0", 1_200_000, shape(1000, 1000, 1, 1), shape(1000, 1, 1, 1))
    return zipped(folder / "a.pth", many_tensors(one, count), {"0": bytes(4_800_000)})


@made
def views(folder: Path) -> Path:
    """A thousand views of one storage."""
    return large_views(folder, 1000)


@made
def few_large_views(folder: Path) -> Path:
    return large_views(folder, 40)


@made
def strides_of_zero(folder: Path) -> Path:
    one = tensor("0", 9, shape(30_000, 30_000, 3, 3), shape(0, 0, 0, 0))
    return zipped(folder / "a.pth", many_tensors(one, 1), {"0": bytes(36)})


@made
def wide_strides(folder: Path) -> Path:
    """Tensors of four numbers each, between which there are millions."""
    one = tensor("0", 2_400_000, shape(2, 2, 1, 1), shape(1_200_000, 1, 1, 1))
    return zipped(folder / "a.pth", many_tensors(one, 2000), {"0": bytes(9_600_000)})


@made
def many_small_tensors(folder: Path) -> Path:
    return zipped(folder / "a.pth", many_tensors(tensor("0", 9, shape(1, 1, 3, 3), shape(9, 9, 3, 1)), 4_000))


@made
def deep_keys_of_storages(folder: Path) -> Path:
    """Where names of storages stand, tuples in tuples, whose hash overflows the stack."""
    return streamed(folder / "a.pth", b"}", b"\x80\x02])" + b"\x85" * 120_000 + b"a.")


# Archives


@made
def many_files(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.whl", "w") as archive:
        for n in range(60_000):
            archive.writestr(f"{n}", b"")
    return folder / "a.whl"


@made
def as_many_files_as_are_looked_at(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(30_000):
            archive.writestr(f"{n}", b"x" * 100)
    return folder / "a.whl"


@made
def as_many_files_as_their_list_has_room_for(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(18_000):
            archive.writestr(f"{n}", b"x" * 100)
    return folder / "a.whl"


def wheel(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED, name: str = "toy/weights.bin") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


@made
def packed_zeros_in_a_wheel(folder: Path) -> Path:
    head = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {}):
        pickle.dump(value, head, protocol=2)
    return wheel(folder / "a.whl", head.getvalue() + bytes(100_000_000))


@made
def packed_by_lzma_with_a_huge_window(folder: Path) -> Path:
    path = wheel(folder / "a.whl", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1000), zipfile.ZIP_LZMA)
    data = bytearray(path.read_bytes())
    place = data.find(lzma._encode_filter_properties({"id": lzma.FILTER_LZMA1}))  # type: ignore[attr-defined]
    data[place + 1 : place + 5] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    return path


@made
def a_packed_keras_file(folder: Path) -> Path:
    return wheel(folder / "a.keras", b"\x89HDF\r\n\x1a\n" + bytes(100_000_000), name="model.weights.h5")


@made
def archives_in_archives(folder: Path) -> Path:
    content = b"PK\x03\x04"
    for _ in range(50):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("model.weights.h5", content)
        content = inner.getvalue()
    (folder / "a.keras").write_bytes(content)
    return folder / "a.keras"


@made
def a_packed_pickle(folder: Path) -> Path:
    return wheel(folder / "a.pth", b"\x80\x02" + b"N0" * 50_000_000, name="a/data.pkl")


@made
def a_directory_that_reaches_back(folder: Path) -> Path:
    path = zipped(
        folder / "a.pth", many_tensors(tensor("0", 9, shape(1, 1, 3, 3), shape(9, 9, 3, 1)), 1), {"0": bytes(36)}
    )
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 20] = struct.pack("<II", 2**31 - 1, 0)
    path.write_bytes(data)
    return path


# safetensors


def safetensors(path: Path, header: bytes, data: bytes = b"", size: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if size is None else size) + header + data)
    return path


def entries(count: int, axes: tuple[int, ...] = (1, 1, 3, 3), begin: int = 0) -> bytes:
    size = 4 * int(np.prod(axes))
    one = {"dtype": "F32", "shape": axes, "data_offsets": [begin, begin + size]}
    return json.dumps({f"features.{n}.weight": one for n in range(count)}).encode()


@made
def many_entries(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", entries(19_000), bytes(36))


@made
def entries_of_the_same_bytes(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", entries(60, (800, 1000, 1, 1)), bytes(3_200_000))


@made
def a_header_of_all_memory(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", b"{}", size=2**63)


@made
def a_header_of_the_whole_file(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", b"{" + b" " * 60_000_000 + b"}")


@made
def json_in_json(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", b'{"a":' + b"[" * 900_000 + b"]" * 900_000 + b"}")


@made
def json_digits(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", b'{"a":' + b"9" * 1_500_000 + b"}")


@made
def json_float(folder: Path) -> Path:
    return safetensors(folder / "a.safetensors", b'{"a":0.' + b"9" * 1_500_000 + b"}")


@made
def a_shape_beyond_all_numbers(folder: Path) -> Path:
    one = {"dtype": "F32", "shape": [2**62, 2**62, 2**62, 2**62], "data_offsets": [0, 0]}
    return safetensors(folder / "a.safetensors", json.dumps({"features.0.weight": one}).encode())


@made
def a_long_word_of_its_own(folder: Path) -> Path:
    """A file of our network's that names a preprocessing of a megabyte."""
    one = {"dtype": "F32", "shape": (1, 1, 3, 3), "data_offsets": [0, 36]}
    header = {"__metadata__": {"preprocessing": "keras" * 200_000}, "features.0.weight": one}
    return safetensors(folder / "a.safetensors", json.dumps(header).encode(), bytes(36))


# What is no plain file, or not what it seems


@made
def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.pth")
    return folder / "a.pth"


@made
def a_link_to_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    (folder / "a.pth").symlink_to(folder / "pipe")
    return folder / "a.pth"


@made
def an_endless_device(folder: Path) -> Path:
    (folder / "a.pth").symlink_to("/dev/zero")
    return folder / "a.pth"


@made
def a_hole_of_terabytes(folder: Path) -> Path:
    path = safetensors(folder / "a.safetensors", entries(1), bytes(36))
    os.truncate(path, 2**40)
    return path
