"""The whole distribution of features, seen along some directions: sorted projections."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.losses.reductions import relative_error
from jaxstyle.losses.sampling import points
from jaxstyle.types import Features, Mask, Scalar

LEVELS = 256  # parts of a distribution, of equal weight, each kept by its mean


@functools.lru_cache
def directions(channels: int) -> Float[np.ndarray, "c c"]:
    """As many directions as channels, columns of a rotation drawn once and for all.

    Heitz et al. draw independent ones anew at each step. Then the loss is no function of the picture, as L-BFGS needs,
    and its value tells little. Orthogonal ones see every channel, and none twice.
    """
    drawn = np.random.default_rng(channels).normal(size=(channels, channels))
    q, r = np.linalg.qr(drawn)
    return q * np.sign(np.diag(r))


def quantiles(features: Features, *, mask: Mask | None = None) -> Float[Array, "c levels"]:
    """Projections onto each of the directions, sorted: the means of 256 parts of equal weight.

    The integral of the quantile function over each 256th of [0, 1], exactly; so pictures of any sizes may be compared,
    averages of several are their Wasserstein barycentre along each direction, and a mask (h, w) gives the positions
    their weights. Of more than 8192 positions, as many are taken (`points`).
    """
    found = points(features, mask=mask)
    onto = jnp.asarray(directions(features.shape[-1]), found.features.dtype)
    along = jnp.matmul(found.features, onto, precision=jax.lax.Precision.HIGHEST).T
    total = jnp.sum(found.weights)
    shares = found.weights / jnp.where(total > 0, total, jnp.ones_like(total))
    return jax.vmap(_means_of_parts, in_axes=(0, None))(along, shares)


def _means_of_parts(values: Float[Array, " n"], shares: Float[Array, " n"]) -> Float[Array, " levels"]:
    """Sorts values, each with its share of a whole, and averages them over parts of equal share."""
    order = jnp.argsort(jax.lax.stop_gradient(values))
    values, shares = values[order], shares[order]
    # About the mean, so that differences of running sums lose no digits.
    mean = jnp.sum(values * shares)
    zero = jnp.zeros(1, values.dtype)
    until = jnp.concatenate([zero, jnp.cumsum(shares)])
    sums = jnp.concatenate([zero, jnp.cumsum((values - mean) * shares)])
    edges = jnp.linspace(0, 1, LEVELS + 1, dtype=values.dtype) * until[-1]
    return LEVELS * jnp.diff(jnp.interp(edges, until, sums)) + mean


def sliced_loss(features: Features, target: Float[Array, "c levels"], *, mask: Mask | None = None) -> Scalar:
    """Sliced 2-Wasserstein distance, squared, relative to the style's mean square: 0 at the target, 1 for features of
    zero.

    After Heitz, Vanhoey, Chambon and Belcour (2021), https://arxiv.org/abs/2006.07229, equation 4; with fixed
    directions (see `directions`) and quantiles (see `quantiles`).

    Args:
      features: (h, w, c), of the picture being made.
      target: `quantiles` of the style's features.
      mask: (h, w) in [0, 1], weights of the positions.
    """
    return relative_error(quantiles(features, mask=mask), target)
