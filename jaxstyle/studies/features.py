"""What a network's layers answer to a picture: statistics of each, the strongest maps of one, the first filters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxstyle.losses import gatys_style, gram_matrix
from jaxstyle.networks import PREPROCESSING, Network
from jaxstyle.studies.figures import LINE, PANEL, SMALL, line_style, new_figure, show_picture
from jaxstyle.types import Features, Picture, Scalar

COLUMNS = 6  # of feature maps
GAP = 1  # pixels between two filters


class LayerStatistics(NamedTuple):
    """A layer's features in four numbers.

    Attributes:
      mean: of all its values.
      rms: root of the mean of their squares.
      sparsity: share of them that are zero: what a ReLU has silenced.
      style_term: |A|_F^2 / (4 N^2), which is Gatys's style term of this layer for a picture without features. It
        differs between layers by orders of magnitude, hence the weights per layer of all programs that do not, as
        this one, divide it by |A|_F^2.
    """

    mean: Scalar
    rms: Scalar
    sparsity: Scalar
    style_term: Scalar


def layer_statistics(network: Network, image: Picture, layers: Sequence[str]) -> dict[str, LayerStatistics]:
    """Statistics of each layer's features of an image (h, w, 3) in [0, 1]; pure, for use under `jit` and `vmap`."""
    return {name: _statistics(features) for name, features in network.features(jnp.asarray(image), layers).items()}


def _statistics(features: Features) -> LayerStatistics:
    features = features.astype(jnp.float32)
    gram = gram_matrix(features)
    return LayerStatistics(
        jnp.mean(features),
        jnp.sqrt(jnp.mean(features**2)),
        jnp.mean(features == 0, dtype=jnp.float32),
        gatys_style(jnp.zeros_like(features), gram),
    )


def strongest_maps(features: Features, count: int) -> Int[Array, " {count}"]:
    """Numbers of the `count` channels of (h, w, c) with the largest mean square, strongest first."""
    strength = jnp.mean(features.astype(jnp.float32) ** 2, (0, 1))
    return jax.lax.top_k(strength, count)[1]


def first_filters(network: Network) -> Float[Array, "n h w 3"]:
    """Kernels of the first convolution as pictures (n, height, width, RGB): 0.5 is zero, and each filter's largest
    weight is 0 or 1. What they see is RGB in [0, 1], whatever the network's preprocessing is."""
    kernel = jnp.moveaxis(network.params[next(iter(network.module.kernel_shapes))]["kernel"], 3, 0)
    wanted = PREPROCESSING[network.preprocessing]
    kernel = kernel / jnp.asarray(wanted.std, kernel.dtype)[None, None, None]
    kernel = kernel[..., ::-1] if wanted.bgr else kernel
    largest = jnp.max(jnp.abs(kernel), (1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * kernel / jnp.maximum(largest, float(jnp.finfo(jnp.float32).tiny))


def draw_features(
    picture: Picture,
    name: str,
    layer: str,
    maps: np.ndarray,
    shown: Sequence[Mapping[str, Any]],
    filters: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
    *,
    which: str,
) -> Any:
    """The figure: above, the picture, the first layer's filters and the statistics; below, maps of a layer.

    Args:
      picture: (h, w, 3).
      name: of the picture.
      layer: whose maps they are.
      maps: (h', w', c), all of them.
      shown: those to show: "map", "min", "max".
      filters: from `first_filters`.
      rows: a layer's statistics each, by name, and "layer".
      which: "strongest" or "first".
    """
    height, width = picture.shape[:2]
    columns = min(COLUMNS, len(shown))
    count = math.ceil(len(shown) / columns)
    each = 1.35
    below, above = count * (each * height / width + LINE), max(PANEL * height / width, 1.7) + 0.6
    size = f"{maps.shape[1]} x {maps.shape[0]}"
    title = f"{name}: the {which} {len(shown)} of {maps.shape[2]} maps of {layer}, {size}"
    figure = new_figure(COLUMNS * each, above + below + 0.5, title=title)
    top, bottom = figure.subfigures(2, 1, height_ratios=[above, below])
    side = filters.shape[1]
    image, kernels, scale, zeros = top.subplots(1, 4, width_ratios=[1, 0.8, 1.2, 1.2])
    show_picture(image, picture, f"picture, {width} x {height}")
    show_picture(
        kernels,
        _mosaic(filters),
        f"filters of the first layer\n({len(filters)}, {side} x {side}, grey is 0)",
        smooth=False,
    )
    _plot_statistics(scale, zeros, rows)
    axes = list(bottom.subplots(count, columns, squeeze=False).flat)
    for place in axes[len(shown) :]:
        place.set_axis_off()
    for place, one in zip(axes, shown, strict=False):
        low, high = min(0.0, float(one["min"])), float(one["max"])
        grey = (maps[..., one["map"]] - low) / max(high - low, 1e-12)
        show_picture(place, grey, f"map {one['map']}: {low:.2g} to {high:.2g}", smooth=False)
    return figure


def _mosaic(filters: np.ndarray) -> np.ndarray:
    """All filters (n, h, w, 3) in one picture, white between them."""
    columns = math.ceil(math.sqrt(len(filters)))
    side = filters.shape[1] + GAP
    mosaic = np.ones((math.ceil(len(filters) / columns) * side + GAP, columns * side + GAP, 3), np.float32)
    for k, one in enumerate(filters):
        top, left = k // columns * side + GAP, k % columns * side + GAP
        mosaic[top : top + side - GAP, left : left + side - GAP] = one
    return mosaic


def _plot_statistics(scale: Any, zeros: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Root mean square and unnormalised style term, and sparsity, over the ReLU layers, or the blocks, shallow to
    deep."""
    relus = [row for row in rows if not row["layer"].startswith(("conv", "pool"))] or rows
    names, places = [row["layer"] for row in relus], np.arange(len(relus))
    for k, (name, label) in enumerate((("rms", "RMS"), ("style_term", "|A|² / 4N²"))):
        scale.plot(places, [row[name] for row in relus], marker="os"[k], markersize=3, label=label, **line_style(k))
    scale.set_yscale("log")
    scale.legend(fontsize=SMALL - 1, frameon=False)
    scale.set_title("scale of the layers (no unit)", fontsize=SMALL)
    zeros.bar(places, [100 * row["sparsity"] for row in relus], color=line_style(2)["color"])
    zeros.set_title("sparsity: zeros (%)", fontsize=SMALL)
    zeros.set_ylim(0, 100)
    for axes in (scale, zeros):
        axes.set_xticks(places, names, rotation=90, fontsize=SMALL - 2)
        axes.tick_params(axis="y", labelsize=SMALL - 1)
        axes.grid(alpha=0.3, linewidth=0.5, axis="y")
