"""Arrays of a file that are not yet read: shape, type, and how to read them.

A file of weights may say anything of itself. So a reader first finds out what a file claims to hold, which takes little
time and memory whatever that is, and numbers are read when all of it has been compared with what is wanted.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxstyle.files import shown
from jaxstyle.networks.layers import Convolution, Layer, Normalisation, Scaling
from jaxstyle.weights.codebooks import Codebook, misfit_of

MOST_BYTES = 4_000_000_000  # of a file; the largest of the registry has 575 million
MOST_WEIGHTS = 40_000_000  # in one file; VGG19 has 20 million
MOST_LAYERS = 5_000  # DenseNet121 has 242
MOST_TENSORS = 10_000  # DenseNet121 has 727
MOST_UNPACKED = 8 * MOST_WEIGHTS  # bytes that all packed arrays have, as of the largest file in float64

BFLOAT16 = "bfloat16"  # a type that NumPy has not; read as float32


class Refusal(Exception):
    """Why a file is refused: words to come after its name, or after that of one of its layers."""

    def __init__(self, words: str, layer: str = ""):
        super().__init__(words)
        self.told = f": {called(layer)} {words}" if layer else f" {words}"


@dataclass(frozen=True)
class Stored:
    """An array of a file.

    Attributes:
      shape: as the file says.
      type: NumPy's name, such as "<f4", or "bfloat16", or what else the file calls it.
      cost: bytes of the file that reading it takes.
      read: its values, in the file's type, bfloat16 as float32; raises whatever a damaged file makes it.
      unpacked: bytes that these become where they are packed, more than its own where its chunks reach beyond it.
    """

    shape: tuple[int, ...]
    type: str
    cost: int
    read: Callable[[], np.ndarray]
    unpacked: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype:
        """What `read` gives; void where this is no type of numbers."""
        try:
            return np.dtype(np.float32 if self.type == BFLOAT16 else self.type)
        except (TypeError, ValueError):
            return np.dtype("V1")

    def transposed(self, *axes: int) -> "Stored":
        """The same with its axes in that order."""
        read = self.read
        return replace(self, shape=tuple(self.shape[a] for a in axes), read=lambda: read().transpose(axes))


class Region(NamedTuple):
    """A part of an open file, such as a file within an archive: nothing outside it is read.

    `crc` is its checksum, where one is known, which is tried when it is read as a whole.
    """

    file: BinaryIO
    start: int
    size: int
    crc: int | None = None

    def read(self, offset: int, size: int) -> bytes:
        """Exactly so many bytes from there.

        Raises:
          ValueError: the region has them not.
        """
        if not 0 <= offset <= offset + size <= self.size:
            raise ValueError(f"{size} bytes at {offset} are not among its {self.size}")
        self.file.seek(self.start + offset)
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError(f"{size - len(data)} bytes are missing at its end")
        if self.crc is not None and size == self.size and zlib.crc32(data) != self.crc:
            raise ValueError("its checksum is wrong")
        return data

    def array(self, offset: int, shape: tuple[int, ...], type_: str) -> Stored:
        """The array whose elements begin there, one after the other, the last axis fastest.

        Raises:
          ValueError: they do not fit in.
        """
        dtype = np.dtype("<u2" if type_ == BFLOAT16 else type_)
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= offset <= offset + size <= self.size:
            raise ValueError(f"an array {shape} at {offset} reaches past its end")

        def read() -> np.ndarray:
            values = np.frombuffer(self.read(offset, size), dtype).reshape(shape)
            return from_bfloat16(values) if type_ == BFLOAT16 else values

        return Stored(shape, type_, size, read)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 of the same values: bfloat16 is its upper half."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


@dataclass(frozen=True)
class StoredLayer:
    """A layer of a file.

    Attributes:
      kind: what it is.
      arrays: by the names of that kind's fields, kernels HWIO.
      codebook: codes (HWIO) and table in a kernel's stead.
    """

    kind: type[Convolution] | type[Scaling] | type[Normalisation]
    arrays: Mapping[str, Stored]
    codebook: tuple[Stored, Stored] | None = None

    @property
    def all_arrays(self) -> tuple[Stored, ...]:
        """What is read for it."""
        return (*self.arrays.values(), *(self.codebook or ()))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its arrays, a kernel's that is kept as a codebook included."""
        kernel = {"kernel": self.codebook[0].shape} if self.codebook else {}
        return kernel | {key: array.shape for key, array in self.arrays.items()}

    def stand_in(self) -> Layer:
        """A layer of the same shapes, all zeros, that takes no memory."""
        zero = np.zeros((), np.float32)
        return self.kind(**{key: np.broadcast_to(zero, shape) for key, shape in self.shapes.items()})

    def misfit(self) -> str:
        """How its arrays do not fit one another, to come after the layer's name; "" if they do."""
        for key, array in self.arrays.items():
            if array.dtype.kind != "f":
                return f"is of type {array.dtype if array.dtype.kind != 'V' else array.type}, not floating point"
            if 0 in array.shape:
                return f"has a {key} {array.shape}, which is empty"
        if self.codebook:
            codes, table = self.codebook
            if reason := misfit_of(codes.shape, codes.dtype, table.shape, table.dtype):
                return f"has {reason}"
        shapes = self.shapes
        if self.kind is Convolution:
            kernel = shapes["kernel"]
            sound = len(kernel) == 4 and shapes.get("bias", kernel[3:]) == kernel[3:]
        else:
            sound = len(set(shapes.values())) == 1 and all(len(shape) == 1 for shape in shapes.values())
        return "" if sound else "has a " + " with a ".join(f"{key} {shape}" for key, shape in shapes.items())

    def read(self) -> tuple[Layer, Codebook | None]:
        """The layer in float32, and its codebook.

        Raises:
          Refusal: a code without a value.
        """
        codebook = Codebook(*(np.ascontiguousarray(array.read()) for array in self.codebook)) if self.codebook else None
        if codebook and (reason := codebook.misfit()):
            raise Refusal(f"has {reason}")
        kernel = {"kernel": codebook.kernel()} if codebook else {}
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `layers_of` refuses
            arrays = {key: np.ascontiguousarray(array.read(), np.float32) for key, array in self.arrays.items()}
        return self.kind(**(kernel | arrays)), codebook


