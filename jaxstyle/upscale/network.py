"""The network that makes pictures larger: features at the small size, and pixels shuffled into place at the end.

Residual blocks without normalisation, as EDSR's (Lim et al. 2017, https://arxiv.org/abs/1707.02921), few and narrow; one
trunk and, for each factor, one last convolution whose channels are the pixels of a block (sub-pixel convolution, Shi et
al. 2016, https://arxiv.org/abs/1609.05158). What it computes is what bicubic enlargement leaves out.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops.padding import add_border
from jaxstyle.types import FeatureMap, Features, Image
from jaxstyle.upscale.bicubic import enlarge_bicubic

FACTORS = (2, 3, 4)


class UpscaleNetwork(nn.Module):
    """The network.

    Attributes:
      width: channels.
      blocks: residual ones.
      factors: for which there is a last convolution.
      dtype: of the convolutions.
    """

    width: int = 48
    blocks: int = 8
    factors: Sequence[int] = FACTORS
    dtype: Any = jnp.float32

    @property
    def field(self) -> int:
        """Pixels of the small picture beyond which nothing is seen."""
        return 2 * self.blocks + 3

    @nn.compact
    def __call__(self, image: Image, factor: int) -> Float[Array, "_ _ 3"]:
        """The picture (h, w, 3) in [0, 1] made larger by a factor out of `factors`; not clipped."""
        heads = {
            f: self.param(f"head{f}", nn.initializers.zeros, (3, 3, self.width, 3 * f * f), jnp.float32)
            for f in self.factors
        }
        x = first = self._convolution(image.astype(self.dtype) - 0.5, "first", self.width)
        for block in range(self.blocks):
            y = nn.relu(self._convolution(x, f"block{block}_1", self.width))
            x = x + self._convolution(y, f"block{block}_2", self.width, gain=0.1)
        x = first + self._convolution(x, "last", self.width)
        detail = convolved(x, heads[factor].astype(self.dtype)).astype(jnp.float32)
        return enlarge_bicubic(image.astype(jnp.float32), factor) + shuffled(detail, factor)

    def _convolution(self, x: Features, name: str, channels: int, *, gain: float = 1.0) -> FeatureMap:
        kernel = self.param(
            f"{name}_kernel",
            nn.initializers.variance_scaling(2.0 * gain**2, "fan_in", "truncated_normal"),
            (3, 3, x.shape[2], channels),
            jnp.float32,
        )
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (channels,), jnp.float32)
        return convolved(x, kernel.astype(self.dtype)) + bias.astype(self.dtype)[None, None]


def convolved(x: Features, kernel: Float[Array, "3 3 c d"]) -> FeatureMap:
    """3x3 convolution, edges repeated."""
    numbers = ("NHWC", "HWIO", "NHWC")
    x = add_border(x, "edge", 1, 1)
    return jax.lax.conv_general_dilated(x[None], kernel, (1, 1), "VALID", dimension_numbers=numbers)[0]


def shuffled(x: Features, factor: int) -> Float[Array, "_ _ 3"]:
    """(h, w, 3 f f) as (f h, f w, 3): each position's channels are a block of pixels."""
    h, w, _ = x.shape
    return x.reshape(h, w, factor, factor, 3).transpose(0, 2, 1, 3, 4).reshape(h * factor, w * factor, 3)
