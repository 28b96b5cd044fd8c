"""Where a transfer begins: the sizes from coarse to fine, and the first image.

Images are (h, w, 3), float32, in [0, 1].
"""

import functools
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle import defaults
from jaxstyle.types import Image, Key, Picture, Pictures

Start: TypeAlias = Literal["content", "noise", "style", "blur"]

MIN_SIDE = 16  # below, VGG's fifth block has no pixel left


def scale_sizes(
    height: int, width: int, *, min_size: int | None = None, smallest: int = MIN_SIDE
) -> list[tuple[int, int]]:
    """Sizes (height, width) from coarse to fine, each larger by a factor of sqrt 2, the last as given.

    Args:
      height, width: of the result.
      min_size: long side below which no scale goes; None for 128, the long side itself for a single scale.
      smallest: what no side is below; that of a narrow picture keeps it, out of proportion.
    """
    long_side = max(height, width)
    coarsest = min(defaults.COARSEST if min_size is None else min_size, long_side)
    sizes = [(height, width)]
    while True:
        ratio = 2 ** (-len(sizes) / 2)
        h, w = (max(smallest, round(side * ratio / 8) * 8) for side in (height, width))
        if long_side * ratio < coarsest * 0.99:
            return sizes[::-1]
        sizes.append((h, w))


def scaled_size(size: Sequence[int], ratio: float, *, smallest: int) -> tuple[int, int]:
    """A picture's (height, width) times `ratio`, no side of which is below `smallest`."""
    height, width = (max(smallest, round(side * ratio)) for side in size)
    return height, width


@functools.partial(jax.jit, static_argnums=(1, 2))
def resize(image: Pictures, height: int, width: int) -> Float[Array, "... {height} {width} 3"]:
    """Lanczos resampling, antialiased when shrinking; clipped to [0, 1]."""
    shape = (*image.shape[:-3], height, width, image.shape[-1])
    return jnp.clip(jax.image.resize(image, shape, "lanczos3", antialias=True), 0.0, 1.0)


def sized(image: Pictures, size: tuple[int, int]) -> Array:
    """The image at this (height, width); itself, if it has it."""
    return jnp.asarray(image) if image.shape[-3:-1] == size else resize(image, *size)


def mirrored(image: Float[Array, "... h w c"], margin: int) -> Float[Array, "... h+2*{margin} w+2*{margin} c"]:
    """The image with so many pixels more on every side, which go on as in a mirror at its border."""
    widths = [(0, 0)] * (image.ndim - 3) + [(margin, margin)] * 2 + [(0, 0)]
    return jnp.pad(image, widths, mode="symmetric")


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur with edges replicated; `sigma` in pixels."""
    radius = max(1, math.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = jnp.asarray(weights / weights.sum(), image.dtype)
    for axis in (0, 1):
        padded = jnp.pad(jnp.moveaxis(image, axis, 2), ((0, 0), (0, 0), (radius, radius)), mode="edge")
        lines = padded.reshape(-1, 1, padded.shape[2])
        lines = jax.lax.conv(lines, kernel[None, None], (1,), "VALID", precision=jax.lax.Precision.HIGHEST)
        image = jnp.moveaxis(lines.reshape(*padded.shape[:2], -1), 2, axis)
    return image


def starting_image(
    key: Key, init: Start | Picture, content: Image, styles: Sequence[Picture], shape: tuple[int, int]
) -> Float[Array, "{shape[0]} {shape[1]} 3"]:
    """The first iterate, (height, width, 3) for `shape` = (height, width).

    "content"; "blur", the content without detail (sigma 1/32 of the long side); "noise", independent Gaussian pixels
    about mid-grey; "style", the first style picture, cropped to the shape; or a picture.
    """
    if not isinstance(init, str):
        return resize(jnp.asarray(init, jnp.float32), *shape)
    if init == "content":
        return resize(content, *shape)
    if init == "blur":
        return jnp.clip(blur(resize(content, *shape), max(shape) / 32), 0.0, 1.0)
    if init == "noise":
        return jnp.clip(0.5 + 0.15 * jax.random.normal(key, (*shape, 3)), 0.0, 1.0)
    return cover(styles[0], *shape)


def cover(image: Picture, height: int, width: int) -> Float[Array, "{height} {width} 3"]:
    """The image resized to cover height x width and cropped about its centre."""
    ratio = max(height / image.shape[0], width / image.shape[1])
    h, w = max(height, round(image.shape[0] * ratio)), max(width, round(image.shape[1] * ratio))
    top, left = (h - height) // 2, (w - width) // 2
    return resize(image, h, w)[top : top + height, left : left + width]
