"""Files of our own: HDF5 with an attribute `format`, and a group for each layer: `kernel` and `bias`, or `scale` and
`offset`.

In "jaxstyle-2" a kernel may be kept as `codes` (uint8) and `table` (float32), as `codebooks` says; files without those
are "jaxstyle-1".
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.files import check_place, make_alike, open_plain, real_place
from jaxstyle.networks.layers import Convolution, Layer, Scaling
from jaxstyle.weights.codebooks import Codebook, described
from jaxstyle.weights.formats.hdf5 import Tree
from jaxstyle.weights.formats.stored import Refusal, StoredFile, StoredLayer, called, listed
from jaxstyle.weights.scratch import scratch_folder

FORMAT = "jaxstyle-1"
WITH_CODEBOOKS = "jaxstyle-2"  # versions of jaxstyle that cannot read them say so


def read_own(tree: Tree) -> StoredFile:
    """What a file of ours holds."""
    attributes = {key: value if isinstance(value, str) else " ".join(value) for key, value in tree.groups[""].items()}
    if attributes["format"] not in (FORMAT, WITH_CODEBOOKS):
        known = f"{FORMAT!r} and {WITH_CODEBOOKS!r}"
        raise Refusal(f"is of format {called(attributes['format'])!r}; this jaxstyle reads {known}")
    layers = {}
    for name in attributes["layers"].split():
        tree.group(name)
        arrays = {key: tree.array(f"{name}/{key}") for key in tree.inside(name)}
        codebook = None
        if coded := arrays.keys() & {"codes", "table"}:
            if len(coded) == 1 or "kernel" in arrays:
                raise Refusal(f"has {listed(arrays)}, not codes and a table, or a kernel", name)
            codebook = (arrays.pop("codes"), arrays.pop("table"))
        kind = Convolution if codebook or "kernel" in arrays else Scaling
        if not arrays.keys() <= set(kind._fields) or (kind is Scaling and len(arrays) < 2):
            raise Refusal(f"has {listed(arrays) or 'no arrays'}", name)
        layers[name] = StoredLayer(kind, arrays, codebook)
    return StoredFile("jaxstyle", layers, attributes["preprocessing"], attributes)


def read_attributes(path: str | os.PathLike[str]) -> dict[str, str]:
    """The attributes of a file that `write` wrote, without its arrays; {} if there is no such file."""
    with suppress(OSError), open_plain(path) as plain, h5py.File(plain, "r") as file:
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
      path: the file; one already there is replaced, and where it is a link, the one that this leads to.
      layers: name -> convolution or scaling, shallow to deep.
      attributes: text for the root's attributes; `format`, `layers` and `codebooks` are added here.
      dtype: of the arrays in the file, float16 or float32.
      codebooks: name -> codebook, for convolutions whose kernel is kept as that, without loss.

    Raises:
      OSError: it cannot be written, or one that is there is write-protected or no plain file.
    """
    path, codebooks = real_place(Path(path)), codebooks or {}
    about = {"format": WITH_CODEBOOKS, "codebooks": described(codebooks.values())} if codebooks else {"format": FORMAT}
    check_place(path)
    with scratch_folder(path.parent) as folder:
        part = folder / "part.h5"
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
        make_alike(part, path)
        os.replace(part, path)


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
