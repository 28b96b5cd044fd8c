"""The kinds of values that options take: how each is read from a word, checked as data, and written as a word.

Words come from the command line; data from a TOML file or from the record of a picture, which may be a stranger's.
Both pass the same checks. Nothing here is slow to import.
"""

import math
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jaxstyle import defaults
from jaxstyle.errors import nearest

SIDES = (16, 16_384)  # pixels, as `pictures` allows; repeated, since NumPy and Pillow are slow to import
LARGEST = 1e12  # gradients of so large a weight still have squares that a float32 can hold
MOST = 10_000  # values of a range
BETWEEN_MIXES = "or from one mix to another, as 1,0,0:0,0,1:5"


class Kind:
    """A kind of value. A value that is not of the kind raises `ValueError` with the end of a line about it."""

    metavar: str | None = None

    def read(self, word: str) -> Any:
        """The value that a word of the command line stands for."""
        raise NotImplementedError

    def check(self, value: Any) -> Any:
        """The value that plain data (a number, a string, lists of them) stand for."""
        if not isinstance(value, str):
            raise ValueError(f"{_told(value)} is not text")
        return self.read(value)

    def write(self, value: Any) -> str:
        """The word that is read as the value."""
        return str(value)

    def spread(self, word: str) -> list[Any]:
        """The values that a word stands for where there may be several."""
        return [self.read(word)]

    def listed(self) -> "Kind":
        """The kind of a list of such values in one word."""
        return Listed(self)


@dataclass(frozen=True)
class Text(Kind):
    """Any text: the name of a file, or of what only the network knows."""

    metavar: str | None = None

    def read(self, word: str) -> str:
        """The word itself."""
        return word


