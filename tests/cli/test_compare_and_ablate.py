"""`jaxstyle compare` and `ablate`: what they leave, that it is what was computed, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import SHALLOW, Said, listing, picture, refused
from jaxstyle.cli.commands import ablate
from jaxstyle.cli.commands import sweep as sweep_command
from jaxstyle.studies import compare

pytestmark = pytest.mark.usefixtures("folder")
PICTURES = {"c.png", "s.png"}
COMPARE = ("compare", "c.png", "s.png", "-o", "f.png", "--size", "64", "--evaluations", "6", *SHALLOW)
ABLATE = ("ablate", "c.png", "s.png", "-o", "out", "--size", "64", "--steps", "2", "--content-layers", "relu2_1")
ABLATE += ("--layers", "relu1_1", "relu2_1", "--ratios", "5", "500")


def check_figure_files(path: Path, width: float) -> Any:
    """All three files of a figure; what the JSON holds."""
    with Image.open(path) as image:
        np.testing.assert_allclose(image.info["dpi"], 200, rtol=1e-3)
        assert image.width == pytest.approx(200 * width, abs=2)
        assert np.asarray(image.convert("L")).std() > 5
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    return json.loads(path.with_suffix(".json").read_text())


@pytest.mark.slow
def test_compare(call: Callable[..., Said], folder: Path) -> None:
    assert call(*COMPARE, "--rates", "0.01", "0.05", "--seed", "3", "--quiet") == (0, "f.png\n", "")
    assert listing(folder) == PICTURES | {"f.png", "f.pdf", "f.json"}
    data = check_figure_files(Path("f.png"), 9.0)
    assert data["settings"]["style_layers"] == ["relu1_1", "relu2_1"] and data["settings"]["seed"] == 3
    assert data["evaluations"] == 6 and data["content"]["file"] == "c.png"
    names = ["Adam, rate 0.01", "Adam, rate 0.05", "L-BFGS (jaxopt), backtracking", "L-BFGS (jaxopt), zoom"]
    names.append("L-BFGS (optax), zoom")
    runs = data["runs"]
    assert {(one["name"], one["start"]) for one in runs} == {(n, s) for n in names for s in ("content", "noise")}
    assert len(runs) == 10
    for one in runs:
        assert len(one["evaluations"]) == len(one["seconds"]) == len(one["loss"]) >= 2, one
        assert one["evaluations"][0] == one["seconds"][0] == 0 and one["evaluations"][-1] <= 6
        assert (np.diff(one["evaluations"]) > 0).all() and (np.diff(one["seconds"]) > 0).all()
        assert one["final"]["total"] == one["loss"][-1]
        assert "Adam" in one["name"] or one["loss"][-1] < one["loss"][0]  # a few large steps may lead up
        terms = one["final"]["content"] + 50 * one["final"]["style"] + 3 * one["final"]["variation"]
        np.testing.assert_allclose(terms, one["final"]["total"], rtol=1e-5)
        assert (one["lanes"], one["solver"]["kind"]) == (
            (4, "Adam") if "Adam" in one["name"] else (1, one["solver"]["kind"])
        )
    for start in ("content", "noise"):  # the same start for all
        first = [one["loss"][0] for one in runs if one["start"] == start]
        np.testing.assert_allclose(first, first[0], rtol=1e-6)


def test_compare_says_what_it_does_and_stops_without_a_trace(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "trace_rates", stop)
    refused(call(*COMPARE), 130, "stopped")
    assert listing(folder) == PICTURES


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.mark.slow
def test_ablate(call: Callable[..., Said], folder: Path) -> None:
    said = call(*ABLATE, "--quiet")
    assert said == (0, "out/report.html\nout/ablation.png\n", "")
    cells = {f"out/cell_{i}_{j}.{end}" for i in range(2) for j in range(2) for end in ("png", "json")}
    figure = {f"out/ablation.{end}" for end in ("png", "pdf", "json")}
    assert listing(folder) == PICTURES | cells | figure | {"out", "out/sheet.png", "out/report.html", "out/sweep.json"}
    data = check_figure_files(Path("out/ablation.png"), 3 * 1.7 + 0.5)
    assert data["layers"] == [["relu1_1"], ["relu1_1", "relu2_1"]] and data["ratios"] == [5, 500]
    assert [(cell["layers"], cell["ratio"]) for cell in data["cells"]] == [
        (x, y) for x in data["layers"] for y in (5, 500)
    ]
    summary = json.loads(Path("out/sweep.json").read_text())
    for cell, other in zip(data["cells"], summary["cells"], strict=True):
        settings = other["settings"]
        assert (settings["style_layers"], settings["style_weight"]) == (cell["layers"], cell["ratio"])
        assert settings["content_weight"] == 1 and cell["losses"] == other["losses"]
    for cell in data["cells"][1:3]:  # each is the transfer of its command
        assert call(*cell["command"].split()[1:], "--size", "64", "--min-size", "64", "--quiet").code == 0
        off = np.abs(pixels(Path(cell["file"])) - pixels(Path("out", cell["file"])))
        assert off.max() <= 1, cell["command"]
    # The same command again runs nothing, and makes the figure again.
    Path("out/ablation.png").unlink()
    again = call(*ABLATE)
    assert again.code == 0 and "4 of 4 pictures are there already" in again.err
    assert Path("out/ablation.png").exists()


@pytest.mark.slow
def test_one_row_and_one_column_are_a_grid_too(call: Callable[..., Said], folder: Path) -> None:
    line = [*ABLATE[: ABLATE.index("--layers")], "--layers", "relu1_1", "--ratios", "5"]
    assert call(*line, "--quiet").code == 0
    data = check_figure_files(Path("out/ablation.png"), 2 * 1.7 + 0.5)
    assert [cell["file"] for cell in data["cells"]] == ["cell.png"]


def test_ablate_stopped_draws_nothing(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_command, "run", lambda options: 130)
    monkeypatch.setattr(ablate, "save_figure", lambda *_: pytest.fail("there is nothing to draw"))
    assert call(*ABLATE).code == 130
    assert listing(folder) == PICTURES


BAD = [
    ("--size 8", ["'8' is not a whole number from 16"]),
    ("--network vgg", ["--network", "'vgg'", "compact"]),
    ("--content-layers relu9_1", ["compact has no layer 'relu9_1'"]),
    ("--weights none.h5", ["none.h5"]),
    ("--sise 64", ["there is no option --sise", "did you mean '--size'"]),
]


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        *(pytest.param(command, *case, id=f"{command[0]} {case[0]}") for command in (COMPARE, ABLATE) for case in BAD),
        (COMPARE, "-o f.jpg", ["f.jpg is no name for a figure", ".png"]),
        (COMPARE, "-o none/f.png", ["there is no directory none"]),
        (COMPARE, "-o .", ["."]),
        (COMPARE, "--rates 0", ["'0' is not a number above 0"]),
        (COMPARE, "--rates 0.1 0.1", ["--rates has a number twice"]),
        (COMPARE, "--evaluations 1", ["'1' is not a whole number from 2"]),
        (COMPARE, "--style-layers relu9_9", ["compact has no layer 'relu9_9'"]),
        (ABLATE, "--layers relu9_9", ["compact has no layer 'relu9_9'"]),
        (ABLATE, "--layers relu1_1 relu1_1", ["--layers has a layer twice"]),
        (ABLATE, "--ratios 0", ["'0' is not a number above 0"]),
        (ABLATE, "--ratios 5 5", ["--ratios has a number twice"]),
        (ABLATE, "--init fog", ["--init 'fog'", "noise"]),
        (ABLATE, "-o c.png", ["c.png"]),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    command: tuple[str, ...], words: str, said: list[str], call: Callable[..., Said], folder: Path
) -> None:
    refused(call(*command, *words.split()), 2, *said)
    assert listing(folder) == PICTURES


@pytest.mark.parametrize("command", [COMPARE, ABLATE], ids=["compare", "ablate"])
def test_missing_pictures_are_named(command: tuple[str, ...], call: Callable[..., Said], folder: Path) -> None:
    refused(call(command[0], "none.png", *command[2:]), 2, "none.png does not exist")
    refused(call(*command[:2], "none.png", *command[3:]), 2, "none.png does not exist")
    refused(call(command[0], "c.png"), 2, "required: STYLE")
    refused(call(*command[:3], "s.png", *command[3:]), 2, "'s.png' is one argument too many")
    picture(folder / "thin.png", size=(400, 10))
    refused(call(command[0], "thin.png", *command[2:]), 2, "thin.png")
    (folder / "thin.png").unlink()
    assert listing(folder) == PICTURES
