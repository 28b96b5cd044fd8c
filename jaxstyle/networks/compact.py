"""`compact`: VGG19 up to conv5_1 with its convolutions factorised, whose pictures are like VGG19's.

After the first, each 3x3 convolution is three: to few channels (1x1, "reduce"), among these (3x3), and out to all
channels (1x1, "expand"), as in Kim et al. 2015 (https://arxiv.org/abs/1511.06530). Between them nothing is rectified,
so that the network keeps VGG19's full width at each ReLU: its features stand for VGG19's channel by channel.
`scripts/train_compact.py` fits it.
"""

from collections.abc import Mapping, Sequence

from jaxstyle.networks.layers import Layer, plain_convolutions
from jaxstyle.networks.vgg import VGG
from jaxstyle.types import FeatureMap, Features


class FactorisedVGG(VGG):
    """A VGG whose convolutions after the first are factorised.

    Attributes:
      ranks: of each factorised convolution, in order: channels between the first factor and the second, and between
        the second and the third.
    """

    ranks: Sequence[tuple[int, int]] = ()

    @property
    def parameter_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Kernels of the factors, "conv1_2_reduce", "conv1_2", "conv1_2_expand", and a bias of the last."""
        (first, whole), *rest = super().parameter_shapes.items()
        shapes = {first: whole}
        for (name, kept), (before, after) in zip(rest, self.ranks, strict=True):
            height, width, channels, out = kept["kernel"]
            shapes[f"{name}_reduce"] = {"kernel": (1, 1, channels, before)}
            shapes[name] = {"kernel": (height, width, before, after)}
            shapes[f"{name}_expand"] = {"kernel": (1, 1, after, out), "bias": (out,)}
        return shapes

    def layer(self, x: Features, name: str) -> FeatureMap:
        """A convolution, a ReLU or a pooling."""
        if not name.startswith("conv") or f"{name}_expand" not in self.parameter_shapes:
            return super().layer(x, name)
        return self.convolution(self.convolution(self.convolution(x, f"{name}_reduce"), name), f"{name}_expand")

    def from_file(self, layers: Mapping[str, Layer]) -> dict[str, Layer]:
        """There are no files of it but our own."""
        plain_convolutions(layers)
        return dict(layers)


COMPACT = FactorisedVGG(
    depths=(2, 2, 4, 4, 1),
    widths=(64, 128, 256, 512, 512),
    ranks=(
        (16, 16),
        *((40, 40), (48, 48)),
        *((96, 96), (64, 64), (64, 64), (64, 64)),
        *((128, 128), (160, 128), (160, 128), (160, 128)),
        (256, 256),
    ),
)
