"""The grid of a sweep: its axes, and the options of each of its cells, as far as that needs no JAX."""

import dataclasses
import itertools
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from jaxstyle import defaults
from jaxstyle.cli.options import Reading, Regions, TransferOptions
from jaxstyle.cli.parser import Axis, Named, Positional, Several
from jaxstyle.cli.pipes import check_no_pipe
from jaxstyle.cli.settings import FIELDS, Settings
from jaxstyle.cli.sources import Sources, check_options, files_of
from jaxstyle.cli.values import BETWEEN_MIXES, LANES, Text
from jaxstyle.errors import InputError, nearest
from jaxstyle.files import check_depth, open_plain, shown

Place: TypeAlias = tuple[int, ...]
Cells: TypeAlias = Sequence[tuple[Place, TransferOptions, Sources]]


@dataclass(frozen=True, kw_only=True)
class SweepOptions(Reading):
    """What a sweep can be told. Its settings are those of every cell; of an axis they hold the first value.

    Attributes:
      content: the picture to paint
      styles: the picture, or pictures, to paint like
      out: folder; of the same sweep, to go on with it
      overwrite: replace files that are there and not jaxstyle's own, too; and another sweep
      contents: further pictures to paint: an axis of the grid
      each_style: each STYLE by itself, an axis, and not mixed
      grid: settings and their values: style_weight = [10, 30]
      lanes: side by side (default: as many as fit)
      distributed: share the work with other hosts (jax.distributed)
      yes: run more than {MOST_CELLS} combinations
      quiet: print only the result's name
    """

    content: Annotated[str, Positional(Text("CONTENT"))]
    styles: Annotated[tuple[str, ...], Positional(Text("STYLE"), "+")]
    out: Annotated[str, Text("DIR"), Named("-o", "--out")]
    overwrite: bool = False
    contents: Annotated[tuple[str, ...], Several(Text("FILE"))] = ()
    each_style: bool = False
    grid: Annotated[str | None, Text("FILE.toml")] = None
    lanes: Annotated[int | None, LANES] = None
    distributed: bool = False
    yes: bool = False
    quiet: bool = False
    settings: Settings = dataclasses.field(default_factory=Settings)
    regions: Regions = dataclasses.field(default_factory=Regions)
    given: frozenset[str] = frozenset()
    axes: tuple[Axis, ...] = ()

    @property
    def cell(self) -> TransferOptions:
        """The options of a cell, but for the axes."""
        cell = TransferOptions(
            content=self.content,
            styles=self.styles,
            large=self.large,
            settings=self.settings,
            regions=self.regions,
            given=self.given,
        )
        return cell if "size" in self.given else cell.having(size=defaults.SWEEP_SIZE)


def label_of(axis: Axis) -> str:
    """An axis's name as a person reads it."""
    return axis.name.replace("_", " ")


def texts_of(axis: Axis) -> tuple[str, ...]:
    """An axis's values as a person reads them; files by their names."""
    return tuple(_text(axis.name, value) for value in axis.values)


def _text(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        lists = any(isinstance(x, tuple) for x in value)
        return (" / " if lists else " ").join(_text(name, x) for x in value)
    if name in ("content", "style"):
        return Path(value).stem
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def axes_of(options: SweepOptions) -> list[Axis]:
    """The axes, in the order in which they were given: pictures, then settings with several values."""
    axes = []
    if options.contents:
        axes.append(_distinct("--contents", Axis("content", (options.content, *options.contents))))
    if options.each_style:
        axes.append(_distinct("STYLE", Axis("style", options.styles)))
    axes += [_distinct("--" + axis.name.replace("_", "-"), axis) for axis in options.axes]
    axes = [axis for axis in axes if len(axis.values) > 1]
    cells = math.prod(len(axis.values) for axis in axes)
    if cells > defaults.MOST_CELLS and not options.yes:
        sizes = " x ".join(str(len(axis.values)) for axis in axes)
        raise InputError(f"{sizes} values are {cells} combinations; --yes runs more than {defaults.MOST_CELLS}")
    return axes


def _distinct(told: str, axis: Axis) -> Axis:
    if len(set(axis.values)) < len(axis.values):
        twice = next(value for i, value in enumerate(axis.values) if value in axis.values[:i])
        raise InputError(f"{told} has {_text('', twice)} twice; each value once")
    return axis


def cells_of(options: SweepOptions, axes: Sequence[Axis]) -> Iterator[tuple[Place, TransferOptions]]:
    """Each place in the grid with the options of its transfer, checked."""
    for index in itertools.product(*(range(len(axis.values)) for axis in axes)):
        cell = options.cell
        for axis, i in zip(axes, index, strict=True):
            value = axis.values[i]
            if axis.name == "content":
                cell = dataclasses.replace(cell, content=value)
            elif axis.name == "style":
                cell = dataclasses.replace(cell, styles=(value,))
            else:
                cell = cell.having(**{axis.name: value})
        _check_mix(cell)
        check_options(cell)
        check_no_pipe(files_of(cell), "a sweep")  # whose page reads its pictures again
        yield index, cell


def _check_mix(cell: TransferOptions) -> None:
    """Two numbers for other than two styles may have been meant as the ends of a range."""
    styles, mix = len(cell.styles), cell.settings.mix
    if mix is not None and len(mix) == 2 and styles > 2:
        raise InputError(
            f"--mix has 2 numbers; it needs one for each STYLE, and there are {styles}; 0:1:5 is for two, "
            f"{BETWEEN_MIXES}"
        )


def with_grid(options: SweepOptions) -> SweepOptions:
    """The options with the settings of the TOML file that `--grid` names, where the command does not give them itself.

    Raises:
      InputError: a file that cannot be read, or holds something else than settings and values of theirs.
    """
    path = options.grid
    assert path is not None
    told = f"--grid {shown(path)}"
    try:
        with open_plain(path) as file:
            table = tomllib.load(file)
        check_depth(table)
    except OSError as error:
        raise InputError(f"{told}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError among them
        raise InputError(f"{told} is no TOML: {error}") from error
    axes = [_axis_of(told, key, value) for key, value in table.items()]
    if len({axis.name for axis in axes}) < len(axes):
        raise InputError(f"{told} has a setting twice, with - and with _; each once")
    axes = [axis for axis in axes if axis.name not in options.given]
    settings = dataclasses.replace(options.settings, **{axis.name: axis.values[0] for axis in axes})
    given = options.given | {axis.name for axis in axes}
    varied = tuple(axis for axis in axes if len(axis.values) > 1)
    return dataclasses.replace(options, settings=settings, given=given, axes=options.axes + varied)


def _axis_of(told: str, key: str, value: Any) -> Axis:
    """A setting of a TOML file: one value, or a list of them; a word may stand for several, as on the command line."""
    field = FIELDS.get(key.replace("-", "_"))
    if field is None or not field.varies:
        names = [name for name, known in FIELDS.items() if known.varies]
        raise InputError(f"{told}: there is no setting {key!r} that can vary{nearest(key, names)}")
    each = value if isinstance(value, list) else [value]
    if not each:
        raise InputError(f"{told}: {key} is an empty list; it needs at least one value")
    try:
        return Axis(field.name, tuple(x for one in each for x in field.spread(one)))
    except ValueError as error:
        raise InputError(f"{told}: {key} is wrong: {error}") from None
