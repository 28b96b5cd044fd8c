"""What a picture is held against, tile by tile: features of the content, and statistics of the styles."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle.engine.tiles import TILE, LayerMasks, check_tiles, gathered, laid, summed, tiling_for
from jaxstyle.losses.sums import ADDITIVE, Additive, statistic_of
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Statistic, Table, Targets, Vector, default_objective, targets_of
from jaxstyle.regions import Masks, area_resize
from jaxstyle.types import FeatureMaps, Image, Picture, StyleMask


def tiled_targets(
    network: Network,
    content: Image,
    styles: Sequence[Picture],
    *,
    objective: Objective | None = None,
    mix: Vector | None = None,
    mix_layers: Table | None = None,
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
    tile: int = TILE,
) -> Targets:
    """`make_targets` tile by tile: the same targets, in the memory of one tile and of the features that are kept.

    Args:
      network, content, styles, objective, mix, mix_layers, masks, style_masks: as of `make_targets`.
      tile: as of `tiled_value_and_grad`.

    Raises:
      InputError: as of `tiled_value_and_grad`.
    """
    objective = objective or default_objective(network)
    check_tiles(network, objective, tile)
    described = describe_in_tiles(network, styles, objective, style_masks=style_masks, tile=tile)
    kept = content_in_tiles(network, content, objective, tile=tile)
    return targets_of(network, content, kept, described, objective, mix=mix, mix_layers=mix_layers, masks=masks)


def content_in_tiles(network: Network, content: Image, objective: Objective, *, tile: int) -> FeatureMaps:
    """Features of the content picture at the content layers."""
    layers = objective.content_layers
    if not layers:
        return {}
    maps = {name: jnp.zeros(x.shape, x.dtype) for name, x in _shapes(network, content, layers).items()}
    tiling = tiling_for(network, layers, (content.shape[0], content.shape[1]), tile)
    for place in tiling.places():
        maps = laid(network, content, maps, place, layers=layers, tiling=tiling)
    return maps


def describe_in_tiles(
    network: Network,
    styles: Sequence[Picture],
    objective: Objective,
    *,
    style_masks: Sequence[StyleMask | None] | None = None,
    tile: int,
) -> list[dict[str, Statistic]]:
    """Statistics of each style picture (h, w, 3) at the style layers, or of the part of it where its mask is 1."""
    masks = style_masks or [None] * len(styles)
    return [_described(network, jnp.asarray(x), objective, mask, tile) for x, mask in zip(styles, masks, strict=True)]


def _described(
    network: Network, style: Picture, objective: Objective, mask: StyleMask | None, tile: int
) -> dict[str, Statistic]:
    layers, form = objective.style_layers, ADDITIVE[objective.formula.style]
    masks: LayerMasks = None
    if mask is not None:
        shapes = _shapes(network, style, layers)
        masks = {name: area_resize(mask, *x.shape[:2])[None] for name, x in shapes.items()}
    known: dict[str, Any] = dict.fromkeys(layers)
    if form.before is not None:
        known = _statistics(network, style, form.before, layers, masks, known, tile)
    return _statistics(network, style, form, layers, masks, known, tile)


def _statistics(
    network: Network,
    style: Picture,
    form: Additive,
    layers: tuple[str, ...],
    masks: LayerMasks,
    known: dict[str, Any],
    tile: int,
) -> dict[str, Statistic]:
    """The statistic of a style at each layer."""
    tiling = tiling_for(network, layers, (style.shape[0], style.shape[1]), tile)
    before = {layer: [value] for layer, value in known.items()}

    def gather(place: Any) -> Any:
        return gathered(network, style, place, masks, before, layers=layers, form=form, tiling=tiling)

    found = summed(tiling, form, gather)
    return {layer: statistic_of(form, sums, known=known[layer]) for layer, (sums,) in found.items()}


def _shapes(network: Network, picture: Picture, layers: tuple[str, ...]) -> dict[str, Any]:
    """Of features, of a picture of this size."""
    shape: dict[str, Any] = jax.eval_shape(
        lambda network, x: network.features(x, layers), network, jax.ShapeDtypeStruct(picture.shape, picture.dtype)
    )
    return shape
