"""Decoders: from the features of a layer back to a picture, for painting in any style (Li et al. 2017,
https://arxiv.org/abs/1705.08086).

Each mirrors the network up to its layer, and is narrower: a 1x1 convolution, and at each size two 3x3 ones, with
nearest-neighbour upsampling between the sizes, reflection at the borders and no normalisation.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops.blocks import blocks_of, kernel_between_blocks, kernel_onto_blocks, pixels_of
from jaxstyle.ops.convolution import convolution_within
from jaxstyle.ops.padding import add_border
from jaxstyle.types import FeatureMap, Features

LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")  # in the order in which a picture goes through them
WIDTHS = {"relu4_1": (128, 64, 32, 16), "relu3_1": (64, 32, 16), "relu2_1": (32, 24), "relu1_1": (32,)}


class Decoder(nn.Module):
    """The decoder of a layer. Features are divided by "scale", root mean squares that are measured and do not learn.

    Attributes:
      widths: channels at each size, from the layer's to the picture's.
      dtype: of the convolutions.
    """

    widths: Sequence[int]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features) -> Float[Array, "_ _ 3"]:
        """The picture (h, w, 3), its values near [0, 1], of features (h', w', c)."""
        scale = self.param("scale", nn.initializers.ones, (features.shape[2],), jnp.float32)
        x = features.astype(self.dtype) / jax.lax.stop_gradient(scale).astype(self.dtype)[None, None]
        x = nn.relu(self._convolution(x, "in", self.widths[0], size=1))
        for k, width in enumerate(self.widths):
            x = nn.relu(self._convolution(x, f"size{k}_1", width, larger=k > 0))
            if k + 1 < len(self.widths):
                x = nn.relu(self._convolution(x, f"size{k}_2", self.widths[k + 1]))
        kernel, bias = self._parameters("out", 3, x.shape[2], 3)
        y = convolution_within(blocks_of(add_border(x, "reflect", 2, 2)), kernel_between_blocks(kernel))
        return (pixels_of(y) + bias[None, None]).astype(jnp.float32) + 0.5

    def _convolution(self, x: Features, name: str, channels: int, *, size: int = 3, larger: bool = False) -> FeatureMap:
        """A convolution, of the features made twice as large by nearest neighbour if `larger`."""
        kernel, bias = self._parameters(name, size, x.shape[2], channels)
        if larger:
            # An edge continued and made larger is the larger picture reflected.
            y = pixels_of(convolution_within(add_border(x, "edge", 1, 1), kernel_onto_blocks(kernel)))
        else:
            y = convolution_within(add_border(x, "reflect", size // 2, size // 2), kernel)
        return y + bias[None, None]

    def _parameters(self, name: str, size: int, before: int, after: int) -> tuple[Array, Array]:
        shape = (size, size, before, after)
        kernel = self.param(f"{name}_kernel", nn.initializers.he_normal(), shape, jnp.float32)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (after,), jnp.float32)
        return kernel.astype(self.dtype), bias.astype(self.dtype)


def decoders() -> dict[str, Decoder]:
    """The decoder of each level."""
    return {level: Decoder(WIDTHS[level]) for level in LEVELS}
