"""`--network` on every command: each takes the network's own layers, and `compare --networks` puts networks side by
side."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commandline import Said, listing, refused
from jaxstyle import defaults
from jaxstyle.cli.commands import reconstruct, sweep, texture
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.parser import parse
from jaxstyle.cli.resolve import needed, resolve
from jaxstyle.cli.settings import words_of
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, random_network
from jaxstyle.pictures.write import read_record
from jaxstyle.weights import cache_folder, save_weights

pytestmark = pytest.mark.usefixtures("folder")
STYLE_LAYERS = ["relu1", "relu2", "relu3", "relu4", "relu5"]
NETWORKS = ("compare", "c.png", "s.png", "-o", "f.png", "--size", "64", "--evaluations", "4", "--networks")


@pytest.fixture
def alexnet(folder: Path) -> Path:
    """AlexNet in the cache, with random weights."""
    net = random_network("alexnet", seed=1)
    about = {"preprocessing": "torchvision", "source": "here", "licence": "CC0"}
    path = cache_folder() / "alexnet.h5"
    save_weights(path, net.params, network="alexnet", **about)
    return path


def data(path: str) -> Any:
    return json.loads(Path(path).read_text())


@pytest.mark.slow
def test_transfer_and_list(alexnet: Path, call: Callable[..., Said]) -> None:
    given = ("transfer", "c.png", "s.png", "-o", "out.png", "--network", "alexnet", "--steps", "2", "--quiet")
    assert call(*given) == (0, "out.png\n", "")
    settings = read_record("out.png")["settings"]
    assert (settings["content_layers"], settings["style_layers"]) == (["relu3"], STYLE_LAYERS)
    rows = [line.split() for line in call("weights", "list").out.splitlines()]
    assert rows[0] == ["network", "layers", "size", "codebooks", "licence", "source", "at", "hand"]
    assert ["alexnet", "conv1", "...", "pool5", "(13)", "9.9", "MB", "CC0", "converted", str(alexnet)] in rows
    assert {row[0] for row in rows[1:]} == set(ARCHITECTURES)
    assert call("weights", "show", "alexnet").out.count(" x ") == 5 * 3


@pytest.mark.slow
def test_sweep_gives_each_network_its_layers(alexnet: Path, call: Callable[..., Said]) -> None:
    given = ("--network", "compact", "alexnet", "--size", "64", "--steps", "1", "--quiet")
    assert call("sweep", "c.png", "s.png", "-o", "grid", *given).code == 0
    cells = data("grid/sweep.json")["cells"]
    layers = [cell["settings"]["style_layers"] for cell in cells]
    assert layers == [["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], STYLE_LAYERS]
    assert "--network alexnet" in cells[1]["command"] and "layers" not in cells[1]["command"]


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("preset", ["default", "neural-style"])
def test_settings_become_words_and_back(network: str, preset: str) -> None:
    options = TransferOptions(content="c.png", styles=("s.png",)).having(network=network, preset=preset)
    own = ARCHITECTURES[network].style_layers if preset == "default" else ARCHITECTURES["vgg19"].style_layers
    if not set(own) <= set(ARCHITECTURES[network].layer_names):
        with pytest.raises(InputError, match=f"{network} has no layer"):
            resolve(options, 512)
        return
    start = resolve(options, 512)
    assert start.style_layers == own
    line = words_of(needed(vars(start)))
    assert resolve(parse(TransferOptions, ["c.png", "s.png", *line], prog="transfer"), 512) == start
    assert "--style-layers" not in line


def test_a_preset_keeps_its_layers(alexnet: Path, call: Callable[..., Said]) -> None:
    line = ("transfer", "c.png", "s.png", "--network", "alexnet", "--preset", "gatys")
    refused(call(*line), 2, "alexnet has no layer 'conv4_2'; it has conv1 ... pool5")


@pytest.mark.slow
def test_the_studies_take_the_networks_layers(
    alexnet: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("features", "c.png", "--network", "alexnet", "--quiet").code == 0
    assert data("c_relu3.json")["layer"] == "relu3"
    assert [row["layer"] for row in data("c_relu3.json")["layers"]][-1] == "relu5"  # pool5 has no pixel of 64 x 48

    def stop(options: Any, layers: Any = None, *_: Any) -> None:
        raise InputError(" ".join(layers or (*options.axes[0].values[-1], *options.settings.content_layers)))

    for module in (reconstruct, texture):
        monkeypatch.setattr(module, "open_study", stop)
    monkeypatch.setattr(sweep, "run", stop)
    for network, own in (("alexnet", STYLE_LAYERS), ("vgg16", list(defaults.STYLE_LAYERS))):
        first, content = ("conv1", "relu3") if network == "alexnet" else ("conv1_1", "relu4_2")
        for command, layers in (("reconstruct", [first, *own]), ("texture", own), ("ablate", [*own, content])):
            pictures = ("c.png", "s.png")[: 1 + (command == "ablate")]
            refused(call(command, *pictures, "--network", network), 2, f"jaxstyle: {' '.join(layers)}\n")


@pytest.mark.slow
def test_compare_networks(alexnet: Path, call: Callable[..., Said], folder: Path) -> None:
    before = listing(folder)
    fetch = "jaxstyle weights fetch vgg16"
    refused(call(*NETWORKS, "compact", "vgg16", "alexnet"), 2, "not on this machine: vgg16", fetch, "--random-weights")
    refused(call(*NETWORKS, "compact", "compact"), 2, "--networks has a name twice")
    refused(call(*NETWORKS, "compact", "alexnte"), 2, "--networks", "'alexnte'", "did you mean 'alexnet'")
    refused(call(*NETWORKS, "compact", "--weights", "a.h5"), 2, "--weights is not for several networks")
    refused(call(*NETWORKS, "compact", "--rates", "0.1"), 2, "--rates is not for several networks")
    refused(call("compare", "c.png", "s.png", "--random-weights"), 2, "--random-weights goes with --networks")
    refused(call(*NETWORKS, "compact", "alexnet", "--style-layers", "relu1_1"), 2, "alexnet has no layer 'relu1_1'")
    assert listing(folder) == before
    alexnet.unlink()
    said = call(*NETWORKS, "compact", "alexnet", "--random-weights", "--style-weight", "20", "--seed", "3")
    assert said.code == 0 and said.out.startswith("f.png: 2 networks, ")
    assert "alexnet (random weights): content" in said.err and "compact: content" in said.err
    assert listing(folder) == before | {"f.png", "f.pdf", "f.json"}
    made = data("f.json")
    compact, other = made["networks"]
    assert (compact["random_weights"], other["random_weights"]) == (False, True)
    assert compact["weights"]["sha256"] and other["weights"]["sha256"] is None
    assert other["settings"]["style_layers"] == STYLE_LAYERS and other["settings"]["style_weight"] == 20
    seen = np.array(made["seen"])
    assert seen.shape == (3, 2)
    for k, one in enumerate((compact, other)):
        np.testing.assert_allclose(seen[k, k], one["final"]["style"], rtol=2e-3)
        assert seen[k, k] < seen[2, k]  # nearer to the style than the content is
        terms = one["final"]
        total = terms["content"] + 20 * terms["style"] + 3 * terms["variation"]
        np.testing.assert_allclose(total, terms["total"], rtol=1e-5)
