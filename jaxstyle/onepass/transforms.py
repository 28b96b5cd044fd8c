"""Features of a content with the statistics of a style: what painting in any style rests on. All pure, float32.

Features are (h, w, c). A style is described by the mean (c,) and the covariance (c, c) of its features; mixes of styles
average these.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses import Moments, moments
from jaxstyle.losses.reductions import float32
from jaxstyle.types import FeatureMap, Features

FLOOR = 1e-5  # of the largest eigenvalue: smaller ones, which float32 does not resolve, are not divided by

HIGHEST = jax.lax.Precision.HIGHEST


def mixed(descriptions: Sequence[Moments], shares: Float[Array, " k"]) -> Moments:
    """Means and covariances averaged: a style between others. Shares sum to one."""
    return jax.tree.map(lambda *xs: sum(s * x for s, x in zip(shares, xs, strict=True)), *descriptions)


def whiten_and_colour(features: Features, style: Moments, *, own: Moments | None = None) -> FeatureMap:
    """Features with the style's mean and covariance (Li et al. 2017, https://arxiv.org/abs/1705.08086).

    The map is the symmetric one of all that give the covariance of the style: of these it moves features least on
    average, where they are Gaussian (the optimal transport of Gaussians; Lu et al. 2019,
    https://arxiv.org/abs/1906.00668). Directions in which the content hardly varies are left out of both.

    Args:
      features: (h, w, c), of the content.
      style: mean and covariance to be had.
      own: mean and covariance of the features, where they are those of a larger picture; None for these features' own.
    """
    own = moments(features) if own is None else own
    x = float32(features) - own.mean[None, None]
    moved = jnp.matmul(x, matrix_between(own.covariance, style.covariance), precision=HIGHEST)
    return (moved + style.mean[None, None]).astype(features.dtype)


def matrix_between(own: Float[Array, "c c"], style: Float[Array, "c c"]) -> Float[Array, "c c"]:
    """The symmetric matrix that gives what has the one covariance the other."""
    root, inverse = roots(own)
    middle, _ = roots(jnp.linalg.multi_dot([root, style, root], precision=HIGHEST))
    return jnp.linalg.multi_dot([inverse, middle, inverse], precision=HIGHEST)


def roots(matrix: Float[Array, "c c"]) -> tuple[Float[Array, "c c"], Float[Array, "c c"]]:
    """Symmetric square root of a symmetric matrix without negative eigenvalues, and the inverse of the root.

    In directions whose eigenvalue is less than a hundred-thousandth of the largest, which float32 does not resolve, the
    inverse is zero.
    """
    values, vectors = jnp.linalg.eigh(matrix)
    known = values > FLOOR * jnp.maximum(values[-1], 0)
    root = jnp.sqrt(jnp.maximum(values, 0))
    inverse = jnp.where(known, 1 / jnp.where(known, root, 1), 0)
    return tuple(jnp.matmul(vectors * x[None], vectors.T, precision=HIGHEST) for x in (root, inverse))  # type: ignore[return-value]
