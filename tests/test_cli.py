"""The command line as its user meets it: what it says, where, with which exit code, and what it leaves on disk.

Runs share one size, one network and one set of layers wherever they can, so that most of them compile nothing.
"""

import gc
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import h5py
import jax
import numpy as np
import pytest
from commandline import SHALLOW, Said, listing, picture, refused, shell, start
from PIL import Image

import jaxstyle
from jaxstyle import defaults, images, values, weights
from jaxstyle.commands import inputs, job, records, session, settings
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.networks.vgg import VGG
from jaxstyle.presets import PRESETS
from jaxstyle.solvers import SOLVERS, Adam
from jaxstyle.starts import Start
from jaxstyle.weights import WeightsInfo, load_network, save_weights

pytestmark = pytest.mark.usefixtures("folder")
COMPACT = weights._shipped("compact.h5")
QUICK = ("--size", "64", "--steps", "2", *SHALLOW)


# Before JAX


def test_help_version_and_wrong_input_do_not_wait_for_jax() -> None:
    program = """
import sys, time
from jaxstyle import cli
for code, line in enumerate(sys.stdin.read().splitlines()):
    assert cli.main(line.split()) == (0 if code < 4 else 2), line
    heavy = {"jax", "numpy"} if code < 4 else {"jax"}
    assert not heavy & set(sys.modules), line
"""
    wrong = ["transfer", "transfer c.png s.png --size big", "transfer no.png s.png", "transfer c.png no.png"]
    wrong += ["transfer c.png s.png --mix 1 2", "transfer c.png s.png -o no/a.png", "demo -o c.png"]
    lines = ["--help", "--version", "transfer --help", "", *wrong]
    done = subprocess.run([sys.executable, "-c", program], input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == len(wrong)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--help"], "transfer"), (["--version"], jaxstyle.__version__), (["transfer", "--help"], "--size N")],
)
def test_help_and_version_answer_at_once(arguments: list[str], word: str) -> None:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        done = shell(*arguments)
        seconds.append(time.perf_counter() - began)
        assert done.returncode == 0 and done.stderr == "" and word in done.stdout
    assert min(seconds) < 0.5


def test_what_the_help_repeats_is_what_the_package_has() -> None:
    assert list(ARCHITECTURES) == list(defaults.NETWORKS)
    assert tuple(SOLVERS) == defaults.SOLVERS
    assert tuple(STYLE_LOSSES) == defaults.STYLE_LOSSES
    assert get_args(Start) == defaults.STARTS
    assert values.SIDES == (images.MIN_SIDE, images.MAX_SIDE)


def test_no_arguments_show_the_help(call: Callable[..., Said]) -> None:
    assert call() == call("--help")
    assert call("--version") == (0, f"jaxstyle {jaxstyle.__version__}\n", "")


# Wrong input


