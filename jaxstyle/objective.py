"""What is minimised: targets from the pictures, loss terms from an image, and their weighted sum.

Everything that may be a number to be tried out (`Weights`) is traced; everything that changes the program
(`Objective`: layers and formulae) is hashable and static.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle import defaults, losses
from jaxstyle.errors import InputError, nearest
from jaxstyle.networks import Network
from jaxstyle.regions import Masks, Regions, area_resize, make_regions, painted
from jaxstyle.types import FeatureMaps, Features, Image, Picture, Scalar, StyleMask

Number: TypeAlias = float | int | np.floating | np.ndarray | Array
Vector: TypeAlias = Float[Array | np.ndarray, " n"]
Table: TypeAlias = Float[Array | np.ndarray, "layers n"]
Statistic: TypeAlias = Any


class Weights(NamedTuple):
    """Weights of the terms. Every leaf may be traced: new values never recompile, and vmap runs over any of them.

    Attributes:
      content: of the content term; with the default terms, 1 is the reference for the other two.
      style: of the style term. 30 keeps the content clear, 300 drowns most of it.
      variation: of the total variation, which smooths grain.
      layers: (n,), weights of the style layers within the style term; None for equal ones.
      mix: (k,), weights of the k styles; they need not sum to one. None for equal ones.
      mix_layers: (n, k), weights of the k styles at each of the n style layers, which `mix` is multiplied with: fine
        strokes from one, composition from another. None for the same mix at all layers. They leave a frame at the
        border, which a `margin` of the transfer takes away.
    """

    content: Number = defaults.CONTENT_WEIGHT
    style: Number = defaults.STYLE_WEIGHT
    variation: Number = defaults.VARIATION_WEIGHT
    layers: Vector | None = None
    mix: Vector | None = None
    mix_layers: Table | None = None

    @property
    def of_terms(self) -> "Weights":
        """Without those that the targets alone depend on."""
        return self._replace(mix=None, mix_layers=None)


class LossTerms(NamedTuple):
    """The weighted total, and the three terms before weighting."""

    total: Array
    content: Array
    style: Array
    variation: Array


class Targets(NamedTuple):
    """What the image is held against.

    Attributes:
      content: features of the content, by layer.
      style: statistics of the style, by layer; with regions a tuple of them, one for each.
      regions: where each style goes; None for all of them, mixed, everywhere.
    """

    content: Mapping[str, Features]
    style: Mapping[str, Statistic]
    regions: Regions | None = None


class Formula(NamedTuple):
    """The formulae of the three terms, all from `losses`.

    Attributes:
      content: (features, target features) -> loss of a layer.
      statistic: (features, *, mask) -> what is kept of a style.
      style: (features, statistic of the style, *, mask) -> loss of a layer.
      variation: image -> loss.
      mean: whether the layers of a term are averaged with their weights, or summed.
    """

    content: Callable[[Features, Features], Scalar]
    statistic: Callable[..., Statistic]
    style: Callable[..., Scalar]
    variation: Callable[[Image], Scalar]
    mean: bool


RELATIVE = Formula(losses.content_loss, *losses.STYLE_LOSSES["gram"], losses.total_variation, mean=True)


@dataclass(frozen=True)
class Objective:
    """Which layers are compared, and how. Hashable; a static argument of every jitted function.

    The defaults are a VGG's; `default_objective` gives those of any network.

    Attributes:
      content_layers: layers whose features should stay those of the content.
      style_layers: layers whose statistics should become those of the style.
      formula: `RELATIVE`, or that of a preset.

    Args:
      style_loss: puts another style loss into the formula, by its name: "gram", "wasserstein", "mean-std",
        "sliced-wasserstein", "cmd" or "nearest"; None leaves it as it is. (A loss of one's own goes into the formula:
        `RELATIVE._replace(statistic=..., style=...)`.)

    Raises:
      InputError: there is no style loss of that name.
    """

    content_layers: tuple[str, ...] = defaults.CONTENT_LAYERS
    style_layers: tuple[str, ...] = defaults.STYLE_LAYERS
    formula: Formula = RELATIVE
    style_loss: InitVar[str | None] = None

    def __post_init__(self, style_loss: str | None) -> None:
        if style_loss is None:
            return
        if style_loss not in losses.STYLE_LOSSES:
            names = tuple(losses.STYLE_LOSSES)
            raise InputError(
                f"there is no style loss {style_loss!r}; it is one of {', '.join(names)}{nearest(style_loss, names)}"
            )
        statistic, style = losses.STYLE_LOSSES[style_loss]
        object.__setattr__(self, "formula", self.formula._replace(statistic=statistic, style=style))

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that must be computed, each once."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))


def default_objective(network: Network) -> Objective:
    """The network's own content and style layers, with the relative terms."""
    return Objective(network.module.content_layers, network.module.style_layers)


