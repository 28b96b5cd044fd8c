"""Features as samples of a Gaussian: mean and covariance, or mean and deviation of each channel alone."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses.gram import Gram, gram_matrix
from jaxstyle.losses.reductions import TINY, float32, mean_over_positions, over, root
from jaxstyle.types import Features, Mask, Scalar

BLUR = 1e-3  # variance added to each channel, in units of the target's mean square
STRETCH = 1.5  # of singular values before a Newton-Schulz step: beyond, the largest would shrink, and lose digits


class Moments(NamedTuple):
    """Mean and covariance of the channels."""

    mean: Float[Array, " c"]
    covariance: Float[Array, "c c"]


class Deviations(NamedTuple):
    """Mean and standard deviation of each channel."""

    mean: Float[Array, " c"]
    deviation: Float[Array, " c"]


def moments(features: Features, *, mask: Mask | None = None) -> Moments:
    """Mean and covariance of the channels over positions, weighted by the mask (h, w).

    The mean is taken away first: of a flat picture, mean squares less squared means would be rounding errors.
    """
    x = float32(features)
    mean = mean_over_positions(x, mask=mask)
    return Moments(mean, gram_matrix(x - mean[None, None], mask=mask))


def mixed_moments(parts: Sequence[Moments], shares: Float[Array, " k"]) -> Moments:
    """The moments of all positions together, those of each part with its share; shares sum to one."""
    means, covariances = (jnp.stack(xs) for xs in zip(*parts, strict=True))
    mean = jnp.sum(shares[:, None] * means, 0)
    apart = means - mean[None]
    between = _matmul((shares[:, None] * apart).T, apart)
    return Moments(mean, jnp.sum(shares[:, None, None] * covariances, 0) + between)


def wasserstein_loss(features: Features, target: Moments, *, mask: Mask | None = None) -> Scalar:
    """Squared 2-Wasserstein distance between the Gaussians of the features and of the style, over the style's mean
    square.

    (|m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2)) / (tr S' + |m'|^2), with means m and covariances S (Olkin and
    Pukelsheim 1982): 0 at the target, never below, and, but for the blur, 1 for features of zero. Both covariances
    have 1e-3 of the mean square of a channel added to their diagonals, without which the gradient is unbounded where
    channels are silent or linear in one another.

    Args:
      features: (h, w, c), of the picture being made.
      target: `moments` of the style's features.
      mask: (h, w) in [0, 1], weights of the positions.
    """
    return gaussian_distance(moments(features, mask=mask), target)


def gaussian_distance(found: Moments, target: Moments) -> Scalar:
    """`wasserstein_loss` of the moments of the features."""
    channels = target.mean.shape[0]
    size = (jnp.trace(target.covariance) + jnp.sum(target.mean**2)) / channels
    size = jnp.where(size < TINY, jnp.ones_like(size), size)
    means = jnp.sum((found.mean - target.mean) ** 2) / size
    return (means + bures(found.covariance / size, target.covariance / size)) / channels


@jax.custom_jvp
def bures(s: Gram, t: Gram) -> Scalar:
    """Squared Bures distance of two covariances, tr(S + T - 2 (S^1/2 T S^1/2)^1/2), to the diagonals of which `BLUR` is
    added.

    Written as |L^T - U G^T|_F^2, with S = L L^T and T = G G^T by Cholesky, and U the orthogonal factor of the polar
    decomposition of L^T G (Bhatia, Jain and Lim 2019, https://arxiv.org/abs/1712.01504, theorem 1). So it is a sum of
    squares, small where the distance is; and, since no orthogonal matrix makes it smaller, errors of U count in the
    second order only. In float32 the square root of a product of covariances would lose what is below 1e-7 of the
    largest eigenvalue; here these are factors, whose singular values are the roots.

    Args:
      s, t: symmetric, positive semi-definite (c, c); one of them has diagonal elements of 1 or so.
    """
    return jnp.sum(_transport(s, t).rest ** 2)


class _Transport(NamedTuple):
    """L, G, U and L^T - U G^T."""

    of_s: Gram
    of_t: Gram
    polar: Gram
    rest: Gram


def _transport(s: Gram, t: Gram) -> _Transport:
    of_s, of_t = _cholesky(s), _cholesky(t)
    polar = polar_factor(_matmul(of_s.T, of_t), smallest=BLUR / (4 * len(s)))
    return _Transport(of_s, of_t, polar, of_s.T - _matmul(polar, of_t.T))


@functools.partial(bures.defjvp, symbolic_zeros=True)
def _bures_jvp(primals: tuple[Gram, Gram], tangents: tuple[Any, Any]) -> tuple[Scalar, Scalar]:
    """The gradient in S is I - P with P = L^-T U G^T, which takes a sample of S to one of T: S P S = T; in T, with its
    inverse. That of the eigenvalues, or of all the iterations, would be infinite or nearly so where they vanish."""
    of_s, of_t, polar, rest = _transport(*primals)
    slope = jnp.zeros((), rest.dtype)
    for factor, apart, tangent in ((of_s, rest, tangents[0]), (of_t, -_matmul(polar.T, rest), tangents[1])):
        if not isinstance(tangent, jax.custom_derivatives.SymbolicZero):
            gradient = jax.scipy.linalg.solve_triangular(factor, apart, lower=True, trans=1)
            slope += jnp.sum(0.5 * (gradient + gradient.T) * tangent)
    return jnp.sum(rest**2), slope


def _cholesky(covariance: Gram) -> Gram:
    """Lower triangular factor of a covariance and the blur; never NaN.

    Where a channel has more than 30 times the variance of a style's, 3e-5 of its own is added instead: what float32
    leaves of positive definiteness. Where that is not enough, 1e-3.
    """
    own, unit = jnp.diagonal(covariance), float(jnp.finfo(covariance.dtype).eps)
    added = (jnp.maximum(own * (k * unit), BLUR) for k in (256, 8192))
    first, second = (jnp.linalg.cholesky(covariance + jnp.diag(x)) for x in added)
    return jnp.where(jnp.isfinite(first).all(), first, second)


def polar_factor(matrix: Gram, *, smallest: float) -> Gram:
    """The orthogonal factor of a polar decomposition, by products alone: steps of Newton and Schulz, from X to
    r X (3 - r^2 X^T X) / 2 (Higham 2008, section 8.3), with scales r for fewer of them (Chen and Chow 2014).

    Singular values above `smallest` times the Frobenius norm become 1; those below, something from 0 to 1.
    """
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    scales = jnp.asarray([*_scales(smallest, 8 * float(jnp.finfo(matrix.dtype).eps))], matrix.dtype)

    def step(x: Gram, r: Scalar) -> tuple[Gram, None]:
        return _matmul(x, 1.5 * r * identity - 0.5 * r**3 * _matmul(x.T, x)), None

    return jax.lax.scan(step, matrix / jnp.linalg.norm(matrix), scales)[0]


def _scales(least: float, tolerance: float) -> Iterator[float]:
    """The factors r of the steps that take singular values from `least` to 1 to within `tolerance` of 1."""

    def grown(x: float) -> float:
        return x * (3 - x * x) / 2

    while 1 - least > tolerance:
        r = min(STRETCH, math.sqrt(3 / (1 + least + least * least)))
        yield r
        least = min(grown(r * least), grown(r))


def crowsonkb_style(features: Features, target: Moments, *, mask: Mask | None = None) -> Scalar:
    """`wasserstein2` with the blur and the twelve iterations of style-transfer-pytorch."""
    return wasserstein2(moments(features, mask=mask), target)


def wasserstein2(statistic: Moments, target: Moments, *, epsilon: float = 1e-4, iterations: int = 12) -> Scalar:
    """Squared 2-Wasserstein distance between two Gaussians, divided by the number of channels, as
    style-transfer-pytorch has it: the reproduction of a published program, not `wasserstein_loss`.

    |m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2), where `epsilon` is added to the diagonals of both covariances S
    and S'. Roots are only as good as so many iterations make them: with few positions it is some way off, and may be
    below zero.
    """
    identity = jnp.eye(target.mean.shape[0], dtype=target.covariance.dtype)
    s, t = (x.covariance + epsilon * identity for x in (statistic, target))
    half, _ = newton_schulz(jax.lax.stop_gradient(t), iterations=iterations)
    cross = trace_sqrt(_matmul(_matmul(half, s), half), iterations)
    means = jnp.mean((statistic.mean - target.mean) ** 2)
    return means + (jnp.trace(s) + jnp.trace(t) - 2 * cross) / target.mean.shape[0]


def _matmul(a: Float[Array, "p q"], b: Float[Array, "q r"]) -> Float[Array, "p r"]:
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
    return deviations_distance(deviations(features, mask=mask), target)


def deviations_distance(found: Deviations, target: Deviations) -> Scalar:
    """`deviations_loss` of the deviations of the features."""
    error = jnp.sum((found.mean - target.mean) ** 2) + jnp.sum((found.deviation - target.deviation) ** 2)
    return over(error, jnp.sum(target.mean**2) + jnp.sum(target.deviation**2))
