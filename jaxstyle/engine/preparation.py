"""A scale prepared: pictures at its size, what the image is held against, and the image to begin with."""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxstyle.engine.inputs import Inputs, axis_of, mapped
from jaxstyle.engine.plan import Program
from jaxstyle.engine.scales import Scale, scaled_size
from jaxstyle.engine.starts import enlarge, starting_image
from jaxstyle.engine.tile_targets import content_in_tiles, describe_in_tiles
from jaxstyle.networks import Network
from jaxstyle.objective import Targets, combine_styles, content_targets, describe_styles
from jaxstyle.ops.compile import compiled
from jaxstyle.ops.resize import sized
from jaxstyle.regions import Regions, cover_of, layer_masks, style_shares
from jaxstyle.types import Image, Key, Picture


@compiled("program", "scale", "batch")
def prepare(
    network: Network, inputs: Inputs, before: Array | None, *, program: Program, scale: Scale, batch: int | None
) -> tuple[Targets, Array]:
    """The targets of a scale, and the image to begin with: that of the scale before, enlarged, or a start."""
    batched, objective, network = program.batched or frozenset(), program.objective, network.for_once()
    axis = functools.partial(axis_of, batched)
    content, styles = _pictures(network, inputs, program, scale)
    content, styles = program.split(content), [program.split(x) for x in styles]
    kept = mapped(lambda x: content_targets(network, x, objective), axis("content"))(content)
    kept = {layer: program.kept(x) for layer, x in kept.items()}
    described = mapped(
        lambda xs: describe_styles(network, xs, objective, style_masks=inputs.style_masks), axis("styles")
    )(styles)

    def combine(statistics: list[Any], mix: Any, mix_layers: Any) -> Any:
        by_region = inputs.masks is not None
        return combine_styles(statistics, objective, mix=mix, mix_layers=mix_layers, by_region=by_region)

    wanted = mapped(combine, axis("styles"), axis("weights.mix"), axis("weights.mix_layers"))(
        described, inputs.weights.mix, inputs.weights.mix_layers
    )
    regions = None if inputs.masks is None else _regions(network, inputs, content, program, scale)
    image = program.settled(_begun(inputs, before, program, scale, batch), scale.size)
    return Targets(kept, *program.settled((wanted, regions), scale.size)), image


@compiled("program", "scale")
def _prepared_pictures(
    network: Network, inputs: Inputs, before: Array | None, *, program: Program, scale: Scale
) -> tuple[Image, list[Array], Regions | None, Image]:
    """All of a scale that needs no features: content, styles, regions, and the image to begin with."""
    content, styles = _pictures(network, inputs, program, scale)
    regions = None if inputs.masks is None else _regions(network, inputs, content, program, scale)
    return content, styles, regions, _begun(inputs, before, program, scale, None)


def prepare_in_tiles(
    network: Network, inputs: Inputs, before: Array | None, *, program: Program, scale: Scale, tile: int
) -> tuple[Targets, Array]:
    """`prepare` of a single picture, tile by tile: a loop over programs."""
    objective, network = program.objective, network.for_once()
    content, styles, regions, image = _prepared_pictures(network, inputs, before, program=program, scale=scale)
    kept = content_in_tiles(network, content, objective, tile=tile)
    described = describe_in_tiles(network, styles, objective, style_masks=inputs.style_masks, tile=tile)
    mixes = {"mix": inputs.weights.mix, "mix_layers": inputs.weights.mix_layers}
    wanted = combine_styles(described, objective, **mixes, by_region=regions is not None)
    return Targets(kept, wanted, regions), image


def _pictures(network: Network, inputs: Inputs, program: Program, scale: Scale) -> tuple[Array, list[Array]]:
    """The content and the styles at the size of a scale."""
    axis = functools.partial(axis_of, program.batched or frozenset())
    ratio = max(scale.size) / scale.full
    content = mapped(lambda x: sized(x, scale.size), axis("content"))(inputs.content)
    styles = mapped(lambda xs: [_scaled(x, ratio, network.module.smallest) for x in xs], axis("styles"))(inputs.styles)
    return content, styles


def _begun(inputs: Inputs, before: Array | None, program: Program, scale: Scale, batch: int | None) -> Array:
    """The image to begin with."""
    axis = functools.partial(axis_of, program.batched or frozenset())
    if before is not None:
        # The picture that the coarsest scale began with: with other named starts there was none.
        source = inputs.content if program.init == "content" else inputs.start
        along = axis("content" if program.init == "content" else "start")
        enlarged = functools.partial(enlarge, size=scale.size)
        return program.spread(mapped(enlarged, None if batch is None else 0, along)(before, source))

    def begin(key: Key, start: Picture | None, content: Picture, styles: Sequence[Picture]) -> Image:
        init = program.init if start is None else start
        assert init is not None
        return starting_image(key, init, content, styles, scale.size)

    axes = (axis("key"), axis("start"), axis("content"), axis("styles"))
    image = mapped(begin, *axes)(inputs.key, inputs.start, inputs.content, inputs.styles)
    if batch is not None and not any(x is not None for x in axes):
        image = jnp.broadcast_to(image[None], (batch, *image.shape))
    return program.spread(image)


def _regions(network: Network, inputs: Inputs, content: Array, program: Program, scale: Scale) -> Regions:
    """The regions of a scale. Masks are shared; the content and mixing weights may be batched."""
    assert inputs.masks is not None
    masks = layer_masks(network, inputs.masks, program.objective.style_layers, scale.size)
    mix = axis_of(program.batched or frozenset(), "weights.mix")
    shares = mapped(style_shares, None, mix)(inputs.masks, inputs.weights.mix)
    return Regions(masks, shares, cover_of(inputs.masks, scale.size), content)


def _scaled(style: Picture, ratio: float, smallest: int) -> Image:
    return sized(style, scaled_size(style.shape[:2], ratio, smallest=smallest))
