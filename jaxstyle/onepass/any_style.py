"""Painting in one pass like any picture, compiled once for each size."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle.onepass.painters import AnyPainter
from jaxstyle.onepass.transforms import Description
from jaxstyle.types import Picture


def described(painter: AnyPainter, style: Picture) -> dict[str, Description]:
    """`AnyPainter.describe`."""
    found: dict[str, Description] = _compiled("describe")(painter, np.asarray(style, np.float32))
    return found


def paint_like(
    painter: AnyPainter,
    content: Picture,
    styles: Sequence[dict[str, Description]],
    weights: Sequence[float],
    strength: float,
) -> np.ndarray:
    """The content (h, w, 3) painted in a mix of styles, whose weights need not sum to one."""
    shares = np.asarray(weights, np.float32) / np.sum(weights)
    return np.asarray(_compiled("paint")(painter, np.asarray(content, np.float32), list(styles), shares, strength))


@functools.cache
def _compiled(what: str) -> Any:
    if what == "describe":
        return jax.jit(AnyPainter.describe)

    def paint(painter: AnyPainter, content: Array, styles: Any, shares: Array, strength: Array) -> Array:
        return painter.paint(content, painter.mix(styles, jnp.asarray(shares)), strength)

    return jax.jit(paint)
