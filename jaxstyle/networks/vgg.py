"""The VGG family (Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556) as one Linen module.

Five blocks of 3x3 convolutions, each convolution followed by a ReLU and each block by a 2x2 pooling. VGG16 and
VGG19 differ in the number of convolutions of the last three blocks; `vgg19_bn` has a batch normalisation between each
convolution and its ReLU, which its convolutions here include. Layers are named as in the literature: `conv1_1 relu1_1
conv1_2 ... pool1 conv2_1 ... pool5`.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from jaxstyle import defaults
from jaxstyle.networks.backbone import Backbone
from jaxstyle.networks.layers import Convolution, Layer, MisfitError, Normalisation, in_order, plain_convolutions
from jaxstyle.ops.relu import relu
from jaxstyle.types import FeatureMap, Features

EPSILON = 1e-5  # of torchvision's batch normalisation


class VGG(Backbone):
    """A convolutional network of the VGG layout; block b's features are h / 2^(b-1) high.

    Attributes:
      depths: convolutions of each block.
      widths: channels of each block.
      normalised: whether its files have a batch normalisation after each convolution.
    """

    depths: Sequence[int]
    widths: Sequence[int]
    normalised: bool = False

    content_layers = defaults.CONTENT_LAYERS
    style_layers = defaults.STYLE_LAYERS
    keras_preprocessing = "keras"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers, in the order in which they are computed."""
        names: list[str] = []
        for block, depth in enumerate(self.depths, 1):
            for i in range(1, depth + 1):
                names += [f"conv{block}_{i}", f"relu{block}_{i}"]
            names.append(f"pool{block}")
        return tuple(names)

    @property
    def parameter_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Kernel and bias of each convolution."""
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        channels = 3
        for block, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            for i in range(1, depth + 1):
                shapes[f"conv{block}_{i}"] = {"kernel": (3, 3, channels, width), "bias": (width,)}
                channels = width
        return shapes

    def layer(self, x: Features, name: str) -> FeatureMap:
        """A convolution, a ReLU or a pooling."""
        if name.startswith("conv"):
            return self.convolution(x, name)
        return relu(x) if name.startswith("relu") else self.pool(x)

    def from_file(self, layers: Mapping[str, Layer]) -> dict[str, Layer]:
        """Keras calls the first convolution `block1_conv1`; of a state dict only the order counts."""
        if self.normalised:
            layers = _folded(layers)
        plain_convolutions(layers)
        ours = {re.sub(r"^block(\d+)_conv(\d+)$", r"conv\1_\2", name): layer for name, layer in layers.items()}
        return ours if ours.keys() != layers.keys() else in_order(layers, list(self.parameter_shapes))


def _folded(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Convolutions, each with the normalisation after it."""
    found: dict[str, Layer] = {}
    for (name, layer), (_, after) in pairwise([*layers.items(), ("", None)]):
        if isinstance(layer, Convolution):
            if not isinstance(after, Normalisation):
                raise MisfitError(f"its {name} has no normalisation after it")
            found[name] = after.folded_into(layer, EPSILON)
    return found


VGG16 = VGG(depths=(2, 2, 3, 3, 3), widths=(64, 128, 256, 512, 512))
VGG19 = VGG(depths=(2, 2, 4, 4, 4), widths=(64, 128, 256, 512, 512))
VGG19_BN = VGG19.clone(normalised=True)
