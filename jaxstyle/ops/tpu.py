"""Convolutions, poolings and Gram matrices in the shapes that a TPU is fast at; the same numbers otherwise.

A TPU keeps arrays in tiles of 128 channels: with fewer, it moves and multiplies padding. So where there are 64 (or
32, 16), 2 (4, 8) neighbouring columns are taken as one with 128 channels. Features go in and out as (h, w, c) all the
same: reshapes from one layer to the next cancel in the compiler. What the gain is `scripts/tpu_check.py` tells.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.types import FeatureMap, Features

LANES = 128  # channels of a tile
Platform: TypeAlias = str  # "cpu", "gpu" or "tpu"


def by_platform(
    platform: Platform | None, on_tpu: Callable[..., Any], elsewhere: Callable[..., Any], *operands: Array
) -> Any:
    """One function or the other: chosen now where the kind of device is known, else when the program is lowered for it.

    The latter takes more than twice as long, since both are traced.
    """
    if platform is None:
        return jax.lax.platform_dependent(*operands, tpu=on_tpu, default=elsewhere)
    return on_tpu(*operands) if platform == "tpu" else elsewhere(*operands)


def columns(width: int, channels: int) -> int:
    """How many neighbouring columns of features (h, width, channels) fill a tile; 1 where they do not fit evenly."""
    count = LANES // channels if LANES % channels == 0 else 1
    return count if width % count == 0 else 1


def fold(x: Features, count: int) -> FeatureMap:
    """(h, w, c) as (h, w / count, count c)."""
    return x.reshape(x.shape[0], x.shape[1] // count, count * x.shape[2])


def convolution(x: Features, kernel: Float[Array, "3 3 c d"], *, bordered: bool) -> FeatureMap:
    """3x3 convolution with stride 1.

    Args:
      x: (h, w, c); if `bordered`, (h + 2, w + 2, c) with what lies beyond, which is zeros otherwise.
      kernel: (3, 3, c, d).
      bordered: see x.

    Returns:
      (h, w, d).
    """
    height, width = (side - 2 * bordered for side in x.shape[:2])
    count = columns(width, kernel.shape[3])
    if count > 1:
        if bordered:  # blocks of columns of which only the innermost one is read
            sides = [jnp.broadcast_to(side, (height + 2, count - 1, x.shape[2])) for side in (x[:, :1], x[:, -1:])]
            x = jnp.concatenate([sides[0], x, sides[1]], 1)
        x, kernel = fold(x, count), folded_kernel(kernel, count)
    padding, numbers = "VALID" if bordered else "SAME", ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x[None], kernel, (1, 1), padding, dimension_numbers=numbers)[0]
    return y.reshape(height, width, y.shape[2] // count)


def folded_kernel(kernel: Float[Array, "3 3 c d"], count: int) -> Float[Array, "3 3 {count}*c {count}*d"]:
    """The kernel between columns taken `count` as one: column q of block j + k - 1 meets column r of block j where
    they are neighbours."""
    k, q, r = np.ogrid[:3, :count, :count]
    tap = count * (k - 1) + q - r + 1
    near = (tap >= 0) & (tap < 3)
    taps = jnp.where(near[..., None, None], kernel[:, np.where(near, tap, 0)], 0)  # (3, k, q, r, c, d)
    c, d = kernel.shape[2:]
    return taps.transpose(0, 1, 2, 4, 3, 5).reshape(3, 3, count * c, count * d)


def pool(x: Features, pooling: str) -> FeatureMap:
    """2x2 pooling with stride 2, "max" or "average"; an odd last row or column is dropped.

    Where several elements are the largest, the gradient goes to one of them.
    """
    height, width = (side // 2 * 2 for side in x.shape[:2])
    x = x[:height, :width]
    channels, count = x.shape[2], columns(width, x.shape[2])
    if count == 1:
        return _windows(x, pooling, (2, 2))
    x = _windows(fold(x, count), pooling, (2, 1))
    parts = [x[..., i * channels : (i + 1) * channels] for i in range(count)]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    halves = [jnp.where(a >= b, a, b) if pooling == "max" else (a + b) * 0.5 for a, b in pairs]
    return jnp.concatenate(halves, 2).reshape(height // 2, width // 2, channels)


def _windows(x: Features, pooling: str, window: tuple[int, int]) -> FeatureMap:
    """Pooling of windows side by side. With a batch of one: of three axes the compiler has no gradient."""
    shape = (1, *window, 1)
    if pooling == "max":
        return jax.lax.reduce_window(x[None], -jnp.inf, jax.lax.max, shape, shape, "VALID")[0]
    zero = np.zeros((), x.dtype)  # a constant, or it is no sum to JAX and has no gradient
    return jax.lax.reduce_window(x[None], zero, jax.lax.add, shape, shape, "VALID")[0] / (window[0] * window[1])


def products(a: Features, b: Features, contract: Callable[[Array, Array], Array]) -> Float[Array, "c c"]:
    """a^T b over all positions.

    Args:
      a: (h, w, c).
      b: (h, w, c).
      contract: computes it for any number of channels.
    """
    channels, count = a.shape[2], columns(a.shape[1], a.shape[2])
    whole = contract(fold(a, count), fold(b, count))
    return sum(whole[i : i + channels, i : i + channels] for i in range(0, count * channels, channels))  # type: ignore[return-value]
