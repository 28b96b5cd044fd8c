"""The critic of a training by what is seen: it learns to tell photographs from pictures made larger, patch by patch.

A network that is taught by features alone fills texture with a fine grid, the one texture that they do not tell from a
photograph's; a critic learns to tell it (Ledig et al. 2017, https://arxiv.org/abs/1609.04802). It sees patches of 32
pixels (Isola et al. 2017, https://arxiv.org/abs/1611.07004), and says which of two kinds looks the more real: the
relativistic average of Jolicoeur-Martineau (2019, https://arxiv.org/abs/1807.00734), as in ESRGAN (Wang et al. 2018,
https://arxiv.org/abs/1809.00219).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.types import Image, Params

LAYERS = ((3, 1, 16), (4, 2, 32), (3, 1, 32), (4, 2, 64), (3, 1, 64))  # side of the kernel, stride, channels
LEAK = 0.2


class Critic(nn.Module):
    """The network."""

    @nn.compact
    def __call__(self, image: Image) -> Float[Array, "_ _"]:
        """A score for each patch of a picture (h, w, 3) in [0, 1], higher for what looks like a photograph's."""
        x = image[None] - 0.5
        for number, (side, stride, channels) in enumerate(LAYERS, 1):
            layer = nn.Conv(channels, (side, side), (stride, stride), padding="VALID", name=f"conv{number}")
            x = nn.leaky_relu(layer(x), LEAK)
        return nn.Conv(1, (3, 3), padding="VALID", name="score")(x)[0, :, :, 0]


Scores = Float[Array, "n _ _"]


def scores(params: Params, images: Float[Array, "n h w 3"]) -> Scores:
    """A critic's, of several pictures."""
    return jax.vmap(lambda image: Critic().apply({"params": params}, image))(images)  # type: ignore[return-value]


def more_real(ones: Scores, others: Scores) -> Float[Array, ""]:
    """How wrong it is to say that the ones look more real than the others do on average, and the others less."""
    first, second = ones - jnp.mean(others), others - jnp.mean(ones)
    return (jnp.mean(jax.nn.softplus(-first)) + jnp.mean(jax.nn.softplus(second))) / 2
