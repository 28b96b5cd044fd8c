"""Pictures made larger, whole or in tiles that leave no seam. Pictures are (h, w, 3), float32, in [0, 1]."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath
from jaxstyle.ops.compile import compiled
from jaxstyle.pictures.tiles import OnTile, in_tiles
from jaxstyle.superres.bicubic import REACH, enlarge_bicubic
from jaxstyle.superres.files import load_upscaler
from jaxstyle.superres.network import Upscaler
from jaxstyle.types import FeatureMap, Features, Image, Picture

TILE = 256  # pixels a side that a tile has of the small picture


def upscale(image: Picture, scale: int, *, network: Upscaler | StrPath = "pixel") -> Float[Array, "_ _ 3"]:
    """A picture made larger. Pure; may be called within `jax.jit`, `vmap` and `grad`.

    Args:
      image: (h, w, 3) in [0, 1], of any size.
      scale: 2, 3 or 4.
      network: what `load_upscaler` returns or takes: "pixel", "perceptual", or a file.

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
    return in_tiles(enlarged, pixels, scale=scale, tile=tile, margin=margin, on_tile=on_tile)


def upscale_plane(plane: Float[np.ndarray, "h w"], scale: int) -> Float[np.ndarray, "_ _"]:
    """A picture's opacity, in [0, 1], made larger: bicubically, in tiles."""
    enlarged = in_tiles(lambda part: _plane(part, scale=scale), plane[..., None], scale=scale, tile=TILE, margin=REACH)
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
