"""Each position against the nearest one of the other picture."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxstyle.losses.reductions import over
from jaxstyle.losses.sampling import Points, cells
from jaxstyle.types import Features, Mask, Scalar

ROWS = 512  # of the matrix of all pairs that are there at once
SHARE = 0.25  # of the distance, which no picture but the style itself brings near zero, as it does a statistic's


def nearest_loss(features: Features, target: Points, *, mask: Mask | None = None) -> Scalar:
    """Relaxed earth mover's distance: the larger of two means, of squared distances from each position of the picture
    to the nearest one of the style, and from each of the style to the nearest one of the picture; relative to the
    style's mean square; a quarter of it, so that weights mean what they do for other losses. 0 at the target, 1/4 for
    features of zero.

    After Kolkin, Salavon and Shakhnarovich (2019, STROTSS), https://arxiv.org/abs/1904.12785, equation 6, whose
    distance is that of cosines, blind to brightness and contrast, and who draw positions anew as they go. Here it is
    Euclidean, as in Li and Wand (2016), https://arxiv.org/abs/1601.04589; with the first mean alone, as they have it, a
    picture may be made of one piece of the style only.

    Of more than 2048 positions, cells of a few are compared (`cells`); the matrix of all pairs is made 512 rows at a
    time, and no gradient goes through it: that of a smallest distance is the gradient of this one distance.

    Args:
      features: (h, w, c), of the picture being made.
      target: `cells` of the style's features, or of several styles, with their shares as weights.
      mask: (h, w) in [0, 1], weights of the positions; those of weight 0 are no one's nearest.
    """
    found = cells(features, mask=mask)
    there, here = _nearest(*jax.lax.stop_gradient((found, target)))
    forth = _mean_distance(found.features, target.features[there], found.weights)
    back = _mean_distance(found.features[here], target.features, target.weights)
    square = jnp.sum(target.weights * jnp.sum(target.features**2, 1))
    return SHARE * over(jnp.maximum(forth, back), over(square, jnp.sum(target.weights)))


def _mean_distance(a: Float[Array, "n c"], b: Float[Array, "n c"], weights: Float[Array, " n"]) -> Scalar:
    return over(jnp.sum(weights * jnp.sum((a - b) ** 2, 1)), jnp.sum(weights))


def _nearest(a: Points, b: Points) -> tuple[Int[Array, " n"], Int[Array, " m"]]:
    """For each of the points a the place of the nearest one in b, and the same for b."""
    n, rows = len(a.weights), min(ROWS, len(a.weights))
    pad = -n % rows
    blocks = jnp.pad(a.features, ((0, pad), (0, 0))).reshape(-1, rows, a.features.shape[1])
    absent = jnp.pad(_out_of_reach(a), (0, pad), constant_values=jnp.inf).reshape(-1, rows)
    squares, far = jnp.sum(b.features**2, 1), _out_of_reach(b)

    def compare(block: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        x, gone = block
        products = jnp.matmul(x, b.features.T, precision=jax.lax.Precision.HIGHEST)
        # Squared distances, but for what is the same along the axis of which the least is wanted.
        forth = jnp.argmin((squares + far)[None] - 2 * products, 1)
        back = (jnp.sum(x**2, 1) + gone)[:, None] - 2 * products
        best = jnp.argmin(back, 0)
        return forth, best, jnp.take_along_axis(back, best[None], 0)[0]

    forth, best, least = jax.lax.map(compare, (blocks, absent))
    block = jnp.argmin(least, 0)
    within = jnp.take_along_axis(best, block[None], 0)[0]
    return forth.reshape(-1)[:n], block * rows + within


def _out_of_reach(x: Points) -> Float[Array, " n"]:
    """Infinite for positions that are not there."""
    return jnp.where(x.weights > 0, jnp.zeros_like(x.weights), jnp.inf)
