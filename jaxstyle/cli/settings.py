"""The settings of a transfer: what the command line says of how a picture is made, and what its record keeps.

`jaxstyle.cli.resolve` completes those that were not given. Nothing here is slow to import.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.parser import FIXED, Several, fields_of
from jaxstyle.cli.values import (
    COLORING,
    FRACTION,
    LAYERS,
    NETWORK,
    NUMBER,
    POSITIVE,
    PREPROCESSING,
    SEED,
    SHARE,
    SIDE,
    SIDES,
    SOLVER,
    STEPS,
    STYLE_LOSS,
    UPSCALE,
    Choice,
    Table,
    Text,
    Whole,
)
from jaxstyle.errors import InputError, nearest, one_for_each
from jaxstyle.presets import PRESETS


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Network.

    Attributes:
      network: what sees the pictures (default: {NETWORK} on CPUs, {FULL_NETWORK} on GPUs and TPUs)
      weights: weights: .h5, .keras, .pth, .safetensors or .whl
      preprocessing: what the weights were trained to see: keras, BGR up to 255 as Oxford's VGG; torchvision, normalised
        RGB (default: what the file says, or is found out of it)
      pooling: (default: the network's own)
      padding: (default: the network's own)
      precision: of convolutions (default: bfloat16 on TPUs and on GPUs from Ampere on, else float32)
    """

    network: Annotated[str, NETWORK] = defaults.NETWORK
    weights: Annotated[str | None, Text("FILE"), FIXED] = None
    preprocessing: Annotated[str | None, PREPROCESSING, FIXED] = None
    pooling: Annotated[str | None, Choice(("max", "average"), "HOW")] = None
    padding: Annotated[str | None, Choice(("zero", "edge", "reflect"), "HOW")] = None
    precision: Annotated[str, Choice(("float32", "bfloat16"), "TYPE")] = "float32"


@dataclass(frozen=True, kw_only=True)
class SizeSettings:
    """Size.

    Attributes:
      size: long side in pixels (default: the content's, at most {SIZE})
      min_size: where coarse-to-fine starts; equal to --size: a single size (default: half the size, at least
        {LEAST_COARSEST} and at most {COARSEST})
      margin: pixels to paint beyond each border, and cut off (default: {MARGIN} with --mix-layers, which leaves a frame
        there; else 0)
      upscale: makes the result so many times as large in the end, as jaxstyle upscale does: 2, 3 or 4 (default: off)
    """

    size: Annotated[int, SIDE] = defaults.SIZE
    min_size: Annotated[int | None, SIDE] = None
    margin: Annotated[int, Whole(0, SIDES[1])] = 0
    upscale: Annotated[int | None, UPSCALE, FIXED] = None


@dataclass(frozen=True, kw_only=True)
class PresetSettings:
    """Preset.

    Attributes:
      preset: settings that belong together, which other options replace; jaxstyle presets says more
    """

    preset: Annotated[str, Choice(tuple(PRESETS), "NAME")] = "default"


@dataclass(frozen=True, kw_only=True)
class TermSettings:
    """What is minimised.

    Attributes:
      style_loss: (default: gram, or the preset's own)
      content_weight: (default: {CONTENT_WEIGHT:g})
      style_weight: 30 keeps the content clear, 300 drowns most of it (default: {STYLE_WEIGHT:g})
      tv_weight: smoothness (default: {VARIATION_WEIGHT:g})
      content_layers: (default: {CONTENT})
      style_layers: (default: {STYLE})
      layer_weights: one for each style layer (default: equal)
    """

    style_loss: Annotated[str | None, STYLE_LOSS] = "gram"  # None for the preset's own
    content_weight: Annotated[float, NUMBER] = defaults.CONTENT_WEIGHT
    style_weight: Annotated[float, NUMBER] = defaults.STYLE_WEIGHT
    tv_weight: Annotated[float, NUMBER] = defaults.VARIATION_WEIGHT
    content_layers: Annotated[tuple[str, ...], Several(LAYERS)] = defaults.CONTENT_LAYERS
    style_layers: Annotated[tuple[str, ...], Several(LAYERS)] = defaults.STYLE_LAYERS
    layer_weights: Annotated[tuple[float, ...] | None, Several(NUMBER)] = None


