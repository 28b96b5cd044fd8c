"""Decoders fitted by least squares: pixels from features, over many crops of pictures. Linear algebra in NumPy."""

from collections.abc import Callable, Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxstyle.onepass.decoders import AROUND, LEVELS, RANKS, SPACINGS, Decoder, before
from jaxstyle.types import Features, Picture

POSITIONS = 800  # of each crop and layer, taken at random
RIDGE = 2e-3  # of the mean square of each feature: what is found must hold for features that were moved, too
FLOOR = 1e-6


def fit_decoders(
    features: Callable[[Picture], Mapping[str, Features]], crops: Iterable[Picture], *, seed: int = 0
) -> dict[str, Decoder]:
    """The decoder of each of `LEVELS`.

    Args:
      features: of a picture, by layer.
      crops: pictures (h, w, 3) in [0, 1], sides multiples of the widest spacing.
      seed: of the positions.
    """
    rng, sums = np.random.default_rng(seed), dict[str, tuple[np.ndarray, np.ndarray]]()
    for crop in crops:
        found = features(crop)
        for level in LEVELS:
            inputs, squares = around(np.asarray(found[level])), squares_of(np.asarray(crop), SPACINGS[level])
            chosen = rng.permutation(len(inputs))[:POSITIONS]
            x, y = inputs[chosen], squares[chosen] - np.float32(0.5)
            gram, cross = sums.get(level, (np.zeros(()), np.zeros(())))
            sums[level] = gram + (x.T @ x).astype(np.float64), cross + (x.T @ y).astype(np.float64)
    return {level: _solved(level, *sums[level]) for level in LEVELS}


def _solved(level: str, gram: np.ndarray, cross: np.ndarray) -> Decoder:
    """The regression of so low a rank that has the least error."""
    squares = np.diag(gram)
    ridge = RIDGE * squares + FLOOR * squares.mean()
    ridge[-1] = 0  # of the bias
    whole = np.linalg.solve(gram + np.diag(ridge), cross)
    _, directions = np.linalg.eigh(whole.T @ gram @ whole)
    best = directions[:, ::-1][:, : RANKS[level]]
    inner, side = whole @ best, 2 * SPACINGS[level]
    kernel = inner[:-1].reshape(AROUND, AROUND, -1, best.shape[1])
    outer = best.T.reshape(-1, side, side, 3)
    return Decoder(*(jnp.asarray(x, jnp.float32) for x in (kernel, inner[-1], outer)))


def around(features: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "_ _"]:
    """At each position the features there and next to it, in the order of a kernel, and a one for the bias."""
    height, width, _ = features.shape
    n = AROUND // 2
    wide = np.pad(features, ((n, n), (n, n), (0, 0)), mode="reflect")
    parts = [wide[i : i + height, j : j + width] for i in range(AROUND) for j in range(AROUND)]
    parts.append(np.ones((height, width, 1), features.dtype))
    return np.concatenate(parts, -1).reshape(height * width, -1)


def squares_of(picture: Float[np.ndarray, "h w 3"], spacing: int) -> Float[np.ndarray, "_ _"]:
    """The pixels of the square of each position."""
    height, width = (side // spacing for side in picture.shape[:2])
    n = before(spacing)
    wide = np.pad(picture, ((n, spacing - n), (n, spacing - n), (0, 0)), mode="reflect")
    view = np.lib.stride_tricks.sliding_window_view(wide, (2 * spacing, 2 * spacing), (0, 1))
    return view[::spacing, ::spacing][:height, :width].transpose(0, 1, 3, 4, 2).reshape(height * width, -1)