def content_targets(network: Network, content: Image, objective: Objective) -> FeatureMaps:
    """Features of the content picture at the content layers."""
    return network.features(content, objective.content_layers)


def describe_styles(
    network: Network,
    styles: Sequence[Picture],
    objective: Objective,
    *,
    style_masks: Sequence[StyleMask | None] | None = None,
) -> list[dict[str, Statistic]]:
    """Statistics of each style picture (h, w, 3) at the style layers; with a mask (h, w) in [0, 1], of the part of the
    picture where it is 1.

    With a network that takes the image for periodic they are those of the style continued by its mirror image: a
    picture of which copies do not match at their borders would have the image look like these borders too.
    """
    if network.module.padding == "periodic":
        network = network.with_options(padding="reflect")
    masks = style_masks or [None] * len(styles)
    return [_described(network, style, objective, mask) for style, mask in zip(styles, masks, strict=True)]


def _described(network: Network, style: Picture, objective: Objective, mask: StyleMask | None) -> dict[str, Statistic]:
    features = network.features(jnp.asarray(style), objective.style_layers)
    if mask is None:
        return {layer: objective.formula.statistic(x) for layer, x in features.items()}
    sized = {layer: area_resize(mask, *x.shape[:2]) for layer, x in features.items()}
    return {layer: objective.formula.statistic(x, mask=sized[layer]) for layer, x in features.items()}


def combine_styles(
    statistics: Sequence[dict[str, Statistic]],
    objective: Objective,
    *,
    mix: Vector | None = None,
    mix_layers: Table | None = None,
    by_region: bool = False,
) -> dict[str, Statistic]:
    """What `Targets.style` holds of several styles: their mix (`losses.mixed`) as `Weights` has it, in which shares
    need not sum to one; by region, a tuple of them all.

    Raises:
      InputError: styles that have regions are to be mixed layer by layer too.
    """
    if by_region:
        if mix_layers is not None:
            raise InputError("styles with masks cannot be mixed layer by layer too; give either masks or mix_layers")
        return {layer: tuple(x[layer] for x in statistics) for layer in statistics[0]}
    shares = jnp.ones(len(statistics)) if mix is None else jnp.asarray(mix)
    if mix_layers is None:
        shares = shares / jnp.sum(shares)
        at = dict.fromkeys(objective.style_layers, shares)
    else:
        table = shares[None] * jnp.asarray(mix_layers)
        table = table / jnp.sum(table, 1, keepdims=True)
        at = dict(zip(objective.style_layers, table, strict=True))
    return {layer: losses.mixed([x[layer] for x in statistics], at[layer]) for layer in statistics[0]}


def make_targets(
    network: Network,
    content: Image,
    styles: Sequence[Picture],
    *,
    objective: Objective | None = None,
    mix: Vector | None = None,
    mix_layers: Table | None = None,
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
) -> Targets:
    """Targets of a content picture (h, w, 3) and one or more style pictures of any sizes, all in [0, 1].

    With `masks` (k, h, w) in [0, 1] each of the k styles goes where its mask says, and what none covers stays the
    content: guided Gram matrices (Gatys et al. 2016, https://arxiv.org/abs/1611.07865, section 4), and the like for
    other losses. `style_masks`, (h, w) of each style or None, say which part of a style is taken.
    """
    objective = objective or default_objective(network)
    described = describe_styles(network, styles, objective, style_masks=style_masks)
    kept = content_targets(network, content, objective)
    return targets_of(network, content, kept, described, objective, mix=mix, mix_layers=mix_layers, masks=masks)


