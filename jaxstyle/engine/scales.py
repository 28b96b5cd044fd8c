"""The sizes that a transfer goes through, from coarse to fine."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxstyle import defaults

MIN_SIDE = 16  # below, VGG's fifth block has no pixel left


class Scale(NamedTuple):
    """One of the sizes from coarse to fine.

    With a margin these are the canvas's, from which the picture is cut.

    Attributes:
      size: its own (height, width).
      full: long side of the last one.
      margin: pixels on each side that are cut off.
    """

    size: tuple[int, int]
    full: int
    margin: int = 0

    @property
    def picture(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        return self.size[0] - 2 * self.margin, self.size[1] - 2 * self.margin


def scales_of(sizes: Sequence[tuple[int, int]], *, margin: int = 0) -> tuple[Scale, ...]:
    """The scales at which the picture has these sizes; the last one's margin is `margin`, others are in proportion."""
    longest = max(sizes[-1])
    around = [round(margin * max(size) / longest) for size in sizes]
    return tuple(
        Scale((height + 2 * more, width + 2 * more), longest + 2 * margin, more)
        for (height, width), more in zip(sizes, around, strict=True)
    )


def scale_sizes(
    height: int, width: int, *, min_size: int | None = None, smallest: int = MIN_SIDE
) -> list[tuple[int, int]]:
    """Sizes (height, width) from coarse to fine, each larger by a factor of sqrt 2, the last as given.

    Args:
      height, width: of the result.
      min_size: long side below which no scale goes; None for `usual_coarsest`, the long side itself for a single scale.
      smallest: what no side is below; that of a narrow picture keeps it, out of proportion.
    """
    long_side = max(height, width)
    coarsest = min(usual_coarsest(long_side) if min_size is None else min_size, long_side)
    sizes = [(height, width)]
    while True:
        ratio = 2 ** (-len(sizes) / 2)
        h, w = (max(smallest, round(side * ratio / 8) * 8) for side in (height, width))
        if long_side * ratio < coarsest * 0.99:
            return sizes[::-1]
        sizes.append((h, w))


def usual_coarsest(long_side: int) -> int:
    """Long side of the coarsest scale of a picture with this one, without `min_size`.

    What is found below some 180 pixels is of little use to larger scales; small pictures need some way to go.
    """
    return min(max(long_side // 2, defaults.LEAST_COARSEST), defaults.COARSEST)


def scaled_size(size: Sequence[int], ratio: float, *, smallest: int) -> tuple[int, int]:
    """A picture's (height, width) times `ratio`, no side of which is below `smallest`."""
    height, width = (max(smallest, round(side * ratio)) for side in size)
    return height, width
