"""A picture's features as a set of points, at most so many of them: some positions, or means of neighbouring ones."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.losses.reductions import float32, over
from jaxstyle.types import Features, Mask

MOST = 8192  # positions
CELLS = 2048


class Points(NamedTuple):
    """Features at some positions, or of some cells; those of weight 0 are not there."""

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


def cells(features: Features, *, mask: Mask | None = None) -> Points:
    """All positions of (h, w, c), or if they are more than 2048 the means over square cells, as small as makes no more.

    So every position counts, and has a gradient: of positions drawn from a shallow layer's, each is a speckle. With a
    mask (h, w), means are weighted by it, and weights are a cell's mean. What a rectangle of ones leaves are the cells
    of the picture cropped to it, if it begins where a cell does and the crop has cells of the same size.
    """
    h, w, c = features.shape
    side = math.ceil(math.sqrt(h * w / CELLS))
    x = float32(features)
    weights = jnp.ones((h, w), x.dtype) if mask is None else mask.astype(x.dtype)
    while -(-h // side) * -(-w // side) > CELLS:  # cells at the border may be cut
        side += 1
    if side == 1:
        return Points(x.reshape(-1, c), weights.reshape(-1))
    border = ((0, -h % side), (0, -w % side))
    sums = _by_cell(jnp.pad(weights[..., None] * x, (*border, (0, 0))), side)
    weights = _by_cell(jnp.pad(weights[..., None], (*border, (0, 0))), side)
    return Points(over(sums, weights), weights[:, 0] / side**2)


def _by_cell(x: Features, side: int) -> Float[Array, "n c"]:
    """Sums over square cells."""
    h, w, c = x.shape
    return jnp.sum(x.reshape(h // side, side, w // side, side, c), (1, 3)).reshape(-1, c)
