"""The colours of a transfer's pictures, as `--color` says: what it is given, and what it shows."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxstyle.colors import COLORINGS, unchanged
from jaxstyle.images import Picture, resize


def prepared_content(color: str, content: Picture) -> np.ndarray:
    """The content that the transfer is given."""
    return _changed(COLORINGS[color].content, content.pixels)


def prepared_style(color: str, style: Picture, content: Picture) -> np.ndarray:
    """A style that the transfer is given."""
    return _changed(COLORINGS[color].style, style.pixels, lambda: content.pixels)


def finished(color: str, image: Any, content: Picture) -> Any:
    """The picture to save: a result, of this size or that of a coarser scale."""
    size = image.shape[:2]
    return _changed(
        COLORINGS[color].finish,
        image,
        lambda: content.pixels if content.pixels.shape[:2] == size else resize(content.pixels, *size),
    )


def _changed(change: Callable[..., Any], image: Any, *others: Callable[[], np.ndarray]) -> Any:
    """What a colouring makes of an image and others, which are asked for only if it makes anything of it: what stays
    as it is, all of it with "style", the default, does not go through JAX."""
    return image if change is unchanged else np.asarray(jax.jit(change)(image, *(other() for other in others)))
