"""`train`: from pictures and photographs to a network, killed and taken up again."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("grain")
pytest.importorskip("orbax.checkpoint")

from jaxstyle.cli.commands import train
from jaxstyle.onepass.files import load_styles, open_styles
from jaxstyle.onepass.style_network import StyleNetwork

SHALLOW = ["--style-layers", "relu1_1", "relu2_1", "--content-layers", "relu2_1"]
SMALL = ["--crop", "64", "--batch", "1", "--style-size", "64", *SHALLOW]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of photographs, and two styles beside it."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name in ("photos/a.png", "photos/b.png", "photos/c.png", "warm.png", "cold.png"):
        small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(small).resize((96, 72), Image.Resampling.BICUBIC).save(folder / name)
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return folder


class Short(StyleNetwork):
    """A network of one block, which compiles in less time."""

    blocks: int = 1


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(train, "SAMPLE_SIZE", 32)
    monkeypatch.setattr("jaxstyle.onepass.style_network.StyleNetwork", Short)


@pytest.fixture
def start(call, pictures):
    def run(out, *words, styles=("warm.png", "cold.png"), steps=4):
        where = [pictures / style if "=" not in style else style for style in styles]
        size = () if "--add-to" in words else ("--width", 2)
        return call(
            "train", *where, "--photos", pictures / "photos", "-o", out, "--steps", steps, *SMALL, *size, *words
        )

    return run


@pytest.mark.slow
def test_killed_and_taken_up_again_it_ends_with_the_same_numbers(start, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINTS", 1)
    monkeypatch.setattr(train, "LOOKS", 1)
    said = start(tmp_path / "one.h5")
    assert said.code == 0 and "one.h5: warm, cold, " in said.out
    assert "3 photographs, 2 styles" in said.err and "passed over: " in said.err and "broken.jpg" in said.err
    look = train._Work._look

    def killed(at):
        def watch(self, state):
            look(self, state)
            if state.step == at:
                raise MemoryError("killed")

        return watch

    for at in (2, 3):
        monkeypatch.setattr(train._Work, "_look", killed(at))
        assert start(tmp_path / "two.h5").code == 1
        assert not (tmp_path / "two.h5").exists()
    monkeypatch.setattr(train._Work, "_look", look)
    said = start(tmp_path / "two.h5")
    assert said.code == 0 and "3/4 steps" in said.err and "1/4" not in said.err
    one, two = (load_styles(tmp_path / f"{name}.h5") for name in ("one", "two"))
    assert one.styles == ("warm", "cold")
    for name, x in one.params.items():
        np.testing.assert_array_equal(x, two.params[name])
    # What it leaves: samples and losses, no checkpoints.
    assert sorted(os.listdir(tmp_path / "one-training")) == ["000004.png", "losses.csv"]
    rows = (tmp_path / "one-training" / "losses.csv").read_text().splitlines()
    assert rows[0].startswith("step,") and len(rows) == 5
    facts = open_styles(tmp_path / "one.h5")[1]
    assert facts["styles"][0]["file"] == "warm.png" and facts["styles"][0]["size"] == 64
    assert facts["trained"]["settings"]["steps"] == 4 and facts["trained"]["photographs"] == 3


@pytest.mark.slow
def test_a_further_style_changes_nothing_of_the_others(start, pictures, tmp_path):
    assert start(tmp_path / "one.h5", styles=("warm.png",), steps=1).code == 0
    more = f"more={pictures / 'cold.png'}"
    assert start(tmp_path / "both.h5", "--add-to", tmp_path / "one.h5", styles=(more,), steps=2).code == 0
    one, both = load_styles(tmp_path / "one.h5"), load_styles(tmp_path / "both.h5")
    assert both.styles == ("warm", "more")
    image = np.asarray(Image.open(pictures / "photos" / "a.png"), np.float32) / 255
    before, after = (np.asarray(x.paint(image, x.shares("warm"))) for x in (one, both))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert any(np.any(np.asarray(x[1]) != x[0]) for name, x in both.params.items() if name.endswith("_scale"))
    said = start(tmp_path / "again.h5", "--add-to", tmp_path / "one.h5", styles=("warm.png",))
    assert said.code == 2 and "has a style 'warm' already" in said.err
    assert both.module.width == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{warm}", "--photos", "{photos}", "-o", "x.txt"], "x.txt must end in .h5 or .hdf5"),
        (["{warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5", "--style-size", "64", "64"], "--style-size has 2"),
        (["{warm}", "{warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5"], "one name"),
        (["a:b={warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5"], "cannot be called"),
        (["{warm}", "--photos", "{tmp}", "-o", "{tmp}/x.h5"], "at least 2 are needed"),
        (
            ["{warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5", "--add-to", "y.h5", "--width", "8"],
            "--width is that of y.h5",
        ),
        (["{warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5", "--crop", "96"], "at least 2 are needed"),
        (
            ["{warm}", "--photos", "{photos}", "-o", "{tmp}/x.h5", "--crop", "64", "--style-layers", "relu9_9"],
            "relu9_9",
        ),
    ],
)
def test_wrong_input_is_one_line(call, pictures, tmp_path, words, told):
    places = {"warm": pictures / "warm.png", "photos": pictures / "photos", "tmp": tmp_path}
    said = call("train", *(word.format(**places) for word in words))
    assert said.code == 2 and told in said.err.splitlines()[-1]
    assert not (tmp_path / "x.h5").exists()


def test_what_is_there_is_not_replaced(start, tmp_path):
    (tmp_path / "theirs.h5").write_bytes(b"not ours")
    said = start(tmp_path / "theirs.h5")
    assert said.code == 2 and "no result of jaxstyle" in said.err
    assert (tmp_path / "theirs.h5").read_bytes() == b"not ours"


def test_without_the_further_packages(start, tmp_path, monkeypatch):
    for name in ("jaxstyle.training.loop", "jaxstyle.training.photos"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "grain", None)
    said = start(tmp_path / "x.h5")
    assert said.code == 2 and "pip install 'jaxstyle[train]'" in said.err


@pytest.mark.slow
def test_a_step_that_does_not_fit(start, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxstyle.cli.machine.available_memory", lambda: 10_000)
    said = start(tmp_path / "x.h5")
    assert said.code == 2 and "a smaller --batch or --crop helps" in said.err


@pytest.mark.slow
def test_a_network_is_ours_and_may_be_replaced(start, tmp_path):
    assert start(tmp_path / "x.h5", styles=("warm.png",), steps=1).code == 0
    assert start(tmp_path / "x.h5", styles=("cold.png",), steps=1).code == 0
    assert load_styles(tmp_path / "x.h5").styles == ("cold",)
