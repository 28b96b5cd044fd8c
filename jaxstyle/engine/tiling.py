"""Where the tiles of a picture lie.

Each tile owns the features of a rectangle of the picture, and sees a border around it, so that these features are the
whole picture's. All tiles have one shape, so that one program serves them all. At the picture's border a tile ends with
it, and what the network does beyond a picture's border it does there: offsets are multiples of the coarsest cell, and a
tile's sides leave the same remainder as the picture's.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxstyle.networks.reach import Reach


class Axis(NamedTuple):
    """The tiles along one axis.

    Attributes:
      side: pixels of a tile.
      starts: the first pixel of each.
      cuts: where what one owns ends and what the next owns begins; the ends of the picture too.
    """

    side: int
    starts: tuple[int, ...]
    cuts: tuple[int, ...]


class Tiling(NamedTuple):
    """The tiles of a picture.

    Attributes:
      rows, columns: along the two axes.
      cells: pixels from one of a layer's features to the next, by layer.
    """

    rows: Axis
    columns: Axis
    cells: tuple[tuple[str, int], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of each tile."""
        return self.rows.side, self.columns.side

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def places(self) -> Iterator[np.ndarray]:
        """Of each tile (first row, first column), and of what it owns (first row, first column) and the ends."""
        for y, top in enumerate(self.rows.starts):
            for x, left in enumerate(self.columns.starts):
                (first, last), (begin, end) = self.rows.cuts[y : y + 2], self.columns.cuts[x : x + 2]
                yield np.asarray([[top, left], [first, begin], [last, end]], np.int32)


def tiling_of(size: tuple[int, int], tile: int, reach: Reach) -> Tiling:
    """Tiles of a picture (height, width), each of which owns at most some `tile` x `tile` pixels."""
    rows, columns = (_along(side, tile, reach) for side in size)
    return Tiling(rows, columns, tuple(reach.cells.items()))


def _along(side: int, tile: int, reach: Reach) -> Axis:
    cell, border = reach.cell, reach.border
    count = math.ceil((side - 2 * border) / tile)
    step = math.ceil((side - 2 * border) / max(1, count) / cell) * cell
    length = step + 2 * border
    length += (side - length) % cell
    if count <= 1 or length >= side:
        return Axis(side, (0,), (0, side))
    starts = sorted({min(i * step, side - length) for i in range(count)})
    return Axis(length, tuple(starts), (0, *(start + border for start in starts[1:]), side))
