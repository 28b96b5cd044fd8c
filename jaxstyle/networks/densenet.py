"""DenseNet (Huang, Liu, van der Maaten and Weinberger 2016, https://arxiv.org/abs/1608.06993), in inference form.

A stem, then blocks of layers each of which sees all maps before it in the block and adds 32 of its own; between
blocks a transition halves channels and sides. Layers: `relu0 pool0 dense1 trans1 dense2 trans2 dense3 trans3 dense4
norm5`, where `dense1` is the concatenated output of the block, before its transition, and `norm5` comes before its
ReLU.

Batch normalisation is folded into the convolution before it, where there is one (the stem's, and the second of each
layer); the others come before a ReLU and a convolution, and are left as a scale and an offset for each channel.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import jax.numpy as jnp

from jaxstyle.networks.backbone import Backbone
from jaxstyle.networks.layers import Convolution, Layer, MisfitError, Normalisation
from jaxstyle.ops.pooling import pool
from jaxstyle.ops.relu import relu
from jaxstyle.types import FeatureMap, Features

KERAS_EPSILON, TORCH_EPSILON = 1.001e-5, 1e-5

_Kind = TypeVar("_Kind", Convolution, Normalisation)


class DenseNet(Backbone):
    """DenseNet without its classifier. A cell of `relu0` is 2 pixels, of `dense1` 4, of `dense4` 32.

    With `pooling` "average" the stem's pooling averages too; the transitions always do.

    Attributes:
      depths: layers of each block.
      growth: maps that each layer adds.
      width: maps of the stem.
    """

    depths: Sequence[int] = (6, 12, 24, 16)
    growth: int = 32
    width: int = 64

    content_layers = ("dense3",)
    style_layers = ("relu0", "dense1", "dense2", "dense3")
    smallest = 32

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers, in the order in which they are computed."""
        blocks = [name for b in range(1, len(self.depths) + 1) for name in (f"dense{b}", f"trans{b}")]
        return ("relu0", "pool0", *blocks[:-1], "norm5")

    @property
    def parameter_shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Convolutions, with a bias where a normalisation is folded in, and scalings."""

        def scaling(channels: int) -> dict[str, tuple[int, ...]]:
            return {"scale": (channels,), "offset": (channels,)}

        channels, inner = self.width, 4 * self.growth
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        shapes["relu0_conv"] = {"kernel": (7, 7, 3, channels), "bias": (channels,)}
        for b, depth in enumerate(self.depths, 1):
            for name in _layers_of(b, depth):
                shapes[f"{name}_norm"] = scaling(channels)
                shapes[f"{name}_conv1"] = {"kernel": (1, 1, channels, inner), "bias": (inner,)}
                shapes[f"{name}_conv2"] = {"kernel": (3, 3, inner, self.growth)}
                channels += self.growth
            if b < len(self.depths):
                shapes[f"trans{b}_norm"] = scaling(channels)
                shapes[f"trans{b}_conv"] = {"kernel": (1, 1, channels, channels // 2)}
                channels //= 2
        return shapes | {"norm5": scaling(channels)}

    def layer(self, x: Features, name: str) -> FeatureMap:
        """The stem, its pooling, a whole block, a transition, or the last normalisation."""
        if name == "relu0":
            return relu(self.convolution(x, "relu0_conv", stride=2))
        if name == "pool0":
            return self.overlapping_pool(x, border=1)
        if name == "norm5":
            return self.scaling(x, name)
        if name.startswith("trans"):
            x = relu(self.scaling(x, f"{name}_norm"))
            return pool(self.convolution(x, f"{name}_conv"), "average", platform=self.platform)
        b = int(name.removeprefix("dense"))
        for layer in _layers_of(b, self.depths[b - 1]):
            new = relu(self.scaling(x, f"{layer}_norm"))
            new = relu(self.convolution(new, f"{layer}_conv1"))
            x = jnp.concatenate([x, self.convolution(new, f"{layer}_conv2")], 2)
        return x

    def from_file(self, layers: Mapping[str, Layer]) -> dict[str, Layer]:
        """From the names of Keras (`conv2_block1_1_conv`) or torchvision (`denseblock1.denselayer1.conv1`, in its
        own older files `.conv.1`)."""
        keras = any(name in layers for name in ("conv1/conv", "conv1_conv"))
        epsilon = KERAS_EPSILON if keras else TORCH_EPSILON
        left = {_torchvision_name(name): layer for name, layer in layers.items()}

        def take(name: str, kind: type[_Kind]) -> _Kind:
            layer = left.pop(name, None)
            if not isinstance(layer, kind):
                raise MisfitError(f"it has no {name}" if layer is None else f"its {name} is no {kind.__name__.lower()}")
            return layer

        def scaling(name: str) -> Layer:
            return take(name, Normalisation).scaling(epsilon)

        def folded(before: str, after: str) -> Layer:
            return take(after, Normalisation).folded_into(take(before, Convolution), epsilon)

        found = {"relu0_conv": folded("conv0", "norm0")}
        for b, depth in enumerate(self.depths, 1):
            for i, name in enumerate(_layers_of(b, depth), 1):
                theirs = f"denseblock{b}.denselayer{i}"
                found[f"{name}_norm"] = scaling(f"{theirs}.norm1")
                found[f"{name}_conv1"] = folded(f"{theirs}.conv1", f"{theirs}.norm2")
                found[f"{name}_conv2"] = take(f"{theirs}.conv2", Convolution)
            if b < len(self.depths):
                found[f"trans{b}_norm"] = scaling(f"transition{b}.norm")
                found[f"trans{b}_conv"] = take(f"transition{b}.conv", Convolution)
        return {**found, "norm5": scaling("norm5"), **left}


def _layers_of(block: int, depth: int) -> list[str]:
    """Names of a block's layers."""
    return [f"dense{block}_{i}" for i in range(1, depth + 1)]


_KERAS_NAMES = {"conv1_conv": "conv0", "conv1_bn": "norm0", "bn": "norm5"}
_KERAS_PARTS = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2", "bn": "norm", "conv": "conv"}


def _torchvision_name(name: str) -> str:
    """torchvision's name of today for a layer of Keras, of an older file, or of `model.features` saved by itself."""
    name = name.removeprefix("features.").replace("/", "_")
    if match := re.fullmatch(r"conv(\d+)_block(\d+)_(0_bn|1_conv|1_bn|2_conv)", name):
        return f"denseblock{int(match[1]) - 1}.denselayer{match[2]}.{_KERAS_PARTS[match[3]]}"
    if match := re.fullmatch(r"pool(\d+)_(bn|conv)", name):
        return f"transition{int(match[1]) - 1}.{_KERAS_PARTS[match[2]]}"
    return _KERAS_NAMES.get(name) or re.sub(r"\.(norm|conv)\.([12])$", r".\1\2", name)


DENSENET121 = DenseNet()
