"""The loss of a picture and its gradient, tile by tile: exactly those of the whole picture, in the memory of a tile.

Statistics of style are sums over positions. A first pass over the tiles takes these sums; from those of all tiles come
the style loss and its gradient with respect to them. With it, a second pass has each tile pull the gradient back to its
pixels, where tiles overlap they are added, and compares the features it owns with the content's (Galerne et al. 2024,
"Scaling Painting Style Transfer", https://arxiv.org/abs/2212.13459, whose tiles see 256 pixels around themselves; here
it is as many as the network's layers reach).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxstyle import losses
from jaxstyle.engine.checks import check_whole
from jaxstyle.engine.tiling import Tiling, tiling_of
from jaxstyle.errors import InputError
from jaxstyle.losses.reductions import TINY, float32
from jaxstyle.losses.sums import ADDITIVE, Additive, Sums, loss_of, sums_of, together
from jaxstyle.networks import Network
from jaxstyle.networks.reach import reach_of
from jaxstyle.objective import (
    Formula,
    LossTerms,
    Objective,
    Statistic,
    Targets,
    Vector,
    Weights,
    default_objective,
    over_layers,
    weighed,
)
from jaxstyle.ops.compile import compiled
from jaxstyle.regions import painted
from jaxstyle.types import FeatureMap, FeatureMaps, Image, Scalar

Place: TypeAlias = Int[Array | np.ndarray, "3 2"]  # of a tile, see `Tiling.places`
LayerMasks: TypeAlias = Mapping[str, Float[Array, "k _ _"]] | None  # weights of the positions, by layer
BySums: TypeAlias = dict[str, list[Sums]]  # of each region, by layer
SMALLEST_TILE = 16  # pixels a side
TILE = 1024

# What a content loss multiplies the squared distance with, given the target's square and how many numbers it has.
CONTENT: dict[Callable[..., Scalar], Callable[[float, int], float]] = {
    losses.content_loss: lambda square, _: 1 / square if square >= TINY else 1.0,
    losses.half_squared_error: lambda _, __: 0.5,
    losses.mean_squared_error: lambda _, count: 1 / count,
}


def check_tiles(network: Network, objective: Objective, tile: int) -> None:
    """Raises `InputError` where a loss cannot be had tile by tile."""
    check_whole(tile, "tile", SMALLEST_TILE)
    if network.module.padding == "periodic":
        raise InputError("a picture that tiles the plane has no border to be cut at; tiles want another padding")
    if not can_be_tiled(network, objective):
        can = [name for name, (_, style) in losses.STYLE_LOSSES.items() if style in ADDITIVE]
        raise InputError(
            f"tiles need losses that are functions of sums over positions, as {', '.join(can)} are; "
            f"{_name_of(objective.formula)} is not"
        )


def can_be_tiled(network: Network, objective: Objective) -> bool:
    """Whether a loss can be had tile by tile."""
    formula = objective.formula
    return formula.style in ADDITIVE and formula.content in CONTENT and network.module.padding != "periodic"


def _name_of(formula: Formula) -> str:
    """What a user calls the style loss."""
    names = (name for name, (_, style) in losses.STYLE_LOSSES.items() if style is formula.style)
    return next(names, "a loss of one's own")


def tiling_for(network: Network, layers: Sequence[str], size: tuple[int, int], tile: int) -> Tiling:
    """The tiles of a picture (height, width) for some layers."""
    module = network.module.clone(platform=None, padding="zero")
    return tiling_of(size, tile, reach_of(module, tuple(sorted(layers))))


# What is compiled: all tiles of a tiling have the same programs.


def _owned(shape: tuple[int, ...], place: Place, cell: int) -> Float[Array, "_ _"]:
    """1 where features of a tile, of this shape, are its own, else 0."""
    own = []
    for axis in (0, 1):
        pixels = place[0, axis] + cell * jnp.arange(shape[axis], dtype=jnp.int32)
        own.append((pixels >= place[1, axis]) & (pixels < place[2, axis]))
    return (own[0][:, None] & own[1][None, :]).astype(jnp.float32)


def _weights(masks: LayerMasks, layer: str, owned: Float[Array, "h w"], place: Place, cell: int) -> list[Array]:
    """Weights of a tile's positions, for each region."""
    if masks is None:
        return [owned]
    row, column, none = _corner(place, cell)
    own = jax.lax.dynamic_slice(masks[layer], (none, row, column), (len(masks[layer]), *owned.shape))
    return list(owned[None].astype(own.dtype) * own)


