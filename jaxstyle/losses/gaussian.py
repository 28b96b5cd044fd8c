"""Features as samples of a Gaussian: mean and covariance, or mean and deviation of each channel alone."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses.gram import Gram, gram_matrix
from jaxstyle.losses.reductions import TINY, float32, mean_over_positions, over, root
from jaxstyle.types import Features, Mask, Scalar

BLUR = 1e-3  # variance added to each channel, in units of the target's mean square
ITERATIONS = 24  # resolve roots of eigenvalues down to 1e-8 of the norm; `BLUR` leaves hardly any below


class Moments(NamedTuple):
    """First two raw moments of features; unlike a covariance, those of several pictures may be averaged."""

    mean: Float[Array, " c"]
    second: Float[Array, "c c"]


class Deviations(NamedTuple):
    """Mean and standard deviation of each channel."""

    mean: Float[Array, " c"]
    deviation: Float[Array, " c"]


def moments(features: Features, *, mask: Mask | None = None) -> Moments:
    """Mean and second raw moment (the Gram matrix) over positions, weighted by the mask (h, w)."""
    return Moments(mean_over_positions(features, mask=mask), gram_matrix(features, mask=mask))


def wasserstein_loss(features: Features, target: Moments, *, mask: Mask | None = None) -> Scalar:
    """Squared 2-Wasserstein distance between the Gaussians of the features and of the style, over the style's mean
    square.

    (|m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2)) / tr(A'), with means m, covariances S and Gram matrix A'
    (Olkin and Pukelsheim 1982): 0 at the target, and, but for the blur, 1 for features of zero. Both covariances have
    1e-3 of the mean square of a channel added to their diagonals, without which the gradient is unbounded where
    channels are silent or linear in one another.

    Args:
      features: (h, w, c), of the picture being made.
      target: `moments` of the style's features.
      mask: (h, w) in [0, 1], weights of the positions.
    """
    found = moments(features, mask=mask)
    size = jnp.trace(target.second) / target.mean.shape[0]
    size = jnp.where(size < TINY, jnp.ones_like(size), size)
    unit, wanted = (Moments(x.mean / jnp.sqrt(size), x.second / size) for x in (found, target))
    return wasserstein2(unit, wanted, epsilon=BLUR, iterations=ITERATIONS)


def crowsonkb_style(features: Features, target: Moments, *, mask: Mask | None = None) -> Scalar:
    """`wasserstein2` with the blur and the twelve iterations of style-transfer-pytorch."""
    return wasserstein2(moments(features, mask=mask), target)


def wasserstein2(statistic: Moments, target: Moments, *, epsilon: float = 1e-4, iterations: int = 12) -> Scalar:
    """Squared 2-Wasserstein distance between two Gaussians, divided by the number of channels.

    |m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2), the style term of style-transfer-pytorch; `epsilon` is added
    to the diagonals of both covariances S and S'.
    """
    identity = jnp.eye(target.mean.shape[0], dtype=target.second.dtype)
    s = statistic.second - jnp.outer(statistic.mean, statistic.mean) + epsilon * identity
    t = target.second - jnp.outer(target.mean, target.mean) + epsilon * identity
    half, _ = newton_schulz(jax.lax.stop_gradient(t), iterations=iterations)
    cross = trace_sqrt(_matmul(_matmul(half, s), half), iterations)
    means = jnp.mean((statistic.mean - target.mean) ** 2)
    return means + (jnp.trace(s) + jnp.trace(t) - 2 * cross) / target.mean.shape[0]


def _matmul(a: Gram, b: Gram) -> Gram:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def newton_schulz(matrix: Gram, *, iterations: int = 12) -> tuple[Gram, Gram]:
    """Square root of a positive definite matrix and its inverse, by products alone (Higham 2008, section 6.7).

    After n iterations eigenvalues below some 1.5^-2n of the norm are damped rather than resolved, and it is that which
    keeps the inverse, hence the gradient, bounded in float32. Twelve is what style-transfer-pytorch takes.
    """
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    norm = jnp.linalg.norm(matrix)
    y, z = matrix / norm, identity
    for _ in range(iterations):
        t = 0.5 * (3 * identity - _matmul(z, y))
        y, z = _matmul(y, t), _matmul(t, z)
    return y * jnp.sqrt(norm), z / jnp.sqrt(norm)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def trace_sqrt(matrix: Gram, iterations: int) -> Scalar:
    """Trace of the square root of a positive definite matrix. Its gradient is half the inverse root."""
    return jnp.trace(newton_schulz(matrix, iterations=iterations)[0])


def _trace_sqrt_forward(matrix: Gram, iterations: int) -> tuple[Scalar, Gram]:
    half, inverse = newton_schulz(matrix, iterations=iterations)
    return jnp.trace(half), inverse


def _trace_sqrt_backward(iterations: int, inverse: Gram, cotangent: Scalar) -> tuple[Gram]:
    del iterations
    return (0.5 * cotangent * inverse.T,)


trace_sqrt.defvjp(_trace_sqrt_forward, _trace_sqrt_backward)


def deviations(features: Features, *, mask: Mask | None = None) -> Deviations:
    """Mean and standard deviation of each channel over positions, weighted by the mask (h, w).

    Without the small number that AdaIN adds to variances; a constant channel has a deviation of 0, with a gradient of
    0.
    """
    x = float32(features)
    mean = mean_over_positions(x, mask=mask)
    return Deviations(mean, root(mean_over_positions((x - mean[None, None]) ** 2, mask=mask)))


def deviations_loss(features: Features, target: Deviations, *, mask: Mask | None = None) -> Scalar:
    """(|m - m'|^2 + |s - s'|^2) / (|m'|^2 + |s'|^2) of means m and deviations s of the channels: 0 at the target, 1
    for features of zero.

    The statistics of AdaIN (Huang and Belongie 2017, https://arxiv.org/abs/1703.06868), and the squared Wasserstein
    distance of Gaussians whose channels are independent of each other. Their sum over channels is made relative to
    the style's, where the paper has it as it is.

    Args:
      features: (h, w, c), of the picture being made.
      target: `deviations` of the style's features.
      mask: (h, w) in [0, 1], weights of the positions.
    """
    found = deviations(features, mask=mask)
    error = jnp.sum((found.mean - target.mean) ** 2) + jnp.sum((found.deviation - target.deviation) ** 2)
    return over(error, jnp.sum(target.mean**2) + jnp.sum(target.deviation**2))
