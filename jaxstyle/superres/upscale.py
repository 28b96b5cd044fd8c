"""Pictures made larger, whole or in tiles that leave no seam. Pictures are (h, w, 3), float32, in [0, 1]."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath
from jaxstyle.ops.compile import compiled
from jaxstyle.superres.bicubic import REACH, enlarge_bicubic
from jaxstyle.superres.files import load_upscaler
from jaxstyle.superres.network import Upscaler
from jaxstyle.types import FeatureMap, Features, Image, Picture

TILE = 256  # pixels a side that a tile has of the small picture
OnTile = Callable[[int, int], object]


def upscale(image: Picture, scale: int, *, network: Upscaler | StrPath = "pixel") -> Float[Array, "_ _ 3"]:
    """A picture made larger. Pure; may be called within `jax.jit`, `vmap` and `grad`.

    Args:
      image: (h, w, 3) in [0, 1], of any size.
      scale: 2, 3 or 4.
      network: what `load_upscaler` returns or takes: "pixel", or a file.

    Returns:
      The picture (scale h, scale w, 3), float32, in [0, 1].

    Raises:
      InputError: another scale, no picture of floats, or a network that cannot be read.
    """
    upscaler = checked(image, scale, network)
    return _enlarged(upscaler, jnp.asarray(image).astype(jnp.float32), scale=int(scale))


def upscale_in_tiles(
    image: Picture,
    scale: int,
    *,
    network: Upscaler | StrPath = "pixel",
    tile: int = TILE,
    on_tile: OnTile | None = None,
) -> Float[np.ndarray, "_ _ 3"]:
    """`upscale` by tiles one after the other, in little memory: the same numbers but for rounding, without a seam, as
    each tile is computed with all around it that the network sees.

    Args:
      image, scale, network: as `upscale` has them.
      tile: pixels a side that a tile has of `image`.
      on_tile: called after each tile with (tiles done, tiles in all).

    Raises:
      InputError: as `upscale`, or a tile of no pixels.
    """
    upscaler = checked(image, scale, network)

    def enlarged(part: Any) -> Any:
        return _enlarged(upscaler, part, scale=int(scale))

    pixels, margin = np.asarray(image, np.float32), upscaler.module.field
    return in_tiles(enlarged, pixels, scale, tile=tile, margin=margin, on_tile=on_tile)


def upscale_plane(plane: Float[np.ndarray, "h w"], scale: int) -> Float[np.ndarray, "_ _"]:
    """A picture's opacity, in [0, 1], made larger: bicubically, in tiles."""
    enlarged = in_tiles(lambda part: _plane(part, scale=scale), plane[..., None], scale, margin=REACH)
    return enlarged[..., 0]


def checked(image: Any, scale: Any, network: Upscaler | StrPath) -> Upscaler:
    """The network, once it is known that it can do this."""
    upscaler = network if isinstance(network, Upscaler) else load_upscaler(network)
    if scale not in upscaler.module.factors or isinstance(scale, bool):
        allowed = ", ".join(map(str, upscaler.module.factors))
        raise InputError(f"scale is {scale!r}; this network makes pictures larger by {allowed}")
    shape, dtype = jnp.shape(image), jnp.result_type(image)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"image is {dtype} of shape {shape}; it must be float of shape (h, w, 3), in [0, 1]")
    return upscaler


@compiled("scale")
def _enlarged(upscaler: Upscaler, image: Image, *, scale: int) -> Float[Array, "_ _ 3"]:
    return jnp.clip(upscaler.enlarge(image, scale), 0.0, 1.0)


@compiled("scale")
def _plane(plane: Features, *, scale: int) -> FeatureMap:
    return jnp.clip(enlarge_bicubic(plane, scale), 0.0, 1.0)


def in_tiles(
    enlarge: Callable[[Any], Any],
    image: Float[np.ndarray, "h w c"],
    scale: int,
    *,
    margin: int,
    tile: int = TILE,
    on_tile: OnTile | None = None,
) -> Float[np.ndarray, "_ _ c"]:
    """What a function that makes pictures larger, and sees no farther than `margin` pixels, makes of a picture.

    All tiles are of one shape, so that it is compiled once: at the picture's borders they reach farther inwards.
    """
    if tile < 1:
        raise InputError(f"tile is {tile}; it must be 1 pixel or more")
    height, width, channels = image.shape
    result = np.empty((height * scale, width * scale, channels), np.float32)
    rows, columns = (list(spans(side, tile, margin)) for side in (height, width))
    places = [(down, across) for down in rows for across in columns]
    for number, (down, across) in enumerate(places, 1):
        part = image[down.start : down.stop, across.start : across.stop]
        found = jax.device_get(enlarge(jnp.asarray(part)))
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
        """What is kept, in the tile made larger."""
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)

    def onto(self, scale: int) -> slice:
        """What is kept, in the whole picture made larger."""
        return slice(self.first * scale, self.last * scale)


def spans(length: int, tile: int, margin: int) -> Iterator[Span]:
    """The tiles along an axis of so many pixels."""
    side = min(length, tile + 2 * margin)
    for first in range(0, length, tile):
        start = min(max(0, first - margin), length - side)
        yield Span(start, start + side, first, min(first + tile, length))
