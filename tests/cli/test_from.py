"""`transfer --from`: a cell made large."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commandline import SWEEP, Said, picture, pixels, refused
from jaxstyle.pictures.write import read_record


@pytest.mark.slow
def test_a_cell_made_large(call: Callable[..., Said], folder: Path) -> None:
    assert call("sweep", *SWEEP, "--style-weight", "10", "100", "--quiet").code == 0
    said = call("transfer", "--from", "out/cell_1.png", "--size", "96", "-o", "big.png", "--steps", "3", "--quiet")
    assert said == (0, "big.png\n", "")
    record = read_record("big.png")
    made = record["settings"]
    assert (made["size"], made["min_size"], made["style_weight"], made["steps"]) == (96, 64, 100, 3)
    assert made["content_layers"] == ["relu2_1"] and record["init"]["file"] == made["init"] == "out/cell_1.png"
    explicit = ("c.png", "s.png", "--size", "96", "--min-size", "64", "--style-weight", "100", "--steps", "3")
    layers = ("--content-layers", "relu2_1", "--style-layers", "relu1_1", "relu2_1")
    assert call("transfer", *explicit, *layers, "--init", "out/cell_1.png", "-o", "same.png", "--quiet").code == 0
    np.testing.assert_array_equal(pixels(Path("big.png")), pixels(Path("same.png")))
    picture(folder / "s.png", 9)
    refused(call("transfer", "--from", "out/cell_1.png", "-o", "x.png"), 2, "s.png has changed")
    assert call("transfer", "c.png", "s.png", "--from", "out/cell_1.png", "-o", "x.png", "--quiet").code == 0
    refused(call("transfer", "--from", "c.png"), 2, "c.png has no record")
    refused(call("transfer", "--from", "none.png"), 2, "none.png")
    refused(call("transfer"), 2, "CONTENT, STYLE")
    refused(call("transfer", "c.png"), 2, "required: STYLE")
