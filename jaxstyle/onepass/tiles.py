"""Pictures of any size painted in one pass: at once, or part by part in the memory that a part takes.

Parts overlap by what the network sees around a pixel, and all have the statistics, means and deviations or covariances,
of the whole picture made smaller. So there are no seams.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from jaxstyle.onepass.painters import StylePainter, margins
from jaxstyle.onepass.style_network import FIELD
from jaxstyle.ops.compile import compiled
from jaxstyle.pictures.resample import resize
from jaxstyle.pictures.tiles import OnTile, in_tiles
from jaxstyle.types import Picture

WHOLE = 2048 * 2048  # pixels that are painted at once
SIDE = 1024  # of a part without what it overlaps
MEASURED = 1024  # long side of the picture that statistics are of
SHORTEST = 4  # the same picture's short side, at least

_paint = compiled()(StylePainter.paint)
_paint_part = compiled()(StylePainter.paint_part)


def paint_whole(
    painter: StylePainter, content: Picture, shares: Float[Array, " n"], strength: float
) -> Float[np.ndarray, "_ _ 3"]:
    """The picture (h, w, 3) painted at once, by one program for each size."""
    return np.asarray(_paint(painter, np.asarray(content, np.float32), shares, strength))


def paint_in_parts(
    painter: StylePainter,
    content: Picture,
    shares: Float[Array, " n"],
    strength: float,
    *,
    side: int = SIDE,
    on_part: OnTile | None = None,
) -> Float[np.ndarray, "_ _ 3"]:
    """The picture (h, w, 3) painted, as `StylePainter.paint` does, part by part.

    Args:
      painter: a network trained for some styles.
      content: (h, w, 3) in [0, 1].
      shares: of its styles, from `StylePainter.shares`.
      strength: 0 leaves the content as it is, 1 is the style.
      side: of a part, without what it overlaps; a multiple of 4.
      on_part: called with the parts done and all parts, after each.
    """

    def paint(part: Any, statistics: Any) -> Any:
        return _paint_part(painter, part, shares, strength, statistics)

    return in_parts(paint, content, margins, side=side, field=FIELD, on_part=on_part)


def in_parts(
    paint: Callable[[Any, Any], tuple[Any, Any]],
    content: Picture,
    around: Callable[[int, int], Sequence[tuple[int, int]]],
    *,
    side: int,
    field: int,
    on_part: OnTile | None = None,
) -> Float[np.ndarray, "_ _ 3"]:
    """A picture (h, w, 3) painted part by part.

    Args:
      paint: (part, statistics, or None for its own) -> (the part painted, the statistics that were taken).
      content: (h, w, 3) in [0, 1].
      around: (height, width) -> what a picture is continued by in a mirror before it is painted, as `numpy.pad` has it.
      side, field: pixels of a part without what it overlaps, and that it overlaps by.
      on_part: called with the parts done and all parts, after each.
    """
    content = np.asarray(content, np.float32)
    height, width = content.shape[:2]
    scale = min(1.0, MEASURED / max(height, width))
    small = resize(content, *(max(SHORTEST, round(x * scale)) for x in (height, width)))
    _, statistics = paint(np.pad(small, around(*small.shape[:2]), mode="reflect"), None)
    pads = around(height, width)
    wide = np.pad(content, pads, mode="reflect")
    painted = in_tiles(lambda part: paint(part, statistics)[0], wide, tile=side, margin=field, on_tile=on_part)
    top, left = pads[0][0], pads[1][0]
    return painted[top : top + height, left : left + width]
