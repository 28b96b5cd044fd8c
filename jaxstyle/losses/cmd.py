"""Central moments of the channels, up to the fifth."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses.reductions import float32, mean_over_positions, over, root
from jaxstyle.types import Features, Mask, Scalar

ORDERS = 5
SPREAD = 0.03  # deviation below which the moments of a channel count less and less


class CentralMoments(NamedTuple):
    """Moments of squashed features.

    Attributes:
      scale: root mean square of the features, in units of which they are squashed.
      moments: (5, c): the means, then the central moments of order 2 to 5.
    """

    scale: Scalar
    moments: Float[Array, "5 c"]


def central_moments(features: Features, *, mask: Mask | None = None) -> CentralMoments:
    """Mean and central moments of each channel over positions, weighted by the mask (h, w).

    Features are squashed to (-1, 1) first, by 2 sigmoid(x / r) - 1 with their root mean square r. Kalischek et al.
    take sigmoid(x), which saturates for weights of one kind (Keras) and not for another.
    """
    x = float32(features)
    scale = root(jnp.mean(mean_over_positions(x**2, mask=mask)))
    return CentralMoments(scale, _squashed_moments(x, scale, mask))


def squashed(features: Features, scale: Scalar) -> Features:
    """Features in (-1, 1): 2 sigmoid(x / scale) - 1."""
    return jnp.tanh(over(0.5 * float32(features), scale))


def _squashed_moments(features: Features, scale: Scalar, mask: Mask | None) -> Float[Array, "5 c"]:
    x = squashed(features, scale)
    mean = mean_over_positions(x, mask=mask)
    x = x - mean[None, None]
    return jnp.stack([mean, *(mean_over_positions(x**k, mask=mask) for k in range(2, ORDERS + 1))])


def cmd_loss(features: Features, target: CentralMoments, *, mask: Mask | None = None) -> Scalar:
    """Central moment discrepancy: |c_k - c'_k|^2 / (|c_k|^2 + |c'_k|^2) of the moments of order k = 1 to 5, averaged
    over the orders.

    After Kalischek, Wegner and Schindler (2021), https://arxiv.org/abs/2103.07208, who add the distances themselves:
    these have no gradient at the target, and all but vanish for the higher orders. Relative, each order counts alike;
    to both pictures, lest the fifth moment of a style without contrast, nearly zero, outweigh all else. What is below
    that of channels with a deviation of 0.03 counts as zero. 0 at the target, near 1 for features of zero.

    Args:
      features: (h, w, c), of the picture being made; squashed in units of the style's root mean square.
      target: `central_moments` of the style's features.
      mask: (h, w) in [0, 1], weights of the positions.
    """
    return moments_distance(_squashed_moments(features, target.scale, mask), target)


def moments_distance(found: Float[Array, "5 c"], target: CentralMoments) -> Scalar:
    """`cmd_loss` of the moments of features that are squashed in units of the style's root mean square."""
    floor = jnp.asarray([SPREAD ** (2 * k) for k in range(1, ORDERS + 1)], found.dtype)
    error = jnp.mean((found - target.moments) ** 2, 1)
    size = jnp.mean(found**2, 1) + jnp.mean(target.moments**2, 1)
    return jnp.mean(error / (size + floor))
