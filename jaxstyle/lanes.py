"""What a transfer is given, as arrays, and which axes of them are lanes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle.objective import Weights
from jaxstyle.solvers import Adam, Solver
from jaxstyle.starts import mirrored, sized
from jaxstyle.types import Key


class Inputs(NamedTuple):
    """All that a transfer is given as arrays. Any of it may have a leading axis, of lanes.

    A second one, of 0 for what has that axis and None for what all lanes share, says which: the axes of `jax.vmap`.
    """

    content: Any
    styles: Any
    weights: Any
    start: Any
    key: Any
    rate: Any
    masks: Any = None
    style_masks: Any = None


def inputs_of(
    content: Any,
    styles: Sequence[Any],
    *,
    weights: Weights,
    solver: Solver,
    init: Any,
    key: Key,
    masks: Any = None,
    style_masks: Any = None,
    margin: int = 0,
) -> Inputs:
    """What `transfer` and the like are given, as arrays; parts of styles that are all None are none.

    With a margin, the content, a start and masks go on beyond their borders as in a mirror: those of a canvas, from
    which the picture is cut.
    """

    def array(x: Any) -> Any:
        return None if x is None else jnp.asarray(x, jnp.float32)

    content, masks, start = array(content), array(masks), None if isinstance(init, str) else array(init)
    if margin:
        start = start if start is None else mirrored(sized(start, content.shape[-3:-1]), margin)
        masks = masks if masks is None else mirrored(masks[..., None], margin)[..., 0]
        content = mirrored(content, margin)
    parts = tuple(map(array, style_masks or ()))
    return Inputs(
        content=content,
        styles=tuple(map(array, styles)),
        weights=jax.tree.map(array, weights),
        start=start,
        key=key,
        rate=rate_of(solver),
        masks=masks,
        style_masks=parts if any(x is not None for x in parts) else None,
    )


SHARED = Inputs(None, None, Weights(None, None, None), None, None, None)  # type: ignore[arg-type]


def rate_of(solver: Solver) -> Array | None:
    """Adam's learning rate, or rates; other solvers have none."""
    return jnp.asarray(solver.rate, jnp.float32) if isinstance(solver, Adam) else None


# How many axes each input has of its own; what stands before them are lanes.
OWN_WEIGHTS: Any = Weights(0, 0, 0, 1, 1, 2)  # type: ignore[arg-type]
OWN_AXES = Inputs(content=3, styles=3, weights=OWN_WEIGHTS, start=3, key=0, rate=0, masks=3, style_masks=2)
NAMES = Inputs(
    content="the content",
    styles="a style",
    weights=Weights(*(f"the {name} weights" for name in Weights._fields)),  # type: ignore[arg-type]
    start="the start",
    key="the keys",
    rate="the rates",
    masks="the masks",
    style_masks="a style mask",
)


def map_axes(function: Callable[..., Any], axes: Inputs, *trees: Any) -> Any:
    """The function of each axis, None too, and of what stands there in the trees."""
    return jax.tree.map(function, axes, *trees, is_leaf=lambda x: x is None)


def _leading(x: Any, own: int) -> tuple[int, ...]:
    """Axes in front of its own; of several arrays, all together."""
    return np.broadcast_shapes(*(leaf.shape[: leaf.ndim - own] for leaf in jax.tree.leaves(x)))


def leading_axes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """By what has them."""
    found: dict[str, tuple[int, ...]] = {}
    jax.tree.map(lambda own, name, x: found.update({name: _leading(x, own)}), OWN_AXES, NAMES, inputs)
    return found


def with_one_axis(inputs: Inputs, shape: tuple[int, ...]) -> tuple[Inputs, Inputs]:
    """All leading axes broadcast and made one; and which inputs have it."""

    def one(own: int, x: Any) -> Any:
        if not _leading(x, own):
            return x
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (*shape, *leaf.shape[leaf.ndim - own :])).reshape(
                -1, *leaf.shape[leaf.ndim - own :]
            ),
            x,
        )

    axes = jax.tree.map(lambda own, x: 0 if _leading(x, own) else None, OWN_AXES, inputs)
    return jax.tree.map(one, OWN_AXES, inputs), axes


def pick(inputs: Inputs, axes: Inputs, chosen: Any) -> Inputs:
    """The inputs of some lanes, or of one."""
    return map_axes(lambda axis, x: x if axis is None else jax.tree.map(lambda leaf: leaf[chosen], x), axes, inputs)
