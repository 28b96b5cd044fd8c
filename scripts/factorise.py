"""The factors of convolutions, fitted to what the convolutions answer to real pictures; linear algebra alone.

A convolution from c channels to d becomes three: to r channels (1x1), from these to k (3x3), and out to d (1x1). From
shallow to deep, each layer is fitted to the true answer to the true input, given the input that the factorised layers
before it bring about, so that later layers make up for what earlier ones leave out (Zhang et al. 2015,
https://arxiv.org/abs/1505.06798, section 2.4).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

FLOOR = 1e-6  # of the largest eigenvalue: what smaller ones are raised to before they are divided by
RIDGE = 1e-4  # of the mean variance of the inputs, added to each

Map = np.ndarray  # (h, w, channels), float32


class Factors(NamedTuple):
    """A factorised convolution: kernels (c, r), (3, 3, r, k), (k, d), and a bias (d,)."""

    reduce: np.ndarray
    kernel: np.ndarray
    expand: np.ndarray
    bias: np.ndarray


class Fit(NamedTuple):
    """Factors, and the share of the answers' variance that is left unexplained: by the first factor, and in all."""

    factors: Factors
    reduced: float
    ranked: float


def fit(
    inputs: Sequence[Map],
    answers: Sequence[Map],
    kernel: np.ndarray,
    ranks: tuple[int, int],
    *,
    positions: int = 1200,
    seed: int = 0,
) -> Fit:
    """Factors whose answers to `inputs` differ least from `answers`, in squared error.

    Args:
      inputs: (h, w, c) of each picture, as the factorised layers before bring them about.
      answers: (h, w, d) of each picture, of the true convolution to its true input, with its bias.
      kernel: (3, 3, c, d), the true one: it says which directions of the input count.
      ranks: r and k.
      positions: of each picture, drawn at random, that count.
      seed: of the draw.
    """
    reduce = leading_directions(inputs, kernel, ranks[0])
    narrow = [x @ reduce for x in inputs]
    moments = moments_of(sampled(narrow, answers, positions, np.random.default_rng(seed)))
    best = regression(moments)
    # Of all maps of rank k, the best is the best map followed by a projection on the leading directions of its answers.
    values, vectors = np.linalg.eigh(best.T @ moments.xx @ best)
    scales, leading = np.sqrt(values[::-1][: ranks[1]]), vectors[:, ::-1][:, : ranks[1]]
    whole = best @ leading @ leading.T
    factors = Factors(
        reduce,
        (best @ leading / scales).reshape(3, 3, ranks[0], ranks[1]).astype(np.float32),
        (leading * scales).T.astype(np.float32),
        (moments.mean_y - whole.T @ moments.mean_x).astype(np.float32),
    )
    return Fit(factors, unexplained(moments, best), unexplained(moments, whole))


def leading_directions(inputs: Sequence[Map], kernel: np.ndarray, count: int) -> np.ndarray:
    """Directions (c, count) of the input that the convolution's answers depend on most, of unit variance each.

    They span what a projection of the input, position by position, best keeps of the kernel's answers, if neighbouring
    positions were independent.
    """
    total, outer, n = 0.0, 0.0, 0
    for x in inputs:
        rows = x.reshape(-1, x.shape[-1])
        total, outer, n = (
            total + rows.sum(0, dtype=np.float64),
            outer + (rows.T @ rows).astype(np.float64),
            n + len(rows),
        )
    covariance = outer / n - np.outer(total / n, total / n)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, FLOOR * values[-1])
    half, inverse = (vectors * np.sqrt(values)) @ vectors.T, (vectors / np.sqrt(values)) @ vectors.T
    c, d = kernel.shape[2:]
    weighted = half @ kernel.reshape(9, c, d).transpose(1, 0, 2).reshape(c, 9 * d)
    _, directions = np.linalg.eigh(weighted @ weighted.T)
    return (inverse @ directions[:, ::-1][:, :count]).astype(np.float32)


class Moments(NamedTuple):
    """Covariances of inputs and answers, and their means; `yy` is the sum of the answers' variances."""

    xx: np.ndarray
    xy: np.ndarray
    yy: float
    mean_x: np.ndarray
    mean_y: np.ndarray


def sampled(
    inputs: Sequence[Map], answers: Sequence[Map], positions: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each picture, what a 3x3 kernel sees (n, 9 c) at random positions, zeros around it, and answers (n, d)."""
    for x, y in zip(inputs, answers, strict=True):
        height, width = x.shape[:2]
        chosen = rng.choice(height * width, min(positions, height * width), replace=False)
        row, column = np.divmod(chosen, width)
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        seen = [padded[row + i, column + j] for i in range(3) for j in range(3)]
        yield np.concatenate(seen, 1), y[row, column]


@jax.jit
def _products(x: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
    return x.T @ x, x.T @ y, (y * y).sum(0), x.sum(0), y.sum(0)


def moments_of(pairs: Iterator[tuple[np.ndarray, np.ndarray]]) -> Moments:
    """Of all pairs of inputs (n, p) and answers (n, d)."""
    sums, n = None, 0
    for x, y in pairs:
        found = [np.asarray(a, np.float64) for a in _products(x, y)]
        sums, n = found if sums is None else [a + b for a, b in zip(sums, found, strict=True)], n + len(x)
    assert sums is not None
    xx, xy, yy, x, y = (a / n for a in sums)
    return Moments(xx - np.outer(x, x), xy - np.outer(x, y), float((yy - y**2).sum()), x, y)


def regression(moments: Moments) -> np.ndarray:
    """The matrix (p, d) of least squares, hardly regularised."""
    ridge = RIDGE * np.trace(moments.xx) / len(moments.xx)
    return np.linalg.solve(moments.xx + ridge * np.eye(len(moments.xx)), moments.xy)


def unexplained(moments: Moments, matrix: np.ndarray) -> float:
    """Share of the answers' variance that a matrix (p, d) leaves."""
    explained = 2 * np.sum(matrix * moments.xy) - np.sum(matrix * (moments.xx @ matrix))
    return 1 - explained / moments.yy