ARGUMENTS = {
    "no command of that name": (
        "trnsfer",
        "'trnsfer'",
        "transfer, sweep, batch, compare",
        "demo, weights, presets, info",
        "mean 'transfer'",
    ),
    "no action of that name": ("weights lst", "'lst'", "list, fetch", "mean 'list'", "weights --help"),
    "no action": ("weights", "ACTION"),
    "no option of that name": ("--bogus", "--bogus", "jaxstyle --help"),
    "no content": ("transfer", "CONTENT", "transfer --help"),
    "no style": ("transfer c.png", "STYLE"),
    "an option with another spelling": ("transfer c.png s.png --optimiser=adam", "mean '--optimizer'"),
    "an abbreviation": ("transfer c.png s.png --style-w 3", "no option --style-w", "mean '--style-weight'"),
    "a picture apart": ("transfer c.png s.png --size 64 s.png", "'s.png'", "options come last"),
    "no value": ("transfer c.png s.png --style-weight", "--style-weight", "one argument"),
    "size 0": ("transfer c.png s.png --size 0", "--size", "'0'", "16 to 16384"),
    "size below 0": ("transfer c.png s.png --size -64", "--size", "'-64'", "16 to 16384"),
    "size huge": ("transfer c.png s.png --size 1000000", "--size", "'1000000'", "16 to 16384"),
    "size of many digits": (f"transfer c.png s.png --size {'9' * 5000}", "--size", "16 to 16384"),
    "size with a point": ("transfer c.png s.png --size 12.5", "--size", "'12.5'", "whole number"),
    "size in words": ("transfer c.png s.png --size big", "--size", "'big'", "whole number"),
    "size too small": ("transfer wide.png s.png --size 32", "wide.png", "32 x 8", "at least 16"),
    "min-size above size": ("transfer c.png s.png --size 64 --min-size 65", "--min-size", "65", "64"),
    "min-size above the picture": ("transfer c.png s.png --min-size 65", "--min-size", "65", "64"),
    "weight below 0": ("transfer c.png s.png --style-weight -1", "--style-weight", "'-1'", "from 0"),
    "weight below 0, in powers": ("transfer c.png s.png --tv-weight -1e5", "--tv-weight", "'-1e5'", "from 0"),
    "weight NaN": ("transfer c.png s.png --content-weight nan", "--content-weight", "'nan'", "from 0"),
    "weight infinite": ("transfer c.png s.png --style-weight -inf", "--style-weight", "'-inf'", "from 0"),
    "weight huge": ("transfer c.png s.png --style-weight 1e38", "--style-weight", "'1e38'", "to 1e+12"),
    "weights all zero": (
        "transfer c.png s.png --style-weight 0 --content-weight 0 --tv-weight 0",
        "--style-weight",
        "all zero",
    ),
    "rate 0": ("transfer c.png s.png --rate 0", "--rate", "'0'", "above 0"),
    "rate without Adam": ("transfer c.png s.png --rate 1 --optimizer lbfgs", "--rate", "Adam", "lbfgs"),
    "average 1": ("transfer c.png s.png --average 1", "--average", "'1'", "below 1"),
    "steps without end": ("transfer c.png s.png --steps 10000000", "--steps", "1000000"),
    "seed too long": ("transfer c.png s.png --seed 4294967296", "--seed", "4294967295"),
    "network": ("transfer c.png s.png --network vgg91", "'vgg91'", "compact", "mean 'vgg19'"),
    "optimizer": ("transfer c.png s.png --optimizer adm", "'adm'", "optax-lbfgs", "mean 'adam'"),
    "preset": ("transfer c.png s.png --preset gatis", "'gatis'", "crowsonkb", "mean 'gatys'"),
    "style loss": ("transfer c.png s.png --style-loss grm", "'grm'", "sliced-wasserstein", "mean 'gram'"),
    "rate with a preset that has none": ("transfer c.png s.png --preset gatys --rate 1", "--rate", "Adam", "lbfgs"),
    "pooling": ("transfer c.png s.png --pooling avg", "'avg'", "max", "mean 'average'"),
    "precision": ("transfer c.png s.png --precision float16", "'float16'", "bfloat16"),
    "start": ("transfer c.png s.png --init nois", "'nois'", "content, noise, style, blur", "mean 'noise'"),
    "layer": ("transfer c.png s.png --style-layers relu9_1", "'relu9_1'", "conv1_1", "mean 'relu5_1'"),
    "layer, without waiting for a download": (
        "transfer c.png s.png --network vgg19 --content-layers relu44_2",
        "vgg19",
        "'relu44_2'",
        "mean 'relu4_2'",
    ),
    "layer twice": ("transfer c.png s.png --style-layers pool1 pool1", "named twice", "pool1"),
    "layer weights": ("transfer c.png s.png --layer-weights 1 2", "--layer-weights", "2 numbers", "are 5"),
    "layer weights for layers of one's own": (
        "transfer c.png s.png --preset crowsonkb --style-layers relu1_1 --layer-weights 1 2",
        "--layer-weights",
        "is 1",
    ),
    "mix": ("transfer c.png s.png s.png --mix 1 2 3", "--mix", "3 numbers", "are 2"),
    "mix of nothing": ("transfer c.png s.png --mix 0", "--mix", "zero"),
    "demo into a file": ("demo -o c.png", "c.png", "-o"),
    "demo too small": ("demo --size 16", "--size", "'16'", "from 32"),
    "fetch what is not known": ("weights fetch vgg91", "'vgg91'", "compact", "mean 'vgg19'"),
    "fetch from where it is not": ("weights fetch vgg19 --source kera", "'kera'", "torchvision", "mean 'keras'"),
    "show what is not there": ("weights show vgg19", "vgg19", "jaxstyle weights fetch vgg19"),
    "convert what is not there": ("weights convert no.h5", "no.h5", "No such file"),
    "convert a picture": ("weights convert c.png", "c.png", ".safetensors"),
    "convert to another network": (f"weights convert {COMPACT} --network vgg16 -o a.h5", "compact", "vgg16"),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_wrong_arguments(kind: str, call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(folder / "wide.png", size=(128, 32))
    before = listing(folder)

    def early(*_: object, **__: object) -> None:
        raise AssertionError("this can be known before any weights are read")

    monkeypatch.setattr(settings, "load_network", early)
    line, *words = ARGUMENTS[kind]
    refused(call(*line.split()), 2, *words)
    assert listing(folder) == before


def damaged(folder: Path) -> dict[str, bytes]:
    whole = (folder / "c.png").read_bytes()
    bomb = bytearray(whole)
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    text = b"a letter to my aunt\n"
    return {"empty.jpg": b"", "short.png": whole[:3000], "text.jpg": text, "bomb.png": bytes(bomb)}


@pytest.mark.parametrize("place", ["content", "style", "init"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", ["does not exist"]),
        ("empty.jpg", ["empty (0 bytes)"]),
        ("short.png", ["cut short"]),
        ("text.jpg", ["not a picture", "PNG, JPEG"]),
        ("bomb.png", ["pixels", "at most"]),
        ("one.png", ["1 x 1", "at least 16"]),
        ("eight.png", ["8 x 8", "at least 16"]),
        (".", ["a directory"]),
    ],
)
def test_wrong_pictures(name: str, words: list[str], place: str, call: Callable[..., Said], folder: Path) -> None:
    for path, content in damaged(folder).items():
        (folder / path).write_bytes(content)
    picture(folder / "one.png", size=(1, 1))
    picture(folder / "eight.png", size=(8, 8))
    before = listing(folder)
    if place == "init" and name == "missing.png":
        words = ["'missing.png'", "neither a file nor one of content, noise"]
    given = {"content": (name, "s.png"), "style": ("c.png", name), "init": ("c.png", "s.png", "--init", name)}
    refused(call("transfer", *given[place], *QUICK), 2, name, *words)
    assert listing(folder) == before


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("no/out.png", ["no directory no"]),
        ("folder.png", ["a directory"]),
        ("out.pgn", [".png, .jpg", "mean '.png'"]),
        ("out", [".png, .jpg"]),
        ("", ["a directory"]),
        ("a" * 300 + ".png", ["name too long"]),
        ("c.png", ["would replace c.png"]),
        ("./s.png", ["would replace s.png"]),
        ("link.png", ["would replace c.png"]),
        ("i.png", ["would replace i.png"]),
        pytest.param(
            "/proc/out.png",
            ["cannot be written"],
            marks=pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that refuses even root"),
        ),
    ],
)
def test_wrong_outputs(out: str, words: list[str], call: Callable[..., Said], folder: Path) -> None:
    (folder / "folder.png").mkdir()
    (folder / "link.png").symlink_to("c.png")
    picture(folder / "i.png")
    before = listing(folder)
    refused(call("transfer", "c.png", "s.png", "-o", out, "--init", "i.png", *QUICK), 2, *words)
    assert listing(folder) == before