@dataclass(frozen=True)
class Choice(Kind):
    """One of some names; `synonyms` are further names for some of these."""

    names: tuple[str, ...]
    metavar: str | None = None
    synonyms: tuple[tuple[str, str], ...] = ()

    def read(self, word: str) -> str:
        """The name, or the one that it is a synonym of."""
        name = dict(self.synonyms).get(word, word)
        if name not in self.names:
            names = (*self.names[:1], *dict(self.synonyms), *self.names[1:])
            raise ValueError(f"{word[:40]!r} is not one of {', '.join(names)}{nearest(word, names)}")
        return name


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`."""

    least: int
    most: int
    metavar: str | None = "N"

    def read(self, word: str) -> int:
        """The number."""
        if not re.fullmatch(r"[+-]?\d{1,18}", word) or not self.least <= int(word) <= self.most:
            raise ValueError(f"{word[:40]!r} is not a whole number from {self.least} to {self.most}")
        return int(word)

    def check(self, value: Any) -> int:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValueError(f"{_told(value)} is not a whole number from {self.least} to {self.most}")
        return value

    def spread(self, word: str) -> list[int]:
        """The numbers of a range."""
        return _spread(self, word, lambda x: str(round(x)))


@dataclass(frozen=True)
class Number(Kind):
    """A number of 0 or above, of a size that can be computed with.

    Attributes:
      above: whether it must be above 0.
      below: what it must be below, if anything.
      most: what it is at most.
    """

    above: bool = False
    below: float | None = None
    most: float = LARGEST
    metavar: str | None = "X"

    def read(self, word: str) -> float:
        """The number."""
        try:
            return self._checked(float(word), repr(word[:40]))
        except ValueError:
            raise ValueError(f"{word[:40]!r} is not a number {self._allowed()}") from None

    def check(self, value: Any) -> float:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{_told(value)} is not a number {self._allowed()}")
        return self._checked(float(value), _told(value))

    def _checked(self, value: float, told: str) -> float:
        most = self.most if self.below is None else self.below * (1 - 2**-24)  # the last float32 below it
        if not 0 <= value <= most or (self.above and value == 0):
            raise ValueError(f"{told} is not a number {self._allowed()}")
        return value

    def _allowed(self) -> str:
        if self.below is not None:
            return f"of at least 0 and below {self.below:g}"
        return f"above 0, up to {self.most:g}" if self.above else f"from 0 to {self.most:g}"

    def write(self, value: float) -> str:
        """The number with nine digits: all that a float32 has."""
        return f"{value:.9g}"

    def spread(self, word: str) -> list[float]:
        """The numbers of a range, with three digits, as a person would write them."""
        return _spread(self, word, lambda x: f"{x:.3g}")


@dataclass(frozen=True)
class Listed(Kind):
    """Several values of a kind, with commas between, as a tuple."""

    kind: Kind

    @property
    def metavar(self) -> str:  # type: ignore[override]
        """As that of the kind, repeated."""
        return f"{self.kind.metavar or 'X'},..."

    def read(self, word: str) -> tuple[Any, ...]:
        """The values."""
        parts = word.split(",") if word or not isinstance(self.kind, Text) else []  # of no names there may be a list
        return tuple(self.kind.read(part) for part in parts)

    def check(self, value: Any) -> tuple[Any, ...]:
        """The values, from a list."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"{_told(value)} is not a list")
        return tuple(self.kind.check(part) for part in value)

    def write(self, value: Iterable[Any]) -> str:
        """The values with commas between."""
        return ",".join(map(self.kind.write, value))


@dataclass(frozen=True)
class Table(Kind):
    """Lists of numbers, of one length, with commas between the numbers and slashes between the lists."""

    metavar: str | None = "X,.../X,..."

    def read(self, word: str) -> tuple[tuple[float, ...], ...]:
        """The lists."""
        return self._checked([Listed(Number()).read(part) for part in word.split("/")], repr(word[:40]))

    def check(self, value: Any) -> tuple[tuple[float, ...], ...]:
        """The lists, from lists."""
        if not isinstance(value, list | tuple):
            raise ValueError(f"{_told(value)} is not a list of lists of numbers")
        return self._checked([Listed(Number()).check(part) for part in value], _told(value))

    def _checked(self, rows: list[tuple[float, ...]], told: str) -> tuple[tuple[float, ...], ...]:
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f"{told} has lists of several lengths")
        return tuple(rows)

    def write(self, value: Iterable[Iterable[float]]) -> str:
        """The lists with slashes between."""
        return "/".join(map(Listed(Number()).write, value))


def _told(value: Any) -> str:
    """A value as it can stand in a line."""
    return repr(value)[:40]


@dataclass(frozen=True)
class Share(Number):
    """The weight of one of several styles that are mixed."""

    def listed(self) -> Kind:
        """A mix."""
        return Mix(self)


@dataclass(frozen=True)
class Mix(Listed):
    """A mix of styles: numbers with commas between; or a range of mixes, FIRST:LAST:COUNT.

    A single number at the end of a range is the second style's share of two: 0:1:5 goes from the first to the second.
    """

    def spread(self, word: str) -> list[tuple[float, ...]]:
        """The mixes of a range."""
        parts = word.removeprefix("linear:").split(":")
        if len(parts) == 1:
            return [self.read(word)]
        if len(parts) != 3:
            raise ValueError(f"{word[:40]!r} is no range; write FIRST:LAST:COUNT, as 0:1:5, {BETWEEN_MIXES}")
        first, last = (self._end(part) for part in parts[:2])
        if len(first) != len(last):
            raise ValueError(f"{word[:40]!r} goes from {len(first)} numbers to {len(last)}; as many are needed")
        count = Whole(1, MOST).read(parts[2])
        steps = zip(*(_linear(*ends, count) for ends in zip(first, last, strict=True)), strict=True)
        return [tuple(round(x, 6) for x in step) for step in steps]

    def _end(self, word: str) -> tuple[float, ...]:
        found = self.read(word)
        if len(found) != 1:
            return found
        if found[0] > 1:
            raise ValueError(f"{word[:40]!r} is not a share of the second style, from 0 to 1")
        return (1 - found[0], found[0])


def _spread(kind: Kind, word: str, write: Callable[[float], str]) -> list[Any]:
    """The numbers that a word stands for: one, or those of a range, each as it is written.

    linear:0:1:5 and log:1:1000:8 are evenly spaced, from the first to the last; random:0:1:5 and log-random:1:1000:8
    are drawn, evenly or evenly in the logarithm, the same at each call.
    """
    name, colon, rest = word.partition(":")
    if not colon or name not in SPACINGS:
        return [kind.read(word)]
    parts = rest.split(":")
    if len(parts) != 3:
        raise ValueError(f"{word[:40]!r} is no range; write {name}:FIRST:LAST:COUNT")
    first, last = (float(kind.read(part)) for part in parts[:2])
    count = Whole(1, MOST).read(parts[2])
    if name.startswith("log") and not (first > 0 and last > 0):
        raise ValueError(f"{word[:40]!r} begins or ends at 0, which has no logarithm")
    values = [kind.read(write(x)) for x in SPACINGS[name](first, last, count)]
    return list(dict.fromkeys(values))  # whole numbers may coincide


def _linear(first: float, last: float, count: int) -> list[float]:
    return [first + (last - first) * i / max(1, count - 1) for i in range(count)]


def _logarithmic(first: float, last: float, count: int) -> list[float]:
    return [math.exp(x) for x in _linear(math.log(first), math.log(last), count)]


def _random(first: float, last: float, count: int) -> list[float]:
    draw = random.Random(f"{first} {last} {count}")
    return sorted(draw.uniform(first, last) for _ in range(count))


def _log_random(first: float, last: float, count: int) -> list[float]:
    return [math.exp(x) for x in _random(math.log(first), math.log(last), count)]


SPACINGS: dict[str, Callable[[float, float, int], list[float]]] = {
    "linear": _linear,
    "log": _logarithmic,
    "random": _random,
    "log-random": _log_random,
}

SIDE = Whole(*SIDES)
SEED = Whole(0, 2**32 - 1)  # more bits than that JAX would drop
STEPS = Whole(1, 10**6)
TILE = Whole(64, SIDES[1])  # with smaller ones nearly all of the work is on borders
UPSCALE = Whole(min(defaults.UPSCALE_FACTORS), max(defaults.UPSCALE_FACTORS))
LANES = Whole(1, 10_000)
NUMBER = Number()
POSITIVE = Number(above=True)
FRACTION = Number(below=1)
UNIT = Number(most=1)
SHARE = Share()
LAYERS = Text("NAME")
NETWORK = Choice(tuple(defaults.NETWORKS), "NAME")
PREPROCESSING = Choice(defaults.PREPROCESSINGS, "HOW")
COLORING = Choice(defaults.COLORINGS, "HOW", (("content", defaults.CONTENT_COLORING),))
SOLVER = Choice(defaults.SOLVERS, "NAME")
STYLE_LOSS = Choice(tuple(defaults.STYLE_LOSSES), "NAME")
