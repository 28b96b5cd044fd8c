"""Bicubic resampling as MATLAB's `imresize` has it, by which papers on super-resolution make small pictures.

Keys' cubic with a = -1/2 (Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711). When shrinking it is widened by the
factor, so that nothing aliases; weights are normalised to one; beyond its border a picture goes on as in a mirror.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

A = -0.5
REACH = 2  # pixels of the small picture that an enlarged pixel is made from, on each side


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel."""
    x = np.abs(x)
    near = (A + 2) * x**3 - (A + 3) * x**2 + 1
    far = A * x**3 - 5 * A * x**2 + 8 * A * x - 4 * A
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def weights_of(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `ceil(length * scale)` samples, the places (n, k) that it is made from and their weights (n, k)."""
    count = math.ceil(length * scale)
    width = 4 / min(scale, 1.0)
    # Pixels are counted from 1, and the left edge of the first one is at 1/2 in both pictures.
    at = np.arange(1, count + 1) / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(at - width / 2)
    places = first[:, None] + np.arange(math.ceil(width) + 2)[None]
    shrink = min(scale, 1.0)
    weights = shrink * cubic(shrink * (at[:, None] - places))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirror[(places.astype(int) - 1) % (2 * length)], weights


def matrix_of(length: int, scale: float) -> Float[np.ndarray, "n {length}"]:
    """The matrix that resamples a line of so many pixels."""
    places, weights = weights_of(length, scale)
    matrix = np.zeros((len(places), length))
    np.add.at(matrix, (np.arange(len(places))[:, None], places), weights)
    return matrix


def resize_bicubic(image: Float[Array, "h w c"], scale: float) -> Float[Array, "_ _ c"]:
    """A picture (h, w, c) resampled by a factor, ceil(h scale) high and ceil(w scale) wide; not clipped. Pure."""
    down, across = (jnp.asarray(matrix_of(side, scale), image.dtype) for side in image.shape[:2])
    rows = jnp.einsum("yh,hwc->ywc", down, image, precision=jax.lax.Precision.HIGHEST)
    return jnp.einsum("xw,ywc->yxc", across, rows, precision=jax.lax.Precision.HIGHEST)


def enlarge_bicubic(image: Float[Array, "h w c"], scale: int) -> Float[Array, "{scale}*h {scale}*w c"]:
    """`resize_bicubic` by a whole factor, without matrices: four taps for each of `scale` phases, by rows and columns.

    The same numbers.
    """
    phases = (np.arange(scale) + 0.5) / scale - 0.5
    for axis in (0, 1):
        side = image.shape[axis]
        padded = jnp.pad(image, [(REACH, REACH) if k == axis else (0, 0) for k in range(3)], mode="symmetric")
        parts = []
        for phase in phases:
            first = math.floor(phase) - 1
            taps = cubic(phase - (first + np.arange(4)))
            begin = REACH + first
            lines = [jax.lax.slice_in_dim(padded, begin + k, begin + k + side, axis=axis) for k in range(4)]
            parts.append(sum(float(tap) * line for tap, line in zip(taps, lines, strict=True)))
        stacked = jnp.stack(parts, axis + 1)
        image = stacked.reshape(*(length * scale if k == axis else length for k, length in enumerate(image.shape)))
    return image
