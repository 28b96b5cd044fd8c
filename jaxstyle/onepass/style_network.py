"""A network that paints a picture in one pass, in any of the styles that it was trained for, or a mix of them.

After Johnson, Alahi and Fei-Fei 2016 (https://arxiv.org/abs/1603.08155), with half their width: a 9x9 convolution, two of
stride 2, five residual blocks, two times nearest-neighbour upsampling and a 3x3 convolution, and a 9x9 convolution.
Pictures are continued by reflection. Each convolution but the last is followed by instance normalisation (Ulyanov,
Vedaldi and Lempitsky 2017, https://arxiv.org/abs/1701.02096) whose scales and offsets are the style's (Dumoulin, Shlens
and Kudlur 2017, https://arxiv.org/abs/1610.07629): some 1,600 numbers.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops.blocks import (
    blocks_of,
    kernel_between_blocks,
    kernel_from_blocks,
    kernel_onto_blocks,
    pixels_of,
    reflected_blocks,
)
from jaxstyle.ops.convolution import convolution_within
from jaxstyle.ops.padding import add_border
from jaxstyle.types import FeatureMap, Features, Image

EPSILON = 1e-5  # added to variances
STRIDE = 4  # pixels that the two strided convolutions make one of
FIELD = 112  # pixels beyond which nothing is seen but by the normalisations' means and variances

Statistics = dict[str, tuple[Float[Array, " c"], Float[Array, " c"]]]


class StyleNetwork(nn.Module):
    """The network of `count` styles.

    Attributes:
      count: of styles.
      width: channels at full size; twice as many at half, four times at a quarter.
      blocks: residual ones.
      dtype: of the convolutions.
    """

    count: int
    width: int = 16
    blocks: int = 5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, image: Image, shares: Float[Array, " n"], statistics: Statistics | None = None
    ) -> tuple[Image, Statistics]:
        """Paints.

        Args:
          image: (h, w, 3) in [0, 1], any size of which reflection can make a multiple of 4.
          shares: (count,), of the styles; they sum to one.
          statistics: means and deviations for the normalisations, by layer, in place of the picture's own: what makes a
            part of a large picture come out as it does within the whole.

        Returns:
          The painted picture (h, w, 3) in [0, 1], and the statistics used.
        """
        used: Statistics = {}

        def normalised(x: Features, name: str, channels: int) -> FeatureMap:
            found = None if statistics is None else statistics[name]
            x, used[name] = self._normalised(x, name, channels, shares, found)
            return x

        def block(x: Features, name: str) -> FeatureMap:
            y = convolution_within(add_border(x, "reflect", 1, 1), self._kernel(name, 3, wide, wide))
            return normalised(y, name, wide)

        narrow, middle, wide = self.width, 2 * self.width, 4 * self.width
        height, width = image.shape[:2]
        x = (image.astype(self.dtype) - 0.5) * 4
        x = jnp.pad(x, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="reflect")
        # At full size, pixels are kept in blocks of 2 x 2: see `ops.blocks`.
        x = blocks_of(add_border(x, "reflect", 4, 4))
        x = convolution_within(x, kernel_between_blocks(self._kernel("in", 9, 3, narrow)))
        x = nn.relu(normalised(x, "in", narrow))
        x = convolution_within(add_border(x, "edge", 1, 0), kernel_from_blocks(self._kernel("down1", 3, narrow, middle)))
        x = nn.relu(normalised(x, "down1", middle))
        x = convolution_within(add_border(x, "reflect", 1, 0), self._kernel("down2", 3, middle, wide), stride=2)
        x = nn.relu(normalised(x, "down2", wide))
        for k in range(1, self.blocks + 1):
            x = x + block(nn.relu(block(x, f"block{k}_1")), f"block{k}_2")
        x = convolution_within(add_border(x, "edge", 1, 1), kernel_onto_blocks(self._kernel("up1", 3, wide, middle)))
        x = pixels_of(nn.relu(normalised(x, "up1", middle)))
        x = convolution_within(add_border(x, "edge", 1, 1), kernel_onto_blocks(self._kernel("up2", 3, middle, narrow)))
        x = nn.relu(normalised(x, "up2", narrow))
        x = convolution_within(reflected_blocks(x), kernel_between_blocks(self._kernel("out", 9, narrow, 3)))
        x = pixels_of(x)
        bias = self.param("out_bias", nn.initializers.zeros, (self.count, 3), jnp.float32)
        painted = nn.sigmoid(x.astype(jnp.float32) + (shares @ bias)[None, None])
        return painted[:height, :width], used

    def _kernel(self, name: str, size: int, before: int, after: int) -> Float[Array, "{size} {size} {before} {after}"]:
        shape = (size, size, before, after)
        return self.param(f"{name}_kernel", nn.initializers.he_normal(), shape, jnp.float32).astype(self.dtype)

    def _normalised(
        self, x: Features, name: str, channels: int, shares: Float[Array, " n"], found: tuple[Array, Array] | None
    ) -> tuple[FeatureMap, tuple[Array, Array]]:
        """Each channel with mean and deviation as the styles have it, over positions and the pixels of blocks."""
        shape = (self.count, channels)
        scale = self.param(f"{name}_scale", nn.initializers.ones, shape, jnp.float32)
        offset = self.param(f"{name}_offset", nn.initializers.zeros, shape, jnp.float32)
        if found is None:
            wide = x.astype(jnp.float32)
            mean = _over_pixels(jnp.mean(wide, (0, 1)), channels)
            middle = jnp.tile(mean, x.shape[2] // channels)
            variance = _over_pixels(jnp.mean((wide - middle[None, None]) ** 2, (0, 1)), channels)
            found = mean, jnp.sqrt(variance + EPSILON)
        gain = (shares @ scale) / found[1]
        shift = shares @ offset - found[0] * gain
        gain, shift = (jnp.tile(v.astype(x.dtype), x.shape[2] // channels)[None, None] for v in (gain, shift))
        return x * gain + shift, found


def _over_pixels(x: Float[Array, " n"], channels: int) -> Float[Array, " {channels}"]:
    return jnp.mean(x.reshape(-1, channels), 0)


def doubled(x: Features) -> FeatureMap:
    """Each pixel four times: nearest-neighbour upsampling by two."""
    h, w, c = x.shape
    return jnp.broadcast_to(x[:, None, :, None], (h, 2, w, 2, c)).reshape(2 * h, 2 * w, c)


def normalisation_names(params: dict[str, Any]) -> list[str]:
    """The parameters that belong to a style: what a further style is learnt by."""
    return [name for name in params if name.endswith(("_scale", "_offset", "_bias"))]
