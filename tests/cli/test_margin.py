"""`--margin`: its default, its record, and as an axis of a sweep."""

import json
from pathlib import Path

import numpy as np
import pytest

from commandline import SHALLOW, listing, picture, refused
from jaxstyle import defaults
from jaxstyle.cli import cells
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.parser import parse
from jaxstyle.cli.resolve import needed, resolve
from jaxstyle.cli.settings import words_of
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import read_record

# ------------------------------------------------------------------------------------------------ the command line

PLAIN = ("--size", "48", "--min-size", "48", "--steps", "2", "--quiet")
QUICK = (*PLAIN, *SHALLOW)
PAIR = ("c.png", "s.png", "s.png")
MIXED = ("--mix-layers", "1,0/0,1")
TABLE = ["--mix-layers", "1,1,0,0,0/0,0,1,1,1"]


def recorded(path):
    return read_record(path)["settings"]["margin"]


@pytest.mark.slow
def test_styles_mixed_by_layer_have_a_margin_that_can_be_switched_off(call, folder):
    options = (*QUICK, "--save-every", "1", "--color", "lab")
    assert call("transfer", *PAIR, "-o", "a.png", *MIXED, *options).code == 0
    assert recorded("a.png") == defaults.MARGIN
    assert load_image("a.png").shape == load_image("a_00001.png").shape == (36, 48, 3)
    assert call("transfer", *PAIR, "-o", "b.png", *MIXED, "--margin", "0", *QUICK, "--color", "lab").code == 0
    assert recorded("b.png") == 0 and (load_image("a.png") != load_image("b.png")).any()
    assert call("transfer", "--from", "b.png", "-o", "again.png", "--init", "content", *PLAIN).code == 0
    np.testing.assert_array_equal(load_image("b.png"), load_image("again.png"))


@pytest.mark.slow
def test_a_small_picture_has_as_much_margin_as_it_allows(call, folder):
    picture(folder / "c.png", 1, size=(64, 24), channels=4)
    assert call("transfer", *PAIR, "-o", "a.png", *MIXED, *QUICK).code == 0
    assert recorded("a.png") == 18 and load_image("a.png").shape == (18, 48, 3)
    before = listing(Path())
    line = "--margin is 19; it can be at most the short side of c.png, 18"
    refused(call("transfer", *PAIR, "-o", "b.png", "--margin", "19", *QUICK), 2, line)
    refused(call("sweep", *PAIR, "-o", "b", "--margin", "0", "19", *PLAIN), 2, line)
    refused(call("transfer", *PAIR, "-o", "b.png", "--margin", "-1", *QUICK), 2, "'-1' is not a whole number from 0")
    assert listing(Path()) == before


def test_an_axis_of_a_sweep_and_an_option_of_batch(call, folder, monkeypatch):
    plans = []
    monkeypatch.setattr(cells, "batches", lambda plan, **_: plans.append(plan) or iter(()))
    call("sweep", "c.png", "s.png", "-o", "d", "--margin", "0", "8", "--lanes", "1", *PLAIN)
    call("batch", "c.png", "--style", "s.png", "-o", "e", "--margin", "5", "--lanes", "1", *PLAIN)
    assert [plan.scales[-1].margin for plan in plans] == [0, 8, 5]
    commands = [cell["command"] for cell in json.loads(Path("d/sweep.json").read_text())["cells"]]
    assert "--margin" not in commands[0] and "--margin 8" in commands[1]


@pytest.mark.parametrize(
    ("words", "margin", "said"),
    [
        ([], 0, False),
        (["--margin", "24"], 24, True),
        (TABLE, 24, False),
        ([*TABLE, "--margin", "0"], 0, True),
        ([*TABLE, "--margin", "10"], 10, True),
    ],
)
def test_words_make_the_margin_again(words, margin, said):
    def resolved(words):
        return resolve(parse(TransferOptions, [*PAIR, *words], prog="transfer"), 100)

    made = resolved(words)
    assert made.margin == margin
    again = words_of(needed(vars(made)))
    assert ("--margin" in again) == said
    assert resolved(again) == made
