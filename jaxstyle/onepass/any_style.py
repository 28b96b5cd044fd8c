"""Painting in one pass like any picture, compiled once for each size."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxstyle.onepass.painters import AnyPainter, Descriptions, filling
from jaxstyle.onepass.tiles import WHOLE, in_parts
from jaxstyle.ops.compile import compiled
from jaxstyle.types import Picture

FIELD = 128  # pixels beyond which nothing is seen but by the means and covariances
SIDE = 768  # of a part without what it overlaps

_describe = compiled()(AnyPainter.describe)
_paint = compiled()(AnyPainter.paint)
_paint_part = compiled()(AnyPainter.paint_part)


def described(painter: AnyPainter, style: Picture) -> Descriptions:
    """`AnyPainter.describe`."""
    found: Descriptions = _describe(painter, np.asarray(style, np.float32))
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
) -> Float[np.ndarray, "_ _ 3"]:
    """The content (h, w, 3) painted in a mix of styles, whose weights need not sum to one; one of more pixels than
    `whole` part by part."""
    style = painter.mix(styles, jnp.asarray(np.asarray(weights, np.float32) / np.sum(weights, dtype=np.float32)))
    if content.shape[0] * content.shape[1] <= whole:
        return np.asarray(_paint(painter, np.asarray(content, np.float32), style, strength))

    def paint(part: Any, own: Any) -> Any:
        return _paint_part(painter, part, style, strength, own)

    return in_parts(paint, content, filling, side=side, field=FIELD)
