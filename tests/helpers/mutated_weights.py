"""Reads files of weights in which Hypothesis has changed bytes, and prints, as JSON, how often what came of it.

    python mutated_weights.py COUNT KIND ...

Each file is read in this process as it is by `formats.read`, but that the process which looks through an HDF5 file is
forked, not started, which is a hundred times as fast. A file is "read" or "refused" in one line; anything else ends the
program: another error, another file opened, more memory, or more of a processor's time.
"""

import io
import json
import os
import pickle
import resource
import select
import signal
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxstyle.errors import InputError
from jaxstyle.networks.layers import Convolution
from jaxstyle.weights import formats
from jaxstyle.weights.codebooks import Codebook
from jaxstyle.weights.formats import hdf5, hdf5_index
from jaxstyle.weights.formats.stored import Region

SECONDS = 2  # of a processor, for one file
PATIENCE = 100  # seconds, for one file, on a machine that does much else besides
MEMORY = 500_000_000  # bytes more than this program has without any file
NAMES = ("conv1_1", "conv1_2", "conv2_1")
RNG = np.random.default_rng(0)
KERNELS = [RNG.standard_normal((3, 3, 3 if name == "conv1_1" else 4, 4), np.float32) for name in NAMES]
BIASES = [RNG.standard_normal(4, np.float32) for _ in NAMES]


def hdf5_bytes(fill: Callable[[h5py.File], None], **options: Any) -> bytes:
    held = io.BytesIO()
    with h5py.File(held, "w", **options) as file:
        fill(file)
    return held.getvalue()


def keras_2(file: h5py.File) -> None:
    for name, kernel, bias in zip(NAMES, KERNELS, BIASES, strict=True):
        group = file.create_group(name)
        group["k/kernel:0"], group["k/bias:0"] = kernel, bias
        group.attrs["weight_names"] = np.array(["k/kernel:0", "k/bias:0"], object)
    file.attrs["layer_names"] = np.array(NAMES, np.bytes_)


def keras_3(file: h5py.File) -> None:
    for n, (name, kernel, bias) in enumerate(zip(NAMES, KERNELS, BIASES, strict=True)):
        group = file.create_group(f"layers/conv2d_{n}/vars")
        group.create_dataset("0", data=kernel, chunks=(3, 3, 2, 2), compression="gzip", shuffle=True)
        group["1"] = bias
        group.attrs["name"] = name


def own() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        books = {"conv1_1": Codebook(RNG.integers(0, 9, (3, 3, 3, 4), np.uint8), np.arange(9, dtype=np.float32))}
        layers = {name: Convolution(*both) for name, *both in zip(NAMES, KERNELS, BIASES, strict=True)}
        layers["conv1_1"] = Convolution(books["conv1_1"].kernel(), BIASES[0])
        about = {"network": "none", "preprocessing": "keras", **{f"more{n}": "x" * n for n in range(9)}}
        formats.write(f"{folder}/a.h5", layers, about, codebooks=books)
        return Path(f"{folder}/a.h5").read_bytes()


class Pickler(pickle.Pickler):
    """Writes arrays as torch does."""

    storages: list[np.ndarray]
    old = False

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Numbers):
            self.storages.append(value.array)
            place = str(len(self.storages) - 1)
            return ("storage", FloatStorage, place, "cpu", value.array.size, *[None] * self.old)
        return None


class Numbers:
    """A storage."""

    def __init__(self, array: np.ndarray):
        self.array = array


class Tensor:
    """An array of a state dict."""

    def __init__(self, array: np.ndarray):
        self.array = np.ascontiguousarray(array)

    def __reduce__(self) -> Any:
        strides = tuple(n // 4 for n in self.array.strides)
        return _rebuild_tensor_v2, (Numbers(self.array), 0, self.array.shape, strides, False, {})


def _rebuild_tensor_v2(*_: Any) -> None: ...


class FloatStorage:
    """A type of storage."""


def torch_bytes(old: bool) -> bytes:
    """A checkpoint, in the older container or the zip."""
    tensors = {}
    for n, (kernel, bias) in enumerate(zip(KERNELS, BIASES, strict=True)):
        tensors[f"features.{n}.weight"] = Tensor(kernel.transpose(3, 2, 0, 1))
        tensors[f"features.{n}.bias"] = Tensor(bias)
    held = io.BytesIO()
    pickler = Pickler(held, 2)
    pickler.storages, pickler.old = [], old
    pickler.dump({"epoch": 3, "loss": [0.5, 1], "model": tensors, "optimizer": {"lr": 1e-3, "state": {0: (1, 2)}}})
    for name in ("_rebuild_tensor_v2", "FloatStorage"):  # as if they were torch's
        place = "torch._utils" if name.startswith("_") else "torch"
        held = io.BytesIO(held.getvalue().replace(f"c__main__\n{name}\n".encode(), f"c{place}\n{name}\n".encode()))
    data = io.BytesIO()
    if old:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, data, protocol=2)
        data.write(held.getvalue())
        pickle.dump([str(n) for n in range(len(pickler.storages))], data, protocol=2)
        for array in pickler.storages:
            data.write(struct.pack("<q", array.size) + array.tobytes())
    else:
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("a/data.pkl", held.getvalue())
            for n, array in enumerate(pickler.storages):
                archive.writestr(f"a/data/{n}", array.tobytes())
    return data.getvalue()


