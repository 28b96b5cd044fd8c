"""Losses on features and on pixels: one formula and one reference each.

Features are (h, w, c), images (h, w, 3) in [0, 1]; every loss is a float32 scalar, and zero at its target. Statistics
that are sums over positions are divided by the number of positions, so that a target may come from a picture of
another size. Features may be bfloat16: sums are accumulated in float32 at the highest precision, since the default
of accelerators (bfloat16 passes, TF32) costs a Gram matrix three digits.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle import tpu
from jaxstyle.types import Features, Image, Scalar

Gram = Float[Array, "c c"]


def _accumulator(x: Array) -> Any:
    """The type that sums over x are taken in: float32; float64 stays, where the user has switched it on."""
    return x.dtype if x.dtype == jnp.float64 else jnp.float32


def _float32(x: Array) -> Array:
    return x.astype(_accumulator(x))


def gram_matrix(features: Features) -> Gram:
    """Products of each pair of channels, averaged over positions: F^T F / (h w).

    Gatys, Ecker and Bethge (2015), https://arxiv.org/abs/1508.06576, equation 3, leave out the 1 / (h w), which
    makes the value depend on the size of the picture.

    Args:
      features: (h, w, c).

    Returns:
      Symmetric, positive semi-definite (c, c), float32.
    """
    return _gram(features)


@jax.custom_jvp
def _gram(features: Features) -> Gram:
    return _mean_products(features, features)


@_gram.defjvp
def _gram_jvp(primals: tuple[Features], tangents: tuple[Features]) -> tuple[Gram, Gram]:
    """One product, where the rule for a product of two would have two: the Gram matrix is symmetric."""
    half = _mean_products(*primals, *tangents)
    return _gram(*primals), half + half.T


def _mean_products(a: Features, b: Features) -> Gram:
    """a^T b, averaged over positions."""

    def contract(a: Array, b: Array) -> Array:
        return jax.lax.dot_general(
            a,
            b,
            (((0, 1), (0, 1)), ((), ())),
            precision=jax.lax.Precision.HIGHEST,
            preferred_element_type=_accumulator(a),
        )

    total = tpu.on_tpu(lambda a, b: tpu.products(a, b, contract), contract, a, b)
    return total / (a.shape[0] * a.shape[1])


def relative_error(value: Array, target: Array) -> Scalar:
    """|value - target|^2 / |target|^2: 0 at the target, 1 for a value of zero."""
    value, target = _float32(value), _float32(target)
    size = jnp.sum(target**2)
    # A blank target (a black picture, a layer that is silent) must give 0 at itself and stay finite elsewhere: there
    # the error is absolute.
    return jnp.sum((value - target) ** 2) / jnp.where(size < float(jnp.finfo(jnp.float32).tiny), 1.0, size)


def content_loss(features: Features, target: Features) -> Scalar:
    """Squared distance of features from those of the content, relative to the latter: |F - P|^2 / |P|^2.

    After Gatys et al. (2015), equation 1, whose 1/2 |F - P|^2 depends on layer, size and network.
    """
    return relative_error(features, target)


def style_loss(features: Features, target: Gram) -> Scalar:
    """Squared distance of a layer's Gram matrix from that of the style, relative to it: |G - A|_F^2 / |A|_F^2.

    After Gatys et al. (2015), equation 4, whose 1 / (4 N^2 M^2) leaves values that differ by orders of magnitude
    between layers.

    Args:
      features: (h, w, c), of the picture being made.
      target: (c, c), `gram_matrix` of the style's features.
    """
    return relative_error(gram_matrix(features), target)


def total_variation(image: Image) -> Scalar:
    """Mean squared difference to the pixel below, plus the same to the right (Mahendran and Vedaldi 2014,
    https://arxiv.org/abs/1412.0035, with beta = 2)."""
    return jnp.mean((image[1:] - image[:-1]) ** 2) + jnp.mean((image[:, 1:] - image[:, :-1]) ** 2)


def periodic_variation(image: Image) -> Scalar:
    """`total_variation` of a picture that tiles the plane: the last row and column have neighbours too, the first."""
    return sum((jnp.mean((jnp.roll(image, -1, axis) - image) ** 2) for axis in (0, 1)), jnp.zeros((), image.dtype))


def excess(image: Image) -> Scalar:
    """Mean squared distance of pixel values from [0, 1]: 0 within it, for solvers that leave pixels free.

    Mahendran and Vedaldi (2014), section 3, have a steep norm, the sixth power, to the same end.
    """
    return jnp.mean((image - jnp.clip(image, 0.0, 1.0)) ** 2)


# The formulae of published programs, for the presets. Their weights only mean the same with the same features:
# Keras weights (BGR, 0 to 255) for gatys and neural-style, torchvision's for the other two.


def half_squared_error(features: Features, target: Features) -> Scalar:
    """1/2 |F - P|^2: Gatys et al. (2015), equation 1."""
    return 0.5 * jnp.sum((_float32(features) - _float32(target)) ** 2)


def gatys_style(statistic: Gram, target: Gram) -> Scalar:
    """|G - A|_F^2 / (4 N^2 M^2) of Gram sums over M positions: Gatys et al. (2015), equation 4.

    Written for Gram matrices already divided by M, which is the same for pictures of equal size.
    """
    return jnp.sum((statistic - target) ** 2) / (4 * target.shape[0] ** 2)


def mean_squared_error(features: Features, target: Features) -> Scalar:
    """Mean of (F - P)^2: neural-style, the PyTorch tutorial and style-transfer-pytorch."""
    return jnp.mean((_float32(features) - _float32(target)) ** 2)


def mean_squared_style(statistic: Gram, target: Gram) -> Scalar:
    """Mean of (G - A)^2 of Gram matrices divided by channels too: neural-style and the PyTorch tutorial."""
    return jnp.mean((statistic - target) ** 2) / target.shape[0] ** 2


def absolute_variation_255(image: Image) -> Scalar:
    """Sum of absolute differences of neighbours on a scale of 0 to 255: neural-style-pt."""
    return 255 * (jnp.sum(jnp.abs(image[1:] - image[:-1])) + jnp.sum(jnp.abs(image[:, 1:] - image[:, :-1])))


def no_variation(image: Image) -> Scalar:
    """Nothing: Gatys et al. and the PyTorch tutorial have no such term."""
    return jnp.zeros((), image.dtype)


def nine_point_variation(image: Image) -> Scalar:
    """Squared differences to all eight neighbours, the diagonal ones at half weight: style-transfer-pytorch.

    2 (right / 3 + below / 3 + both diagonals / 12 each) of means, edges replicated.
    """
    x = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    right = jnp.mean((x[1:-1, 2:] - x[1:-1, 1:-1]) ** 2)
    below = jnp.mean((x[2:, 1:-1] - x[1:-1, 1:-1]) ** 2)
    falling = jnp.mean((x[1:, 1:] - x[:-1, :-1]) ** 2)
    rising = jnp.mean((x[1:, :-1] - x[:-1, 1:]) ** 2)
    return 2 * (right / 3 + below / 3 + falling / 12 + rising / 12)


class Moments(NamedTuple):
    """First two raw moments of features; unlike a covariance, those of several pictures may be averaged."""

    mean: Float[Array, " c"]
    second: Float[Array, "c c"]


def moments(features: Features) -> Moments:
    """Mean and second raw moment (the Gram matrix) over positions."""
    return Moments(jnp.mean(_float32(features), (0, 1)), gram_matrix(features))


def wasserstein2(statistic: Moments, target: Moments, *, epsilon: float = 1e-4) -> Scalar:
    """Squared 2-Wasserstein distance between two Gaussians, divided by the number of channels.

    |m - m'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2), the style term of style-transfer-pytorch; `epsilon` is added
    to the diagonals of both covariances S and S'.
    """
    identity = jnp.eye(target.mean.shape[0], dtype=target.second.dtype)
    s = statistic.second - jnp.outer(statistic.mean, statistic.mean) + epsilon * identity
    t = target.second - jnp.outer(target.mean, target.mean) + epsilon * identity
    root, _ = newton_schulz(jax.lax.stop_gradient(t))
    cross = trace_sqrt(_matmul(_matmul(root, s), root))
    means = jnp.mean((statistic.mean - target.mean) ** 2)
    return means + (jnp.trace(s) + jnp.trace(t) - 2 * cross) / target.mean.shape[0]


def _matmul(a: Gram, b: Gram) -> Gram:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def newton_schulz(matrix: Gram, *, iterations: int = 12) -> tuple[Gram, Gram]:
    """Square root of a positive definite matrix and its inverse, by products alone (Higham 2008, section 6.7).

    Twelve iterations, as style-transfer-pytorch takes: eigenvalues below some 1e-4 of the norm are damped rather than
    resolved, and it is that which keeps the inverse, hence the gradient, bounded in float32.
    """
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    norm = jnp.linalg.norm(matrix)
    y, z = matrix / norm, identity
    for _ in range(iterations):
        t = 0.5 * (3 * identity - _matmul(z, y))
        y, z = _matmul(y, t), _matmul(t, z)
    return y * jnp.sqrt(norm), z / jnp.sqrt(norm)


@jax.custom_vjp
def trace_sqrt(matrix: Gram) -> Scalar:
    """Trace of the square root of a positive definite matrix. Its gradient is half the inverse root."""
    return jnp.trace(newton_schulz(matrix)[0])


def _trace_sqrt_forward(matrix: Gram) -> tuple[Scalar, Gram]:
    root, inverse = newton_schulz(matrix)
    return jnp.trace(root), inverse


def _trace_sqrt_backward(inverse: Gram, cotangent: Scalar) -> tuple[Gram]:
    return (0.5 * cotangent * inverse.T,)


trace_sqrt.defvjp(_trace_sqrt_forward, _trace_sqrt_backward)
