"""Show what each layer keeps of a picture, in one figure.

Finds, from noise, the picture that has a layer's features, for each layer by itself. FIG.png, FIG.pdf and FIG.json: the
reconstructions, their feature errors, and how near they are to the picture.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.messages import name_of
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional, Several
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.study import figure_name, open_study, outputs_of, read_study
from jaxstyle.cli.values import LAYERS, NUMBER, SEED, SIDE, SOLVER, STEPS, Text
from jaxstyle.pictures.read import Picture
from jaxstyle.studies.figures import files_of_figure, save_figure


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `reconstruct` can be told.

    Attributes:
      picture: the picture to look into
      out: (default: IMAGE_reconstructions.png, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      layers: (default: the first one and {STYLE})
      steps: of each reconstruction
      size: long side in pixels at which it is read (default: its own, at most {STUDY_SIZE})
      tv_weight: smoothness
      optimizer: what moves the pixels
      seed: of the noise
      quiet: print only the results' names
    """

    picture: Annotated[str, Positional(Text("IMAGE"))]
    out: Annotated[str | None, Text("FIG.png"), Named("-o", "--out")] = None
    overwrite: bool = False
    layers: Annotated[tuple[str, ...] | None, Several(LAYERS)] = None
    steps: Annotated[int, STEPS] = defaults.INVERSION_STEPS
    size: Annotated[int | None, SIDE] = None
    tv_weight: Annotated[float, NUMBER] = defaults.INVERSION_VARIATION
    optimizer: Annotated[str, SOLVER] = "lbfgs"
    seed: Annotated[int, SEED] = defaults.SEED
    quiet: bool = False
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    given: frozenset[str] = frozenset()


def run(options: Options) -> int:
    """Checks everything that can be checked, inverts each layer, draws."""
    out = figure_name(options, "reconstructions")
    outputs = outputs_of(options, out)
    picture = read_study(options, options.size)
    with outputs.claimed():
        return _invert(options, outputs, out, picture)


def _invert(options: Options, outputs: Outputs, out: Path, picture: Picture) -> int:
    """Inverts each layer, draws."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began = time.time()
    layers = list(options.layers or first_and_style_layers(options.network.network))
    settings = {name: getattr(options, name) for name in ("steps", "tv_weight", "optimizer", "seed")}
    network, record = open_study(options, layers, {"layers": layers, **settings})
    import jax
    import numpy as np

    from jaxstyle.cli.records import file_record
    from jaxstyle.cli.terminal import PartsBar
    from jaxstyle.pictures.metrics import psnr, ssim
    from jaxstyle.solvers import SOLVERS
    from jaxstyle.studies.reconstruct import draw_reconstructions, reconstruct, told

    key, solver = jax.random.key(options.seed), SOLVERS[options.optimizer]()
    entries: list[dict[str, Any]] = []
    images = []
    with PartsBar(options.quiet, len(layers), options.steps) as bar:
        for layer in layers:
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
            bar.say(f"{layer}: {told(entries[-1])}")
    height, width = picture.pixels.shape[:2]
    data = {"image": file_record(picture), "width": width, "height": height, **record, "layers": entries}
    data["seconds"] = round(time.time() - began, 1)
    figure = draw_reconstructions(picture.pixels, Path(picture.path).name, entries, images)
    with outputs.writing(*files_of_figure(out)):
        save_figure(out, figure, data)
    count = "one layer" if len(entries) == 1 else f"{len(entries)} layers"
    print(f"{name_of(out)}{'' if options.quiet else f': {count}, {time.time() - began:.0f} s'}")
    return 0


def first_and_style_layers(network: str) -> list[str]:
    """The layers to look into where none are named: `conv1_1`, `relu1_1` ... `relu5_1` of a VGG."""
    from jaxstyle.networks import ARCHITECTURES

    module = ARCHITECTURES[network]
    return list(dict.fromkeys((module.layer_names[0], *module.style_layers)))
