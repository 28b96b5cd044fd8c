"""Pictures resampled, cropped and continued. Images are (h, w, 3), float32, in [0, 1]."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.types import Picture, Pictures


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


def cover(image: Picture, height: int, width: int) -> Float[Array, "{height} {width} 3"]:
    """The image resized to cover height x width and cropped about its centre."""
    ratio = max(height / image.shape[0], width / image.shape[1])
    h, w = max(height, round(image.shape[0] * ratio)), max(width, round(image.shape[1] * ratio))
    top, left = (h - height) // 2, (w - width) // 2
    return resize(image, h, w)[top : top + height, left : left + width]
