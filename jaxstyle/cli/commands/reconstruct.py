"""`jaxstyle reconstruct`: what each layer keeps of a picture, inverted from noise."""

import argparse
import time
from pathlib import Path
from typing import Any

from jaxstyle.commands.study import check_keeps_inputs, figure_name, open_study, parts_bar, read_study
from jaxstyle.figures import SMALL, SUFFIXES, line_style, picture_grid, save_figure, show_picture

SETTINGS = ("layers", "steps", "tv_weight", "optimizer", "seed")


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, inverts each layer, draws."""
    out = figure_name(options, "reconstructions")
    check_keeps_inputs(options, [out.with_suffix(suffix) for suffix in SUFFIXES])
    picture = read_study(options.picture, options.size)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began = time.time()
    if options.layers is None:
        options.layers = first_and_style_layers(options.network)
    network, record = open_study(options, options.layers, SETTINGS)
    import jax
    import numpy as np

    from jaxstyle.commands.records import file_record
    from jaxstyle.inversion import reconstruct
    from jaxstyle.metrics import psnr, ssim
    from jaxstyle.solvers import SOLVERS

    key, solver = jax.random.key(options.seed), SOLVERS[options.optimizer]()
    entries: list[dict[str, Any]] = []
    images = []
    with parts_bar(options.quiet, len(options.layers), options.steps) as bar:
        for layer in options.layers:
            start = time.time()
            result = reconstruct(
                picture.pixels,
                layer,
                network=network,
                tv_weight=options.tv_weight,
                solver=solver,
                steps=options.steps,
                key=key,
                on_progress=bar.watch(layer),
            )
            images.append(np.asarray(result.image))
            curve = np.append(result.losses.content, result.final.content)
            entries.append(
                {
                    "layer": layer,
                    "psnr": float(psnr(result.image, picture.pixels)),
                    "ssim": float(ssim(result.image, picture.pixels)),
                    "feature_error": float(curve[-1]),
                    "feature_error_of_noise": float(curve[0]),
                    "evaluations": result.evaluations,
                    "seconds": round(time.time() - start, 2),
                    "feature_errors": curve,
                }
            )
            bar.say(f"{layer}: {_numbers(entries[-1])}")
    height, width = picture.pixels.shape[:2]
    data = {"image": file_record(picture), "width": width, "height": height, **record, "layers": entries}
    data["seconds"] = round(time.time() - began, 1)
    save_figure(out, _draw(picture, entries, images), data)
    count = "one layer" if len(entries) == 1 else f"{len(entries)} layers"
    print(f"{out}{'' if options.quiet else f': {count}, {time.time() - began:.0f} s'}")
    return 0


def first_and_style_layers(network: str) -> list[str]:
    """The layers to look into where none are named: `conv1_1`, `relu1_1` ... `relu5_1` of a VGG."""
    from jaxstyle.networks import ARCHITECTURES

    module = ARCHITECTURES[network]
    return list(dict.fromkeys((module.layer_names[0], *module.style_layers)))


def _numbers(entry: dict[str, Any]) -> str:
    error = f"{100 * entry['feature_error']:.2g} %"
    return f"PSNR {entry['psnr']:.1f} dB, SSIM {entry['ssim']:.3f}, feature error {error}"


def _draw(picture: Any, entries: list[dict[str, Any]], images: list[Any]) -> Any:
    """The picture, its reconstructions, and how the feature errors fell."""
    height, width = picture.pixels.shape[:2]
    title = f"{Path(picture.path).name}, {width} x {height} pixels, reconstructed from one layer at a time"
    figure, (first, *rest, last) = picture_grid(len(entries) + 2, height / width, title=title)
    show_picture(first, picture.pixels, "original")
    for axes, entry, image in zip(rest, entries, images, strict=True):
        psnr, ssim, error = _numbers(entry).split(", ")
        show_picture(axes, image, f"{entry['layer']}\n{psnr}, {ssim}\n{error}")
    for k, entry in enumerate(entries):
        values = entry["feature_errors"]
        last.plot(range(len(values)), values, label=entry["layer"], **line_style(k))
    last.set_yscale("log")
    last.yaxis.tick_right()  # so that the pictures above stay in their column
    last.set_title("feature error, |F - P|² / |P|²", fontsize=SMALL)
    last.set_xlabel("steps", fontsize=SMALL)
    last.tick_params(labelsize=SMALL - 1)
    last.grid(alpha=0.3, linewidth=0.5)
    last.legend(fontsize=SMALL - 2, frameon=False, ncols=2, labelspacing=0.2, handlelength=1.5, columnspacing=0.8)
    return figure