def shortened(path: Path) -> None:
    """Compact's weights up to its third block."""
    params = {key: value for key, value in load_network("compact").params.items() if key < "conv4"}
    save_weights(path, params, network="compact", preprocessing="keras", source="", licence="")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.h5", ["No such file", ".safetensors"]),
        ("half.h5", ["damaged or incomplete"]),
        ("text.pth", ["text.pth", ".pth"]),
        ("nan.h5", ["not finite"]),
        ("shallow.h5", ["no layer 'relu4_2'", "conv1_1 ... pool3"]),
        ("vgg16", ["holds compact, not vgg16"]),
    ],
)
def test_wrong_weights(name: str, words: list[str], call: Callable[..., Said], folder: Path) -> None:
    content = COMPACT.read_bytes()
    (folder / "half.h5").write_bytes(content[: len(content) // 2])
    (folder / "text.pth").write_text("a letter to my aunt")
    (folder / "nan.h5").write_bytes(content)
    with h5py.File(folder / "nan.h5", "r+") as file:
        kernels: list[Any] = []
        file.visititems(lambda _, item: kernels.append(item) if isinstance(item, h5py.Dataset) else None)
        kernels[0][...] = np.nan
    shortened(folder / "shallow.h5")
    before = listing(folder)
    given = ("--network", name, "--weights", COMPACT) if name == "vgg16" else ("--weights", name)
    refused(call("transfer", "c.png", "s.png", *given, "--steps", "2"), 2, *words)
    assert listing(folder) == before


# What a transfer leaves


def changed(path: Path, factor: float) -> None:
    """Compact's weights with a convolution multiplied."""
    params = {
        name: {key: np.asarray(array) * (factor if name == "conv1_2" else 1) for key, array in layer.items()}
        for name, layer in load_network("compact").params.items()
    }
    save_weights(path, params, network="compact", preprocessing="keras", source="", licence="")


def same_record(path: Path) -> dict[str, Any]:
    """The record of a PNG, which must be the same inside and beside it."""
    with Image.open(path) as image:
        inside = json.loads(image.info["jaxstyle"])
    assert inside == json.loads(path.with_suffix(".json").read_text())
    return inside


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


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
    assert {"size": 64, "steps": 2, "seed": 0, "rate": defaults.ADAM_RATE}.items() <= record["settings"].items()
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


def test_pictures_on_the_way_have_exact_steps(call: Callable[..., Said], folder: Path) -> None:
    options = ("--min-size", "45", "--steps", "4", "--save-every", "3", *SHALLOW)
    said = call("transfer", "c.png", "s.png", *options)
    assert said.code == 0
    made = {name for name in listing(folder) if name.startswith("c_s") and name.endswith(".png")}
    assert made == {"c_s.png", "c_s_00003.png", "c_s_00006.png"}
    first, second = (same_record(folder / f"c_s_0000{step}.png") for step in (3, 6))
    assert (first["step"], second["step"]) == (3, 6)
    assert first["status"] == second["status"] == "on the way"
    assert max(pixels(folder / "c_s_00003.png").shape) < max(pixels(folder / "c_s_00006.png").shape) == 64
    scales = [line for line in said.err.splitlines() if " steps, loss " in line]
    assert [line.split(": ")[1].split()[0] for line in scales] == ["4/8", "8/8"]


@pytest.mark.parametrize(("every", "steps"), [(1, 80), (7, 80), (30, 80), (50, 100), (29, 58), (100, 80), (6, 1)])
def test_looks_fall_on_pictures_and_on_ends_of_scales(every: int, steps: int) -> None:
    chunk = job.chunk(every, steps)
    looks = {scale * steps + step for scale in range(4) for step in range(chunk, steps + 1, chunk)}
    assert set(range(every, 4 * steps + 1, every)) <= looks
    assert 1 <= chunk <= 25


def test_presets_are_listed_a_line_each(call: Callable[..., Said]) -> None:
    said = call("presets")
    lines = said.out.splitlines()
    assert said.code == 0 and said.err == ""
    assert [line.split()[0] for line in lines[1 : len(PRESETS) + 1]] == list(PRESETS)
    for name, preset in PRESETS.items():
        assert preset.line in said.out and (not preset.source or f"{name}: {preset.source}" in said.out)


@pytest.mark.parametrize(
    "preset", [name if name == "gatys" else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS]
)
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
        ["--optimizer", "lbfgs"],
        ["--optimizer", "optax-lbfgs"],
        ["--precision", "bfloat16"],
        ["--pooling", "average", "--padding", "edge"],
        ["--average", "0.9"],
        ["--layer-weights", "1", "2"],
        ["--init", "style", "--rate", "0.1", "--tv-weight", "0"],
        ["--init", "blur", "--content-weight", "3"],
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
    rate = None if "--optimizer" in options else values.get("rate", [defaults.ADAM_RATE])[0]
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
    assert call("transfer", "c.png", "s.png", *QUICK, "--init", "i.png", "--rate", "1e-6").code == 0
    wanted = images.load_image(start, 64) * 255
    np.testing.assert_allclose(pixels(folder / "c_s.png"), wanted, atol=1)
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    assert same_record(folder / "c_s.png")["init"] == {"file": "i.png", "sha256": digest}


def test_opacity_is_carried_to_the_result_and_to_those_on_the_way(call: Callable[..., Said], folder: Path) -> None:
    colours = pixels(folder / "c.png")
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:, :32] = 0
    Image.fromarray(np.concatenate([colours, alpha], 2)).save(folder / "a.png")
    options = ("--min-size", "45", "--steps", "4", "--save-every", "4", *SHALLOW)
    assert call("transfer", "a.png", "s.png", *options).code == 0
    np.testing.assert_array_equal(pixels(folder / "a_s.png")[..., 3], alpha[..., 0])
    small = pixels(folder / "a_s_00004.png")
    assert small.shape[2] == 4 and small.shape[1] < 64
    assert small[:, :10, 3].max() == 0 and small[:, -10:, 3].min() == 255


@pytest.mark.parametrize(
    ("content", "style", "expected"),
    [
        ("a.b.c.png", "s.v2.final.jpg", "a.b.c_s.v2.final.png"),
        ("my [red] photo (1).png", "Ünïcode 雨.png", "my [red] photo (1)_Ünïcode 雨.png"),
        ("no_suffix", ".png", "no_suffix_.png.png"),
        (os.fsdecode(b"\xff\xfe.png"), "s.png", os.fsdecode(b"\xff\xfe_s.png")),
        ("two\nlines.png", "100%d.png", "two\nlines_100%d.png"),
    ],
)
def test_default_names(content: str, style: str, expected: str, call: Callable[..., Said], folder: Path) -> None:
    for seed, name in enumerate((content, style)):
        picture(folder / "x.png", seed).rename(folder / name)
    said = call("transfer", content, style, *QUICK, "--quiet")
    assert said.code == 0 and said.err == ""
    assert (folder / expected).is_file() and (folder / expected).with_suffix(".json").is_file()
    same_record(folder / expected)


def test_default_names_of_long_names_fit(folder: Path) -> None:
    for letter in ("a", "é", "雨"):
        name = letter * (250 // len(letter.encode()))
        (folder / inputs.default_name(f"{name}.png", f"{name}.jpg")).touch()


def test_other_formats(call: Callable[..., Said], folder: Path) -> None:
    for suffix, kind in ((".jpg", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF")):
        assert call("transfer", "c.png", "s.png", "-o", f"out{suffix}", *QUICK).code == 0
        with Image.open(folder / f"out{suffix}") as image:
            assert image.format == kind and image.size == (64, 48)
        assert json.loads((folder / "out.json").read_text())["status"] == "done"


# When something happens on the way


@dataclass(frozen=True)
class Exploding(Adam):
    """Multiplies the image by 1e5 at each step: the loss overflows after three or four."""

    def step(self, value_and_grad: Any, image: Any, state: Any) -> Any:
        _, state, info = super().step(value_and_grad, image, state)
        return image * 1e5, state, info


def test_a_run_that_diverges_keeps_the_last_good_picture(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOLVERS, "adam", Exploding)
    monkeypatch.setattr(settings, "Adam", Exploding)
    options = (*QUICK, "--steps", "9", "--save-every", "1", "--quiet")
    said = call("transfer", "c.png", "s.png", *options)
    refused(said, 1, "finite number at step", "c_s.png is the last picture", "a smaller --rate")
    record = same_record(folder / "c_s.png")
    assert record["status"] == "diverged" and 1 < record["step"] < 9
    assert f"at step {record['step']};" in said.err
    assert np.isfinite(record["losses"]["total"])
    kept = {int(name[4:9]) for name in listing(folder) if name.startswith("c_s_") and name.endswith(".png")}
    assert kept == set(range(1, record["step"] + 1))
    good = folder / f"c_s_{record['step'] - 1:05d}.png"  # the last whose loss was a number
    np.testing.assert_array_equal(pixels(folder / "c_s.png"), pixels(good))


def test_a_run_that_diverges_at_once_leaves_nothing(call: Callable[..., Said], folder: Path) -> None:
    changed(folder / "w.h5", 1e30)
    before = listing(folder)
    said = call("transfer", "c.png", "s.png", *QUICK, "--weights", "w.h5", "--quiet")
    refused(said, 1, "finite number at step 0, before the first picture", "smaller weights")
    assert listing(folder) == before


def interrupt(monkeypatch: pytest.MonkeyPatch, error: BaseException, at: int) -> None:
    """Raises the error out of the look at the result that comes after `at` others."""
    update, looks = session.StepsBar.update, []

    def failing(bar: session.StepsBar, state: Any) -> None:
        looks.append(state)
        if len(looks) > at:
            raise error
        update(bar, state)

    monkeypatch.setattr(session.StepsBar, "update", failing)


def test_what_stops_a_run_costs_no_picture(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = {
        "stopped": (KeyboardInterrupt(), 130, "stopped after 3 steps"),
        "out of memory": (RuntimeError("RESOURCE_EXHAUSTED: 9 GB\nof it"), 1, "not enough memory for 64 x 48"),
        "failed": (ValueError("a line\nand another"), 1, "ValueError: a line and another (--debug"),
    }
    before = listing(folder)
    for status, (error, code, words) in stops.items():
        with monkeypatch.context() as patch:
            interrupt(patch, error, at=2)
            options = (*QUICK, "--steps", "4", "--save-every", "1", "--quiet", "-o", f"{status}.png")
            refused(call("transfer", "c.png", "s.png", *options), code, words, f"{status}.png is the last")
        record = same_record(folder / f"{status}.png")
        assert record["status"] == status and record["step"] == 3 and record["losses"]["total"] > 0
        assert pixels(folder / f"{status}.png").shape == (48, 64, 3)
    assert not [name for name in listing(folder) - before if "tmp" in name]


def test_ctrl_c_during_the_saving(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that hits the last picture's saving, nor another while the picture so far is saved, costs it."""
    saved: list[str] = []

    def save(path: Path, image: np.ndarray, record: dict[str, Any], alpha: object) -> None:
        saved.append(record["status"])
        signal.raise_signal(signal.SIGINT)
        images.save_image(path, image, record, alpha)

    monkeypatch.setattr(records, "save_image", save)
    refused(call("transfer", "c.png", "s.png", *QUICK, "--quiet"), 130, "stopped after 2 steps; c_s.png")
    assert saved == ["done", "stopped"] == ["done", same_record(folder / "c_s.png")["status"]]
    with pytest.raises(KeyboardInterrupt):  # from now on it interrupts again
        signal.raise_signal(signal.SIGINT)


def test_a_ctrl_c_that_hits_the_garbage_collector_is_heard(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what a callback of the collector raises."""
    before, left = listing(folder), [1]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def during_collection(phase: str, _: dict[str, int]) -> None:
        if left[0] and phase == "start":
            left[0] -= 1
            signal.raise_signal(signal.SIGINT)

    def collect(*_: object, **__: object) -> Any:
        gc.callbacks.append(during_collection)
        for _ in range(600):
            gc.collect(0)
            time.sleep(0.1)

    monkeypatch.setattr(job, "transfer", collect)
    try:
        said = call("transfer", "c.png", "s.png", *QUICK, "--quiet")
    finally:
        gc.callbacks.remove(during_collection)
        signal.signal(signal.SIGINT, handler)
    assert said == (130, "", "jaxstyle: stopped, before the first picture\n")
    assert left == [0] and listing(folder) == before


def test_an_error_of_ours_is_one_line_and_with_debug_a_traceback(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(folder)
    for patched in ("load_network", "check_layers"):
        with monkeypatch.context() as patch:
            patch.setattr(settings, patched, lambda *_, **__: 1 // 0)
            said = call("transfer", "c.png", "s.png", *QUICK, "--quiet")
            refused(said, 1, "ZeroDivisionError: ", "(--debug shows where)")
            traced = call("transfer", "c.png", "s.png", *QUICK, "--quiet", "--debug")
            assert traced.code == 1 and "Traceback" in traced.err and traced.err.endswith(said.err)
    wrong = call("--debug", "transfer", "no.png", "s.png")
    assert wrong.code == 2 and "Traceback" in wrong.err
    assert listing(folder) == before


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_full_disk_leaves_no_partial_file(suffix: str, call: Callable[..., Said], folder: Path) -> None:
    before = listing(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        said = call("transfer", "c.png", "s.png", "-o", f"out{suffix}", *QUICK, "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(said, 1, f"out{suffix} could not be written", "too large")
    assert listing(folder) == before


def start_quick(folder: Path, *options: str) -> subprocess.Popen[str]:
    return start("transfer", "c.png", "s.png", *QUICK, *options, cwd=folder, stdout=subprocess.PIPE)


def test_ctrl_c_keeps_the_picture_so_far(folder: Path) -> None:
    with start_quick(folder, "--steps", "100000", "--save-every", "10") as process:
        while not (folder / "c_s_00010.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    line = err.splitlines()[-1]
    record = same_record(folder / "c_s.png")
    assert line.startswith(f"jaxstyle: stopped after {record['step']} steps; c_s.png")
    assert record["status"] == "stopped" and record["step"] % 10 == 0 and record["step"] >= 10
    assert (Path(os.environ["JAXSTYLE_CACHE"]) / "compiled").is_dir()
    assert not [name for name in listing(folder) if "tmp" in name]


def test_ctrl_c_before_the_first_picture_leaves_nothing(folder: Path) -> None:
    before = listing(folder)
    with start_quick(folder, "--steps", "100000") as process:
        assert process.stderr is not None
        assert "compact" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err in ("jaxstyle: stopped, before the first picture\n", "jaxstyle: stopped\n")
    assert listing(folder) == before


def test_a_reader_who_has_left_is_no_error_to_speak_of(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert call("info") == (1, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_delivered(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        refused(call("info"), 1, "the output could not be written: No space left on device")


# The other commands


def test_demo(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "STEPS", 2)  # as the command line's default is read
    said = call("demo", "-o", "new/folder", "--size", "64", "--quiet")
    names = [f"new/folder/harbour_{style}.png" for style in ("strokes", "pattern")]
    assert said == (0, "\n".join(names) + "\n", "")
    first, second = (same_record(folder / name) for name in names)
    assert first["settings"] == second["settings"] and first["styles"] != second["styles"]
    loud = call("demo", "-o", "new/folder", "--size", "64")
    assert loud.code == 0 and loud.out.count("\n") == 2
    assert "painting a harbour" in loud.err and "open new/folder/harbour_strokes.png" in loud.err


def test_info(call: Callable[..., Said]) -> None:
    said = call("info")
    assert said.code == 0 and said.err == ""
    for words in (f"jaxstyle {jaxstyle.__version__}", f"jax {jax.__version__}", "device 0: cpu"):
        assert words in said.out
    assert f"cache: {os.environ['JAXSTYLE_CACHE']}" in said.out and f"network compact: {COMPACT}" in said.out


TINY = VGG(depths=(2, 1), widths=(4, 6))


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves tiny.safetensors, a network that only this test knows; yields the address."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    tensors = {}
    for n, shape in enumerate(TINY.kernel_shapes.values()):
        tensors[f"features.{n}.weight"] = rng.standard_normal((shape[3], shape[2], 3, 3), np.float32)
        tensors[f"features.{n}.bias"] = np.zeros(shape[3], np.float32)
    served = folder.parent / "served"
    served.mkdir()
    save_file(tensors, served / "tiny.safetensors")
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=served)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tiny.safetensors"
        server.shutdown()
        thread.join()


def register(monkeypatch: pytest.MonkeyPatch, url: str, hash_: str, network: str = "tiny") -> None:
    more = ((url,), 1000, hash_)
    entry = WeightsInfo(network, "here", "tiny.safetensors", "torch", "torchvision", "CC0", "us", *more)
    monkeypatch.setattr(weights, "_registry", lambda: (entry,))


def test_fetch_list_show_convert(
    call: Callable[..., Said], folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = folder.parent / "a [red] cache"
    monkeypatch.setenv("JAXSTYLE_CACHE", str(cache))
    digest = hashlib.sha256((folder.parent / "served" / "tiny.safetensors").read_bytes()).hexdigest()
    register(monkeypatch, server, f"sha256:{digest}")
    row = "tiny conv1_1 ... pool2 (8) 0.0 MB CC0 here no"
    assert call("weights", "list").out.splitlines()[-1].split() == row.split()
    fetched = call("weights", "fetch", "tiny")
    assert fetched.code == 0 and fetched.out == f"{cache / 'tiny.h5'}\n"
    assert fetched.err.startswith("downloading ") and fetched.err.count("\n") == 1
    assert call("weights", "fetch", "tiny") == (0, fetched.out, "")  # there already
    listed = call("weights", "list")
    assert listed.code == 0 and str(cache / "tiny.h5") in listed.out and "CC0" in listed.out
    shown = call("weights", "show", "tiny")
    assert shown.code == 0 and "preprocessing: torchvision" in shown.out and "3 x 3 x 4 x 6" in shown.out
    converted = call("weights", "convert", cache / "tiny.h5", "-o", "mine.h5")
    assert converted == (0, "mine.h5\n", "")
    assert call("weights", "show", "mine.h5").out.splitlines()[-3:] == shown.out.splitlines()[-3:]


def test_a_download_with_another_hash_is_not_kept(
    call: Callable[..., Said], folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, server, "sha256:" + "0" * 64)
    said = call("weights", "fetch", "tiny")
    said = said._replace(err=said.err.removeprefix("downloading 0.0 MB\n"))
    refused(said, 1, "127.0.0.1", "hash", "jaxstyle weights convert")
    assert listing(Path(os.environ["JAXSTYLE_CACHE"])) == set()


def test_without_a_connection_a_network_that_is_not_here_says_what_to_do(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    register(monkeypatch, "http://127.0.0.1:9/vgg19.h5", "md5:00", "vgg19")
    before = listing(folder)
    for arguments in (["transfer", "c.png", "s.png", "--network", "vgg19"], ["weights", "fetch", "vgg19"]):
        refused(call(*arguments), 1, "no connection", "http://127.0.0.1:9/vgg19.h5", "--weights FILE")
    assert listing(folder) == before


@pytest.mark.parametrize(
    ("platform", "capability", "precision"),
    [
        ("cpu", None, "float32"),
        ("tpu", None, "bfloat16"),
        ("gpu", "9.0", "bfloat16"),
        ("gpu", "7.5", "float32"),
        ("gpu", "gfx90a", "float32"),
        ("gpu", None, "float32"),
    ],
)
def test_the_precision_is_the_devices(platform, capability, precision, monkeypatch):
    device = types.SimpleNamespace(platform=platform)
    if capability:
        device.compute_capability = capability
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert session.usual_precision() == precision