def check_number(tensors: int) -> None:
    """Refuses a state dict of too many tensors."""
    if tensors > MOST_TENSORS:
        raise Refusal(f"has {tensors} tensors; no more than {MOST_TENSORS} are read")


def check_layers(layers: Mapping[str, StoredLayer], size: int) -> None:
    """Whether a file of that size can hold these layers.

    Raises:
      Refusal: arrays that do not fit one another, too many of them, or bytes that would be read several times.
    """
    if len(layers) > MOST_LAYERS:
        raise Refusal(f"has {len(layers)} layers; no more than {MOST_LAYERS} are read")
    for name, layer in layers.items():
        if reason := layer.misfit():
            raise Refusal(reason, name)
    weights = sum(math.prod(shape) for layer in layers.values() for shape in layer.shapes.values())
    if weights > MOST_WEIGHTS:
        raise Refusal(f"has {weights:.2g} weights; no more than {MOST_WEIGHTS:.2g} are read")
    arrays = [array for layer in layers.values() for array in layer.all_arrays]
    if sum(array.cost for array in arrays) > 2 * size:
        raise Refusal("has layers that share the same bytes")
    if (unpacked := sum(array.unpacked for array in arrays)) > MOST_UNPACKED:
        raise Refusal(f"unpacks to {unpacked:.2g} bytes; no more than {MOST_UNPACKED:.2g} are")


class StoredFile(NamedTuple):
    """What a file holds before any number of it is read: as `WeightsFile`."""

    kind: str
    layers: Mapping[str, StoredLayer]
    preprocessing: str
    attributes: Mapping[str, str]


def called(name: str) -> str:
    """A name that a file gives, as it can stand in a message."""
    return shown(name if len(name) <= 80 else f"{name[:77]}...")


def listed(things: Iterable[object]) -> str:
    """A few things that a file has, as they can stand in a message."""
    found = [called(str(thing)) for thing in itertools.islice(things, 9)]
    return ", ".join(found if len(found) < 9 else [*found[:8], "..."])
