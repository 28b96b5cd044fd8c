"""Checks of what a caller hands over, made before anything is compiled. Each failure is one plain line."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxstyle.defaults import STARTS
from jaxstyle.engine.scales import MIN_SIDE
from jaxstyle.errors import InputError, nearest
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Weights


def check_image(image: Any, name: str, *, batch: bool = False, smallest: int = MIN_SIDE) -> None:
    """An image is a finite float array (h, w, 3) with values in [0, 1] and at least `smallest` pixels a side.

    With `batch` it may have axes in front. Of a traced one only the shape is known.
    """
    shape = tuple(np.shape(image))
    if len(shape) < 3 or shape[-1] != 3 or (len(shape) > 3 and not batch):
        raise InputError(f"{name} has shape {shape}; an image is (height, width, 3)")
    height, width = shape[-3:-1]
    if min(height, width) < smallest:
        raise InputError(f"{name} is {width} x {height} pixels; at least {smallest} a side are needed")
    _check_values(image, name, "an image", slack=1e-3)


def _check_values(array: Any, name: str, kind: str, *, slack: float = 0.0) -> float | None:
    """Floats in [0, 1], within `slack`; of what `kind` it is, "an image" say, the error tells. Returns the largest,
    None of a traced array, of which nothing is known."""
    if isinstance(array, jax.core.Tracer):
        return None
    values = np.asarray(array)
    if not np.issubdtype(values.dtype, np.floating):
        hint = " (divide 8-bit values by 255)" if np.issubdtype(values.dtype, np.integer) else ""
        raise InputError(f"{name} holds {values.dtype}; {kind} is float32 in [0, 1]{hint}")
    low, high = float(values.min()), float(values.max())
    if not (low >= -slack and high <= 1 + slack):  # so written, NaN is refused too
        raise InputError(f"{name} has values from {low:g} to {high:g}; {kind} is finite numbers in [0, 1]")
    return high


def check_layers(network: Network, objective: Objective) -> None:
    """Every layer exists, none is named twice, and there is at least one."""
    for kind, layers in (("content", objective.content_layers), ("style", objective.style_layers)):
        for layer in layers:
            if layer not in network.layer_names:
                names = network.layer_names
                raise InputError(
                    f"{network.name} has no layer {layer!r}; it has {names[0]} ... {names[-1]}{nearest(layer, names)}"
                )
        if len(set(layers)) < len(layers):
            raise InputError(f"a {kind} layer is named twice in {' '.join(layers)}")
    if not objective.layers:
        raise InputError("there is neither a content layer nor a style layer; at least one is needed")


def check_weights(weights: Weights, objective: Objective, styles: int) -> None:
    """Weights are finite and not negative; per-layer and mixing weights are as many as layers and styles."""
    for name, value in weights._asdict().items():
        if value is None or isinstance(value, jax.core.Tracer):
            continue
        numbers = np.asarray(value, np.float64)
        if not np.isfinite(numbers).all() or (numbers < 0).any():
            raise InputError(f"the {name} weight is {value}; weights are finite numbers, zero or larger")
    for name, wanted, what in (("layers", len(objective.style_layers), "style layers"), ("mix", styles, "styles")):
        value = getattr(weights, name)
        if value is None:
            continue
        if np.shape(value)[-1:] != (wanted,):
            raise InputError(f"{np.size(value)} {name} weights were given for {wanted} {what}; one for each is needed")
        if not isinstance(value, jax.core.Tracer) and (np.sum(np.asarray(value), -1) <= 0).any():
            raise InputError(f"the {name} weights are all zero; at least one must be larger")
    _check_mix_layers(weights, len(objective.style_layers), styles)


def _check_mix_layers(weights: Weights, layers: int, styles: int) -> None:
    table, mix = weights.mix_layers, weights.mix
    if table is None:
        return
    if np.shape(table)[-2:] != (layers, styles):
        raise InputError(f"mix_layers has shape {np.shape(table)}; it is ({layers}, {styles}), style layers by styles")
    if isinstance(table, jax.core.Tracer):
        return
    known = mix is not None and not isinstance(mix, jax.core.Tracer)
    shares = np.asarray(mix)[..., None, :] if known else np.ones(styles)
    try:
        sums = np.sum(np.asarray(table) * shares, -1)
    except ValueError:  # of other axes in front, which `check_batch_shapes` sees
        return
    if (sums <= 0).any():
        raise InputError("mix_layers, with mix, leaves a style layer without a style; at least one must be larger")


def check_whole(value: Any, name: str, least: int) -> None:
    """A whole number, not below `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value!r}; it must be a whole number, at least {least}")


def check_pictures(content: Any, styles: Sequence[Any], *, smallest: int, batch: bool = False) -> None:
    """The content, and at least one style."""
    check_image(content, "the content", batch=batch, smallest=smallest)
    if not styles:
        raise InputError("no style picture was given; at least one is needed")
    for i, style in enumerate(styles, 1):
        check_image(style, "the style" if len(styles) == 1 else f"style {i}", batch=batch, smallest=smallest)


def check_min_size(min_size: Any, content: Any) -> None:
    """A long side, no larger than the content's; None for the usual one."""
    if min_size is None:
        return
    long_side = max(np.shape(content)[-3:-1])
    check_whole(min_size, "min_size", MIN_SIDE)
    if min_size > long_side:
        raise InputError(f"min_size is {min_size}, larger than the content, whose long side is {long_side}")


def check_average(average: float) -> None:
    """A decay."""
    if not (average >= 0 and np.float32(average) < 1):
        raise InputError(f"average is {average}; it must be at least 0 and below 1, as float32 too")


def check_start(init: Any, *, batch: bool = False) -> None:
    """A name, or a picture of any size."""
    if not isinstance(init, str):
        check_image(init, "the starting image", batch=batch)
    elif init not in STARTS:
        raise InputError(f"init is {init!r}; it is one of {', '.join(STARTS)}, or an image{nearest(init, STARTS)}")


def check_margin(margin: Any, content: Any) -> None:
    """A whole number of pixels, no more than the content has to be mirrored."""
    check_whole(margin, "margin", 0)
    if margin > (side := min(np.shape(content)[-3:-1])):
        raise InputError(f"margin is {margin}; it can be at most the content's shorter side, {side}")


def check_masks(masks: Any, style_masks: Any, content: Any, styles: Sequence[Any]) -> None:
    """One mask for each style, of the content's size; parts of styles of theirs; in [0, 1], and none of them blank."""
    if masks is not None:
        shape, wanted = tuple(np.shape(masks)), (len(styles), *np.shape(content)[-3:-1])
        if shape != wanted:
            raise InputError(f"masks have shape {shape}; one for each style, of the content's size, is {wanted}")
        for i in range(len(styles)):
            _check_mask(masks[i], f"mask {i + 1}")
    if style_masks is None:
        return
    if len(style_masks) != len(styles):
        raise InputError(f"{len(style_masks)} style masks were given for {len(styles)} styles; one for each, or None")
    for i, (mask, style) in enumerate(zip(style_masks, styles, strict=True), 1):
        if mask is None:
            continue
        shape, wanted = tuple(np.shape(mask)), tuple(np.shape(style)[-3:-1])
        if shape != wanted:
            raise InputError(f"style mask {i} has shape {shape}; that of the style is {wanted}")
        _check_mask(mask, f"style mask {i}")


def _check_mask(mask: Any, name: str) -> None:
    if _check_values(mask, name, "a mask") == 0:
        raise InputError(f"{name} is blank, 0 everywhere; it must be larger somewhere")


def check_batch_shapes(axes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that these batch axes, by what has them, broadcast to as NumPy does."""
    try:
        shape = np.broadcast_shapes(*axes.values())
    except ValueError as error:
        given = ", ".join(f"{axes} of {name}" for name, axes in axes.items() if axes)
        raise InputError(
            f"the leading axes do not fit one another: {given}; they are broadcast as NumPy does"
        ) from error
    if 0 in shape:
        empty = next(name for name, axes in axes.items() if 0 in axes)
        raise InputError(f"{empty} has an axis without values, {shape}; each needs at least one")
    return shape
