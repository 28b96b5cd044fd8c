"""Decoders: from the features of a layer back to a picture, for painting in any style (Li et al. 2017,
https://arxiv.org/abs/1705.08086).

Each is linear. Of the features around a position a few numbers are made, and of these a square of pixels, twice as wide
as positions are apart; squares overlap, and are added under a window that sums to one. They are fitted by least squares
(`fit_decoders`), and nothing of them is trained by gradients.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.ops.convolution import convolution_within
from jaxstyle.ops.padding import add_border
from jaxstyle.types import Features

# Layers in the order in which a picture goes through them: pixels from one position to the next, and the numbers that a
# square is made of.
LEVELS = ("relu4_1", "relu3_1", "relu2_1", "relu1_1")
SPACINGS = {"relu4_1": 8, "relu3_1": 4, "relu2_1": 2, "relu1_1": 1}
RANKS = {"relu4_1": 160, "relu3_1": 96, "relu2_1": 48, "relu1_1": 12}
AROUND = 3  # positions a side that a square is made from


class Decoder(NamedTuple):
    """The decoder of a layer of c channels, n pixels between its positions.

    Attributes:
      kernel: (3, 3, c, r), of the numbers.
      bias: (r,).
      squares: (r, 2 n, 2 n, 3), what each number stands for.
    """

    kernel: Float[Array, "k k c r"]
    bias: Float[Array, " r"]
    squares: Float[Array, "r side side 3"]


def decode(decoder: Decoder, features: Features) -> Float[Array, "_ _ 3"]:
    """The picture (n h, n w, 3), its values near [0, 1], of features (h, w, c)."""
    height, width = features.shape[:2]
    rank, side = decoder.squares.shape[:2]
    spacing = side // 2
    # One position more on each side, so that squares cover all pixels twice.
    around = AROUND // 2 + 1
    numbers = convolution_within(add_border(features, "reflect", around, around), decoder.kernel)
    numbers = numbers + decoder.bias[None, None]
    window = window_of(spacing)
    squares = decoder.squares * jnp.asarray(window[None, :, None, None] * window[None, None, :, None])
    pixels = jnp.einsum("hwr,rp->hwp", numbers, squares.reshape(rank, -1))
    parts = pixels.reshape(height + 2, width + 2, 2, spacing, 2, spacing, 3)
    rows = _added(parts[:, :, 0], parts[:, :, 1], 0)
    both = _added(rows[:, :, :, 0], rows[:, :, :, 1], 1)
    picture = both.transpose(0, 2, 1, 3, 4).reshape((height + 3) * spacing, (width + 3) * spacing, 3) + 0.5
    first = spacing + before(spacing)
    return picture[first : first + height * spacing, first : first + width * spacing]


def _added(first: Array, second: Array, axis: int) -> Array:
    """First and second halves of squares along an axis of positions, those of one place added."""
    pads = [[(0, 0)] * first.ndim for _ in range(2)]
    pads[0][axis], pads[1][axis] = (0, 1), (1, 0)
    return jnp.pad(first, pads[0]) + jnp.pad(second, pads[1])


def window_of(spacing: int) -> Float[np.ndarray, " side"]:
    """Weights of the pixels of a square along one side: with those of the next square they sum to one."""
    return np.sin(np.pi * (np.arange(2 * spacing) + 0.5) / (2 * spacing)).astype(np.float32) ** 2


def before(spacing: int) -> int:
    """Pixels of a square that lie before its position's own."""
    return spacing // 2
