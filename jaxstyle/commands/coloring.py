"""The colours of a transfer's pictures, as `--color` says: what it is given, and what it shows.

With "style", the default, all stays as it is.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.colors import COLORINGS
from jaxstyle.images import Picture, resize

PLAIN = "style"


def prepared_content(color: str, content: Picture) -> np.ndarray:
    """The content that the transfer is given."""
    if color == PLAIN:
        return content.pixels
    return np.asarray(jax.jit(COLORINGS[color].content)(content.pixels))


def prepared_style(color: str, style: Picture, content: Picture) -> np.ndarray:
    """A style that the transfer is given."""
    if color == PLAIN:
        return style.pixels
    return np.asarray(jax.jit(COLORINGS[color].style)(style.pixels, content.pixels))


def finished(color: str, image: Any, content: Picture) -> Any:
    """The picture to save: a result, of this size or that of a coarser scale."""
    if color == PLAIN:
        return image
    pixels = content.pixels if content.pixels.shape == image.shape else resize(content.pixels, *image.shape[:2])
    return np.asarray(jax.jit(COLORINGS[color].finish)(jnp.asarray(image), pixels))