def safetensors() -> bytes:
    header, data = {"__metadata__": {"preprocessing": "keras"}}, b""
    for n, (kernel, bias) in enumerate(zip(KERNELS, BIASES, strict=True)):
        for part, array in (("weight", kernel.transpose(3, 2, 0, 1)), ("bias", bias)):
            place = [len(data), len(data) + array.nbytes]
            header[f"{n}.{part}"] = {"dtype": "F32", "shape": array.shape, "data_offsets": place}
            data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def archived(name: str, content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.txt", "nothing")
        archive.writestr(name, content)
    return held.getvalue()


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "hdf5": lambda: [hdf5_bytes(keras_2), hdf5_bytes(keras_3), hdf5_bytes(keras_3, libver="latest"), own()],
    "torch": lambda: [torch_bytes(False), torch_bytes(True)],
    "safetensors": lambda: [safetensors()],
    "archives": lambda: [
        archived("model.weights.h5", hdf5_bytes(keras_3)), archived("toy/a.bin", torch_bytes(True))
    ],
}  # fmt: skip
NUMBERS = (0, 1, 127, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def mutants(data: bytes) -> st.SearchStrategy[bytes]:
    """The same with some of its bytes changed; those that are not zero rather than others, which matter less."""
    full = [place for place, byte in enumerate(data) if byte]
    places = st.sampled_from(full) | st.integers(0, len(data) - 1)
    numbers = st.sampled_from(NUMBERS) | st.integers(0, len(data)) | st.integers(0, 2**40)
    change = st.one_of(
        st.tuples(st.just(_byte), places, st.integers(0, 255)),
        st.tuples(st.just(_bit), places, st.integers(0, 7)),
        st.tuples(st.just(_number), places, numbers, st.sampled_from((1, 2, 4, 8)), st.sampled_from(("little", "big"))),
        st.tuples(st.just(_copy), places, places, st.sampled_from((1, 4, 16, 60))),
        st.tuples(st.just(_insert), places, st.binary(min_size=1, max_size=9)),
        st.tuples(st.just(_cut), places),
    )
    return st.lists(change, min_size=1, max_size=6).map(lambda changes: _changed(data, changes))


def _changed(data: bytes, changes: list[tuple[Any, ...]]) -> bytes:
    found = bytearray(data)
    for change, place, *more in changes:
        if place < len(found):
            change(found, place, *more)
    return bytes(found)


def _byte(data: bytearray, place: int, byte: int) -> None:
    data[place] = byte


def _bit(data: bytearray, place: int, bit: int) -> None:
    data[place] ^= 1 << bit


def _number(data: bytearray, place: int, number: int, size: int, order: Any) -> None:
    data[place : place + size] = (number % 256**size).to_bytes(size, order)


def _copy(data: bytearray, place: int, other: int, size: int) -> None:
    data[place : place + size] = data[other : other + size]


def _insert(data: bytearray, place: int, more: bytes) -> None:
    data[place:place] = more


def _cut(data: bytearray, place: int) -> None:
    del data[place + 1 :]


ENDS: Counter[str] = Counter()  # how the processes that looked through HDF5 files ended
WATCHED: list[str] = []  # the file that is read, while it is


def forked(region: Region) -> dict[str, Any]:
    """`hdf5._found_elsewhere` by a fork, whose end is counted."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        WATCHED.clear()  # it looks at itself before it confines itself
        os.dup2(region.file.fileno(), 0)
        os.dup2(writing, 1)
        os.closerange(3, 100)
        sys.stdout = open(1, "w")  # noqa: SIM115 - of the child, which does not return
        sys.argv[1:] = [str(region.start), str(region.size)]
        hdf5_index.main()
    os.close(writing)
    said = b""
    while select.select([reading], [], [], PATIENCE)[0] and (part := os.read(reading, 1 << 20)):
        said += part
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    ENDS[signal.Signals(status & 127).name if status & 127 else f"exit {status >> 8}"] += 1
    region.file.seek(0, os.SEEK_END)
    if status:
        raise ValueError("the HDF5 library breaks down over it")
    found = json.loads(said)
    if "refusal" in found:
        raise hdf5.Refusal(found["refusal"])
    if "error" in found:
        raise ValueError(found["error"])
    return found


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Ends this program when it opens what is neither the file nor a temporary one nor Python's own."""
    if event == "open" and WATCHED and isinstance(arguments[0], str | bytes | Path):
        name = os.fsdecode(arguments[0])
        if name not in WATCHED and not name.startswith((tempfile.gettempdir(), sys.prefix, sys.base_prefix)):
            sys.stderr.write(f"{name} was opened\n")
            sys.stderr.flush()
            os._exit(3)


class OutOfTime(BaseException):
    """A file has taken more time than it may."""


def out_of_time(*_: object) -> None:
    raise OutOfTime


def read(path: Path) -> str:
    """What comes of a file, within time."""
    signal.alarm(PATIENCE)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    WATCHED.append(str(path))
    try:
        formats.read(path)
        return "read"
    except InputError as error:
        assert "\n" not in str(error) and str(error).isprintable() and len(str(error)) < 1000, str(error)
        return "refused"
    finally:
        WATCHED.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def main() -> None:
    hdf5._found_elsewhere = forked  # type: ignore[assignment]
    seeds = [seed for kind in sys.argv[2:] for seed in SEEDS[kind]()]
    ends: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, out_of_time)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(watch)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"

        @settings(
            max_examples=int(sys.argv[1]),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.one_of([mutants(seed) for seed in seeds]))
        def read_one(data: bytes) -> None:
            path.write_bytes(data)
            ends[read(path)] += 1

        read_one()
    sys.stdout.write(json.dumps({"files": dict(ends), "processes": dict(ENDS)}) + "\n")


if __name__ == "__main__":
    main()
