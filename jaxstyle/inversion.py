"""What a network's layers keep of a picture: the picture of the same features, and a texture of the same statistics.

Both are transfers with one of their two terms, from noise, and run by `paint`. Images are (h, w, 3), float32, in
[0, 1].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.checks import check_image, check_layers, check_transfer, check_whole
from jaxstyle.compiling import compiled
from jaxstyle.errors import InputError
from jaxstyle.lanes import inputs_of
from jaxstyle.losses import excess, periodic_variation, style_loss, total_variation
from jaxstyle.networks import Network
from jaxstyle.objective import RELATIVE, Objective, Weights, style_statistics
from jaxstyle.optimise import Progress, Result, paint, transfer
from jaxstyle.programs import for_steps, program_of
from jaxstyle.solvers import Lbfgs, Solver
from jaxstyle.starts import MIN_SIDE, scale_sizes
from jaxstyle.types import Image, Key, Picture, Scalar

BOUNDS = 30.0  # weight of `excess`: L-BFGS leaves pixels free, and what is cut off at the end must change little
CELL = 16  # pixels that all poolings before relu5_1 make one of, and those of most other layers


@dataclass(frozen=True)
class Prior:
    """What pixels are before any layer is asked: within their range, and smooth. In place of a total variation.

    Part of the objective, hence static: a new value compiles a new program. Equal ones hash equal.

    Attributes:
      variation: weight of the total variation.
      periodic: whether the picture is to tile the plane.
    """

    variation: float
    periodic: bool = False

    def __call__(self, image: Image) -> Scalar:
        """The term, for an image (h, w, 3) with any values."""
        smoothness = periodic_variation if self.periodic else total_variation
        return BOUNDS * excess(image) + self.variation * smoothness(image)


def reconstruct(
    image: Picture,
    layer: str,
    *,
    network: Network,
    tv_weight: float = defaults.INVERSION_VARIATION,
    solver: Solver | None = None,
    steps: int = defaults.INVERSION_STEPS,
    key: Key | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """The picture of which one layer has the features that it has of `image`, found from noise (Mahendran and Vedaldi
    2014, https://arxiv.org/abs/1412.0035).

    What the layer has lost of the picture is left to the noise and the prior. All steps are at the picture's own size:
    features of a smaller one would tell what this layer has not kept.

    Args:
      image: (h, w, 3).
      layer: one of the network's.
      network: from `load_network`.
      tv_weight: of the total variation against the relative error of the features; 0 for none. The paper's weights
        are for its own terms.
      solver: `Lbfgs()` if None.
      steps: of the solver.
      key: `jax.random` key of the noise; None for a fixed one.
      on_progress: see `transfer`.

    Returns:
      A `Result`; its `final.content` is the feature error, |F - P|^2 / |P|^2, of which `losses.content[0]` is that of
      the noise.

    Raises:
      InputError, DivergedError: as `transfer`.
    """
    check_image(image, "the image")
    return transfer(
        image,
        [image],  # without style layers it is not looked at
        network=network,
        weights=Weights(1.0, 0.0, 1.0),
        objective=Objective((layer,), (), RELATIVE._replace(variation=Prior(_weight(tv_weight)))),
        solver=solver or Lbfgs(),
        steps=steps,
        init="noise",
        min_size=max(image.shape[:2]),
        key=key,
        on_progress=on_progress,
    )


def synthesise(
    source: Picture,
    *,
    network: Network,
    layers: Sequence[str] | None = None,
    style_loss: str = "gram",
    height: int | None = None,
    width: int | None = None,
    tile: bool = False,
    min_size: int | None = None,
    tv_weight: float = defaults.TEXTURE_VARIATION,
    solver: Solver | None = None,
    steps: int = defaults.TEXTURE_STEPS,
    key: Key | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """A texture with the source's Gram matrices, or other statistics, found from noise (Gatys, Ecker and Bethge 2015,
    https://arxiv.org/abs/1505.07376).

    Statistics are those of the source at its own scale, whatever the size of the texture. The paper has one size
    only, as has `min_size` equal to the texture's long side; from coarse to fine, the same layers also bring about
    shapes that are wider than what they see.

    Args:
      source: (h, w, 3).
      network: from `load_network`.
      layers: whose statistics are compared; None: the network's style layers.
      style_loss: by its name in `losses.STYLE_LOSSES`; "gram" compares Gram matrices, averaged over positions, each
        relative to its size.
      height, width: of the texture, in pixels; the source's if None.
      tile: whether copies of the texture match at their borders: convolutions and variation then go on at the other
        side, and both sides must be multiples of 16, or of what the deepest layer makes one of.
      min_size: long side in pixels of the coarsest scale; None for 64, or whatever makes the source as large.
      tv_weight: of the total variation against the style loss.
      solver: `Lbfgs()` if None.
      steps: at each scale.
      key: `jax.random` key of the noise; None for a fixed one.
      on_progress: see `transfer`.

    Returns:
      A `Result`; its `final.style` is the mean over layers of the style loss, of Gram matrices |G - A|^2 / |A|^2.

    Raises:
      InputError: a picture, a size, a number or a layer that cannot be used.
      DivergedError: the loss became NaN or infinite.
    """
    check_image(source, "the source")
    layers = network.module.style_layers if layers is None else layers
    height, width = (own if side is None else side for side, own in zip((height, width), source.shape[:2], strict=True))
    formula = RELATIVE._replace(variation=Prior(_weight(tv_weight), tile))
    objective = Objective((), tuple(layers), formula, style_loss=style_loss)
    check_layers(network, objective)
    cell = max(CELL, network.cell(layers)) if tile else 1
    for side, name in ((height, "the height"), (width, "the width")):
        check_whole(side, name, MIN_SIDE)
        if side % cell:
            raise InputError(f"{name} is {side}; that of a texture that tiles must be a multiple of {cell}")
    weights, solver = Weights(0.0, 1.0, 1.0), solver or Lbfgs()
    canvas = jnp.full((height, width, 3), 0.5)
    if min_size is None:
        enlarged = max(height, width) / max(source.shape[:2])
        min_size = min(max(height, width), round(defaults.TEXTURE_COARSEST * max(1.0, enlarged)))
    check_transfer(canvas, [source], network, weights, objective, steps, "noise", min_size, 0.0)
    sizes = scale_sizes(height, width, min_size=min_size, smallest=network.module.smallest)
    if tile:
        network = network.with_options(padding="periodic")
        sizes = [(_whole_cells(h, cell), _whole_cells(w, cell)) for h, w in sizes]
    source = jnp.asarray(source, jnp.float32)
    key = jax.random.key(0) if key is None else key
    start = _noise_like(key, source, sizes[0])
    # Of the canvas only the size counts.
    inputs = inputs_of(canvas, [source], weights=weights, solver=solver, init=start, key=key)
    program = program_of(objective, solver, 0.0)
    return paint(
        for_steps(network, inputs), inputs, program, sizes=sizes, steps=steps, init=None, on_progress=on_progress
    )


def gram_errors(
    image: Picture, source: Picture, *, network: Network, layers: Sequence[str], tile: bool = False
) -> dict[str, Scalar]:
    """By layer, |G - A|^2 / |A|^2 of a texture's Gram matrix to its source's; with `tile`, of one that repeats."""
    if tile:
        network = network.with_options(padding="periodic")
    found = _gram_errors(network, jnp.asarray(image), jnp.asarray(source), layers=tuple(layers))
    return {layer: found[layer] for layer in layers}  # jit sorts a dict by its keys


@compiled("layers")
def _gram_errors(network: Network, image: Image, source: Picture, *, layers: tuple[str, ...]) -> dict[str, Scalar]:
    wanted = style_statistics(network, source, Objective((), layers))
    return {name: style_loss(x, wanted[name]) for name, x in network.features(image, layers).items()}


def _noise_like(key: Key, source: Image, size: tuple[int, int]) -> Array:
    """Independent Gaussian pixels with the mean and deviation of each of the source's channels.

    From the usual noise about mid-grey, the colours of a dark source of little contrast take most of the steps.
    """
    mean, deviation = jnp.mean(source, (0, 1)), jnp.std(source, (0, 1))
    noise = jax.random.normal(key, (*size, 3))
    return jnp.clip(mean[None, None] + deviation[None, None] * noise, 0.0, 1.0)


def _weight(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise InputError(f"tv_weight is {value}; it must be a finite number, zero or larger")
    return float(value)


def _whole_cells(side: int, cell: int) -> int:
    return max(cell, round(side / cell) * cell)
