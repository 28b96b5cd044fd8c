"""A sweep as its report shows it: a grid of any number of axes, each a setting with the values that it takes, and a
picture at each place that is done. Files are named from the sweep's folder."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Place = tuple[int, ...]  # a position along each axis


@dataclass(frozen=True)
class Axis:
    """A setting that varies, with the values it takes, as text."""

    name: str  # as in "style_weight"
    label: str  # as in "style weight"
    values: tuple[str, ...]


class Source(NamedTuple):
    """A picture that the sweep was made from, its path from the sweep's folder or from the root."""

    label: str
    path: str


@dataclass(frozen=True, eq=False)
class Cell:
    """One place of the grid that is done, with all that there is to say of it."""

    index: Place
    file: str | None  # PNG, from the sweep's folder; None where the run left no picture
    losses: Mapping[str, Any]  # term -> one number for each step over all scales, None or NaN where there is none
    final: Mapping[str, float | None]  # term -> its number at the last step
    seconds: float
    command: str  # makes this cell alone, at full size
    settings: Mapping[str, Any]
    content: int = 0  # which of the sweep's contents
    styles: tuple[int, ...] | None = None  # which of the sweep's styles; None for all of them


@dataclass(frozen=True, eq=False)
class Sweep:
    """A grid of results, done or in part. The last two axes are its rows and columns."""

    title: str
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    contents: tuple[Source, ...]
    styles: tuple[Source, ...]

    def __post_init__(self) -> None:
        taken = {cell.index for cell in self.cells}
        if not taken <= set(places(self.axes)) or len(taken) < len(self.cells):
            raise ValueError("each cell has a place of its own in the grid of the axes")
        if not all(cell.content in range(len(self.contents)) for cell in self.cells):
            raise ValueError("each cell has a content among those of the sweep")


def places(axes: Sequence[Axis]) -> Iterator[Place]:
    """Every place of the grid, the last axis running fastest."""
    return itertools.product(*(range(len(axis.values)) for axis in axes))