@compiled("layers", "form", "tiling")
def gathered(
    network: Network,
    image: Image,
    place: Place,
    masks: LayerMasks,
    known: Mapping[str, Sequence[Any]],
    *,
    layers: tuple[str, ...],
    form: Additive,
    tiling: Tiling,
) -> BySums:
    """The first pass: a tile's sums at the style layers, for each region."""
    cells, features = dict(tiling.cells), network.features(_pixels(image, place, tiling), layers)
    found: BySums = {}
    for layer, x in features.items():
        weights = _weights(masks, layer, _owned(x.shape, place, cells[layer]), place, cells[layer])
        found[layer] = [
            sums_of(form, form.values(x, before), own) for own, before in zip(weights, known[layer], strict=True)
        ]
    return found


@compiled("objective", "form")
def _judged(
    style: Mapping[str, Statistic],
    sums: BySums,
    shares: Vector | None,
    weights: Weights,
    *,
    objective: Objective,
    form: Additive,
) -> tuple[Scalar, BySums]:
    """The style term of a picture with these sums, and the gradient of its weighted value with respect to them."""

    def term(sums: BySums) -> tuple[Scalar, Scalar]:
        values = []
        for layer in objective.style_layers:
            targets = style[layer] if shares is not None else (style[layer],)
            each = [loss_of(form, own, target) for own, target in zip(sums[layer], targets, strict=True)]
            values.append(each[0] if shares is None else jnp.sum(shares * jnp.stack(each)))
        value = over_layers(values, weights.layers, mean=objective.formula.mean)
        return jnp.asarray(weights.style * value), value

    slopes, value = jax.grad(term, has_aux=True)(sums)
    return value, slopes


# Two programs, since one for value and gradient keeps the differences of all neighbours.


@compiled("objective")
def _measured(targets: Targets, image: Image, *, objective: Objective) -> tuple[Scalar, list[Array]]:
    """The variation; and the squares of the content's features, by layer and position."""
    # Row by row, or all of the squares would be kept until they are summed.
    of_row = functools.partial(jax.lax.map, lambda row: jnp.sum(float32(row) ** 2, -1))
    squares = [of_row(targets.content[layer]) for layer in objective.content_layers]
    return objective.formula.variation(image), squares


@compiled("objective")
def _begun(weights: Weights, image: Image, *, objective: Objective) -> Image:
    """The gradient of the weighted variation."""
    return jax.grad(lambda image: jnp.asarray(weights.variation * objective.formula.variation(image)))(image)


@compiled("objective", "form", "tiling", donated=("gradient",))
def _pulled(
    network: Network,
    image: Image,
    gradient: Image,
    place: Place,
    content: FeatureMaps,
    factors: Float[Array, " n"],
    masks: LayerMasks,
    known: Mapping[str, Sequence[Any]],
    sums: BySums,
    slopes: BySums,
    *,
    objective: Objective,
    form: Additive,
    tiling: Tiling,
) -> tuple[Image, list[Array]]:
    """The second pass: the gradient with a tile's part added, and the squared distances of the features that the tile
    owns from the content's, by layer and position."""
    cells = dict(tiling.cells)

    def part(tile: Image) -> tuple[Scalar, list[Array]]:
        features = network.features(tile, objective.layers)
        owned = {layer: _owned(x.shape, place, cells[layer]) for layer, x in features.items()}
        distances, total = [], jnp.zeros((), tile.dtype)
        for factor, layer in zip(factors, objective.content_layers, strict=True):
            target = _part(content[layer], place, features[layer].shape, cells[layer])
            apart = float32(features[layer]) - float32(target)
            distances.append(owned[layer].astype(apart.dtype) * jnp.sum(apart**2, -1))
            total += factor * jnp.sum(distances[-1])
        for layer in objective.style_layers:
            weights = _weights(masks, layer, owned[layer], place, cells[layer])
            for own, before, whole, slope in zip(weights, known[layer], sums[layer], slopes[layer], strict=True):
                found = sums_of(form, form.values(features[layer], before), own, pivot=whole.pivot)
                total += jnp.sum(slope.first * found.first) + jnp.sum(slope.higher * found.higher)
        return total, distances

    tile = _pixels(image, place, tiling)
    own, distances = jax.grad(part, has_aux=True)(tile)
    before = _pixels(gradient, place, tiling)
    return jax.lax.dynamic_update_slice(gradient, before + own, _corner(place, 1)), distances


