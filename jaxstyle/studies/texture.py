"""What the layers keep of a style: a texture that has the same statistics there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.engine.checks import check_image, check_layers, check_min_size, check_whole
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.run import Progress, Result, run
from jaxstyle.engine.scales import MIN_SIDE, scale_sizes
from jaxstyle.errors import InputError
from jaxstyle.losses import style_loss
from jaxstyle.networks import Network
from jaxstyle.objective import RELATIVE, Objective, Weights, describe_styles
from jaxstyle.ops.compile import compiled
from jaxstyle.solvers import Lbfgs, Solver
from jaxstyle.studies.figures import SMALL, line_style, picture_grid, show_picture
from jaxstyle.studies.prior import Prior
from jaxstyle.types import Image, Key, Picture, Scalar

CELL = 16  # pixels that all poolings before relu5_1 make one of, and those of most other layers


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
    formula = RELATIVE._replace(variation=Prior(float(tv_weight), tile))
    objective = Objective((), tuple(layers), formula, style_loss=style_loss)
    check_layers(network, objective)
    cell = max(CELL, network.cell(layers)) if tile else 1
    for side, name in ((height, "the height"), (width, "the width")):
        check_whole(side, name, MIN_SIDE)
        if side % cell:
            raise InputError(f"{name} is {side}; that of a texture that tiles must be a multiple of {cell}")
    canvas = jnp.full((height, width, 3), 0.5)  # only its size counts
    if min_size is None:
        enlarged = max(height, width) / max(source.shape[:2])
        min_size = min(max(height, width), round(defaults.TEXTURE_COARSEST * max(1.0, enlarged)))
    check_min_size(min_size, canvas)
    sizes = scale_sizes(height, width, min_size=min_size, smallest=network.module.smallest)
    if tile:
        network = network.with_options(padding="periodic")
        sizes = [(_whole_cells(h, cell), _whole_cells(w, cell)) for h, w in sizes]
    source = jnp.asarray(source, jnp.float32)
    key = jax.random.key(0) if key is None else key
    plan, _ = make_plan(
        canvas,
        [source],
        network=network,
        weights=Weights(0.0, 1.0, 1.0),
        objective=objective,
        solver=solver or Lbfgs(),
        steps=steps,
        init=_noise_like(key, source, sizes[0]),
        sizes=sizes,
        key=key,
    )
    return run(plan, on_progress=on_progress)


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
    (wanted,) = describe_styles(network, [source], Objective((), layers))
    return {name: style_loss(x, wanted[name]) for name, x in network.features(image, layers).items()}


def _noise_like(key: Key, source: Image, size: tuple[int, int]) -> Array:
    """Independent Gaussian pixels with the mean and deviation of each of the source's channels.

    From the usual noise about mid-grey, the colours of a dark source of little contrast take most of the steps.
    """
    mean, deviation = jnp.mean(source, (0, 1)), jnp.std(source, (0, 1))
    noise = jax.random.normal(key, (*size, 3))
    return jnp.clip(mean[None, None] + deviation[None, None] * noise, 0.0, 1.0)


def _whole_cells(side: int, cell: int) -> int:
    return max(cell, round(side / cell) * cell)


def draw_textures(
    source: Picture,
    name: str,
    layers: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    images: Sequence[np.ndarray],
    *,
    style_loss: str,
    tile: bool,
) -> Any:
    """The figure: the source, the textures, the best one repeated if it tiles, and each layer's error under each set.

    Args:
      source: (h, w, 3).
      name: of the source.
      layers: all of them.
      entries: of each texture "name", "layers", "coarse_to_fine", "style_error" and "gram_errors" by layer.
      images: the textures, in the same order.
      style_loss: by its name.
      tile: whether they tile the plane.
    """
    height, width = source.shape[:2]
    tall, wide = images[0].shape[:2]
    seamless = ", seamless" if tile else ""
    what = "Gram matrices" if style_loss == "gram" else f"statistics ({style_loss})"
    title = f"{name}: textures from the {what} of more and more layers, {wide} x {tall}{seamless}"
    count = len(entries) + 2 + tile
    figure, (first, *rest) = picture_grid(count, tall / wide, title=title, lines=2)
    last = rest.pop()
    show_picture(first, source, f"source, {width} x {height}")
    for axes, entry, image in zip(rest, entries, images, strict=False):
        show_picture(axes, image, f"{entry['name']}\nstyle error {100 * entry['style_error']:.2g} %")
    if tile:
        show_picture(rest[-1], np.tile(images[-1], (2, 2, 1)), "the last one, 2 x 2 times")
    for k, entry in enumerate(entries):
        label = "from coarse to fine" if entry["coarse_to_fine"] else f"to {entry['layers'][-1]}"
        values = list(entry["gram_errors"].values())
        last.plot(range(len(values)), values, marker="os^Dv<>"[k % 7], markersize=3, label=label, **line_style(k))
    last.set_yscale("log")
    last.yaxis.tick_right()  # so that the pictures above stay in their column
    last.set_xticks(range(len(layers)), layers, fontsize=SMALL - 1, rotation=30, ha="right", rotation_mode="anchor")
    last.tick_params(axis="y", labelsize=SMALL - 1)
    last.set_title("Gram error of each layer, |G - A|² / |A|²", fontsize=SMALL)
    last.grid(alpha=0.3, linewidth=0.5)
    last.legend(fontsize=SMALL - 2, frameon=False, labelspacing=0.2)
    return figure
