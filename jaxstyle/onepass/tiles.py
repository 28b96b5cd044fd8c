"""Pictures of any size painted in one pass, part by part, in the memory that a part takes.

Parts overlap by what the network sees around a pixel, and all are normalised by the same means and deviations, those of
the whole picture made smaller. So there are no seams.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.onepass.painters import StylePainter, margins, within_margins
from jaxstyle.onepass.style_network import FIELD, STRIDE
from jaxstyle.pictures.resample import resize
from jaxstyle.types import Picture

WHOLE = 2048 * 2048  # pixels that are painted at once
SIDE = 1024  # of a part without what it overlaps
MEASURED = 1024  # long side of the picture that means and deviations are of


def paint_whole(painter: StylePainter, content: Picture, shares: Float[Array, " n"], strength: float) -> np.ndarray:
    """The picture (h, w, 3) painted at once, by one program for each size."""
    return np.asarray(_whole()(painter, np.asarray(content, np.float32), shares, strength))


def paint_in_parts(
    painter: StylePainter,
    content: Picture,
    shares: Float[Array, " n"],
    strength: float,
    *,
    side: int = SIDE,
    on_part: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """The picture (h, w, 3) painted, as `StylePainter.paint` does, part by part.

    Args:
      painter: a network trained for some styles.
      content: (h, w, 3) in [0, 1].
      shares: of its styles, from `StylePainter.shares`.
      strength: 0 leaves the content as it is, 1 is the style.
      side: of a part, without what it overlaps; a multiple of 4.
      on_part: called with the parts done and all parts, after each.
    """
    content = np.asarray(content, np.float32)
    height, width = content.shape[:2]
    scale = min(1.0, MEASURED / max(height, width))
    small = resize(content, max(STRIDE, round(height * scale)), max(STRIDE, round(width * scale)))
    part, around = _part(), margins(*small.shape[:2])
    _, statistics = part(painter, np.pad(small, around, mode="reflect"), shares, strength)
    wide = np.pad(content, margins(height, width), mode="reflect")
    painted = np.empty_like(wide)
    spans = spans_of(wide.shape[:2], side=side, field=FIELD)
    for done, (down, across) in enumerate(spans, 1):
        seen = wide[down.seen, across.seen]
        found, _ = part(painter, seen, shares, strength, statistics)
        painted[down.own, across.own] = np.asarray(found)[down.within, across.within]
        if on_part:
            on_part(done, len(spans))
    return np.asarray(within_margins(painted, height, width))


@functools.cache
def _whole() -> Callable[..., Array]:
    return jax.jit(StylePainter.paint)


@functools.cache
def _part() -> Callable[..., tuple[Array, object]]:
    return jax.jit(StylePainter.paint_part)


class Span:
    """A part along one axis: `own`, what is taken of it; `seen`, what is painted; `within`, the former in the
    latter."""

    def __init__(self, first: int, last: int, start: int, stop: int) -> None:
        self.own, self.seen = slice(first, last), slice(start, stop)
        self.within = slice(first - start, last - start)


def spans_of(size: tuple[int, int], *, side: int, field: int) -> list[tuple[Span, Span]]:
    """Parts that cover a picture of this height and width, all of one shape, down and across.

    Args:
      size: multiples of what a part's place must be a multiple of, as `side` and `field` are.
      side: of a part without what it overlaps.
      field: pixels that it overlaps by.
    """
    rows, columns = (_along(length, side, field) for length in size)
    return [(down, across) for down in rows for across in columns]


def _along(length: int, side: int, field: int) -> list[Span]:
    seen = min(length, side + 2 * field)
    spans = []
    for first in range(0, length, side):
        start = max(0, min(first - field, length - seen))
        spans.append(Span(first, min(first + side, length), start, start + seen))
    return spans
