"""`--mix`, `--mix-layers` and `--style-scale`: transfers, sweeps, strips from one style to another, refusals."""

import itertools
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import jaxstyle
from commandline import LANES, SHALLOW, listing, refused
from commandline import picture as on_disk
from jaxstyle import Weights
from jaxstyle.cli.values import SHARE
from jaxstyle.engine import sweep as sweeping
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import read_record

PLAIN = ("--size", "48", "--min-size", "48", "--steps", "3", "--quiet")
QUICK = (*PLAIN, *SHALLOW)
SWEPT = (*PLAIN, "--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")


# ------------------------------------------------------------------------------------------------ the command line


def pixels(path):
    return np.asarray(Image.open(path), np.float32) / 255


@pytest.fixture
def third(folder: Path) -> Path:
    return on_disk(folder / "t.png", 3)


@pytest.mark.slow
def test_transfer_with_styles_at_layers(call, third):
    said = call("transfer", "c.png", "s.png", "t.png", "-o", "a.png", "--mix-layers", "1,0/0,1", *QUICK)
    assert said.code == 0, said
    assert read_record("a.png")["settings"]["mix_layers"] == [[1, 0], [0, 1]]
    result = jaxstyle.transfer(
        load_image("c.png", 48),
        [load_image(name, 48) for name in ("s.png", "t.png")],
        network=jaxstyle.load_network("compact"),
        weights=Weights(mix_layers=np.float32([[1, 0], [0, 1]])),
        objective=jaxstyle.Objective(("relu2_1",), ("relu1_1", "relu2_1")),
        min_size=48,
        steps=3,
        margin=24,  # as the command line has it where styles are mixed by layer
    )
    np.testing.assert_allclose(pixels("a.png"), result.image, atol=0.51 / 255)
    again = call("transfer", "--from", "a.png", "-o", "b.png", "--init", "content", *PLAIN)
    assert again.code == 0, again
    np.testing.assert_array_equal(pixels("a.png"), pixels("b.png"))


@pytest.mark.slow
def test_styles_at_layers_are_an_axis_of_a_sweep(call, third):
    tables = ("1,0/0,1", "0,1/1,0", "1,0.5/1,0.5")
    said = call("sweep", "c.png", "s.png", "t.png", "-o", "d", "--mix-layers", *tables, *SWEPT)
    assert said.code == 0, said
    for i, table in enumerate(tables):
        assert call("transfer", "c.png", "s.png", "t.png", "-o", "a.png", "--mix-layers", table, *QUICK).code == 0
        np.testing.assert_allclose(pixels("a.png"), pixels(f"d/cell_{i}.png"), atol=2 / 255)
    cells = json.loads(Path("d/sweep.json").read_text())["cells"]
    assert "--mix-layers 1,0.5/1,0.5" in cells[2]["command"]


@pytest.mark.slow
@pytest.mark.parametrize("scale, side", [("0.5", 24), ("1", 48), ("1.5", 72)])
def test_the_size_of_styles(scale, side, call, folder: Path):
    assert call("transfer", "c.png", "s.png", "-o", "a.png", "--style-scale", scale, *QUICK).code == 0
    result = jaxstyle.transfer(
        load_image("c.png", 48),
        load_image("s.png", side),
        network=jaxstyle.load_network("compact"),
        objective=jaxstyle.Objective(("relu2_1",), ("relu1_1", "relu2_1")),
        min_size=48,
        steps=3,
    )
    np.testing.assert_allclose(pixels("a.png"), result.image, atol=0.51 / 255)
    again = call("transfer", "--from", "a.png", "-o", "b.png", "--init", "content", *PLAIN)
    assert again.code == 0 and read_record("b.png")["settings"]["style_scale"] == float(scale)
    np.testing.assert_array_equal(pixels("a.png"), pixels("b.png"))


@pytest.mark.slow
def test_the_size_of_styles_is_an_axis_of_a_sweep(call, folder: Path):
    said = call("sweep", "c.png", "s.png", "-o", "d", "--style-scale", "0.5", "1.5", *SWEPT)
    assert said.code == 0, said
    for i, scale in enumerate(("0.5", "1.5")):
        assert call("transfer", "c.png", "s.png", "-o", "a.png", "--style-scale", scale, *QUICK).code == 0
        np.testing.assert_allclose(pixels("a.png"), pixels(f"d/cell_{i}.png"), atol=2 / 255)


