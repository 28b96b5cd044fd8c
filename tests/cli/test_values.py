"""The kinds of values: read, checked, written; ranges."""

from jaxstyle.cli import values

# ------------------------------------------------------------------------------------------------------------ the grid


def test_ranges() -> None:
    number, whole = values.several(values.number), values.several(values.whole(1, 1000))
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
