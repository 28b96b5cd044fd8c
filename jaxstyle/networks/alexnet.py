"""AlexNet, in the one-column form of Krizhevsky 2014 (https://arxiv.org/abs/1404.5997) that torchvision has trained.

Five convolutions, the first of 11x11 with stride 4, and 3x3 poolings with stride 2 that overlap. Layers:
`conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5`.
"""

from collections.abc import Mapping

from jaxstyle.networks.backbone import Backbone
from jaxstyle.networks.layers import Layer, in_order, plain_convolutions
from jaxstyle.ops.relu import relu
from jaxstyle.types import FeatureMap, Features

WIDTHS = (64, 192, 384, 256, 256)
SIZES = (11, 5, 3, 3, 3)
POOLED = (1, 2, 5)  # convolutions with a pooling after them


class AlexNet(Backbone):
    """AlexNet without its classifier. A cell of `relu1` is 4 pixels, of `relu2` 8, of `relu3` to `relu5` 16."""

    content_layers = ("relu3",)
    style_layers = ("relu1", "relu2", "relu3", "relu4", "relu5")
    smallest = 32

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers, in the order in which they are computed."""
        names: list[str] = []
        for n in range(1, 6):
            names += [f"conv{n}", f"relu{n}", *[f"pool{n}"] * (n in POOLED)]
        return tuple(names)

    @property
    def parameter_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Kernel and bias of each convolution."""
        before = (3, *WIDTHS)
        return {
            f"conv{n}": {"kernel": (size, size, before[n - 1], width), "bias": (width,)}
            for n, (size, width) in enumerate(zip(SIZES, WIDTHS, strict=True), 1)
        }

    def layer(self, x: Features, name: str) -> FeatureMap:
        """A convolution, a ReLU or a pooling."""
        if name == "conv1":
            return self.convolution(x, name, stride=4, border=2)
        if name.startswith("conv"):
            return self.convolution(x, name)
        return relu(x) if name.startswith("relu") else self.overlapping_pool(x)

    def from_file(self, layers: Mapping[str, Layer]) -> dict[str, Layer]:
        """torchvision's `features.0`, `.3`, `.6`, `.8` and `.10`, in that order."""
        plain_convolutions(layers)
        return in_order(layers, list(self.parameter_shapes))


ALEXNET = AlexNet()
