"""The network that makes pictures larger: features at the small size, and pixels shuffled into place at the end.

Residual blocks without normalisation, as EDSR's (Lim et al. 2017, https://arxiv.org/abs/1707.02921), few and narrow;
one trunk and, for each factor, one last convolution whose channels are the pixels of a block (sub-pixel convolution,
Shi et al. 2016, https://arxiv.org/abs/1609.05158). What it computes is what bicubic enlargement leaves out.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from jaxstyle.defaults import UPSCALE_FACTORS
from jaxstyle.superres.bicubic import enlarge_bicubic
from jaxstyle.types import FeatureMap, Features, Image, Params


class UpscaleNetwork(nn.Module):
    """The network.

    Attributes:
      width: channels.
      blocks: residual ones.
      factors: for which there is a last convolution.
    """

    width: int = 32
    blocks: int = 5
    factors: tuple[int, ...] = UPSCALE_FACTORS

    @property
    def field(self) -> int:
        """Pixels of the small picture beyond which nothing is seen."""
        return 2 * self.blocks + 3

    @nn.compact
    def __call__(self, image: Image, factor: int) -> Float[Array, "_ _ 3"]:
        """The picture (h, w, 3) in [0, 1] made larger by a factor out of `factors`; not clipped."""
        heads = {f: self._layer(f"head{f}", self.width, 3 * f * f, gain=0.0) for f in self.factors}
        x = first = convolved(image - 0.5, self._layer("first", 3, self.width))
        for block in range(1, self.blocks + 1):
            y = nn.relu(convolved(x, self._layer(f"block{block}_1", self.width, self.width)))
            x = x + convolved(y, self._layer(f"block{block}_2", self.width, self.width, gain=0.1))
        x = first + convolved(x, self._layer("last", self.width, self.width))
        self.sow("intermediates", "trunk", x)
        return enlarge_bicubic(image, factor) + shuffled(convolved(x, heads[factor]), factor)

    def _layer(self, name: str, channels: int, onto: int, *, gain: float = 1.0) -> Params:
        """Kernel and bias; before training the kernel is random, times `gain`."""

        def begun(key: Array) -> dict[str, Array]:
            initial = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
            kernel = gain * initial(key, (3, 3, channels, onto), jnp.float32)
            return {"kernel": kernel, "bias": jnp.zeros(onto)}

        return self.param(name, begun)


@struct.dataclass
class Upscaler:
    """A network with its parameters: a pytree.

    Attributes:
      params: {"first": {"kernel": (3, 3, 3, width), "bias": (width,)}, ...}, float32.
      module: the architecture.
    """

    params: Params
    module: UpscaleNetwork = struct.field(pytree_node=False)

    def enlarge(self, image: Image, factor: int) -> Float[Array, "{factor}*h {factor}*w 3"]:
        """The picture (h, w, 3) in [0, 1], larger by a factor out of `module.factors`; not clipped."""
        return self.module.apply({"params": self.params}, image, factor)  # type: ignore[return-value]

    def trunk(self, image: Image) -> FeatureMap:
        """The features (h, w, width) that the last convolutions are given."""
        variables, factor = {"params": self.params}, self.module.factors[0]
        _, kept = self.module.apply(variables, image, factor, mutable="intermediates")
        return kept["intermediates"]["trunk"][0]


def convolved(x: Features, layer: Params) -> FeatureMap:
    """3x3 convolution, zeros around: XLA's are up to ten times slower on CPUs where a border is put there before."""
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x[None], layer["kernel"], (1, 1), "SAME", dimension_numbers=numbers)[0]
    return y + layer["bias"][None, None]


def unshuffled(image: Features, factor: int) -> FeatureMap:
    """The inverse of `shuffled`."""
    h, w, c = (side // n for side, n in zip(image.shape, (factor, factor, 1), strict=True))
    return image.reshape(h, factor, w, factor, c).transpose(0, 2, 1, 3, 4).reshape(h, w, factor * factor * c)


def shuffled(x: Features, factor: int) -> Float[Array, "_ _ 3"]:
    """(h, w, 3 f f) as (f h, f w, 3): each position's channels are a block of pixels."""
    h, w, _ = x.shape
    return x.reshape(h, w, factor, factor, 3).transpose(0, 2, 1, 3, 4).reshape(h * factor, w * factor, 3)
