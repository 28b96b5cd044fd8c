"""The grid of a sweep: from options and from a TOML file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import SWEEP, Said, listing, refused
from jaxstyle.cli.grid import SweepOptions, axes_of, with_grid
from jaxstyle.cli.parser import parse


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--style-weight", "log:1:10"], ["'log:1:10' is no range; write log:FIRST:LAST:COUNT"]),
        (["--style-weight", "log:0:10:3"], ["begins or ends at 0"]),
        (["--style-weight", "linear:1:x:3"], ["'x' is not a number"]),
        (["--style-weight", "linear:1:2:0"], ["'0' is not a whole number from 1"]),
        (["--style-weight", "linear:1:nan:3"], ["'nan' is not a number"]),
        (["--style-weight", "nan"], ["'nan' is not a number"]),
        (["--style-weight", "10", "-1"], ["'-1' is not a number from 0"]),
        (["--style-weight"], ["--style-weight", "expected at least one argument"]),
        (["--style-weight", "10", "10"], ["--style-weight has 10 twice"]),
        (
            ["--style-weight", "linear:1:100:200", "--seed", "linear:1:50:50"],
            ["200 x 50", "10000 combinations", "--yes"],
        ),
        (["--average", "0", "1"], ["'1' is not a number of at least 0 and below 1"]),
        (["--optimizer", "adam", "sgd"], ["sgd"]),
        (["--stile-weight", "1"], ["there is no option --stile-weight", "did you mean '--style-weight'"]),
        (["--mix", "1,2"], ["--mix has 2 numbers", "there is 1"]),
        (["--mix", "1,x"], ["'x' is not a number"]),
        (["--layer-weights", "1,2,3"], ["--layer-weights has 3 numbers", "there are 2"]),
        (["--style-layers", "relu9_9", "relu1_1"], ["relu9_9"]),
        (["--optimizer", "adam", "lbfgs", "--rate", "0.1"], ["--rate is Adam's"]),
        (["--size", "64", "12"], ["'12' is not a whole number from 16"]),
        (["--contents", "none.png"], ["none.png"]),
        (["--contents", "c.png"], ["--contents has c.png twice"]),
        (["--lanes", "0"], ["--lanes", "'0' is not a whole number from 1"]),
        (["--grid", "none.toml"], ["none.toml", "No such file"]),
    ],
    ids=lambda x: " ".join(x) if x and x[0].startswith("--") else "",
)
def test_a_wrong_grid_is_refused_before_anything_runs(
    words: list[str],
    said: list[str],
    call: Callable[..., Said],
    folder: Path,
) -> None:
    before = listing(folder)
    refused(call("sweep", *SWEEP, *words), 2, *said)
    assert listing(folder) == before


@pytest.mark.slow
def test_a_grid_file_is_the_same_as_options(call: Callable[..., Said], folder: Path) -> None:
    Path("grid.toml").write_text(
        'style_weight = [10, 30.5]\n"tv-weight" = "log:1:100:3"\nlayer_weights = [[1, 1], [0, 2]]\ninit = "noise"\n'
    )
    line = ["sweep", *SWEEP, "--grid", "grid.toml"]
    options = with_grid(parse(SweepOptions, line[1:], prog="sweep"))
    axes = [(axis.name, axis.values) for axis in axes_of(options)]
    assert axes == [("style_weight", (10, 30.5)), ("tv_weight", (1, 10, 100)), ("layer_weights", ((1, 1), (0, 2)))]
    assert options.settings.init == "noise" and options.given >= {"init", "style_weight", "tv_weight"}
    words = ["--style-weight", "10", "30.5", "--tv-weight", "log:1:100:3", "--layer-weights", "1,1", "0,2"]
    same = parse(SweepOptions, [*SWEEP, *words, "--init", "noise"], prog="sweep")
    assert (same.settings, same.axes, same.given) == (options.settings, options.axes, options.given)
    over = with_grid(parse(SweepOptions, [*line[1:], "--style-weight", "7"], prog="sweep"))
    assert over.settings.style_weight == 7 and [axis.name for axis in axes_of(over)] == ["tv_weight", "layer_weights"]
    assert call(*line, "--tv-weight", "2", "--layer-weights", "1,1", "--quiet").code == 0
    assert listing(folder) >= {"out/cell_0.png", "out/cell_1.png"}
    for text, word in (
        ("style_weight = [", "no TOML"),
        ("style_weight = []", "empty list"),
        ("style_weight = [true]", "True"),
        ("stile_weight = 3", "did you mean 'style_weight'"),
        ("style_weight = [nan]", "nan is not a number"),
    ):
        Path("bad.toml").write_text(text)
        refused(call("sweep", *SWEEP[:3], "new", *SWEEP[4:], "--grid", "bad.toml"), 2, word)
        assert not Path("new").exists()
