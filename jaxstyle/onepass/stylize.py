"""Painting in one pass, as a function."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.errors import InputError
from jaxstyle.onepass.painters import AnyPainter, Painter, StylePainter
from jaxstyle.types import Image, Picture

SMALLEST = 8  # pixels a side


def stylize(
    content: Picture,
    style: str | Mapping[str, float] | Picture | Sequence[Picture],
    *,
    network: Painter,
    strength: float | Float[Array, ""] = 1.0,
    mix: Sequence[float] | Float[Array, " k"] | None = None,
) -> Image:
    """The content painted by a network in one pass; pure, for `jax.jit` and `jax.vmap`.

    Args:
      content: (h, w, 3) in [0, 1], at least 8 pixels a side.
      style: for a network that was trained for some styles (Johnson et al. 2016), the name of one, or weights by name,
        which need not sum to one. For one that paints in any style (Li et al. 2017), a picture (h, w, 3) or several.
      network: from `load_styles` or `load_any_style`.
      strength: 0 leaves the content as it is, 1 is the style. It may be traced.
      mix: of several pictures of styles, their weights; None for equal ones. They may be traced.

    Returns:
      (h, w, 3) in [0, 1].

    Raises:
      InputError: no such style, or a picture of fewer pixels.
    """
    content = jnp.asarray(content, jnp.float32)
    if min(content.shape[:2]) < SMALLEST:
        height, width = content.shape[:2]
        raise InputError(f"the content has {width} x {height} pixels; at least {SMALLEST} a side are needed")
    if isinstance(network, StylePainter):
        if not isinstance(style, str | Mapping):
            raise InputError("this network paints in its own styles, by name; pictures are for `load_any_style`'s")
        return network.paint(content, network.shares(style), strength)
    if isinstance(style, str | Mapping):
        raise InputError("this network paints in the style of pictures; names are for those of `load_styles`")
    pictures: Any = list(style) if isinstance(style, list | tuple) else [style]
    return _in_any_style(network, content, pictures, strength, mix)


def _in_any_style(
    network: AnyPainter, content: Image, styles: Sequence[Picture], strength: float | Array, mix: object
) -> Image:
    weights = jnp.ones(len(styles)) if mix is None else jnp.asarray(mix, jnp.float32)
    if weights.shape != (len(styles),):
        raise InputError(f"mix has the shape {weights.shape}; it is one number for each of {len(styles)} styles")
    described = [network.describe(style) for style in styles]
    return network.paint(content, network.mix(described, weights / jnp.sum(weights)), strength)
