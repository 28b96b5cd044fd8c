"""Convolutions of pictures whose pixels are put together in blocks of 2 x 2: of one 9x9 kernel, or after upsampling by
nearest neighbour, the same numbers several times as fast on CPUs, with wide matrix products in place of narrow ones.

Blocks are (h, w, 4 c): the pixels of a block in reading order, and within each its channels.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.types import FeatureMap, Features


def blocks_of(pixels: Features) -> FeatureMap:
    """Pixels (2 h, 2 w, c) as blocks (h, w, 4 c)."""
    h, w, c = pixels.shape
    return pixels.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 1, 3, 4).reshape(h // 2, w // 2, 4 * c)


def pixels_of(blocks: Features) -> FeatureMap:
    """Blocks (h, w, 4 c) as pixels (2 h, 2 w, c)."""
    h, w, c = blocks.shape
    return blocks.reshape(h, w, 2, 2, c // 4).transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, c // 4)


def reflected_blocks(blocks: Features) -> FeatureMap:
    """Blocks (h, w, 4 c) with two more on each side, as reflection of the pixels gives them."""
    h, w, c = blocks.shape
    x = blocks.reshape(h, w, 2, 2, c // 4)
    for axis in (0, 1):
        side = x.shape[axis]
        # A pixel is mirrored at the outermost one: before the first block, that is one of the first pixels of blocks.
        first = _along(x, axis + 2, 0, [2, 1], [side - 1, side - 2], axis)
        second = _along(x, axis + 2, 1, [1, 0], [side - 2, side - 3], axis)
        x = jnp.stack([first, second], axis + 2)
    return x.reshape(h + 4, w + 4, c)


def _along(x: Array, phase_axis: int, phase: int, before: list[int], after: list[int], axis: int) -> Array:
    x = jax.lax.index_in_dim(x, phase, phase_axis, keepdims=False)
    ends = [[jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in places] for places in (before, after)]
    return jnp.concatenate([*ends[0], x, *ends[1]], axis)


def kernel_between_blocks(kernel: Float[Array, "k k c d"]) -> Float[Array, "m m 4*c 4*d"]:
    """The kernel from blocks to blocks that does what one of odd size does from pixels to pixels."""
    return _folded(kernel, _taps(kernel.shape[0], own=2, onto=2))


def kernel_onto_blocks(kernel: Float[Array, "k k c d"]) -> Float[Array, "m m c 4*d"]:
    """The kernel from pixels to blocks that does what upsampling by nearest neighbour and one of odd size do."""
    return _folded(kernel, _taps(kernel.shape[0], own=1, onto=2))


def kernel_from_blocks(kernel: Float[Array, "k k c d"]) -> Float[Array, "m m 4*c d"]:
    """The kernel from blocks to pixels as many as they, that does what one of odd size with stride 2 does: its taps are
    the block before and the block itself."""
    return _folded(kernel, _taps(kernel.shape[0], own=2, onto=1))


@functools.cache
def _taps(size: int, *, own: int, onto: int) -> Float[np.ndarray, "m own onto k"]:
    """Along one axis, which tap of a kernel leads from a phase of a block (m of them) to a phase of the output."""
    reach = size // 2
    places = {(o, k): (o + k - reach) // 2 for o in range(onto) for k in range(size)}
    first = min(places.values())
    taps = np.zeros((max(places.values()) - first + 1, own, onto, size), np.float32)
    for (o, k), place in places.items():
        taps[place - first, (o + k - reach) % 2 if own == 2 else 0, o, k] = 1
    return taps


def _folded(kernel: Array, taps: np.ndarray) -> Array:
    m, own, onto, _ = taps.shape
    _, _, c, d = kernel.shape
    folded = jnp.einsum("aiok,bjpl,klcd->abijcopd", taps, taps, kernel, precision=jax.lax.Precision.HIGHEST)
    return folded.reshape(m, m, own * own * c, onto * onto * d)