def targets_of(
    network: Network,
    content: Image,
    kept: FeatureMaps,
    described: Sequence[dict[str, Statistic]],
    objective: Objective,
    *,
    mix: Vector | None,
    mix_layers: Table | None,
    masks: Masks | None,
) -> Targets:
    """Targets from the features of the content that are kept, and the statistics of each style; else as
    `make_targets`."""
    style = combine_styles(described, objective, mix=mix, mix_layers=mix_layers, by_region=masks is not None)
    if masks is None:
        return Targets(kept, style)
    return Targets(kept, style, make_regions(network, masks, content, objective.style_layers, mix=mix))


def over_layers(values: Sequence[Scalar], weights: Vector | None, *, mean: bool) -> Scalar:
    """A term of the loss from those of its layers: their weighted mean, or sum; 0 without any."""
    if not values:
        return jnp.zeros(())
    weights = jnp.ones(len(values)) if weights is None else weights
    weights = jnp.asarray(weights, values[0].dtype)
    total = jnp.sum(weights * jnp.stack(values))
    return total / jnp.sum(weights) if mean else total


def _style_loss(features: Features, layer: str, targets: Targets, formula: Formula) -> Scalar:
    """A layer's style loss; with regions, those of all of them by their shares."""
    if targets.regions is None:
        return formula.style(features, targets.style[layer])
    masks, shares = targets.regions.masks[layer], targets.regions.shares
    each = [formula.style(features, target, mask=masks[i]) for i, target in enumerate(targets.style[layer])]
    return jnp.sum(shares * jnp.stack(each))


def loss_terms(
    image: Image, network: Network, targets: Targets, weights: Weights, *, objective: Objective | None = None
) -> LossTerms:
    """The terms of the loss of an image, and their weighted sum; pure, for `jax.grad` of `.total`.

    content_weight * content + style_weight * style + tv_weight * variation, each of content and style averaged (or,
    in some presets, summed) over its layers. With regions, the style term of a layer is the sum over them, each by its
    share of the picture's area and relative mixing weight; and where no region is, the terms are those of the content,
    so that the image moves nowhere else.

    Args:
      image: (h, w, 3) in [0, 1], of the size of the content.
      network: gives the features.
      targets: from `make_targets` with the same objective.
      weights: of the terms.
      objective: layers and formulae; None: the network's layers.
    """
    objective = objective or default_objective(network)
    formula = objective.formula
    image = painted(targets.regions, image)
    features = network.features(image, objective.layers)
    content = [formula.content(features[layer], targets.content[layer]) for layer in objective.content_layers]
    style = [_style_loss(features[layer], layer, targets, formula) for layer in objective.style_layers]
    content_term = over_layers(content, None, mean=formula.mean)
    style_term = over_layers(style, weights.layers, mean=formula.mean)
    return weighed(content_term, style_term, formula.variation(image), weights)


def weighed(content: Scalar, style: Scalar, variation: Scalar, weights: Weights) -> LossTerms:
    """The three terms and their weighted sum."""
    parts = (weights.content * content, weights.style * style, weights.variation * variation)
    return LossTerms(jnp.asarray(sum(parts)), content, style, variation)


_NEURAL_STYLE = Formula(
    losses.mean_squared_error,
    losses.gram_matrix,
    losses.mean_squared_style,
    losses.absolute_variation_255,
    mean=False,
)

# Ours, and those of published programs (`presets`). The weights of the latter only mean the same with the same
# features: Keras weights (BGR, 0 to 255) for gatys and neural-style, torchvision's for the other two.
FORMULAE: dict[str, Formula] = {
    "relative": RELATIVE,
    "gatys": Formula(losses.half_squared_error, losses.gram_matrix, losses.gatys_style, losses.no_variation, mean=True),
    "neural-style": _NEURAL_STYLE,
    "pytorch-tutorial": _NEURAL_STYLE._replace(variation=losses.no_variation),
    "crowsonkb": Formula(
        losses.mean_squared_error, losses.moments, losses.crowsonkb_style, losses.nine_point_variation, mean=True
    ),
}
