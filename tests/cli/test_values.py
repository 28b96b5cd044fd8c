"""The kinds of values: read from words, checked as data, written as words; ranges."""

import json
import math
from typing import Any

import pytest

from jaxstyle.cli import values
from jaxstyle.cli.values import FRACTION, LARGEST, NUMBER, POSITIVE, SHARE, Choice, Kind, Listed, Table, Text, Whole

pytestmark = pytest.mark.quick

COLOUR = Choice(("red", "green"), "NAME", (("rot", "red"),))
# A kind, a word of it, the value, and the same as JSON has it.
EXAMPLES: list[tuple[Kind, str, Any, Any]] = [
    (Text(), "any word, -1", "any word, -1", "any word, -1"),
    (Text("FILE"), "", "", ""),
    (COLOUR, "green", "green", "green"),
    (Whole(-3, 10), "-3", -3, -3),
    (Whole(0, 10), "10", 10, 10),
    (NUMBER, "0", 0.0, 0),
    (NUMBER, "1e+12", LARGEST, 1e12),
    (NUMBER, "0.1", 0.1, 0.1),
    (POSITIVE, "1e-07", 1e-7, 1e-7),
    (FRACTION, "0.999", 0.999, 0.999),
    (Listed(NUMBER), "1,0.5,0", (1.0, 0.5, 0.0), [1, 0.5, 0]),
    (Listed(Whole(1, 3)), "3", (3,), [3]),
    (Listed(Text()), "", (), []),
    (Listed(COLOUR), "red,green", ("red", "green"), ["red", "green"]),
    (Table(), "1,0/0,1", ((1.0, 0.0), (0.0, 1.0)), [[1, 0], [0, 1]]),
    (SHARE.listed(), "0.25,0.75", (0.25, 0.75), [0.25, 0.75]),
]


@pytest.mark.parametrize(("kind", "word", "value", "data"), EXAMPLES, ids=str)
def test_reading_checking_and_writing_agree(kind: Kind, word: str, value: Any, data: Any) -> None:
    assert kind.read(word) == value and type(kind.read(word)) is type(value)
    assert kind.check(json.loads(json.dumps(data))) == value
    assert kind.check(value) == value  # what was read passes too
    assert kind.write(value) == word and kind.read(kind.write(value)) == value
    assert kind.spread(word) == [value]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (COLOUR, "blue"), (COLOUR, ""), (COLOUR, "Red"),
        *[(Whole(1, 10), word) for word in ("0", "11", "-1", "1.0", "1e1", "", " 1", "one", "9" * 5000, "1_0")],
        *[(NUMBER, word) for word in ("-1", "nan", "inf", "-inf", "1e13", "1e400", "", "x", "1,2")],
        (POSITIVE, "0"), (POSITIVE, "1e-400"), (FRACTION, "1"), (FRACTION, "0.99999999"), (FRACTION, "-0.1"),
        (Listed(NUMBER), ""), (Listed(NUMBER), "1,,2"), (Listed(Whole(1, 3)), "1,4"),
        (Table(), "1,0/0"), (Table(), "1,0//0,1"), (Table(), "1,x"),
    ],
)  # fmt: skip
def test_a_word_that_is_none_is_refused_in_a_few_words(kind: Kind, word: str) -> None:
    with pytest.raises(ValueError) as caught:
        kind.read(word)
    line = str(caught.value)
    assert line.isprintable() and len(line) < 200 and repr(word[:1])[1:-1] in line


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        *[(Text(), data) for data in (1, None, True, ["a"])],
        *[(COLOUR, data) for data in (1, None, ["red"], "blue")],
        *[(Whole(1, 10), data) for data in (0, 11, True, 2.0, "2", None, [2])],
        *[(NUMBER, data) for data in (-1, math.nan, math.inf, 1e13, True, "2", None, [2.0])],
        (POSITIVE, 0), (FRACTION, 1),
        *[(Listed(NUMBER), data) for data in (1, "1,2", None, [True], [[1]], {"a": 1})],
        *[(Table(), data) for data in ([1, 2], [[1], [1, 2]], "1/2", None, 3)],
    ],
)  # fmt: skip
def test_data_that_is_none_is_refused_in_a_few_words(kind: Kind, data: Any) -> None:
    with pytest.raises(ValueError) as caught:
        kind.check(data)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_a_synonym_is_read_as_its_name_and_named_among_the_others() -> None:
    assert COLOUR.read("rot") == COLOUR.check("rot") == "red"
    with pytest.raises(ValueError, match="red, rot, green; did you mean 'green'"):
        COLOUR.read("gren")


@pytest.mark.parametrize("value", [1 / 3, 2.5e-8, 123456.789, 1e12, 3.0])
def test_a_number_written_is_the_same_float32(value: float) -> None:
    assert NUMBER.read(NUMBER.write(value)) == pytest.approx(value, rel=2**-25)


# -------------------------------------------------------------------------------------------------------------- ranges


def test_ranges() -> None:
    number, whole = NUMBER.spread, Whole(1, 1000).spread
    assert number("7.5") == [7.5]
    assert number("linear:0:1:5") == [0, 0.25, 0.5, 0.75, 1]
    assert number("log:1:1000:4") == [1, 10, 100, 1000]
    assert number("log:5:5:1") == [5]
    assert whole("log:10:1000:3") == [10, 100, 1000] and whole("linear:1:3:9") == [1, 2, 3]
    for text in ("random:2:5:40", "log-random:2:5:40"):
        drawn = number(text)
        assert drawn == number(text) == sorted(drawn) and 2 <= drawn[0] < drawn[-1] <= 5 and len(drawn) > 30
    spread = number("log-random:1:10000:400")
    assert 150 < sum(x < 100 for x in spread) < 250


@pytest.mark.parametrize(
    "word", ["log:1:10", "log:0:10:3", "linear:1:x:3", "linear:1:2:0", "linear:1:2:10001", "lin:1:2:3"]
)
def test_what_is_no_range_is_refused(word: str) -> None:
    with pytest.raises(ValueError):
        NUMBER.spread(word)


def test_words_that_have_colons_are_no_ranges() -> None:
    assert Text().spread("C:a:b:c") == ["C:a:b:c"] and COLOUR.spread("red") == ["red"]


@pytest.mark.parametrize("kind", [kind for kind in vars(values).values() if isinstance(kind, Kind)], ids=repr)
def test_kinds_are_hashable_and_equal_to_those_made_alike(kind: Kind) -> None:
    assert hash(kind) == hash(type(kind)(**vars(kind))) and kind == type(kind)(**vars(kind))
