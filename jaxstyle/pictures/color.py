"""Colours: how a result keeps those of its content.

Pictures are (h, w, 3), sRGB values in [0, 1], in and out; all functions are pure. `COLORINGS` has the ways by name:
what is done to content and styles before the transfer, and to the picture after it.

A colour that sRGB does not have at the wanted lightness loses saturation until it has: lightness and hue are kept,
where clipping the channels would change both. `match_colors` clips, since an affine map of all colours knows no such
way out; that moves mean and covariance a little.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.types import Picture, StyleMask

Colors: TypeAlias = Float[Array | np.ndarray, "*shape 3"]
Square: TypeAlias = Float[Array, "3 3"]

LUMA = (0.299, 0.587, 0.114)  # Y of YIQ
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
BEND = 6 / 29  # where the cube root of CIELAB becomes a line
HALVINGS = 12  # resolve the saturation that sRGB still has to 1/4096 of the content's
FAINT = 1 / 255  # deviations below are rounding, and must not be blown up into colours


class Coloring(NamedTuple):
    """A way to keep the content's colours, as functions of pictures.

    Attributes:
      content: content -> the content that the transfer is given.
      style: (style, content, style_mask=, mask=) -> the style that it is given; the masks as for `match_colors`.
      finish: (result, content) -> the picture to show, both (h, w, 3).
    """

    content: Callable[[Picture], Picture]
    style: Callable[..., Picture]
    finish: Callable[[Picture, Picture], Picture]


def rgb_to_lab(image: Colors) -> Float[Array, "*shape 3"]:
    """sRGB in [0, 1] to CIELAB with the white D65: L* in [0, 100], a*, b*."""
    x = jnp.asarray(image)
    linear = jnp.where(x <= 0.04045, x / 12.92, ((jnp.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4)
    matrix, white = _to_xyz(x)
    ratio = _product(linear, matrix.T) / white
    f = jnp.where(ratio > BEND**3, jnp.cbrt(jnp.maximum(ratio, BEND**3)), ratio / (3 * BEND**2) + 4 / 29)
    return jnp.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def lab_to_rgb(lab: Colors) -> Float[Array, "*shape 3"]:
    """CIELAB (D65) to sRGB in [0, 1]; what sRGB does not have loses saturation at the same lightness and hue."""
    lab = jnp.asarray(lab)
    lightness = jnp.clip(lab[..., :1], 0, 100)

    def linear(share: Array) -> Array:
        return _linear_rgb(jnp.concatenate([lightness, share * lab[..., 1:]], -1))

    def inside(x: Array) -> Array:
        return jnp.all((x >= -1e-5) & (x <= 1 + 1e-5), -1, keepdims=True)

    low, high = jnp.zeros_like(lightness), jnp.ones_like(lightness)
    low = jnp.where(inside(linear(high)), high, low)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = inside(linear(middle))
        low, high = jnp.where(fits, middle, low), jnp.where(fits, high, middle)
    x = jnp.clip(linear(low), 0, 1)
    return jnp.clip(jnp.where(x <= 0.0031308, 12.92 * x, 1.055 * jnp.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055), 0, 1)


def _linear_rgb(lab: Array) -> Array:
    """CIELAB to RGB proportional to light, of any values."""
    middle = (lab[..., 0] + 16) / 116
    f = jnp.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    _, white = _to_xyz(lab)
    xyz = white * jnp.where(f > BEND, f**3, 3 * BEND**2 * (f - 4 / 29))
    inverse = jnp.asarray(np.linalg.inv(np.asarray(TO_XYZ)), lab.dtype)
    return _product(xyz, inverse.T)


def _to_xyz(x: Array) -> tuple[Array, Array]:
    """The matrix of sRGB, and its white, of the rank of the colours: the sum of its rows, so that greys are grey."""
    white = np.asarray(TO_XYZ).sum(1).reshape((1,) * (x.ndim - 1) + (3,))
    return jnp.asarray(TO_XYZ, x.dtype), jnp.asarray(white, x.dtype)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def luminance(image: Picture) -> Float[Array, "_ _ 1"]:
    """Y of YIQ: 0.299 R + 0.587 G + 0.114 B of the sRGB values."""
    x = jnp.asarray(image)
    return _product(x, jnp.asarray(LUMA, x.dtype)[:, None])


def luminance_transfer(image: Picture, content: Picture) -> Picture:
    """The luminance of an image with the chrominance (I and Q of YIQ) of the content, of the same size.

    Gatys, Bethge, Hertzmann and Shechtman (2016), https://arxiv.org/abs/1606.05897, section 3.
    """
    y, color = luminance(image), jnp.asarray(content) - luminance(content)
    room = jnp.where(color > 0, 1 - y, y)
    share = jnp.min(jnp.where(jnp.abs(color) > room, room / jnp.maximum(jnp.abs(color), 1e-12), 1), -1, keepdims=True)
    return jnp.clip(y + share * color, 0, 1)


def lab_transfer(image: Picture, content: Picture) -> Picture:
    """The lightness L* of an image with a* and b* of the content, of the same size, in CIELAB."""
    return lab_to_rgb(jnp.concatenate([rgb_to_lab(image)[..., :1], rgb_to_lab(content)[..., 1:]], -1))


def grey(image: Picture) -> Picture:
    """The luminance in all three channels."""
    return jnp.repeat(luminance(image), 3, -1)


def match_luminance(
    style: Picture, content: Picture, *, style_mask: StyleMask | None = None, mask: StyleMask | None = None
) -> Picture:
    """The style in grey, with the mean and the deviation of the content's luminance, clipped; sizes may differ.

    Gatys et al. (2016), section 3. A style of one brightness stays so. Masks are as for `match_colors`.
    """
    y = luminance(style)
    (mean, variance), (wanted, aim) = _moments(y, style_mask), _moments(luminance(content), mask)
    deviation = jnp.sqrt(variance)
    gain = jnp.where(deviation < FAINT, 0, jnp.sqrt(aim) / jnp.maximum(deviation, FAINT))
    return jnp.repeat(jnp.clip(gain[None] * (y - mean) + wanted, 0, 1), 3, -1)


def match_colors(
    style: Picture, content: Picture, *, style_mask: StyleMask | None = None, mask: StyleMask | None = None
) -> Picture:
    """The style with the mean and the covariance of the content's colours, clipped; sizes may differ.

    x -> C^1/2 S^-1/2 (x - mean) + mean of the content, with symmetric roots of the covariances C and S: Gatys et al.
    (2016), section 4, "Image Analogies". Where a style hardly varies (a grey one has one direction of three, a
    constant one none) it is left without variation.

    Args:
      style, content: (h, w, 3).
      style_mask: (h, w) of the style's size, in [0, 1]: how much each of its pixels counts; None: all alike.
      mask: the same of the content: with regions, a style takes the colours of the part where it goes.
    """
    style = jnp.asarray(style)
    (mean, spread), (wanted, aim) = _moments(style, style_mask), _moments(jnp.asarray(content), mask)
    matrix = _product(_power(aim, 0.5), _power(spread, -0.5))
    return jnp.clip(_product(style - mean, matrix.T) + wanted, 0, 1)


def _moments(image: Array, mask: StyleMask | None) -> tuple[Array, Array]:
    """Mean (1, 1, c) and covariance (c, c) of a picture's colours, weighted by the mask."""
    weights = jnp.ones((*image.shape[:2], 1), image.dtype) if mask is None else jnp.asarray(mask)[..., None]
    weights = weights / jnp.sum(weights)
    mean = jnp.sum(weights * image, (0, 1), keepdims=True)
    centred = image - mean
    weighted, flat = ((x.reshape(-1, image.shape[2])) for x in (weights * centred, centred))
    return mean, _product(weighted.T, flat)


def _power(covariance: Square, exponent: float) -> Square:
    """A power of a covariance, on its directions of more than faint deviation; zero on the others."""
    values, vectors = jnp.linalg.eigh(covariance)
    seen = values > FAINT**2
    powers = jnp.where(seen, jnp.where(seen, values, 1) ** exponent, 0)
    return _product(vectors * powers[None], vectors.T)


def unchanged(image: Picture, *_: Picture, **__: StyleMask | None) -> Picture:
    """The image itself: what is left as it is need not go through a program, which callers tell by this function."""
    return image


COLORINGS: dict[str, Coloring] = {
    "style": Coloring(unchanged, unchanged, unchanged),
    "luminance": Coloring(grey, match_luminance, luminance_transfer),
    "lab": Coloring(unchanged, unchanged, lab_transfer),
    "match": Coloring(unchanged, match_colors, unchanged),
}
