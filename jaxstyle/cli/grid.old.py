"""The grid of a sweep: its axes, and the settings of each of its cells, as far as that needs no JAX."""

import argparse
import copy
import itertools
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxstyle import defaults
from jaxstyle.errors import InputError


@dataclass(frozen=True)
class Setting:
    """An axis: the name of a setting, or "content" or "style", and its values."""

    name: str
    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        """As a person reads it."""
        return self.name.replace("_", " ")

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as a person reads them; files by their names."""
        return tuple(_text(self.name, value) for value in self.values)


def _text(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        lists = any(isinstance(x, tuple) for x in value)
        return (" / " if lists else " ").join(_text(name, x) for x in value)
    if name in ("content", "style"):
        return Path(value).stem
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def axes_of(options: argparse.Namespace) -> list[Setting]:
    """The axes, in the order in which they were given: pictures, then settings with several values."""
    axes = []
    if options.contents:
        axes.append(Setting("content", _distinct("--contents", [options.content, *options.contents])))
    if options.each_style:
        axes.append(Setting("style", _distinct("STYLE", options.styles)))
    for name in options.axes:
        values = _distinct("--" + name.replace("_", "-"), getattr(options, name))
        if len(values) > 1:
            axes.append(Setting(name, values))
    cells = math.prod(len(axis.values) for axis in axes)
    if cells > defaults.MOST_CELLS and not options.yes:
        sizes = " x ".join(str(len(axis.values)) for axis in axes)
        raise InputError(f"{sizes} values are {cells} combinations; --yes runs more than {defaults.MOST_CELLS}")
    return axes


def _distinct(name: str, values: list[Any]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        twice = next(value for i, value in enumerate(values) if value in values[:i])
        raise InputError(f"{name} has {_text('', twice)} twice; each value once")
    return tuple(values)


def cells_of(options: argparse.Namespace, axes: list[Setting]) -> Iterator[tuple[tuple[int, ...], argparse.Namespace]]:
    """Each place in the grid with the options of its transfer."""
    base = copy.copy(options)
    for name in options.axes:
        setattr(base, name, getattr(options, name)[0])
    base.size = options.size[0]
    for index in itertools.product(*(range(len(axis.values)) for axis in axes)):
        cell = copy.copy(base)
        for axis, i in zip(axes, index, strict=True):
            if axis.name == "style":
                cell.styles = [axis.values[i]]
            else:
                setattr(cell, axis.name, axis.values[i])
        yield index, cell


def words_of_grid(path: str) -> list[list[str]]:
    """The options, each with its values, for the settings in a TOML file, whose keys are theirs."""
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise InputError(f"--grid {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--grid {path} is no TOML: {error}") from error
    words = []
    for key, value in table.items():
        values = value if isinstance(value, list) else [value]
        if not values:
            raise InputError(f"--grid {path}: {key} is an empty list; it needs at least one value")
        words.append(["--" + key.replace("_", "-"), *(_word(path, key, x) for x in values)])
    return words


def _word(path: str, key: str, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_word(path, key, x) for x in value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"--grid {path}: {key} has {value!r}; values are numbers, words, or lists of them")
    return str(value)
