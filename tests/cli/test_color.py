"""`--color`: pictures in their content's colours, as an axis of a sweep, by region, and from records."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxstyle
from commandline import SHALLOW, listing, refused
from jaxstyle import defaults
from jaxstyle.pictures import color as colors
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.resample import resize
from jaxstyle.pictures.write import read_record
from marks import slow
from tiny import compilations

PLAIN = ("--size", "48", "--min-size", "48", "--steps", "3", "--quiet")
QUICK = (*PLAIN, *SHALLOW)
SWEPT = (*PLAIN, "--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")


# ------------------------------------------------------------------------------------------------ the command line


def on_disk(path):
    return np.asarray(Image.open(path), np.float32) / 255


@pytest.mark.parametrize("color", [slow(x) for x in defaults.COLORINGS[1:]])
def test_transfer_in_the_contents_colours(color, call, folder: Path):
    said = call("transfer", "c.png", "s.png", "-o", "a.png", "--color", color, "--save-every", "2", *QUICK)
    assert said.code == 0, said
    assert read_record(folder / "a.png")["settings"]["color"] == color
    content, style, how = load_image("c.png", 48), load_image("s.png", 48), colors.COLORINGS[color]
    layers = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}
    network = jaxstyle.load_network("compact")
    options = {"network": network, "objective": jaxstyle.Objective(**layers), "min_size": 48, "steps": 3}
    result = jaxstyle.transfer(np.asarray(how.content(content)), np.asarray(how.style(style, content)), **options)
    np.testing.assert_allclose(on_disk("a.png"), how.finish(result.image, content), atol=0.51 / 255)
    again = call(
        "transfer", "--from", "a.png", "-o", "b.png", "--init", "content", "--quiet", "--size", "48", "--min-size", "48"
    )
    assert again.code == 0, again
    np.testing.assert_array_equal(on_disk("a.png"), on_disk("b.png"))
    if color == "luminance":  # pictures on the way are coloured alike: their chrominance is the content's direction
        way = on_disk("a_00002.png")
        assert way.shape == content.shape and not np.allclose(way, on_disk("a.png"), atol=1e-3)
        np.testing.assert_allclose(way, colors.luminance_transfer(way, content), atol=2 / 255)


@pytest.mark.slow
def test_pictures_of_coarser_scales_are_coloured_too(call, folder: Path):
    options = ("--size", "48", "--min-size", "24", "--steps", "1", "--quiet", *SHALLOW)
    said = call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "luminance", "--save-every", "1", *options)
    assert said.code == 0, said
    way, content = on_disk("a_00001.png"), load_image("c.png", 48)
    assert way.shape[1] == 24
    np.testing.assert_allclose(way, colors.luminance_transfer(way, resize(content, *way.shape[:2])), atol=2 / 255)


@pytest.mark.slow
def test_colour_is_an_axis_of_a_sweep(call, folder: Path):
    colorings = ("style", "luminance", "lab", "match")
    options = ("--style-weight", "5", "50", "--seed", "3")
    said = call("sweep", "c.png", "s.png", "-o", "d", "--color", *colorings, *options, *SWEPT)
    assert said.code == 0, said
    for i, color in enumerate(colorings):
        assert read_record(f"d/cell_{i}_1.png")["settings"]["color"] == color
    cells = json.loads((folder / "d/sweep.json").read_text())["cells"]
    assert "--color lab" in cells[5]["command"] and "--color" not in cells[1]["command"]
    for color, i in (("match", 3), ("luminance", 1)):
        extra = ("--color", color, "--style-weight", "50", "--seed", "3")
        assert call("transfer", "c.png", "s.png", "-o", "a.png", *extra, *QUICK).code == 0
        np.testing.assert_allclose(on_disk("a.png"), on_disk(f"d/cell_{i}_1.png"), atol=2 / 255)


@pytest.mark.slow
def test_each_region_has_the_colours_of_its_own_part(call, folder: Path):
    """Of a content with a red and a blue half, each style gets those of its half."""
    pixels = np.random.default_rng(0).integers(0, 60, (48, 64, 3)).astype(np.uint8)
    pixels[:, :32, 0] += 150
    pixels[:, 32:, 2] += 150
    Image.fromarray(pixels).save("e.png")
    halves = np.repeat(np.uint8([[255] * 32 + [0] * 32, [0] * 32 + [255] * 32])[:, None], 48, 1)
    for name, half in zip(("left.png", "right.png"), halves, strict=True):
        Image.fromarray(half).save(name)
    options = ("--masks", "left.png", "right.png", "--color", "match", "--init", "noise", "--content-weight", "0")
    assert call("transfer", "e.png", "s.png", "s.png", "-o", "a.png", *options, *QUICK, "--steps", "60").code == 0
    means = np.asarray(on_disk("a.png")).reshape(36, 2, 24, 3).mean((0, 2))
    assert means[0, 0] > 1.5 * means[0, 2] and means[1, 2] > 1.5 * means[1, 0], means


@pytest.mark.slow
def test_colour_of_several_contents(call, folder: Path):
    """A style matched to each content is not one that lanes share."""
    Image.fromarray(np.asarray(Image.open("c.png"))[::-1, :, ::-1].copy()).save("e.png")
    said = call("sweep", "c.png", "s.png", "-o", "d", "--contents", "e.png", "--color", "match", *SWEPT)
    assert said.code == 0, said
    assert call("transfer", "e.png", "s.png", "-o", "a.png", "--color", "match", *QUICK).code == 0
    np.testing.assert_allclose(on_disk("a.png"), on_disk("d/cell_1.png"), atol=2 / 255)


@pytest.mark.slow
def test_content_is_the_way_that_suits_most_and_wrong_words_are_refused(call, folder: Path):
    assert call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "content", *QUICK).code == 0
    assert read_record("a.png")["settings"]["color"] == defaults.CONTENT_COLORING
    before = listing(folder)
    refused(call("transfer", "c.png", "s.png", "-o", "b.png", "--color", "labb"), 2, "--color", "'labb'", "'lab'")
    assert listing(folder) == before


@pytest.mark.slow
def test_colour_needs_no_programs_of_its_own(call, folder: Path):
    assert call("transfer", "c.png", "s.png", "-o", "a.png", *QUICK).code == 0
    assert call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "match", *QUICK).code == 0
    with compilations() as counted:
        assert call("transfer", "c.png", "s.png", "-o", "a.png", *QUICK).code == 0
    assert not counted[0]
