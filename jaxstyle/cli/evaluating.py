"""The work of `jaxstyle evaluate`: pictures and what they are held against, measured, in a table or as facts."""

import functools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.earlier import read_earlier
from jaxstyle.cli.messages import printable, say
from jaxstyle.cli.options import Reading, Telling
from jaxstyle.cli.parser import FIXED, Named, Positional, Several
from jaxstyle.cli.pipes import source, tell
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.sources import read_picture
from jaxstyle.cli.values import NETWORK, SHARE, SIDE, STYLE_LOSS, Mix, Text
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import Picture, kind_at, own_size
from jaxstyle.pictures.resample import resize

if TYPE_CHECKING:
    from jaxstyle.networks import Network
    from jaxstyle.studies.evaluate import Evaluation

APART = 0.02  # by which proportions of a result and its content may differ: programs round, and crop to multiples
# What the table shows of several pictures, and which way is better; a mean over layers where there are some.
COLUMNS = {
    "content": "content, lower",
    "style": "style, lower",
    "structure": "structure, lower",
    "ssim": "SSIM, higher",
    "style_color": "colour to style, lower",
    "content_color": "colour to content, lower",
}
LAYERED = ("content", "style")  # of these: by layer


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Telling, Reading):
    """What `evaluate` can be told.

    Attributes:
      results: a picture, whoever made it; - for standard input; or a folder of them
      content: what they were made from (default: as their records say)
      styles: the same (default: as their records say)
      mix: one number for each STYLE (default: as their records say, or equal)
      networks: that look at them (default: vgg19 where it is on this machine, else compact)
      weights: weights of the one that --network names: .h5, .keras, .pth, .safetensors or .whl
      style_loss: of the style's distance
      size: long side in pixels at which they are measured (default: their own, at most {SIZE})
      quiet: no progress
    """

    results: Annotated[tuple[str, ...], Positional(Text("RESULT"), "+")]
    content: Annotated[str | None, Text("FILE")] = None
    styles: Annotated[tuple[str, ...] | None, Several(Text("FILE")), Named("--style")] = None
    mix: Annotated[tuple[float, ...] | None, Mix(SHARE)] = None
    networks: Annotated[tuple[str, ...], Several(NETWORK), Named("--network"), FIXED] = ()
    weights: Annotated[str | None, Text("FILE")] = None
    style_loss: Annotated[str, STYLE_LOSS] = "gram"
    size: Annotated[int | None, SIDE] = None
    quiet: bool = False


@dataclass(frozen=True)
class Case:
    """A picture to measure, and the files that it is held against."""

    result: str
    content: str
    styles: tuple[str, ...]
    mix: tuple[float, ...] | None


def evaluate_all(options: EvaluateOptions) -> int:
    """Measures, and prints; 1 where some pictures of a folder could not be measured."""
    began, refused = time.time(), []
    cases = []
    for path, of_folder in _pictures(options):
        try:
            cases.append(_case(options, path))
        except InputError as error:
            if not of_folder:
                raise
            refused.append(str(error))
    if not cases:
        more = f": {refused[0]}" if refused else ""
        raise InputError(f"there is nothing to measure in {', '.join(map(shown, options.results))}{more}")
    networks = _networks(options)
    found: list[tuple[Case, dict[str, Any], dict[str, Evaluation]]] = []
    for number, case in enumerate(cases, 1):
        try:
            pictures = _read(options, case)
        except InputError as error:
            if len(cases) == 1 and not refused:
                raise
            refused.append(str(error))
            continue
        found.append((case, _facts(case, *pictures), _measured(options, case, pictures, networks)))
        if len(cases) > 1 and not options.quiet:
            say(f"{number}/{len(cases)}: {shown(case.result)}, {time.time() - began:.0f} s")
    if not found:
        raise InputError(refused[0])
    _tell(options, found, networks, time.time() - began)
    if refused:
        say(f"jaxstyle: {len(refused)} of {len(refused) + len(found)} pictures failed: {'; '.join(refused)}")
    return int(bool(refused))


def _pictures(options: EvaluateOptions) -> Iterator[tuple[str, bool]]:
    """The pictures that are named, and those of the folders that are; and whether it is one of a folder."""
    for given in options.results:
        if not Path(given).is_dir():
            yield given, False
            continue
        for path in sorted(Path(given).iterdir()):
            if path.is_file() and not path.name.startswith(".") and _is_picture(path):
                yield str(path), True


def _is_picture(path: Path) -> bool:
    kind = kind_at(path) if path.stat().st_size else None
    return kind is not None and kind.reader is not None


def _case(options: EvaluateOptions, path: str) -> Case:
    """A picture with what the command or, failing that, its record says of what it was made from."""
    if options.content is not None and options.styles is not None:
        return Case(path, options.content, options.styles, options.mix)
    missing = "--content" if options.content is None else "--style"
    try:
        earlier = read_earlier(path)
        content, styles = earlier.pictures()
    except InputError as error:
        raise InputError(f"{str(error).removeprefix('--from ').removeprefix('--from: ')}; or give {missing}") from error
    mix = earlier.settings.get("mix")
    if options.styles is not None:
        return Case(path, content, options.styles, options.mix)
    return Case(path, options.content or content, styles, mix)


