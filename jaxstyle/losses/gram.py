"""Gram matrices: which channels fire together."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses.reductions import accumulator, float32, over, relative_error
from jaxstyle.ops import tpu
from jaxstyle.ops.rows import positions
from jaxstyle.types import Features, Mask, Scalar

Gram = Float[Array, "c c"]


def gram_matrix(features: Features, *, mask: Mask | None = None) -> Gram:
    """Products of each pair of channels, averaged over positions: F^T F / (h w).

    Gatys, Ecker and Bethge (2015), https://arxiv.org/abs/1508.06576, equation 3, leave out the 1 / (h w), which
    makes the value depend on the size of the picture.

    Args:
      features: (h, w, c).
      mask: (h, w) in [0, 1], weights of the positions within the average; None for equal ones.

    Returns:
      Symmetric, positive semi-definite (c, c), float32.
    """
    if mask is None:
        return products_with_itself(features) / (features.shape[0] * features.shape[1])
    features = float32(features)
    weights = mask.astype(features.dtype)
    return over(_products(weights[..., None] * features, features), jnp.sum(weights))


@jax.custom_jvp
def products_with_itself(features: Features) -> Gram:
    """Sums over all positions of the products of each pair of channels: F^T F, float32."""
    return _products(features, features)


@products_with_itself.defjvp
def products_with_itself_jvp(primals: tuple[Features], tangents: tuple[Features]) -> tuple[Gram, Gram]:
    """One product, where the rule for a product of two would have two: the matrix is symmetric."""
    half = _products(*primals, *tangents)
    return products_with_itself(*primals), half + half.T


def _products(a: Features, b: Features) -> Gram:
    """a^T b over all positions, accumulated in float32 at the highest precision."""

    def contract(a: Array, b: Array) -> Array:
        (a, along), (b, _) = positions(a), positions(b)
        return jax.lax.dot_general(
            a,
            b,
            ((along, along), ((), ())),
            precision=jax.lax.Precision.HIGHEST,
            preferred_element_type=accumulator(a),
        )

    products: Gram = tpu.by_platform(None, lambda a, b: tpu.products(a, b, contract), contract, a, b)
    return products


def style_loss(features: Features, target: Gram, *, mask: Mask | None = None) -> Scalar:
    """Squared distance of a layer's Gram matrix from that of the style, relative to it: |G - A|_F^2 / |A|_F^2.

    After Gatys et al. (2015), equation 4, whose 1 / (4 N^2 M^2) leaves values that differ by orders of magnitude
    between layers.

    Args:
      features: (h, w, c), of the picture being made.
      target: (c, c), `gram_matrix` of the style's features.
      mask: (h, w), see `gram_matrix`.
    """
    return relative_error(gram_matrix(features, mask=mask), target)


def gatys_style(features: Features, target: Gram, *, mask: Mask | None = None) -> Scalar:
    """|G - A|_F^2 / (4 N^2 M^2) of Gram sums over M positions: Gatys et al. (2015), equation 4.

    Written for Gram matrices already divided by M, which is the same for pictures of equal size.
    """
    return gatys_distance(gram_matrix(features, mask=mask), target)


def gatys_distance(found: Gram, target: Gram) -> Scalar:
    """`gatys_style` of a Gram matrix."""
    return jnp.sum((found - target) ** 2) / (4 * target.shape[0] ** 2)


def mean_squared_style(features: Features, target: Gram, *, mask: Mask | None = None) -> Scalar:
    """Mean of (G - A)^2 of Gram matrices divided by channels too: neural-style and the PyTorch tutorial."""
    return mean_squared_distance(gram_matrix(features, mask=mask), target)


def mean_squared_distance(found: Gram, target: Gram) -> Scalar:
    """`mean_squared_style` of a Gram matrix."""
    return jnp.mean((found - target) ** 2) / target.shape[0] ** 2
