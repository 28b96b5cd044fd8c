"""Where a transfer begins: the first image.

Images are (h, w, 3), float32, in [0, 1].
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops.filtering import filter_axis, gaussian
from jaxstyle.ops.resize import cover, resize, sized
from jaxstyle.types import Image, Key, Picture

Start: TypeAlias = Literal["content", "noise", "style", "blur"]


def blur(image: Image, sigma: float) -> Image:
    """Gaussian blur with edges replicated; `sigma` in pixels."""
    radius = max(1, math.ceil(3 * sigma))
    for axis in (0, 1):
        widths = [(radius, radius) if axis == k else (0, 0) for k in range(3)]
        image = filter_axis(jnp.pad(image, widths, mode="edge"), gaussian(sigma, radius), axis=axis)
    return image


def starting_image(
    key: Key, init: Start | Picture, content: Picture, styles: Sequence[Picture], shape: tuple[int, int]
) -> Float[Array, "{shape[0]} {shape[1]} 3"]:
    """The first iterate, (height, width, 3) for `shape` = (height, width).

    "content"; "blur", the content without detail (sigma 1/32 of the long side); "noise", independent Gaussian pixels
    about mid-grey; "style", the first style picture, cropped to the shape; or a picture.
    """
    if not isinstance(init, str):
        return resize(jnp.asarray(init, jnp.float32), *shape)
    if init == "content":
        return resize(content, *shape)
    if init == "blur":
        return jnp.clip(blur(resize(content, *shape), max(shape) / 32), 0.0, 1.0)
    if init == "noise":
        return jnp.clip(0.5 + 0.15 * jax.random.normal(key, (*shape, 3)), 0.0, 1.0)
    return cover(styles[0], *shape)


def enlarge(image: Image, source: Picture | None, *, size: tuple[int, int]) -> Float[Array, "{size[0]} {size[1]} 3"]:
    """The image of a coarser scale at a finer one's (height, width), clipped to [0, 1].

    What of the source, the picture that the coarsest scale began with, the coarser grid could not hold is added: the
    difference between it and its own reduction enlarged, a band of its Laplacian pyramid, as in STROTSS (Kolkin et al.
    2019, https://arxiv.org/abs/1904.12785). With these details ready a scale needs fewer steps. With None for the
    source the image is enlarged alone.
    """
    enlarged = sized(image, size)
    if source is None:
        return enlarged
    height, width = image.shape[:2]
    coarse = sized(sized(source, (height, width)), size)
    return jnp.clip(enlarged + sized(source, size) - coarse, 0.0, 1.0)
