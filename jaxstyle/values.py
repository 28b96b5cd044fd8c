"""The types of the command line's values: what argparse calls on each word. Nothing here is slow to import.

Where a setting takes several values, a word may also stand for a range of them.
"""

import argparse
import math
import random
import re
from collections.abc import Callable
from typing import Any

from jaxstyle import defaults

SIDES = (16, 16_384)  # pixels, as `images` allows; repeated, since NumPy and Pillow are slow to import
LARGEST = 1e12  # gradients of so large a weight still have squares that a float32 can hold
MOST = 10_000  # values of a range
BETWEEN_MIXES = "or from one mix to another, as 1,0,0:0,0,1:5"


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type for argparse: a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from {least} to {most}")
        return int(text)

    parse.whole = True  # type: ignore[attr-defined]
    return parse


def number(text: str) -> float:
    """A type for argparse: a number of 0 or above, of a size that can be computed with."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to {LARGEST:g}")
    return value


def positive(text: str) -> float:
    """A type for argparse: above 0."""
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number above 0")
    return value


def fraction(text: str) -> float:
    """A type for argparse: at least 0 and below 1."""
    value = number(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of at least 0 and below 1")
    return value


def numbers(text: str) -> tuple[float, ...]:
    """A type for argparse: numbers with commas between."""
    return tuple(number(part) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """A type for argparse: names with commas between."""
    return tuple(part for part in text.split(",") if part)


def mixes(text: str) -> list[tuple[float, ...]]:
    """A type for argparse: a mix of styles, as numbers with commas, or a range FIRST:LAST:COUNT of mixes, as a list.

    A single number in a range is the second style's share of two: 0:1:5 goes from the first to the second.
    """
    parts = text.removeprefix("linear:").split(":")
    if len(parts) == 1:
        return [numbers(text)]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no range; write FIRST:LAST:COUNT, as 0:1:5, {BETWEEN_MIXES}"
        )
    first, last = (_mix(part) for part in parts[:2])
    if len(first) != len(last):
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} goes from {len(first)} numbers to {len(last)}; as many are needed"
        )
    steps = zip(*(_linear(*ends, whole(1, MOST)(parts[2])) for ends in zip(first, last, strict=True)), strict=True)
    return [tuple(round(x, 6) for x in step) for step in steps]


def _mix(text: str) -> tuple[float, ...]:
    found = numbers(text)
    if len(found) > 1:
        return found
    if found[0] > 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a share of the second style, from 0 to 1")
    return (1 - found[0], found[0])


def table(text: str) -> tuple[tuple[float, ...], ...]:
    """A type for argparse: lists of numbers with commas, of one length, with slashes between."""
    rows = tuple(numbers(part) for part in text.split("/"))
    if len({len(row) for row in rows}) > 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} has lists of several lengths")
    return rows


def coloring(text: str) -> str:
    """A type for argparse: a way to colour; "content" stands for the best of them."""
    return defaults.CONTENT_COLORING if text == "content" else text


def several(one: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """A type for argparse: a value, or a range of them, as a list.

    linear:0:1:5 and log:1:1000:8 are evenly spaced, from the first to the last; random:0:1:5 and log-random:1:1000:8
    are drawn, evenly or evenly in the logarithm, the same at each call.
    """

    def parse(text: str) -> list[Any]:
        kind, colon, rest = text.partition(":")
        if not colon or kind not in SPACINGS:
            return [one(text)]
        parts = rest.split(":")
        if len(parts) != 3:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no range; write {kind}:FIRST:LAST:COUNT")
        first, last = (float(one(part)) for part in parts[:2])
        count = whole(1, MOST)(parts[2])
        if kind.startswith("log") and not (first > 0 and last > 0):
            raise argparse.ArgumentTypeError(f"{text[:40]!r} begins or ends at 0, which has no logarithm")
        values = [one(_written(one, value)) for value in SPACINGS[kind](first, last, count)]
        return list(dict.fromkeys(values))  # whole numbers may coincide

    parse.__name__ = getattr(one, "__name__", "value")
    return parse


def _written(one: Callable[[str], Any], value: float) -> str:
    """A number of a range as a person would write it: three digits, or a whole number where one is wanted."""
    return str(round(value)) if hasattr(one, "whole") else f"{value:.3g}"


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
