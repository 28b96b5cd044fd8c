"""Pooling, in the form that each kind of device is fast at."""

from typing import Literal, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops import tpu
from jaxstyle.ops.tpu import Platform
from jaxstyle.types import FeatureMap, Features

Pooling: TypeAlias = Literal["max", "average"]


def pool(x: Features, pooling: Pooling, *, platform: Platform | None = None) -> Float[Array, "h//2 w//2 c"]:
    """2x2 pooling with stride 2; an odd last row or column is dropped, as VGG does."""
    return tpu.by_platform(platform, lambda x: tpu.pool(x, pooling), lambda x: _pool_of_slices(x, pooling), x)


def _pool_of_slices(x: Features, pooling: Pooling) -> FeatureMap:
    """Three operations on four strided slices: on a CPU the gradient of `reduce_window` is several times slower."""
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    a, b, c, d = (x[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1))
    if pooling == "max":
        return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    return (a + b + c + d) * 0.25


def overlapping_pool(x: Features, pooling: Pooling) -> FeatureMap:
    """3x3 pooling with stride 2 of windows that lie wholly within the features: rows first, then columns, each three
    strided slices, for the same reason as `pool`."""
    for axis in (0, 1):
        count = max(0, (x.shape[axis] - 1) // 2)
        ends = [(i, i + max(0, 2 * count - 1)) for i in range(3)]
        a, b, c = (x[i:end:2] if axis == 0 else x[:, i:end:2] for i, end in ends)
        x = jnp.maximum(jnp.maximum(a, b), c) if pooling == "max" else (a + b + c) * (1 / 3)
    return x
