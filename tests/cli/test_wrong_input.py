"""Wrong arguments, pictures, results and weights of `transfer`: one line each, nothing left behind."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from commandline import COMPACT, QUICK, Said, listing, picture, refused
from jaxstyle.cli import resolve
from jaxstyle.weights import load_network, save_weights

# Wrong input


ARGUMENTS = {
    "no command of that name": (
        "trnsfer",
        "'trnsfer'",
        "transfer, sweep, batch",
        "compare",
        "weights",
        "mean 'transfer'",
    ),
    "no action of that name": ("weights lst", "'lst'", "list, fetch", "mean 'list'"),
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
    "weight below 0, in powers": ("transfer c.png s.png --tv-weight -1e5", "--tv-weight"),
    "weight NaN": ("transfer c.png s.png --content-weight nan", "--content-weight", "'nan'", "from 0"),
    "weight infinite": ("transfer c.png s.png --style-weight -inf", "--style-weight"),
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
    "convert to another network": (f"weights convert {COMPACT} --network vgg16 -o a.h5", "compact, not vgg16"),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_wrong_arguments(kind: str, call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(folder / "wide.png", size=(128, 32))
    before = listing(folder)

    def early(*_: object, **__: object) -> None:
        raise AssertionError("this can be known before any weights are read")

    monkeypatch.setattr(resolve, "load_network", early)
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
        ("bomb.png", ["60000 x 60000", "--large"]),
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
