"""Show a layer's feature maps, filters, and statistics of all layers.

The feature maps of a layer, the filters of the first one, and mean, root mean square and sparsity of all: FIG.png,
FIG.pdf and FIG.json.
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.messages import name_of
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.study import default_layers, figure_name, open_study, outputs_of, read_study
from jaxstyle.cli.values import SIDE, Text, Whole
from jaxstyle.pictures.read import Picture
from jaxstyle.studies.figures import files_of_figure, save_figure


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `features` can be told.

    Attributes:
      picture: the picture to look at
      layer: (default: the middle one of {STYLE})
      out: (default: IMAGE_LAYER.png, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      size: long side in pixels at which it is read (default: its own, at most {STUDY_SIZE})
      count: maps
      strongest: those of the largest mean square, not the first ones
      quiet: print only the result's name
    """

    picture: Annotated[str, Positional(Text("IMAGE"))]
    layer: Annotated[str | None, Text("NAME")] = None
    out: Annotated[str | None, Text("FIG.png"), Named("-o", "--out")] = None
    overwrite: bool = False
    size: Annotated[int | None, SIDE] = None
    count: Annotated[int, Whole(1, 512)] = defaults.FEATURES_COUNT
    strongest: bool = False
    quiet: bool = False
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    given: frozenset[str] = frozenset()


def run(options: Options) -> int:
    """Checks everything that can be checked, looks, draws; prints the table."""
    _, usual = default_layers(options.network.network) if options.layer is None else ((), ())
    layer = options.layer or usual[len(usual) // 2]
    out = figure_name(options, layer if layer.isidentifier() else "features")
    outputs = outputs_of(options, out)
    picture = read_study(options, options.size)
    with outputs.claimed():
        return _look(options, outputs, out, picture, layer)


def _look(options: Options, outputs: Outputs, out: Path, picture: Picture, layer: str) -> int:
    """Looks, draws; prints the table."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began = time.time()
    settings = {"layer": layer, "count": options.count, "strongest": options.strongest}
    network, record = open_study(options, [layer], settings)
    import jax

    from jaxstyle.cli.records import file_record
    from jaxstyle.studies.features import draw_features, first_filters, layer_statistics, strongest_maps

    features = jax.jit(functools.partial(type(network).features, layers=(layer,)))
    maps = features(network, picture.pixels)[layer].astype(np.float32)
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
    data |= {"layer": layer, "shape": maps.shape, "maps": shown, "layers": rows}
    which, name = "strongest" if options.strongest else "first", Path(picture.path).name
    figure = draw_features(picture.pixels, name, layer, maps, shown, filters, rows, which=which)
    with outputs.writing(*files_of_figure(out)):
        save_figure(out, figure, data)
    if not options.quiet:
        print(_table(rows))
    print(f"{name_of(out)}{'' if options.quiet else f': {count} of {maps.shape[2]} maps, {time.time() - began:.0f} s'}")
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    """The statistics, a line for each layer."""
    wide = max(8, *(len(row["layer"]) for row in rows))
    lines = [f"{'layer':{wide}} {'mean':>10} {'RMS':>10} {'sparsity':>9} {'style term':>11}"]
    for row in rows:
        numbers = f"{row['mean']:10.4g} {row['rms']:10.4g} {100 * row['sparsity']:7.1f} % {row['style_term']:11.3g}"
        lines.append(f"{row['layer']:{wide}} {numbers}")
    return "\n".join(lines)
