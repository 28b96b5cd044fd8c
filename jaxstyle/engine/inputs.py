"""What a transfer is given, as arrays; and which of them have a batch axis, for several transfers side by side.

`Inputs` is a table of arrays by name, those of `Weights` as "weights.content" and so on. A `Batched` is the set of the
names that have a leading axis of their own; the others are shared by all transfers of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.objective import Targets, Weights
from jaxstyle.ops.resize import mirrored, sized
from jaxstyle.regions import Regions
from jaxstyle.solvers import Adam, Solver
from jaxstyle.types import Key

Batched: TypeAlias = frozenset[str]


class Inputs(NamedTuple):
    """All that a transfer is given as arrays. Any but the masks may have batch axes in front.

    Attributes:
      content: (h, w, 3), with the margin around it.
      styles: pictures (h, w, 3) of sizes of their own.
      weights: of the terms, as arrays.
      start: (h, w, 3), or None for one of the named starts.
      key: `jax.random` key of the start from noise.
      rate: learning rate, None for solvers without.
      masks: (k, h, w), or None.
      style_masks: (h, w) of each style or None for all of it; or None for all of all.
    """

    content: Float[Array, "..."]
    styles: tuple[Float[Array, "..."], ...]
    weights: Weights
    start: Float[Array, "..."] | None
    key: Key
    rate: Float[Array, "..."] | None
    masks: Float[Array, "k _ _"] | None = None
    style_masks: tuple[Any, ...] | None = None


class Kind(NamedTuple):
    """An input's own number of axes, and what messages call it."""

    rank: int
    label: str


KINDS = {
    "content": Kind(3, "the content"),
    "styles": Kind(3, "a style"),
    **{
        f"weights.{name}": Kind({"layers": 1, "mix": 1, "mix_layers": 2}.get(name, 0), f"the {name} weights")
        for name in Weights._fields
    },
    "start": Kind(3, "the start"),
    "key": Kind(0, "the keys"),
    "rate": Kind(0, "the rates"),
    "masks": Kind(3, "the masks"),
    "style_masks": Kind(2, "a style mask"),
}


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
    """The arguments of `transfer` and the like, as arrays.

    With a margin, the content, a start and masks go on beyond their borders as in a mirror: those of a canvas, from
    which the picture is cut. Parts of styles that are all None are none.
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
        rate=jnp.asarray(solver.rate, jnp.float32) if isinstance(solver, Adam) else None,
        masks=masks,
        style_masks=parts if any(x is not None for x in parts) else None,
    )


def table_of(inputs: Inputs) -> dict[str, Any]:
    """The inputs by name."""
    table = inputs._asdict()
    weights = table.pop("weights")
    return table | {f"weights.{name}": value for name, value in weights._asdict().items()}


def from_table(table: Mapping[str, Any]) -> Inputs:
    """The inputs of these names."""
    weights = Weights(**{name: table[f"weights.{name}"] for name in Weights._fields})
    return Inputs(weights=weights, **{name: value for name, value in table.items() if "." not in name})


def batch_shapes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The batch axes of each input, by what messages call it; of several arrays, all together."""
    return {KINDS[name].label: _batch_shape(name, value) for name, value in table_of(inputs).items()}


def _batch_shape(name: str, value: Any) -> tuple[int, ...]:
    own = KINDS[name].rank
    return np.broadcast_shapes(*(leaf.shape[: leaf.ndim - own] for leaf in jax.tree.leaves(value)))


def with_one_batch_axis(inputs: Inputs, shape: tuple[int, ...]) -> tuple[Inputs, Batched]:
    """The inputs with their batch axes broadcast to `shape` and made one; and which of them have it."""
    table = table_of(inputs)
    batched = frozenset(name for name, value in table.items() if _batch_shape(name, value))
    for name in batched:
        own = KINDS[name].rank

        def one(leaf: Array, own: int = own) -> Array:
            rest = leaf.shape[leaf.ndim - own :]
            return jnp.broadcast_to(leaf, (*shape, *rest)).reshape(-1, *rest)

        table[name] = jax.tree.map(one, table[name])
    return from_table(table), batched


def pick(inputs: Inputs, batched: Batched, chosen: Any) -> Inputs:
    """The inputs of some transfers of a batch, or with a number of one."""
    table = table_of(inputs)
    return from_table(table | {name: jax.tree.map(lambda leaf: leaf[chosen], table[name]) for name in batched})


def axis_of(batched: Batched, *names: str) -> int | None:
    """The axis to map over of what depends on these inputs: 0 if any of them is batched, else None."""
    return 0 if batched.intersection(names) else None


def mapped(function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
    """The function by `jax.vmap` over these axes of its arguments; itself, where there is none."""
    return jax.vmap(function, in_axes=axes) if any(axis is not None for axis in axes) else function


def problem_axes(batched: Batched, targets: Targets) -> tuple[Any, Any, Any]:
    """The axes to map over of (network, targets, weights) that are made from such inputs."""
    content = axis_of(batched, "content")
    style = axis_of(batched, "styles", "weights.mix", "weights.mix_layers")
    masked: Any = None
    if targets.regions is not None:  # masks are shared, and with them what a region covers
        masked = Regions._make((None, axis_of(batched, "weights.mix"), None, content))
    weights = Weights._make(axis_of(batched, f"weights.{name}") for name in Weights._fields)
    return None, Targets._make((content, style, masked)), weights.of_terms