def _read(options: EvaluateOptions, case: Case) -> tuple[Picture, np.ndarray, list[np.ndarray]]:
    """The result, its content at the same size, and its styles."""
    own = max(own_size(source(case.result), large=options.large))
    size = options.size or min(own, defaults.SIZE)
    read = functools.partial(read_picture, size=size, large=options.large)
    result, content = read(case.result), read(case.content)
    (height, width), (h, w) = result.own_size, content.own_size
    if abs(height * w / (width * h) - 1) > APART:
        raise InputError(
            f"{shown(case.result)} is {width} x {height} pixels and its content {shown(case.content)} {w} x {h}; they "
            "must have the same proportions"
        )
    pixels, shape = content.pixels, result.pixels.shape
    if pixels.shape != shape:
        pixels = np.clip(resize(pixels, *shape[:2]), 0, 1)
    return result, pixels, [read(style).pixels for style in case.styles]


def _networks(options: EvaluateOptions) -> dict[str, "Network"]:
    """The networks, with convolutions in float32."""
    from jaxstyle.cli.resolve import open_network
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.weights import at_hand

    chosen = options.networks or (
        (defaults.FULL_NETWORK if at_hand(defaults.FULL_NETWORK) is not None else defaults.NETWORK),
    )
    missing = [name for name in chosen if at_hand(name) is None]
    if missing and options.weights is None:
        fetch = "; ".join(f"jaxstyle weights fetch {name}" for name in missing)
        raise InputError(f"not on this machine: {', '.join(missing)} ({fetch})")
    start_jax()
    settings = [NetworkSettings(network=name, weights=options.weights) for name in chosen]
    return {one.network: open_network(one, options.quiet) for one in settings}


def _measured(
    options: EvaluateOptions,
    case: Case,
    pictures: tuple[Picture, np.ndarray, list[np.ndarray]],
    networks: Mapping[str, "Network"],
) -> dict[str, "Evaluation"]:
    """The numbers of a picture by network."""
    import jax

    from jaxstyle.studies.evaluate import evaluate

    result, content, styles = pictures
    how: Any = {"mix": case.mix, "style_loss": options.style_loss}
    return {
        name: jax.device_get(evaluate(result.pixels, content, styles, network=network, **how))
        for name, network in networks.items()
    }


def _facts(case: Case, result: Picture, content: np.ndarray, styles: Sequence[np.ndarray]) -> dict[str, Any]:
    height, width = content.shape[:2]
    named = {"file": case.result, "content": case.content, "styles": case.styles, "mix": case.mix}
    return {**named, "sha256": result.sha256, "width": width, "height": height}


def _numbers(found: "Evaluation") -> dict[str, float]:
    """An evaluation in six numbers: layers as their means."""
    return {
        name: statistics.fmean(map(float, value.values())) if name in LAYERED else float(value)
        for name, value in found._asdict().items()
    }


def _tell(
    options: EvaluateOptions,
    found: Sequence[tuple[Case, Mapping[str, Any], Mapping[str, "Evaluation"]]],
    networks: Mapping[str, "Network"],
    seconds: float,
) -> None:
    """The table; or the facts."""
    numbers = {name: [_numbers(by_network[name]) for _, _, by_network in found] for name in networks}
    summary = {name: {what: _spread([row[what] for row in rows]) for what in COLUMNS} for name, rows in numbers.items()}
    results = [
        {**facts, "networks": {name: one._asdict() for name, one in by_network.items()}}
        for _, facts, by_network in found
    ]
    if len(found) == 1:
        lines = _table_of_one(found[0][2])
    else:
        lines = _table_of_many([case.result for case, _, _ in found], numbers, summary)
    facts = {"command": "evaluate", "style_loss": options.style_loss, "results": results, "summary": summary}
    tell("\n".join(lines), facts | {"seconds": round(seconds, 1)}, as_json=options.json)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "sd": statistics.pstdev(values)}


def _table_of_one(found: Mapping[str, "Evaluation"]) -> list[str]:
    """A row for each number, those of layers among them; a column for each network."""
    rows: list[tuple[str, ...]] = [("", *found)]
    for name, told in COLUMNS.items():
        values = [getattr(one, name) for one in found.values()]
        if name not in LAYERED:
            rows.append((told, *(f"{float(value):.4g}" for value in values)))
            continue
        rows.append((told, *(f"{_numbers(one)[name]:.4g}" for one in found.values())))
        for layer in dict.fromkeys(layer for value in values for layer in value):
            cells = (f"{float(value[layer]):.4g}" if layer in value else "" for value in values)
            rows.append((f"  {layer}", *cells))
    return _aligned(rows)


def _table_of_many(
    names: Sequence[str], numbers: Mapping[str, Sequence[Mapping[str, float]]], summary: Mapping[str, Any]
) -> list[str]:
    """For each network a row for each picture, and their mean and standard deviation."""
    lines: list[str] = []
    for network, values in numbers.items():
        rows = [(network, *COLUMNS.values())]
        pairs = zip(map(printable, names), values, strict=True)
        rows += [(name, *(f"{row[what]:.4g}" for what in COLUMNS)) for name, row in pairs]
        for what in ("mean", "sd"):
            rows.append((what, *(f"{summary[network][column][what]:.4g}" for column in COLUMNS)))
        lines += ([""] if lines else []) + _aligned(rows)
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(x.rjust(n) if k else x.ljust(n) for k, (x, n) in enumerate(zip(row, wide, strict=True))).rstrip()
        for row in rows
    ]
