"""Painting in one pass like any picture, compiled once for each size."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.onepass.painters import AnyPainter, Descriptions, filling
from jaxstyle.onepass.tiles import MEASURED, WHOLE, spans_of
from jaxstyle.pictures.resample import resize
from jaxstyle.types import Picture

FIELD = 128  # pixels beyond which nothing is seen but by the means and covariances
SIDE = 768  # of a part without what it overlaps


def described(painter: AnyPainter, style: Picture) -> Descriptions:
    """`AnyPainter.describe`."""
    found: Descriptions = _compiled("describe")(painter, np.asarray(style, np.float32))
    return found


def paint_like(
    painter: AnyPainter,
    content: Picture,
    styles: Sequence[Descriptions],
    weights: Sequence[float],
    strength: float,
    *,
    whole: int = WHOLE,
    side: int = SIDE,
) -> np.ndarray:
    """The content (h, w, 3) painted in a mix of styles, whose weights need not sum to one; a large one part by part, by
    the means and covariances of the content made smaller."""
    content = np.asarray(content, np.float32)
    style = painter.mix(styles, jnp.asarray(np.asarray(weights, np.float32) / np.sum(weights, dtype=np.float32)))
    height, width = content.shape[:2]
    if height * width <= whole:
        return np.asarray(_compiled("paint")(painter, content, style, strength))
    part, scale = _compiled("paint_part"), min(1.0, MEASURED / max(height, width))
    small = resize(content, max(1, round(height * scale)), max(1, round(width * scale)))
    _, own = part(painter, np.pad(small, filling(*small.shape[:2]), mode="reflect"), style, strength)
    wide = np.pad(content, filling(height, width), mode="reflect")
    painted = np.empty_like(wide)
    for down, across in spans_of(wide.shape[:2], side=side, field=FIELD):
        found, _ = part(painter, wide[down.seen, across.seen], style, strength, own)
        painted[down.own, across.own] = np.asarray(found)[down.within, across.within]
    return painted[:height, :width]


@functools.cache
def _compiled(what: str) -> Any:
    return jax.jit(getattr(AnyPainter, what))
