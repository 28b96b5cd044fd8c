"""The colours of a transfer's pictures, as `--color` says: what it is given, and what it shows."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxstyle.cli.masks import MaskFile
from jaxstyle.cli.sources import Sources
from jaxstyle.pictures.color import COLORINGS, unchanged
from jaxstyle.pictures.read import Picture
from jaxstyle.pictures.resample import resize


def prepared_content(color: str, content: Picture) -> np.ndarray:
    """The content that the transfer is given."""
    return _changed(COLORINGS[color].content, content.pixels)


def prepared_style(
    color: str, style: Picture, content: Picture, part: MaskFile | None = None, mask: MaskFile | None = None
) -> np.ndarray:
    """A style that the transfer is given, where this part of it is taken and goes where the mask says."""
    masks = {name: x and x.values for name, x in (("style_mask", part), ("mask", mask))}
    return _changed(COLORINGS[color].style, style.pixels, lambda: content.pixels, **masks)


def prepared_styles(
    sources: Sources, color: str, prepare: Callable[..., np.ndarray] = prepared_style
) -> list[np.ndarray]:
    """All styles, each as it is given to the transfer."""
    none = [None] * len(sources.styles)
    masked = zip(sources.styles, sources.style_masks or none, sources.masks or none, strict=True)
    return [prepare(color, style, sources.content, part, mask) for style, part, mask in masked]


def finished(color: str, image: Any, content: Picture) -> Any:
    """The picture to save: a result, of this size or that of a coarser scale."""
    size = image.shape[:2]
    return _changed(
        COLORINGS[color].finish,
        image,
        lambda: content.pixels if content.pixels.shape[:2] == size else resize(content.pixels, *size),
    )


def _changed(change: Callable[..., Any], image: Any, *others: Callable[[], np.ndarray], **masks: Any) -> Any:
    """What a colouring makes of an image and others, which are asked for only if it makes anything of it: what stays
    as it is, all of it with "style", the default, does not go through JAX."""
    return image if change is unchanged else np.asarray(jax.jit(change)(image, *(x() for x in others), **masks))
