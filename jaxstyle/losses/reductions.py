"""What the losses share: sums in float32, means over the positions that a mask leaves, errors relative to a target."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.types import Features, Mask, Scalar

TINY = float(jnp.finfo(jnp.float32).tiny)


def accumulator(x: Array) -> Any:
    """The type that sums over x are taken in: float32; float64 stays, where the user has switched it on."""
    return x.dtype if x.dtype == jnp.float64 else jnp.float32


def float32(x: Array) -> Array:
    """x in the type that sums over it are taken in."""
    return x.astype(accumulator(x))


def over(value: Array, size: Array) -> Array:
    """value / size; where the size is zero, or no normal float32, the value itself: finite, and 0 where it is 0."""
    return value / jnp.where(size < TINY, jnp.ones_like(size), size)


def root(x: Array) -> Array:
    """Square root of what is zero or larger, with a gradient of 0 at 0, where the true one is infinite."""
    positive = x > TINY
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, jnp.ones_like(x))), jnp.zeros_like(x))


def mean_over_positions(features: Features, *, mask: Mask | None = None) -> Float[Array, " c"]:
    """Mean of each channel, weighted by the mask."""
    x = float32(features)
    if mask is None:
        return jnp.mean(x, (0, 1))
    weights = mask.astype(x.dtype)
    return over(jnp.sum(weights[..., None] * x, (0, 1)), jnp.sum(weights))


def relative_error(value: Array, target: Array) -> Scalar:
    """|value - target|^2 / |target|^2: 0 at the target, 1 for a value of zero."""
    value, target = float32(value), float32(target)
    # A blank target (a black picture, a layer that is silent) must give 0 at itself and stay finite elsewhere: there
    # the error is absolute.
    return over(jnp.sum((value - target) ** 2), jnp.sum(target**2))