@compiled("layers", "tiling", donated=("maps",))
def laid(
    network: Network, image: Image, maps: FeatureMaps, place: Place, *, layers: tuple[str, ...], tiling: Tiling
) -> FeatureMaps:
    """Feature maps of a whole picture with those that a tile owns put in."""
    cells, laid = dict(tiling.cells), {}
    for layer, x in network.features(_pixels(image, place, tiling), layers).items():
        owned = _owned(x.shape, place, cells[layer])[..., None] > 0
        new = jnp.where(owned, x, _part(maps[layer], place, x.shape, cells[layer]))
        laid[layer] = jax.lax.dynamic_update_slice(maps[layer], new, _corner(place, cells[layer]))
    return laid


def _pixels(image: Image, place: Place, tiling: Tiling) -> FeatureMap:
    """A tile of an image."""
    return _part(image, place, (*tiling.shape, 3), 1)


def _part(x: FeatureMap, place: Place, shape: Sequence[int], cell: int) -> FeatureMap:
    """Those of a whole picture's features, of cells of so many pixels, that a tile has too."""
    return jax.lax.dynamic_slice(x, _corner(place, cell), tuple(shape))


def _corner(place: Place, cell: int) -> tuple[Any, Any, Any]:
    """Where a tile's first feature lies: row, column, channel."""
    return place[0, 0] // cell, place[0, 1] // cell, jnp.zeros((), jnp.int32)


# The loss.


@dataclass(frozen=True)
class TiledLoss:
    """A loss and its gradient, tile by tile: (problem, image) -> ((total, terms), gradient), where a problem is
    (network, targets, weights).

    Attributes:
      objective: layers and formulae.
      tiling: where the tiles lie.
      measure, begin, gather, judge, pull: programs.
    """

    objective: Objective
    tiling: Tiling
    measure: Any
    begin: Any
    gather: Any
    judge: Any
    pull: Any

    @classmethod
    def of(cls, objective: Objective, tiling: Tiling) -> "TiledLoss":
        """With programs that are compiled when they are first called."""
        form = _form(objective)
        return cls(
            objective,
            tiling,
            functools.partial(_measured, objective=objective),
            functools.partial(_begun, objective=objective),
            functools.partial(gathered, layers=objective.style_layers, form=form, tiling=tiling),
            functools.partial(_judged, objective=objective, form=form),
            functools.partial(_pulled, objective=objective, form=form, tiling=tiling),
        )

    @classmethod
    def ahead(
        cls,
        network: Network,
        targets: Targets,
        weights: Weights,
        image: Any,
        *,
        objective: Objective,
        tiling: Tiling,
        placed: bool,
    ) -> tuple["TiledLoss", Any]:
        """Compiles for arrays of these shapes, see `Compiled.ahead`; and the result as shapes."""
        form, place = _form(objective), jax.ShapeDtypeStruct((3, 2), jnp.int32)
        masks, known = _masks(targets), jax.eval_shape(functools.partial(_known, form), targets)
        measure, _ = _measured.ahead(targets, image, objective=objective, placed=placed)
        begin, gradient = _begun.ahead(weights, image, objective=objective, placed=placed)
        shares = targets.regions and targets.regions.shares
        gather, sums = gathered.ahead(
            network, image, place, masks, known, layers=objective.style_layers, form=form, tiling=tiling, placed=placed
        )
        judge, (style, slopes) = _judged.ahead(
            targets.style, sums, shares, weights, objective=objective, form=form, placed=placed
        )
        factors = jax.ShapeDtypeStruct((len(objective.content_layers),), jnp.float32)
        pulled = (network, image, gradient, place, targets.content, factors, masks, known, sums, slopes)
        pull, _ = _pulled.ahead(*pulled, objective=objective, form=form, tiling=tiling, placed=placed)
        terms: Any = LossTerms(*[style] * len(LossTerms._fields))
        return cls(objective, tiling, measure, begin, gather, judge, pull), ((style, terms), gradient)

    @property
    def programs(self) -> list[Any]:
        """All of them."""
        return [self.measure, self.begin, self.gather, self.judge, self.pull]

    def __call__(self, problem: tuple[Network, Targets, Weights], image: Image) -> Any:
        """((total, terms), gradient), as `jax.value_and_grad` of the whole picture's loss has it."""
        network, targets, weights = problem
        regions, form = targets.regions, _form(self.objective)
        masks, known = _masks(targets), _known(form, targets)
        seen = painted(regions, image)
        variation, squares = self.measure(targets, seen)
        sums = summed(self.tiling, form, lambda place: self.gather(network, seen, place, masks, known))
        style, slopes = self.judge(targets.style, sums, regions and regions.shares, weights)
        factors = _content_factors(self.objective, targets, squares)
        gradient = self.begin(weights, seen)
        scaled, content = jnp.asarray(factors, image.dtype) * weights.content, 0.0
        for place in self.tiling.places():
            gradient, own = self.pull(
                network, seen, gradient, place, targets.content, scaled, masks, known, sums, slopes
            )
            content += sum(f * np.sum(np.asarray(x, np.float64)) for f, x in zip(factors, own, strict=True))
        terms = weighed(jnp.asarray(content, image.dtype), style, variation, weights)
        if regions is not None:  # elsewhere the loss looks at the content
            gradient = jnp.where(regions.cover[..., None] > 0, gradient, jnp.zeros_like(gradient))
        return (terms.total, terms), gradient


