"""A picture's features as a set of points, at most so many of them: always the same ones."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.losses.sums import float32
from jaxstyle.types import Features, Mask

MOST = 2048


class Points(NamedTuple):
    """Features at some positions; those of weight 0 are not there."""

    features: Float[Array, "n c"]
    weights: Float[Array, " n"]


def points(features: Features, *, mask: Mask | None = None, most: int = MOST) -> Points:
    """All positions of (h, w, c) in reading order, or if they are more than `most`, one out of each of as many runs.

    Which one of a run is drawn once and for all: a loss that draws anew at each step is no function, which L-BFGS needs
    and whose value one could not compare. With a mask (h, w) the runs are of positions where it is above 0, and its
    values there are the weights: what a rectangle of ones leaves are the points of the picture cropped to it.
    """
    x = float32(features).reshape(-1, features.shape[-1])
    n = len(x)
    kept = min(n, most)
    runs = np.arange(kept, dtype=np.float32)
    drawn = runs + np.random.default_rng(0).random(most, np.float32)[:kept]
    if mask is None:
        chosen = runs if n <= most else np.minimum(drawn * np.float32(n / most), n - 1)
        return Points(x[chosen.astype(np.int32)], jnp.ones(kept, x.dtype))
    weights = mask.astype(x.dtype).reshape(-1)
    counted = jnp.cumsum((weights > 0).astype(jnp.int32))
    count = counted[-1]
    rank = jnp.where(count > most, jnp.asarray(drawn) * (count.astype(jnp.float32) / most), jnp.asarray(runs))
    rank = jnp.minimum(rank.astype(jnp.int32), jnp.where(count > most, count - 1, n - 1))
    chosen = jnp.minimum(jnp.searchsorted(counted, rank + 1), n - 1)
    return Points(x[chosen], jnp.where(rank < count, weights[chosen], jnp.zeros(kept, x.dtype)))