REFUSED = {
    "lists": (["--mix-layers", "1,0"], ["--mix-layers has 1 list", "one for each STYLE", "are 2"]),
    "numbers": (["--mix-layers", "1,0,1/1,0,1"], ["--mix-layers has 3 numbers", "style layer", "are 2"]),
    "lengths": (["--mix-layers", "1,0/1"], ["--mix-layers", "several lengths"]),
    "no style": (["--mix-layers", "1,0/1,0"], ["mix_layers", "without a style"]),
    "small": (["--style-scale", "0.1"], ["--style-scale 0.1", "5 pixels", "16 to 16384"]),
    "narrow": (["--style-scale", "0.4"], ["s.png", "19 x 14", "16"]),
    "zero": (["--style-scale", "0"], ["--style-scale", "above 0"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_mixed_or_sized_is_refused(name, call, third):
    options, words = REFUSED[name]
    before = listing(Path())
    refused(call("transfer", "c.png", "s.png", "t.png", "-o", "a.png", *options, *QUICK), 2, *words)
    assert listing(Path()) == before


@pytest.mark.parametrize(
    "text, found",
    [
        ("1,3", [(1, 3)]),
        ("0:1:5", [(1, 0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0, 1)]),
        ("linear:1:0:2", [(0, 1), (1, 0)]),
        ("0.2:0.3:2", [(0.8, 0.2), (0.7, 0.3)]),
        ("1,0,0:0,0,1:3", [(1, 0, 0), (0.5, 0, 0.5), (0, 0, 1)]),
        ("0:1:1", [(1, 0)]),
    ],
)
def test_ranges_of_mixes(text, found):
    assert SHARE.listed().spread(text) == found


@pytest.mark.slow
def test_a_range_of_mixes_is_a_strip_from_one_style_to_the_other(call, third):
    with mock.patch.object(sweeping, "run", wraps=sweeping.run) as painted:
        said = call("sweep", "c.png", "s.png", "t.png", "-o", "d", "--mix", "0:1:5", "--lanes", "5", *SWEPT, *LANES)
    assert said.code == 0, said
    assert painted.call_count == 1  # all are lanes of one program
    made = [pixels(f"d/cell_{i}.png") for i in range(5)]
    for path, image in (("s.png", made[0]), ("t.png", made[-1])):
        assert call("transfer", "c.png", path, "-o", "a.png", *QUICK, *LANES).code == 0
        np.testing.assert_allclose(image, pixels("a.png"), atol=2 / 255)
    assert call("transfer", "c.png", "s.png", "t.png", "-o", "a.png", "--mix", "0.75", "0.25", *QUICK, *LANES).code == 0
    np.testing.assert_allclose(made[1], pixels("a.png"), atol=2 / 255)
    assert all(np.abs(a - b).mean() > 1e-3 for a, b in itertools.combinations(made, 2))
    cells = json.loads(Path("d/sweep.json").read_text())["cells"]
    assert "--mix 0.75 0.25" in cells[1]["command"]
    sheet = load_image("d/sheet.png")
    assert sheet.shape[1] > 1.5 * sheet.shape[0]  # one row


@pytest.mark.slow
def test_three_styles_take_the_mixes_at_both_ends(call, third):
    four = ("c.png", "s.png", "t.png", "c.png")
    said = call("sweep", *four, "-o", "d", "--mix", "1,0,0:0,0,1:2", *SWEPT)
    assert said.code == 0 and len(list(Path("d").glob("cell_*.png"))) == 2
    refused(call("sweep", *four, "-o", "e", "--mix", "0:1:5", *SWEPT), 2, "2 numbers", "are 3", "1,0,0:0,0,1:5")
    refused(call("sweep", *four[:2], "-o", "e", "--mix", "0:1:5", *SWEPT), 2, "2 numbers", "there is 1")
    for wrong, word in (("0:2:5", "from 0 to 1"), ("0:1", "FIRST:LAST:COUNT"), ("1,0:0,0,1:5", "2 numbers to 3")):
        refused(call("sweep", *four[:3], "-o", "e", "--mix", wrong, *SWEPT), 2, "--mix", word)
    assert not Path("e").exists()
