"""`jaxstyle transfer`: pictures, records, settings."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxstyle
from commandline import COMPACT, QUICK, SHALLOW, Said, changed, listing, picture, pixels, same_record
from jaxstyle import defaults
from jaxstyle.pictures.read import load_image
from jaxstyle.presets import PRESETS
from jaxstyle.weights import load_network
from marks import slow


def test_a_transfer(call: Callable[..., Said], folder: Path) -> None:
    before = listing(folder)
    said = call("transfer", "c.png", "s.png", "--steps", "2")
    assert said.code == 0
    assert said.out.startswith("c_s.png: 64 x 48, content ") and said.out.count("\n") == 1
    note, progress = said.err.splitlines()  # no terminal: no bar, one line for the only scale
    assert "compact" in note and "vgg19" in note
    assert progress.startswith("64 x 48: 2/2 steps, loss ")
    assert listing(folder) - before == {"c_s.png", "c_s.json"}
    assert pixels(folder / "c_s.png").shape == (48, 64, 3)
    record = same_record(folder / "c_s.png")
    assert record["status"] == "done" and record["evaluations"] == 2 and record["init"] is None
    for name, given in (("c.png", record["content"]), ("s.png", record["styles"][0])):
        assert given == {"file": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
    assert record["weights"]["sha256"] == hashlib.sha256(COMPACT.read_bytes()).hexdigest()
    assert record["versions"]["jaxstyle"] == jaxstyle.__version__ and record["versions"]["jax"] == jax.__version__
    assert {"size": 64, "steps": 2, "seed": 0, "rate": None}.items() <= record["settings"].items()
    losses, s = record["losses"], record["settings"]
    total = s["content_weight"] * losses["content"] + s["style_weight"] * losses["style"]
    assert losses["total"] == pytest.approx(total + s["tv_weight"] * losses["variation"], rel=1e-4)


def test_a_record_is_enough_to_make_the_picture_again(call: Callable[..., Said], folder: Path) -> None:
    options = ("--quiet", *QUICK, "--init", "noise", "--seed")
    for name, seed in (("a.png", 3), ("b.png", 3), ("other.png", 4)):
        assert call("transfer", "c.png", "s.png", "-o", name, *options, seed) == (0, f"{name}\n", "")
    a, b, other = (pixels(folder / name) for name in ("a.png", "b.png", "other.png"))
    np.testing.assert_array_equal(a, b)
    assert (a != other).any()
    records = [same_record(folder / name) for name in ("a.png", "b.png")]
    for record in records:
        del record["seconds"]
    assert records[0] == records[1]


def test_the_library_makes_the_same_picture(call: Callable[..., Said], folder: Path) -> None:
    assert call("transfer", "c.png", "s.png", "--steps", "2", "--style-weight", "30").code == 0
    content, style = (jaxstyle.load_image(folder / name, 64) for name in ("c.png", "s.png"))
    chosen = jaxstyle.Weights(style=30.0)
    net = load_network("compact")
    result = jaxstyle.transfer(content, style, network=net, weights=chosen, steps=2)
    expected = np.rint(np.asarray(result.image) * 255)
    np.testing.assert_allclose(pixels(folder / "c_s.png"), expected, atol=1)


@pytest.mark.parametrize("preset", [slow(name) for name in PRESETS])
def test_presets(preset: str, call: Callable[..., Said], folder: Path) -> None:
    assert call("transfer", "c.png", "s.png", "--steps", "2", "--preset", preset).code == 0
    record = same_record(folder / "c_s.png")
    published = PRESETS[preset]
    found = record["settings"]
    assert found["preset"] == preset
    assert tuple(found["content_layers"]) == published.objective.content_layers
    assert tuple(found["style_layers"]) == published.objective.style_layers
    assert found["style_weight"] == published.weights.style and found["tv_weight"] == published.weights.variation
    layers = published.weights.layers
    assert found["layer_weights"] == (None if layers is None else list(layers))
    for name in ("style_loss", "optimizer", "rate", "init", "average", "pooling"):
        assert found[name] == getattr(published, name), name
    assert found["min_size"] == (None if published.coarse_to_fine else 64) and found["steps"] == 2
    assert all(np.isfinite(value) for value in record["losses"].values())
    assert (pixels(folder / "c_s.png") != pixels(folder / "c.png")).any()


@pytest.mark.parametrize(
    "options",
    [
        slow(["--optimizer", "adam"]),
        slow(["--optimizer", "optax-lbfgs", "--style-weight", "7"]),
        slow(["--precision", "bfloat16"]),
        slow(["--pooling", "average", "--padding", "edge"]),
        slow(["--average", "0.9"]),
        slow(["--layer-weights", "1", "2"]),
        slow(["--init", "style", "--optimizer", "adam", "--rate", "0.1", "--tv-weight", "0"]),
        slow(["--init", "blur", "--content-weight", "3"]),
        ["--weights", "w.h5"],
    ],
    ids=" ".join,
)
def test_settings_reach_the_picture_and_its_record(options: list[str], call: Callable[..., Said], folder: Path) -> None:
    if "w.h5" in options:
        changed(folder / "w.h5", 0.5)
    assert call("transfer", "c.png", "s.png", "-o", "plain.png", *QUICK).code == 0
    assert call("transfer", "c.png", "s.png", "-o", "other.png", *QUICK, *options).code == 0
    assert (pixels(folder / "plain.png") != pixels(folder / "other.png")).any()
    plain, other = (same_record(folder / f"{name}.png") for name in ("plain", "other"))
    given, values = None, {}
    for word in options:
        if word.startswith("--"):
            given = word.removeprefix("--").replace("-", "_")
        else:
            values.setdefault(given, []).append(float(word) if word[0].isdigit() else word)
    for key, value in values.items():
        assert other["settings"][key] == (value[0] if len(value) == 1 else value) != plain["settings"][key]
    assert (plain["weights"] != other["weights"]) == ("w.h5" in options)
    rate = values.get("rate", [defaults.ADAM_RATE])[0] if "adam" in options else None
    assert other["settings"]["rate"] == rate


def test_several_styles_are_mixed(call: Callable[..., Said], folder: Path) -> None:
    third = picture(folder / "t.png", 3)
    made = {}
    for mix in ("1 0", "0 1", "1 1", "2 2"):
        name = f"{mix.replace(' ', '_')}.png"
        assert call("transfer", "c.png", "s.png", third, "-o", name, *QUICK, "--mix", *mix.split()).code == 0
        made[mix] = pixels(folder / name)
    assert call("transfer", "c.png", "s.png", third, "-o", "equal.png", *QUICK).code == 0
    np.testing.assert_array_equal(made["1 1"], made["2 2"])
    np.testing.assert_array_equal(made["1 1"], pixels(folder / "equal.png"))
    assert (made["1 0"] != made["0 1"]).any() and (made["1 0"] != made["1 1"]).any()
    assert len(same_record(folder / "equal.png")["styles"]) == 2


def test_a_start_from_a_file_is_in_the_record(call: Callable[..., Said], folder: Path) -> None:
    start = picture(folder / "i.png", 5, size=(80, 60))
    assert (
        call("transfer", "c.png", "s.png", *QUICK, "--init", "i.png", "--optimizer", "adam", "--rate", "1e-6").code == 0
    )
    wanted = load_image(start, 64) * 255
    np.testing.assert_allclose(pixels(folder / "c_s.png"), wanted, atol=1)
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    assert same_record(folder / "c_s.png")["init"] == {"file": "i.png", "sha256": digest}


@pytest.mark.slow
def test_opacity_is_carried_to_the_result_and_to_those_on_the_way(call: Callable[..., Said], folder: Path) -> None:
    colours = pixels(folder / "c.png")
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:, :32] = 0
    Image.fromarray(np.concatenate([colours, alpha], 2).astype(np.uint8)).save(folder / "a.png")
    options = ("--min-size", "45", "--steps", "4", "--save-every", "4", *SHALLOW)
    assert call("transfer", "a.png", "s.png", *options).code == 0
    np.testing.assert_array_equal(pixels(folder / "a_s.png")[..., 3], alpha[..., 0])
    small = pixels(folder / "a_s_00004.png")
    assert small.shape[2] == 4 and small.shape[1] < 64
    assert small[:, :10, 3].max() == 0 and small[:, -10:, 3].min() == 255


def test_other_formats(call: Callable[..., Said], folder: Path) -> None:
    for suffix, kind in ((".jpg", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF")):
        assert call("transfer", "c.png", "s.png", "-o", f"out{suffix}", *QUICK).code == 0
        with Image.open(folder / f"out{suffix}") as image:
            assert image.format == kind and image.size == (64, 48)
        assert json.loads((folder / "out.json").read_text())["status"] == "done"
