"""`jaxstyle upscale` and `--upscale`: files, numbers, records, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commandline import QUICK, Said, listing, picture, pixels, refused, same_record
from jaxstyle.cli import upscaling
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_picture
from jaxstyle.superres.upscale import upscale, upscale_plane
from jaxstyle.weights.registry import digest, shipped

pytestmark = pytest.mark.usefixtures("folder")
INPUTS = {"c.png", "s.png"}


def levels(image: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(image) * 255)


def test_one_picture(call: Callable[..., Said], folder: Path) -> None:
    said = call("upscale", "c.png", "-o", "large.png", "--scale", "3")
    assert said.code == 0 and said.out.startswith("large.png: 192 x 144, ") and said.err == ""
    assert listing(folder) == INPUTS | {"large.png", "large.json"}
    assert np.abs(pixels("large.png") - levels(upscale(load_picture("c.png").pixels, 3))).max() <= 1
    record = same_record(folder / "large.png")
    assert record["settings"] == {"scale": 3, "sharp": "pixel", "weights": None}
    assert record["picture"] == {"file": "c.png", "sha256": digest(folder / "c.png", "sha256")}
    assert record["weights"] == {"sha256": digest(shipped("upscale-pixel.h5"), "sha256")}
    assert record["status"] == "done" and record["versions"]["jaxstyle"]
    assert call("upscale", "c.png", "--sharp", "perceptual", "--quiet") == (0, "c_x2.png\n", "")
    assert (
        np.abs(pixels("c_x2.png") - levels(upscale(load_picture("c.png").pixels, 2, network="perceptual"))).max() <= 1
    )


def test_opacity_is_kept(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "a.png", 3, 4)
    assert call("upscale", "a.png", "-o", "out.webp", "--quiet").code == 0
    assert call("upscale", "a.png", "-o", "out.png", "--quiet").code == 0
    read = load_picture("a.png")
    found = pixels("out.png")
    assert pixels("out.webp").shape == found.shape
    assert found.shape == (96, 128, 4)
    assert read.alpha is not None
    assert np.abs(found[..., 3] - levels(upscale_plane(read.alpha, 2))).max() <= 1
    assert np.abs(found[..., :3] - levels(upscale(read.pixels, 2))).max() <= 1


@pytest.mark.slow
def test_several_and_folders(call: Callable[..., Said], folder: Path) -> None:
    (folder / "in").mkdir()
    picture(folder / "in" / "p.png", 4, size=(4, 4))
    (folder / "in" / "notes.txt").write_text("no picture")
    (folder / "in" / "cut.png").write_bytes((folder / "c.png").read_bytes()[:300])
    said = call("upscale", "in", "c.png", "-o", "out", "--scale", "4", "--quiet")
    assert said.code == 1
    assert said.out == "out/p_x4.png\nout/c_x4.png\n"
    assert "1 of 3 pictures failed: in/cut.png is damaged or cut short" in said.err
    assert "passed over: in/notes.txt" in said.err
    assert listing(folder / "out") == {f"{name}_x4.{end}" for name in ("p", "c") for end in ("png", "json")}
    assert pixels("out/p_x4.png").shape == (16, 16, 3)


@pytest.mark.parametrize(
    "words, told",
    [
        (("absent.png",), ("absent.png does not exist",)),
        (("c.png", "--scale", "5"), ("--scale: '5' is not a whole number from 2 to 4",)),
        (("c.png", "--sharp", "pixels"), ("'pixels' is not one of pixel, perceptual", "did you mean 'pixel'?")),
        (("c.png", "-o", "c.png"), ("c.png would replace c.png, which is read",)),
        (("c.png", "-o", "x.gif"), ("the name must end in one of",)),
        (("c.png", "-o", "nowhere/x.png"), ("there is no directory nowhere",)),
        (("c.png", "s.png", "-o", "x.png"), ("x.png is the name of one picture; of several, -o names their folder",)),
        (("c.png", "--weights", "s.png"), ("s.png begins", "as no file of weights does")),
        ((), ("the following arguments are required: IMAGE",)),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    call: Callable[..., Said], folder: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    refused(call("upscale", *words), 2, *told)
    assert listing(folder) == INPUTS


def test_somebody_elses_file_stays(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "x.png", 9)
    refused(call("upscale", "c.png", "-o", "x.png"), 2, "x.png is there already, and no result of jaxstyle")
    assert call("upscale", "c.png", "-o", "x.png", "--overwrite", "--quiet").code == 0
    assert call("upscale", "c.png", "-o", "x.png", "--quiet").code == 0  # its own


def test_what_does_not_fit_is_refused_with_the_largest_that_does(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaling, "available_memory", lambda: upscaling.BASE + upscaling.BYTES * 100 * 128)
    said = call("upscale", "c.png", "--scale", "4")
    refused(said, 2, "c.png made 256 x 192 pixels needs some", "at --scale 4 a picture of 32 x 24 would fit")
    assert listing(folder) == INPUTS
    picture(folder / "fits.png", 5, size=(32, 24))
    assert call("upscale", "fits.png", "--scale", "4", "--quiet").code == 0
    with pytest.raises(InputError):
        upscaling.check_memory((26, 32), 4, "")


def test_a_side_that_the_format_cannot_have_is_refused(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "wide.png", 6, size=(4100, 4))
    refused(call("upscale", "wide.png", "-o", "wide.webp", "--scale", "4"), 2, "16400 x 16 pixels; a WEBP has 16383")


def test_a_transfer_and_a_sweep_may_end_with_it(call: Callable[..., Said], folder: Path) -> None:
    assert call("transfer", "c.png", "s.png", "-o", "plain.png", *QUICK, "--quiet").code == 0
    said = call("transfer", "c.png", "s.png", "-o", "large.png", *QUICK, "--upscale", "2")
    assert said.code == 0 and said.out.startswith("large.png: 128 x 96, ")
    assert same_record(folder / "large.png")["settings"]["upscale"] == 2
    assert same_record(folder / "plain.png")["settings"]["upscale"] is None
    again = levels(upscale(load_picture("plain.png").pixels, 2))
    assert np.abs(pixels("large.png") - again).mean() < 0.5  # the plain one was rounded to 8 bits first
    small = ("--size", "64", "--steps", "1", "--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")
    said = call("sweep", "c.png", "s.png", "-o", "out", *small, "--style-weight", "1", "9", "--upscale", "3", "--quiet")
    assert said.code == 0
    assert pixels("out/cell_0.png").shape == pixels("out/cell_1.png").shape == (144, 192, 3)


@pytest.mark.slow
def test_so_may_a_picture_painted_in_one_pass(call: Callable[..., Said], folder: Path) -> None:
    words = ("stylize", "c.png", "--style", "strokes", "--quiet", "-o")
    assert call(*words, "plain.png").code == call(*words, "large.png", "--upscale", "2").code == 0
    assert same_record(folder / "large.png")["settings"]["upscale"] == 2
    again = levels(upscale(load_picture("plain.png").pixels, 2))
    assert np.abs(pixels("large.png") - again).mean() < 0.5
