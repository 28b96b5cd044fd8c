"""Regions: where each style goes, and what stays as it is (guided statistics, Gatys et al. 2016).

Masks are (h, w) or (k, h, w), float32 in [0, 1]; soft edges are what they say.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.networks import Network
from jaxstyle.types import Image, Mask, StyleMask

Masks: TypeAlias = Float[Array | np.ndarray, "k _ _"]  # of a size of their own


class Regions(NamedTuple):
    """Where each of k styles goes.

    Attributes:
      masks: (k, h, w) by style layer, of the layer's size: weights of the positions.
      shares: (k,), of the style term.
      cover: (h, w), how much of each pixel is painted; the rest is the content's.
      content: (h, w, 3).
    """

    masks: Mapping[str, Float[Array, "k _ _"]]
    shares: Float[Array, " k"]
    cover: Mask
    content: Image


def area_resize(mask: StyleMask, height: int, width: int) -> Float[Array, "{height} {width}"]:
    """The mask's mean over each of height x width equal parts: no area is lost, however small, nor is any added."""
    mask = jnp.asarray(mask)
    down, across = (
        jnp.asarray(_overlaps(*sides), mask.dtype) for sides in zip((height, width), mask.shape, strict=True)
    )
    rows = jnp.matmul(down, mask, precision=jax.lax.Precision.HIGHEST)
    return jnp.matmul(rows, across.T, precision=jax.lax.Precision.HIGHEST)


def _overlaps(parts: int, n: int) -> Float[np.ndarray, "parts n"]:
    """How much of each part, of a line cut into `parts`, lies in each of n cells; rows sum to one."""
    edges, cells = np.arange(parts + 1) * (n / parts), np.arange(n + 1)
    ends = np.minimum(edges[1:, None], cells[None, 1:])
    return np.maximum(ends - np.maximum(edges[:-1, None], cells[None, :-1]), 0) * (parts / n)


def style_shares(masks: Masks, mix: Float[Array | np.ndarray, " k"] | None) -> Float[Array, " k"]:
    """Each region's weight in the style term: its part of the picture's area, times its mixing weight.

    By area each pixel is drawn as strongly to its style, whatever the size of its region, as it would be with this
    style on the whole picture: losses are means over the region. Mixing weights count relative to their mean. Where
    masks are faint, a pixel belongs to regions in their proportion; how much of it shows is another matter.
    """
    cover = _cover(masks)
    areas = jnp.mean(jnp.asarray(masks) / jnp.where(cover > 0, cover, 1.0)[None], (1, 2))
    return areas if mix is None else areas * mix * (len(areas) / jnp.sum(mix))


def layer_masks(
    network: Network, masks: Masks, layers: Sequence[str], size: tuple[int, int]
) -> dict[str, Float[Array, "k _ _"]]:
    """The masks (k, h, w) at the size that each layer's features of a picture of `size` have.

    They are not eroded by the layer's receptive field, as Gatys et al. do in one variant: soft edges say how far one
    region reaches into the next, and a small region would be lost in deep layers.
    """
    picture = jax.ShapeDtypeStruct((*size, 3), jnp.float32)
    features = jax.eval_shape(lambda x: network.features(x, tuple(layers)), picture)
    return {
        name: jax.vmap(lambda m, x=x: area_resize(m, *x.shape[:2]))(jnp.asarray(masks)) for name, x in features.items()
    }


def make_regions(
    network: Network,
    masks: Masks,
    content: Image,
    layers: Sequence[str],
    *,
    mix: Float[Array | np.ndarray, " k"] | None = None,
) -> Regions:
    """Regions of a content picture (h, w, 3) from masks (k, h', w') of it, at the given style layers."""
    size = content.shape[0], content.shape[1]
    return Regions(layer_masks(network, masks, layers, size), style_shares(masks, mix), cover_of(masks, size), content)


def cover_of(masks: Masks, size: tuple[int, int]) -> Mask:
    """How much of each pixel is painted: the masks' sum, at most 1."""
    return area_resize(_cover(masks), *size)


def _cover(masks: Masks) -> Mask:
    return jnp.minimum(jnp.sum(jnp.asarray(masks), 0), 1.0)


def painted(regions: Regions | None, image: Image) -> Image:
    """The image wherever there is a region, however faint, and the content elsewhere: what the loss looks at.

    Not `blended`: a gradient that is scaled by how much of a pixel shows moves it as far, by Adam, and its colour
    overshoots to make up for what does not show.
    """
    if regions is None:
        return image
    return jnp.where(regions.cover[..., None] > 0, image, regions.content)


def blended(regions: Regions | None, image: Float[Array, "*lanes h w 3"]) -> Float[Array, "*lanes h w 3"]:
    """The image to show: in soft edges so much of the content shows through; of lanes, each."""
    if regions is None:
        return image
    cover, content = (jnp.broadcast_to(x, image.shape) for x in (regions.cover[..., None], regions.content))
    return cover * image + (1 - cover) * content
