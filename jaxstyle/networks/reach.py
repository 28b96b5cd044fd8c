"""How far the pixels lie that a layer's features depend on."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxstyle.networks.backbone import Backbone
from jaxstyle.networks.network import cells_of
from jaxstyle.ops.padding import add_border
from jaxstyle.types import FeatureMap, Features

ACROSS = 64  # pixels, of a strip in which rows alone are looked at
FURTHEST = 2**15  # pixels


class Reach(NamedTuple):
    """What a part of a picture must hold for some layers to have the features there that the whole picture gives.

    Attributes:
      cells: pixels from one of a layer's features to the next, by layer.
      cell: the coarsest of these. Parts of a picture that begin a multiple of it apart have features in common.
      border: pixels beyond the features' own cells on each side, a multiple of `cell`.
    """

    cells: dict[str, int]
    cell: int
    border: int


@functools.cache
def reach_of(module: Backbone, layers: tuple[str, ...]) -> Reach:
    """The reach of some layers of a network, whatever its weights: as far as any path through it leads."""
    cells = cells_of(module, layers)
    cell = max(cells.values())
    length = 16 * cell
    while (border := _border(module, cells, cell, length)) is None:
        length *= 2
        assert length <= FURTHEST, "features that depend on the whole of any picture"
    return Reach(cells, cell, border)


def _border(module: Backbone, cells: dict[str, int], cell: int, length: int) -> int | None:
    """The border, seen in a strip of so many pixels; None where that is too short."""
    middle = length // (2 * cell) * cell
    strip = jnp.zeros((length, ACROSS, 3), jnp.float32).at[middle : middle + cell].set(1.0)
    with nn.intercept_methods(_spreading):
        seen = jax.jit(lambda x: module.clone(padding="zero", dtype=jnp.float32).apply({}, x, tuple(cells)))(strip)
    border = 0
    for name, step in cells.items():
        rows = jnp.nonzero(seen[name].max((1, 2)) > 0)[0]
        first, last = int(rows[0]), int(rows[-1])
        if first == 0 or last == len(seen[name]) - 1:
            return None
        # Features of cells from a multiple of `cell` on depend on rows so far before it; those up to one, after it.
        before, after = max(0, last * step - middle), middle - first * step - step
        border = max(border, before // cell * cell, (math.floor(after / cell) + 1) * cell)
    return border


def _spreading(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
    """In place of a convolution or a pooling, the largest of what it would see; of a scaling, what there is."""
    module, name = context.module, context.method_name
    if not isinstance(module, Backbone) or name not in ("convolution", "scaling", "pool", "overlapping_pool"):
        return call(*args, **kwargs)
    x = args[0]
    if name == "scaling":
        return x
    if name == "pool":
        return _largest(x, 2, 2, 0)
    if name == "overlapping_pool":
        return _largest(x, 3, 2, kwargs.get("border", 0))
    size, border = module.kernel_shapes[args[1]][0], kwargs.get("border")
    return _largest(x, size, kwargs.get("stride", 1), size // 2 if border is None else border)


def _largest(x: Features, size: int, stride: int, border: int) -> FeatureMap:
    """The maximum over channels and windows."""
    x = add_border(x.max(2, keepdims=True), "zero", border, border)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (size, size, 1), (stride, stride, 1), "VALID")
