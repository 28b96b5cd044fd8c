"""Keras' files: the HDF5 of Keras 1 and 2 (`.h5`), and of Keras 3 (`.weights.h5`, and the one within a `.keras`).

The older ones have the attribute `layer_names` at their root and `weight_names` in each group: kernel and bias, or the
four of a normalisation. Keras 3 numbers the arrays of each layer, `layers/conv2d_1/vars/0`, and its later versions give
the layer's own name in an attribute.
"""

from collections.abc import Sequence

from jaxstyle.networks.layers import Convolution, Normalisation
from jaxstyle.weights.formats.hdf5 import Attributes, Tree
from jaxstyle.weights.formats.state_dicts import natural
from jaxstyle.weights.formats.stored import Refusal, Stored, StoredFile, StoredLayer, listed

# What the arrays of a layer are, by their numbers of axes.
_KINDS = {
    (4,): (Convolution, ("kernel",)),
    (4, 1): (Convolution, ("kernel", "bias")),
    (1, 1, 1, 1): (Normalisation, ("scale", "offset", "mean", "variance")),
}


def read_keras(tree: Tree) -> StoredFile:
    """What a file of Keras holds: its convolutions and normalisations, in the order of its list, or of their names."""
    for root in ("", "model_weights"):  # a whole model keeps its weights one level down
        if names := _list(tree.groups.get(root, {}), "layer_names"):
            places = {name: f"{root}/{name}".removeprefix("/") for name in names}
            arrays = {
                name: [tree.array(f"{place}/{weight}") for weight in _list(tree.group(place), "weight_names")]
                for name, place in places.items()
            }
            break
    else:
        arrays = _numbered(tree)
    layers = {}
    for name, weights in arrays.items():
        if not weights or len(weights[0].shape) == 2:
            continue  # pooling and input layers have no weights; dense ones come after the last convolution
        kind, fields = _KINDS.get(tuple(len(weight.shape) for weight in weights), (None, ()))
        if kind is None:
            shapes = listed(weight.shape for weight in weights)
            raise Refusal(f"is no convolution and no normalisation (it has {shapes})", name)
        layers[name] = StoredLayer(kind, dict(zip(fields, weights, strict=True)))
    return StoredFile("keras", layers, "keras", {})


def _list(attributes: Attributes, name: str) -> Sequence[str]:
    """A list of names, which Keras divides among `name0`, `name1` and so on where it is long."""
    if name in attributes:
        value = attributes[name]
        return [value] if isinstance(value, str) else value
    parts = sorted((key for key in attributes if key.removeprefix(name).isdigit()), key=natural)
    return [text for part in parts for text in _list(attributes, part)]


def _numbered(tree: Tree) -> dict[str, list[Stored]]:
    """The arrays of each layer of Keras 3, but not of its optimizer."""
    places = [path for path in tree.groups if path.endswith("/vars") and path.partition("/")[0] != "optimizer"]
    if not places:
        raise Refusal("is an HDF5 file of neither jaxstyle nor Keras (no 'layer_names', no 'vars')")
    found = {}
    for place in sorted(places, key=natural):
        path = place.removesuffix("/vars")
        names = (tree.groups[place].get("name"), path.rpartition("/")[2], path)
        name = next(name for name in names if isinstance(name, str) and name and name not in found)
        found[name] = [tree.array(f"{place}/{key}") for key in sorted(tree.inside(place), key=natural)]
    return found
