"""Files of our own: parameters written, and files of any known format converted.

On disk we keep weights in an HDF5 file of our own (`formats`), which also names its network, preprocessing, source,
licence, and the hash of the file that it was made from. Kernels may be kept as codebooks there, a byte or less for each
weight.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath
from jaxstyle.networks.layers import Layer
from jaxstyle.weights import formats, registry
from jaxstyle.weights.codebooks import MOST_BITS, Codebook, codebook_of
from jaxstyle.weights.formats import WeightsFile, arrays_of, kernel_of, layer_from
from jaxstyle.weights.identify import check_fits, codebooks_of, known_network, layers_of
from jaxstyle.weights.preprocessing import known_preprocessing, preprocessing_of
from jaxstyle.weights.registry import architecture, cache_folder, digest


def save_weights(
    path: StrPath,
    params: Mapping[str, Any],
    *,
    network: str,
    preprocessing: str,
    source: str,
    licence: str,
    sha256: str = "",
    dtype: Any = np.float32,
    codebook_bits: int | Mapping[str, int] | None = None,
) -> None:
    """Writes parameters as a file of our own, which `load_network` reads; all or nothing.

    Args:
      path: the file (.h5); one already there is replaced, a folder not there is made.
      params: as the network's `parameter_shapes` says, {"conv1_1": {"kernel": (3, 3, in, out), "bias": (out,)}, ...},
        floating; the deepest may be missing, and the network then ends there. A kernel given as a `Codebook` is kept
        as that, exactly.
      network: the architecture's name.
      preprocessing: "keras" or "torchvision".
      source: where the weights came from, an address or a few words.
      licence: of the weights.
      sha256: of the file that they came from, "" if there is none.
      dtype: of the arrays in the file, float32 or float16.
      codebook_bits: 1 to 8: kernels are kept as the codebooks of so many bits that differ least from them, one a
        kernel. Name -> bits: those kernels only. None: no others than were given so.

    Raises:
      InputError: the parameters are not such a network's, not finite in `dtype`, or cannot be written there.
    """
    architecture(network)
    bits = _bits_of(codebook_bits, params, path)
    attributes = {"network": network, "preprocessing": known_preprocessing(preprocessing, path), "source": source}
    codebooks: dict[str, Codebook] = {}
    given: dict[str, Layer] = {}
    try:
        for name, layer in params.items():
            arrays = dict(layer)
            if isinstance(arrays.get("kernel"), Codebook):
                codebooks[name] = arrays["kernel"]
                arrays["kernel"] = kernel_of(path, name, codebooks[name])
            types = {"kernel": np.float32} if name in codebooks or name in bits else {}
            with np.errstate(over="ignore"):  # what overflows float16 is refused as not finite
                given[name] = layer_from({k: np.asarray(a).astype(types.get(k, dtype)) for k, a in arrays.items()})
    except TypeError as error:
        raise InputError(f"{path}: parameters are a kernel and a bias, or a scale and an offset ({error})") from error
    file = WeightsFile("jaxstyle", given, preprocessing, attributes)
    check_fits(file, path, network)
    layers = layers_of(file, path, network)
    for name in bits.keys() - codebooks.keys():
        codebooks[name] = codebook_of(arrays_of(layers[name])["kernel"], bits[name])
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        formats.write(path, layers, {**attributes, "licence": licence, "sha256": sha256}, dtype, codebooks)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror or error})") from error


def convert(
    path: StrPath,
    out: StrPath | None = None,
    name: str | None = None,
    *,
    preprocessing: str | None = None,
    notice: Callable[[str], object] | None = None,
    trusted: bool = False,
) -> Path:
    """Converts a file of any known format to our own, and returns where that is. Codebooks are kept as they are.

    Args:
      path: the file.
      out: the file to write; None: the cache's, from which `load_network` then takes the network.
      name: the network that it must hold; None: whichever it holds.
      preprocessing: "keras" or "torchvision", where the file is not what it seems to be.
      notice: called with one line when what the file says of its preprocessing is in doubt; None: that is a warning.
      trusted: whether its bytes are known to be right, so that it is read faster.

    Raises:
      InputError: the file is not of a known network, or of another than `name`; or `out` cannot be written.
    """
    path = Path(path).expanduser()
    held: list[str] = []

    def check(file: WeightsFile) -> None:
        held.append(name or known_network(file, path))
        check_fits(file, path, held[0])

    file = formats.read(path, check, trusted=trusted)
    (network,) = held
    layers = layers_of(file, path, network)
    params: dict[str, dict[str, Any]] = {parameter: dict(arrays_of(layer)) for parameter, layer in layers.items()}
    for parameter, codebook in codebooks_of(file, layers).items():
        params[parameter]["kernel"] = codebook
    if out is None and registry.shipped(f"{network}.h5"):
        raise InputError(f"{network} comes with jaxstyle and is not taken from the cache; say where to write")
    out = cache_folder() / f"{network}.h5" if out is None else Path(out).expanduser()
    if file.kind == "jaxstyle":  # ours already: what it says of its origin stays true
        origin: dict[str, Any] = {key: file.attributes.get(key, "") for key in ("source", "licence", "sha256")}
    else:
        entry = registry.entry_by_hash(path, network)
        source, licence = ((*entry.places, entry.origin)[0], entry.licence) if entry else (path.name, "unknown")
        origin = {"source": source, "licence": licence, "sha256": digest(path, "sha256")}
    preprocessing = preprocessing or preprocessing_of(file, path, network, notice or warnings.warn)
    save_weights(out, params, network=network, preprocessing=preprocessing, **origin)
    return out


def _bits_of(bits: int | Mapping[str, int] | None, params: Mapping[str, Any], path: StrPath) -> dict[str, int]:
    """Bits by layer, checked."""
    kernels = [name for name, layer in params.items() if "kernel" in layer]
    found = dict(bits) if isinstance(bits, Mapping) else {} if bits is None else dict.fromkeys(kernels, bits)
    for name, n in found.items():
        if name not in kernels:
            raise InputError(f"{path}: no kernel {name!r} to make a codebook of{nearest(name, kernels)}")
        if n not in range(1, MOST_BITS + 1):
            raise InputError(f"{path}: codebooks have 1 to {MOST_BITS} bits, not {n}")
    return found
