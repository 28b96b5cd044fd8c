"""3x3 convolutions with half the multiplications, for CPUs.

Winograd's minimal filtering F(4, 3) of columns, as Lavin and Gray (2015, https://arxiv.org/abs/1509.09308) made
convolutions of it: of six rows at a time, sums; of each sum, a convolution along rows; and of the six results, sums
that are four rows of output. Taken over rows and columns at once it would spare more multiplications, but these sums
then cost what that gains, and compile for twice as long.
"""

import functools
import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.types import FeatureMap, Features

# Toom and Cook's: the polynomials through the points 0, 1, -1, 2, -2 and infinity.
_OF_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OF_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_OF_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

NARROWEST = 32  # channels: with fewer the sums cost what multiplications are spared
LEAST = 7 * 10**8  # multiplications: with fewer not enough is spared for what it takes to compile

Kernels = tuple[Float[Array, "3 c d"], ...]


def kernels_of(kernel: Float[Array, "3 3 c d"]) -> Kernels:
    """The kernel as `convolution` wants it: six, each an array of its own, since a part of one would be copied."""
    rows = [kernel[i] for i in range(3)]
    return tuple(_sum(factors, rows) for factors in _OF_KERNEL)


def may_pay(kernel: Float[Array, "h w c d"]) -> bool:
    """Whether a convolution with this kernel is faster so on a CPU if the features are large enough; not in bfloat16,
    whose rounding the sums multiply."""
    return kernel.shape[:2] == (3, 3) and min(kernel.shape[2:]) >= NARROWEST and kernel.dtype != jnp.bfloat16


def pays(features: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether features of this shape (h, w, c) are large enough for a kernel of this shape (3, 3, c, d)."""
    return math.prod(features[:2]) * math.prod(kernel) >= LEAST


def convolution(x: Features, kernels: Kernels, padding: tuple[int, int]) -> FeatureMap:
    """3x3 convolution with stride 1. Rounding errors are some three times those of a plain one: 1e-6 of the features'
    standard deviation, in float32.

    Args:
      x: (h, w, c).
      kernels: `kernels_of` the kernel.
      padding: zeros before and after, in rows as in columns.

    Returns:
      (h', w', d), sides larger by the padding and smaller by 2.
    """
    height = x.shape[0] + sum(padding) - 2
    blocks = -(-height // 4)
    x = jnp.pad(x, [(padding[0], 4 * blocks + 2 - x.shape[0] - padding[0]), (0, 0), (0, 0)])
    rows = [x[i : 4 * blocks - 3 + i : 4] for i in range(6)]  # row i of each block, the last two the next block's
    products = [_along_rows(_sum(row, rows), kernel, padding) for row, kernel in zip(_OF_INPUT, kernels, strict=True)]
    y = jnp.stack([_sum(row, products) for row in _OF_OUTPUT], 1)
    return y.reshape(4 * blocks, *y.shape[2:])[:height]


def _sum(factors: Sequence[float | int], arrays: Sequence[Array]) -> Array:
    """The sum of arrays times factors, with nothing for a factor of 0 and no product for one of 1."""
    terms = [array if factor == 1 else factor * array for factor, array in zip(factors, arrays, strict=True) if factor]
    return functools.reduce(operator.add, terms)


def _along_rows(x: Features, kernel: Float[Array, "3 c d"], padding: tuple[int, int]) -> FeatureMap:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x[None], kernel[None], (1, 1), [(0, 0), padding], dimension_numbers=numbers)[0]