@dataclass(frozen=True, kw_only=True)
class StyleSettings:
    """Several styles, and their size.

    Attributes:
      mix: one for each STYLE (default: equal)
      mix_layers: for each STYLE one number for each style layer: 1,1,0,0,0/0,0,1,1,1 takes fine strokes from the first
        and composition from the second (default: equal)
      style_scale: size of each STYLE over that of the result: 2 for larger strokes, 0.5 for finer
    """

    mix: Annotated[tuple[float, ...] | None, Several(SHARE)] = None
    mix_layers: Annotated[tuple[tuple[float, ...], ...] | None, Table()] = None
    style_scale: Annotated[float, POSITIVE] = 1.0


@dataclass(frozen=True, kw_only=True)
class ColorSettings:
    """Colour.

    Attributes:
      color: style: the style's colours (default). content: the content's, by the way that suits most pictures,
        {CONTENT_COLORING}. luminance: paints in grey, and colours the result by the content, in YIQ. lab: paints in
        colour, and takes only the lightness of the result, in CIELAB. match: gives the styles the mean and the
        covariance of the content's colours first
    """

    color: Annotated[str, COLORING] = "style"


@dataclass(frozen=True, kw_only=True)
class SolverSettings:
    """How.

    Attributes:
      optimizer: what moves the pixels
      rate: Adam's learning rate
      steps: at each size (default: {STEPS}; of Adam {ADAM_STEPS})
      init: content, noise, style, blur, stylize (the content painted in one pass), or a picture FILE
      average: decay of a running mean of the iterates, such as 0.95 (default: off)
      seed: of what is drawn at random
    """

    optimizer: Annotated[str, SOLVER] = defaults.SOLVER
    rate: Annotated[float | None, POSITIVE] = None  # None for solvers that find it themselves
    steps: Annotated[int, STEPS] = defaults.STEPS
    init: Annotated[str, Text("START")] = "content"
    average: Annotated[float, FRACTION] = 0.0
    seed: Annotated[int, SEED] = defaults.SEED


@dataclass(frozen=True, kw_only=True)
class Settings(
    SolverSettings, ColorSettings, StyleSettings, TermSettings, PresetSettings, SizeSettings, NetworkSettings
):
    """The settings of a transfer, as they go into the record: enough, with the pictures, to make it again."""


FIELDS = fields_of(Settings)


def check_data(data: Mapping[str, Any], told: str) -> dict[str, Any]:
    """Settings from plain data, of a record or a TOML file, each checked as it is on the command line.

    Args:
      data: by name; None for what is not set.
      told: where they come from, for messages.

    Raises:
      InputError: a name that is none, or a value that is none of its.
    """
    found = {}
    for name, value in data.items():
        if name not in FIELDS:
            raise InputError(f"{told} has a setting {name!r}, which is none{nearest(name, FIELDS)}")
        if value is not None:
            try:
                found[name] = FIELDS[name].check(value)
            except ValueError as error:
                raise InputError(f"{told}: {name} is wrong: {error}") from None
    return found


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """The words of the command line that stand for these settings."""
    return [word for name, value in settings.items() for word in FIELDS[name].words(value)]


def check_count(name: str, values: Iterable[float] | None, wanted: int, what: str) -> None:
    """One number for each of what there are, not all of them zero."""
    if values is None:
        return
    values = tuple(values)
    if len(values) != wanted:
        raise InputError(f"{name} has {len(values)} numbers; it needs {one_for_each(wanted, what)}")
    if not any(values):
        raise InputError(f"{name} is zero throughout; at least one number must be larger")
