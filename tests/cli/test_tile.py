"""`--tile`: on the command line, in the record, and refused."""

import json

import numpy as np
import pytest
from PIL import Image

from commandline import SHALLOW, picture, refused
from jaxstyle.cli import painting

SMALL = (*SHALLOW, "--optimizer", "adam", "--steps", "1", "--size", "160", "--min-size", "160")


@pytest.mark.slow
def test_a_picture_in_tiles_is_the_picture_and_its_record_says_so(call, folder):
    picture(folder / "large.png", 3, size=(160, 129))
    said = call("transfer", "large.png", "s.png", "-o", "tiled.png", *SMALL, "--tile", "64")
    assert said.code == 0 and "160 x 129, tiles of 64: 1/1 steps" in said.err
    assert call("transfer", "large.png", "s.png", "-o", "whole.png", *SMALL).code == 0
    tiled, whole = (np.asarray(Image.open(folder / f"{name}.png"), int) for name in ("tiled", "whole"))
    assert np.abs(tiled - whole).max() <= 1
    tile = {name: json.loads((folder / f"{name}.json").read_text()).get("tile") for name in ("tiled", "whole")}
    assert tile == {"tiled": 64, "whole": None}


@pytest.mark.slow
def test_a_picture_that_does_not_fit_is_painted_in_tiles(call, folder, monkeypatch):
    picture(folder / "large.png", 3, size=(160, 129))
    monkeypatch.setattr("jaxstyle.engine.memory.TILES", (64,))
    monkeypatch.setattr(painting, "available_memory", lambda: 16_000_000)
    said = call("transfer", "large.png", "s.png", "-o", "o.png", *SMALL)
    assert said.code == 0 and "tiles of 64" in said.err


def test_what_cannot_be_had_in_tiles(call, folder):
    said = call("transfer", "c.png", "s.png", *SHALLOW, "--style-loss", "nearest", "--tile", "64", "--quiet")
    refused(said, 2, "gram, wasserstein, mean-std, cmd", "nearest is not")
    assert call("transfer", "c.png", "s.png", "--tile", "63").code == 2
