"""Pictures too large to be computed at once: tiles one after the other, each with what is around it, of one shape."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxstyle.errors import InputError

OnTile = Callable[[int, int], object]


def in_tiles(
    change: Callable[[Any], Any],
    image: Float[np.ndarray, "h w c"],
    *,
    tile: int,
    margin: int,
    scale: int = 1,
    on_tile: OnTile | None = None,
) -> Float[np.ndarray, "_ _ c"]:
    """What a function of pictures that sees no farther than `margin` pixels makes of a picture, without a seam.

    All tiles are of one shape, so that it is compiled once: at the picture's borders they reach farther inwards. Where
    the picture's sides, `tile` and `margin` are multiples of a number, so is where each tile begins.

    Args:
      change: (h, w, c) -> (scale h, scale w, c).
      image: the picture.
      tile: pixels a side that a tile has of it.
      margin: pixels that it has of what is around.
      scale: how many times as large the result is.
      on_tile: called after each tile with (tiles done, tiles in all).

    Raises:
      InputError: a tile of no pixels.
    """
    if tile < 1:
        raise InputError(f"tile is {tile}; it must be 1 pixel or more")
    height, width, channels = image.shape
    result = np.empty((height * scale, width * scale, channels), np.float32)
    rows, columns = (list(spans(side, tile, margin)) for side in (height, width))
    places = [(down, across) for down in rows for across in columns]
    for number, (down, across) in enumerate(places, 1):
        part = image[down.start : down.stop, across.start : across.stop]
        found = jax.device_get(change(jnp.asarray(part)))
        result[down.onto(scale), across.onto(scale)] = found[down.within(scale), across.within(scale)]
        if on_tile:
            on_tile(number, len(places))
    return result


class Span(NamedTuple):
    """A tile along one axis: what is computed, from `start` to `stop`, and what is kept of it, `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int

    def within(self, scale: int) -> slice:
        """What is kept, in what a tile becomes."""
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)

    def onto(self, scale: int) -> slice:
        """What is kept, in the whole result."""
        return slice(self.first * scale, self.last * scale)


def spans(length: int, tile: int, margin: int) -> Iterator[Span]:
    """The tiles along an axis of so many pixels."""
    side = min(length, tile + 2 * margin)
    for first in range(0, length, tile):
        start = min(max(0, first - margin), length - side)
        yield Span(start, start + side, first, min(first + tile, length))
