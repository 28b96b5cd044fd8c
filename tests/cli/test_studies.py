"""`jaxstyle reconstruct`, `texture` and `features`: files, numbers, sizes, Ctrl-C, and what is refused."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from commandline import Said, listing, refused, start
from jaxstyle.cli import study
from jaxstyle.cli.commands import reconstruct, texture
from jaxstyle.pictures.read import load_image
from jaxstyle.pictures.write import read_record
from jaxstyle.weights import load_network
from tiny import features

pytestmark = pytest.mark.usefixtures("folder")
INPUTS = {"c.png", "s.png"}


def data(path: str) -> Any:
    return json.loads(Path(path).read_text())


@pytest.mark.slow
def test_reconstruct(call: Callable[..., Said], folder: Path) -> None:
    line = ("reconstruct", "c.png", "-o", "f.png", "--layers", "conv1_1", "relu2_1", "--steps", "15")
    said = call(*line, "--tv-weight", "0", "--quiet")
    assert said == (0, "f.png\n", "")
    assert listing(folder) == INPUTS | {"f.png", "f.pdf", "f.json"}
    made = data("f.json")
    shallow, deep = made["layers"]
    assert (shallow["layer"], deep["layer"]) == ("conv1_1", "relu2_1")
    assert shallow["psnr"] > 15 and shallow["psnr"] > deep["psnr"] and shallow["ssim"] > deep["ssim"]
    for entry in made["layers"]:
        assert entry["feature_error"] < 0.05 * entry["feature_error_of_noise"]
        assert len(entry["feature_errors"]) == 16 and entry["feature_errors"][-1] == entry["feature_error"]
        assert entry["evaluations"] >= 15
    assert made["image"]["file"] == "c.png" and made["settings"]["steps"] == 15 and made["weights"]["sha256"]
    said = call("reconstruct", "c.png", "-o", "f.png", "--layers", "conv1_1", "--steps", "15")  # with its prior
    assert said.code == 0 and said.out.startswith("f.png: one layer, ")
    assert "conv1_1: PSNR" in said.err and "feature error" in said.err
    assert data("f.json")["layers"][0]["psnr"] != shallow["psnr"]


@pytest.mark.slow
def test_texture(call: Callable[..., Said], folder: Path) -> None:
    line = ("texture", "s.png", "--layers", "relu1_1", "relu2_1", "--steps", "8", "--width", "96", "--height", "32")
    said = call(*line, "--tile", "--quiet")
    assert said == (0, "s_textures.png\n", "")
    stems = ("s_textures_1_relu1_1", "s_textures_2_relu2_1", "s_textures_3_coarse_to_fine")
    files = {f"{stem}.{end}" for stem in stems for end in ("png", "json")}
    assert listing(folder) == INPUTS | files | {f"s_textures.{end}" for end in ("png", "pdf", "json")}
    made = data("s_textures.json")
    assert [x["layers"] for x in made["textures"]] == [["relu1_1"], ["relu1_1", "relu2_1"], ["relu1_1", "relu2_1"]]
    for entry in made["textures"]:
        image = load_image(entry["file"])
        assert image.shape == (32, 96, 3)
        assert entry["style_error"] < 0.5 * entry["style_error_of_noise"]
        record = read_record(entry["file"])
        assert record["texture"] == entry and record["settings"]["tile"] and record["style"]["file"] == "s.png"
        used = [entry["gram_errors"][layer] for layer in entry["layers"]]
        np.testing.assert_allclose(np.mean(used), entry["style_error"], rtol=1e-3)
    first, second, _ = (x["gram_errors"] for x in made["textures"])
    assert second["relu2_1"] < first["relu2_1"]  # which the first layer knows nothing of


def test_texture_sizes() -> None:
    def sizes(source: tuple[int, int], **given: Any) -> tuple[int, int]:
        return texture.output_size(texture.Options(picture="s.png", **given), source)

    assert sizes((100, 200)) == (100, 200)
    assert sizes((100, 200), size=400) == (200, 400) and sizes((100, 200), size=50) == (25, 50)
    assert sizes((100, 200), width=50) == (25, 50) and sizes((100, 200), height=50) == (50, 100)
    assert sizes((100, 200), width=33, height=77) == (77, 33)
    assert sizes((100, 200), tile=True) == (96, 192) and sizes((20, 200), width=160, tile=True) == (16, 160)


def test_features(call: Callable[..., Said], folder: Path) -> None:
    said = call("features", "c.png", "--layer", "relu2_1", "--count", "5", "--strongest", "-o", "f.png")
    assert said.code == 0 and said.err == ""
    assert listing(folder) == INPUTS | {"f.png", "f.pdf", "f.json"}
    made, net, image = data("f.json"), load_network("compact"), load_image("c.png")
    assert [row["layer"] for row in made["layers"]] == list(net.layer_names)
    table = said.out.splitlines()
    assert table[0].split() == ["layer", "mean", "RMS", "sparsity", "style", "term"]
    assert [line.split()[0] for line in table[1:-1]] == list(net.layer_names)
    assert table[-1].startswith("f.png: 5 of 128 maps, ")
    maps = np.float64(features(net, jnp.asarray(image), ("relu2_1",))["relu2_1"])
    row = next(row for row in made["layers"] if row["layer"] == "relu2_1")
    found = [row["mean"], row["rms"], row["sparsity"]]
    np.testing.assert_allclose(found, [maps.mean(), np.sqrt((maps**2).mean()), (maps == 0).mean()], rtol=1e-4)
    strength = np.sqrt((maps**2).mean((0, 1)))
    assert [one["map"] for one in made["maps"]] == list(np.argsort(-strength)[:5])
    np.testing.assert_allclose([one["rms"] for one in made["maps"]], np.sort(strength)[::-1][:5], rtol=1e-4)
    assert made["shape"] == list(maps.shape)


@pytest.mark.slow  # a figure of 64 maps
def test_features_of_a_layer_with_fewer_maps_than_were_asked_for(call: Callable[..., Said], folder: Path) -> None:
    assert call("features", "c.png", "--layer", "conv1_1", "--count", "500", "--quiet") == (0, "c_conv1_1.png\n", "")
    assert [one["map"] for one in data("c_conv1_1.json")["maps"]] == list(range(64))


@pytest.mark.slow
def test_ctrl_c_leaves_whole_files(folder: Path) -> None:
    """Those of the textures that are done, and nothing else."""
    line = ("texture", "s.png", "--layers", "relu1_1", "relu4_1", "--steps", "200", "--quiet")
    process = start(*line, stdout=subprocess.PIPE)
    while not Path("s_textures_1_relu1_1.png").exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "jaxstyle: stopped\n")
    assert listing(folder) == INPUTS | {"s_textures_1_relu1_1.png", "s_textures_1_relu1_1.json"}
    assert read_record("s_textures_1_relu1_1.png")["texture"]["name"] == "relu1_1"


REFUSED = {
    "no picture": (("reconstruct", "none.png"), "none.png does not exist"),
    "a wrong layer": (("reconstruct", "c.png", "--layers", "relu1_11"), "did you mean 'relu1_1'"),
    "a layer twice": (("reconstruct", "c.png", "--layers", "relu1_1", "relu1_1"), "named twice"),
    "a negative weight": (("reconstruct", "c.png", "--tv-weight", "-1"), "--tv-weight"),
    "no step": (("texture", "s.png", "--steps", "0"), "--steps"),
    "a format": (("texture", "s.png", "-o", "f.pdf"), "must end in .png"),
    "no folder": (("features", "c.png", "-o", "no/f.png"), "no directory"),
    "its own input": (("reconstruct", "c.png", "-o", "c.png"), "would replace c.png"),
    "two sizes": (("texture", "s.png", "--size", "64", "--width", "32"), "--size is the long side"),
    "a tile": (("texture", "s.png", "--width", "70", "--tile"), "a multiple of 16, such as 64"),
    "a tile padded": (("texture", "s.png", "--tile", "--padding", "zero"), "without --padding zero"),
    "a thin texture": (("texture", "s.png", "--size", "17"), "17 x 13 pixels"),
    "a wrong map layer": (("features", "c.png", "--layer", "rel"), "no layer 'rel'"),
    "no map": (("features", "c.png", "--count", "0"), "--count"),
    "a wrong option": (("features", "c.png", "--layers", "relu1_1"), "did you mean '--layer'"),
}


@pytest.mark.parametrize(("line", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_one_line(
    line: tuple[str, ...], words: str, call: Callable[..., Said], folder: Path
) -> None:
    refused(call(*line), 2, words)
    assert listing(folder) == INPUTS


def test_a_large_picture_is_read_at_the_default_size(folder: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 400, 3), dtype=np.uint8)).save("large.png")
    for name, size, shape in (
        ("large.png", None, (128, 256, 3)),
        ("large.png", 300, (150, 300, 3)),
        ("c.png", None, (48, 64, 3)),
    ):
        assert study.read_study(reconstruct.Options(picture=name), size).pixels.shape == shape
