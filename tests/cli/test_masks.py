"""`--masks` and `--style-masks`: from files, recorded and made again, shared by a sweep, refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import SHALLOW, Said, picture, refused
from jaxstyle.cli import cells
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import read_record
from masks import halves, rectangle

# ----------------------------------------------------------------------------------------------------- the command line


def grey(path: Path | str, values: np.ndarray) -> str:
    Image.fromarray(np.rint(255 * values).astype(np.uint8)).save(path)
    return str(path)


QUICK = ("-o", "out.png", "--size", "64", "--steps", "2", *SHALLOW, "--quiet")


@pytest.mark.slow
def test_masks_from_files_are_recorded_and_made_again(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "t.png", 3)
    left, right = halves(48, 64, soft=8) * rectangle(48, 64, slice(0, 40), slice(0, 64))
    files = grey("l.png", left), grey("r.png", right)
    part = grey("part.png", rectangle(24, 32, slice(0, 24), slice(0, 16)))  # half the size, of the style's proportions
    pair = ("c.png", "s.png", "t.png")
    said = call("transfer", *pair, *QUICK, "--masks", *files, "--style-masks", "all", part)
    assert said == (0, "out.png\n", "")
    content, result = (np.rint(255 * load_image(path)) for path in ("c.png", "out.png"))
    np.testing.assert_array_equal(result[40:], content[40:])
    assert np.abs(result[:40] - content[:40]).mean() > 1
    record = read_record("out.png")
    assert [mask["file"] for mask in record["masks"]] == ["l.png", "r.png"]
    assert record["style_masks"][0] is None and len(record["style_masks"][1]["sha256"]) == 64
    again = ("--from", "out.png", "-o", "more.png", "--steps", "1", "--quiet")
    assert call("transfer", *again).code == 0
    assert {name: read_record("more.png")[name] for name in ("masks", "style_masks")} == {
        name: record[name] for name in ("masks", "style_masks")
    }
    grey("l.png", right)
    refused(call("transfer", *again), 2, "l.png has changed since")
    assert call("transfer", *again, "--masks", *files).code == 0


@pytest.mark.slow
def test_a_sweep_shares_its_masks(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the styles in the colours of their regions: no lane has one of its own."""
    plans, make_plan = [], cells.make_plan

    def noted(*args: Any, **options: Any) -> Any:
        plans.append(make_plan(*args, **options)[0])
        return make_plan(*args, **options)

    monkeypatch.setattr(cells, "make_plan", noted)
    mask = grey("m.png", rectangle(48, 64, slice(8, 40), slice(8, 56)))
    layers = ("--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")
    base = ("c.png", "s.png", "-o", "grid", "--size", "64", "--steps", "2", *layers, "--quiet", "--masks", mask)
    base += ("--color", "match")
    assert call("sweep", *base, "--style-weight", "10", "100").code == 0
    assert "--masks m.png" in (folder / "grid/sweep.json").read_text()
    assert plans[0].program.batched == {"weights.style", "key"}
    alone = ("--masks", mask, "--style-weight", "100", "--color", "match")
    assert call("transfer", "c.png", "s.png", *QUICK, *alone).code == 0
    cell, alone = (np.rint(255 * load_image(path)) for path in ("grid/cell_1.png", "out.png"))
    assert np.abs(cell - alone).max() <= 1
    grey("m.png", np.ones((48, 64)))
    refused(call("sweep", *base, "--style-weight", "10", "100"), 2, "other pictures, settings or weights")


def test_mask_files_refused(call: Callable[..., Said], folder: Path) -> None:
    def masked(*files: str) -> Said:
        return call("transfer", "c.png", "s.png", *QUICK, "--masks", *files)

    grey("black.png", np.zeros((48, 64)))
    grey("square.png", np.ones((64, 64)))
    refused(masked("black.png"), 2, "black.png is black all over")
    refused(masked("square.png"), 2, "square.png is 64 x 64 pixels; a mask of c.png is 64 x 48, or in that proportion")
    refused(masked("square.png", "black.png"), 2, "--masks has 2 files; it needs one for each STYLE, and there is 1")
    refused(masked("absent.png"), 2, "absent.png does not exist")
    refused(call("transfer", "c.png", "s.png", *QUICK, "--style-masks", "square.png"), 2, "a mask of s.png is 64 x 48")
    refused(call("transfer", "c.png", "s.png", "-o", grey("m.png", np.ones((48, 64))), "--masks", "m.png"), 2, "m.png")
