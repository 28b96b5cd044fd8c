"""`jaxstyle features`: a layer's feature maps, the first layer's filters, and statistics of all layers."""

import argparse
import functools
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.commands.study import check_keeps_inputs, default_layers, figure_name, open_study, read_study
from jaxstyle.figures import LINE, PANEL, SMALL, SUFFIXES, line_style, new_figure, save_figure, show_picture

COLUMNS = 6  # of feature maps
GAP = 1  # pixels between two filters
SETTINGS = ("layer", "count", "strongest")


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, looks, draws; prints the table."""
    if options.layer is None:
        _, layers = default_layers(options.network)
        options.layer = layers[len(layers) // 2]
    out = figure_name(options, options.layer if options.layer.isidentifier() else "features")
    check_keeps_inputs(options, [out.with_suffix(suffix) for suffix in SUFFIXES])
    picture = read_study(options.picture, options.size)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began = time.time()
    network, record = open_study(options, [options.layer], SETTINGS)
    import jax

    from jaxstyle.commands.records import file_record
    from jaxstyle.studies.features import first_filters, layer_statistics, strongest_maps

    features = jax.jit(functools.partial(type(network).features, layers=(options.layer,)))
    maps = features(network, picture.pixels)[options.layer].astype(np.float32)
    count = min(options.count, maps.shape[2])
    chosen = np.asarray(strongest_maps(maps, count)) if options.strongest else np.arange(count)
    maps = np.asarray(maps)
    layers = network.layers_within(*picture.pixels.shape[:2])
    statistics = jax.jit(functools.partial(layer_statistics, layers=layers))
    found = jax.device_get(statistics(network, picture.pixels))
    rows = [{"layer": name, **found[name]._asdict()} for name in layers]
    shown = [
        {
            "map": int(k),
            "min": maps[..., k].min(),
            "max": maps[..., k].max(),
            "rms": np.sqrt(np.mean(maps[..., k] ** 2)),
        }
        for k in chosen
    ]
    filters = np.asarray(first_filters(network))
    height, width = picture.pixels.shape[:2]
    data = {"image": file_record(picture), "width": width, "height": height, **record}
    data |= {"layer": options.layer, "shape": maps.shape, "maps": shown, "layers": rows}
    save_figure(out, _draw(picture, options, maps, shown, filters, rows), data)
    if not options.quiet:
        print(_table(rows))
    print(f"{out}{'' if options.quiet else f': {count} of {maps.shape[2]} maps, {time.time() - began:.0f} s'}")
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    """The statistics, a line for each layer."""
    wide = max(8, *(len(row["layer"]) for row in rows))
    lines = [f"{'layer':{wide}} {'mean':>10} {'RMS':>10} {'sparsity':>9} {'style term':>11}"]
    for row in rows:
        numbers = f"{row['mean']:10.4g} {row['rms']:10.4g} {100 * row['sparsity']:7.1f} % {row['style_term']:11.3g}"
        lines.append(f"{row['layer']:{wide}} {numbers}")
    return "\n".join(lines)


def _draw(
    picture: Any, options: Any, maps: np.ndarray, shown: list[Any], filters: np.ndarray, rows: list[dict[str, Any]]
) -> Any:
    """Above, the picture, the first layer's filters and the statistics; below, the maps."""
    height, width = picture.pixels.shape[:2]
    columns = min(COLUMNS, len(shown))
    count = math.ceil(len(shown) / columns)
    each = 1.35
    below, above = count * (each * height / width + LINE), max(PANEL * height / width, 1.7) + 0.6
    which = "strongest" if options.strongest else "first"
    size = f"{maps.shape[1]} x {maps.shape[0]}"
    title = f"{Path(picture.path).name}: the {which} {len(shown)} of {maps.shape[2]} maps of {options.layer}, {size}"
    figure = new_figure(COLUMNS * each, above + below + 0.5, title=title)
    top, bottom = figure.subfigures(2, 1, height_ratios=[above, below])
    side = filters.shape[1]
    image, kernels, scale, zeros = top.subplots(1, 4, width_ratios=[1, 0.8, 1.2, 1.2])
    show_picture(image, picture.pixels, f"picture, {width} x {height}")
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


def _plot_statistics(scale: Any, zeros: Any, rows: list[dict[str, Any]]) -> None:
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