def _form(objective: Objective) -> Additive:
    return ADDITIVE[objective.formula.style]


def _masks(targets: Targets) -> Any:  # `LayerMasks`, or shapes of them
    return None if targets.regions is None else targets.regions.masks


def _known(form: Additive, targets: Targets) -> dict[str, list[Any]]:
    """What the values that are summed depend on, for each region."""
    one = targets.regions is None
    return {layer: [form.known(x) for x in ((style,) if one else style)] for layer, style in targets.style.items()}


def summed(tiling: Tiling, form: Additive, gather: Callable[[np.ndarray], BySums]) -> BySums:
    """The sums of all tiles, added in float64."""
    total: Any = None
    for place in tiling.places():
        own = jax.device_get(gather(place))
        if total is None:
            total = jax.tree.map(lambda x: np.asarray(x, np.float64), own)
        else:
            total = {
                layer: [together(form, pair) for pair in zip(parts, own[layer], strict=True)]
                for layer, parts in total.items()
            }
    return jax.tree.map(lambda x, one: jnp.asarray(x, one.dtype), total, own)


def _content_factors(objective: Objective, targets: Targets, squares: Sequence[Array]) -> Float[np.ndarray, " n"]:
    """What each content layer's squared distance is multiplied with; `squares` are the targets', by position."""
    factor, layers = CONTENT[objective.formula.content], objective.content_layers
    totals = [np.sum(np.asarray(x, np.float64)) for x in squares]
    found = [factor(float(total), targets.content[layer].size) for layer, total in zip(layers, totals, strict=True)]
    return np.asarray(found, np.float64) / (len(layers) if objective.formula.mean and layers else 1)


def tiled_value_and_grad(
    image: Image,
    network: Network,
    targets: Targets,
    weights: Weights,
    *,
    objective: Objective | None = None,
    tile: int = TILE,
) -> tuple[tuple[Scalar, LossTerms], Image]:
    """The loss of an image and its gradient, tile by tile: what `jax.value_and_grad` of `loss_terms` gives, but for
    rounding, in the memory of one tile (Galerne et al. 2024, https://arxiv.org/abs/2212.13459).

    Not for use under `jax.jit`: it is a loop over programs, all tiles in the same ones.

    Args:
      image: (h, w, 3) in [0, 1], of the size of the content.
      network: gives the features; with `Network.for_steps` it is faster.
      targets: from `make_targets` or `tiled_targets` with the same objective.
      weights: of the terms.
      objective: layers and formulae; None: the network's layers.
      tile: side in pixels of what a tile owns; it sees a border around that, 80 pixels for the default layers of VGG19.

    Returns:
      ((total, terms), gradient), the gradient (h, w, 3).

    Raises:
      InputError: a loss that is no function of sums over positions, as sliced-wasserstein and nearest.
    """
    objective = objective or default_objective(network)
    check_tiles(network, objective, tile)
    weights = jax.tree.map(lambda x: jnp.asarray(x, image.dtype), weights.of_terms)
    tiling = tiling_for(network, objective.layers, (image.shape[0], image.shape[1]), tile)
    return TiledLoss.of(objective, tiling)((network, targets, weights), image)
