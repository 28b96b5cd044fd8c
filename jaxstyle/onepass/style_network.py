"""A network that paints a picture in one pass, in any of the styles that it was trained for, or a mix of them.

After Johnson, Alahi and Fei-Fei 2016 (https://arxiv.org/abs/1603.08155), with half their width: a 9x9 convolution, two
of stride 2, five residual blocks, two times nearest-neighbour upsampling and a 3x3 convolution, and a 9x9 convolution.
Pictures are continued by reflection. Each convolution but the last is followed by instance normalisation (Ulyanov,
Vedaldi and Lempitsky 2017, https://arxiv.org/abs/1701.02096) whose scales and offsets are the style's (Dumoulin, Shlens
and Kudlur 2017, https://arxiv.org/abs/1610.07629): some 1,600 numbers.

What the last convolution gives comes on top of the picture itself, whose colours a matrix of the style's changes. So
the network need not learn what a photograph looks like, and leaves one as it is at strength 0.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.defaults import STYLE_WIDTH
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
DARKEST = 0.5 / 255
STRIDE = 4  # pixels that the two strided convolutions make one of
MARGIN = 16  # pixels that pictures are continued by before they are painted, and cut by after
FIELD = 64  # pixels beyond which nothing is seen but by the normalisations' means and deviations

Statistics = dict[str, tuple[Float[Array, " _"], Float[Array, " _"]]]


class StyleNetwork(nn.Module):
    """The network of `count` styles.

    Attributes:
      count: of styles.
      width: channels at full size; twice as many at half, four times at a quarter.
      blocks: residual ones.
      dtype: of the convolutions.
    """

    count: int
    width: int = STYLE_WIDTH
    blocks: int = 5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Image,
        shares: Float[Array, " n"],
        strength: float | Float[Array, ""] = 1.0,
        statistics: Statistics | None = None,
    ) -> tuple[Image, Statistics]:
        """Paints.

        Args:
          image: (h, w, 3) in [0, 1], any size of which reflection can make a multiple of 4.
          shares: (count,), of the styles; they sum to one.
          strength: 0 leaves the picture as it is, 1 is the style.
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
        x = convolution_within(
            add_border(x, "edge", 1, 0), kernel_from_blocks(self._kernel("down1", 3, narrow, middle))
        )
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
        x = pixels_of(x)[:height, :width].astype(jnp.float32)
        # What is painted comes on top of the picture itself, whose colours each style changes by a matrix of its own.
        own = logit(image.astype(jnp.float32))
        bias = self.param("out_bias", nn.initializers.zeros, (self.count, 3), jnp.float32)
        colors = self.param("out_color", _identities, (self.count, 3, 3), jnp.float32)
        changed = jnp.einsum("hwc,n,ncd->hwd", own, shares, colors, precision=jax.lax.Precision.HIGHEST)
        painted = x + changed + (shares @ bias)[None, None]
        return nn.sigmoid(strength * painted + (1 - strength) * own), used

    def _kernel(self, name: str, size: int, before: int, after: int) -> Float[Array, "{size} {size} {before} {after}"]:
        first = nn.initializers.variance_scaling(0.02 if name == "out" else 2.0, "fan_in", "truncated_normal")
        return self.param(f"{name}_kernel", first, (size, size, before, after), jnp.float32).astype(self.dtype)

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


def logit(image: Image) -> FeatureMap:
    """What a sigmoid makes the picture of, within a half of a 255th."""
    x = jnp.clip(image, DARKEST, 1 - DARKEST)
    return jnp.log(x) - jnp.log1p(-x)


def _identities(key: Array, shape: tuple[int, int, int], dtype: Any) -> Array:
    del key
    return jnp.broadcast_to(jnp.eye(shape[1], dtype=dtype), shape)


def of_styles(name: str) -> bool:
    """Whether a parameter has an axis of styles in front: what a further style is learnt by."""
    return name.endswith(("_scale", "_offset", "_bias", "_color"))
