"""`jaxstyle evaluate`: its numbers, its tables, and what it cannot measure."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxstyle
from commandline import QUICK, Said, Stream, listing, picture, refused
from jaxstyle import defaults
from jaxstyle.cli import evaluating
from jaxstyle.weights import load_network, save_weights

PAIR = ("--content", "c.png", "--style", "s.png")


@pytest.fixture(autouse=True)
def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start of a command would change this process."""
    monkeypatch.setattr("jaxstyle.cli.startup.start_jax", lambda **_: None)


def test_the_facts_are_the_librarys_numbers(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "r.png", 5)
    said = call("evaluate", "r.png", *PAIR, "--size", "48", "--json")
    assert said.code == 0 and said.out.count("\n") == 1
    facts = json.loads(said.out)
    (result,) = facts["results"]
    assert (result["file"], result["content"], result["styles"]) == ("r.png", "c.png", ["s.png"])
    assert (result["width"], result["height"]) == (48, 36)
    image, content, style = (jaxstyle.load_image(name, 48) for name in ("r.png", "c.png", "s.png"))
    expected = jaxstyle.evaluate(image, content, style, network=load_network("compact"))
    found = result["networks"]["compact"]
    assert found.keys() == set(expected._fields)
    for name, value in expected._asdict().items():
        for a, b in zip(jax.tree.leaves(found[name]), jax.tree.leaves(value), strict=True):
            assert a == pytest.approx(float(b), rel=1e-4)
    summary = facts["summary"]["compact"]
    assert summary["style"]["mean"] == pytest.approx(np.mean([*found["style"].values()]), rel=1e-5)
    assert summary["style"]["sd"] == 0
    table = call("evaluate", "r.png", *PAIR, "--size", "48").out.splitlines()
    rows = {line[:30].split("  ")[0] or line.split()[0]: line.split()[-1] for line in table[1:]}
    assert table[0].split() == ["compact"]
    assert float(rows["SSIM, higher"]) == pytest.approx(float(expected.ssim), rel=1e-3)
    assert sum(line.startswith("  relu") for line in table) == len(expected.content) + len(expected.style)


def test_a_file_of_weights(call: Callable[..., Said], folder: Path) -> None:
    """Equal weights from a file see the same; others do not."""
    picture(folder / "r.png", 5)
    line, net = ("evaluate", "r.png", *PAIR, "--size", "48", "--json"), load_network("compact")
    about = {"network": "compact", "preprocessing": "keras", "source": "a test", "licence": "none"}
    save_weights(folder / "same.h5", net.params, **about)
    save_weights(folder / "other.h5", jax.tree.map(lambda x: x * 1.1, net.params), **about)
    shipped, same, other = (
        json.loads(call(*line, *more).out)["summary"]["compact"]
        for more in (
            ("--network", "compact"),
            ("--network", "compact", "--weights", "same.h5"),
            ("--network", "compact", "--weights", "other.h5"),
        )
    )
    assert same["style"]["mean"] == pytest.approx(shipped["style"]["mean"], rel=1e-5)
    assert abs(other["style"]["mean"] / shipped["style"]["mean"] - 1) > 1e-3
    for names in ((), ("--network", "compact", "vgg19")):
        refused(call(*line, *names, "--weights", "same.h5"), 2, "--weights is a file of one network")
    refused(call(*line, "--network", "compact", "--weights", "none.h5"), 2, "none.h5")


def test_a_picture_through_a_pipe(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(folder / "r.png", 5)
    named = json.loads(call("evaluate", "r.png", *PAIR, "--size", "48", "--json").out)
    monkeypatch.setattr(sys, "stdin", Stream((folder / "r.png").read_bytes()))
    piped = json.loads(call("evaluate", "-", *PAIR, "--size", "48", "--json").out)
    assert piped["results"] == [named["results"][0] | {"file": "-"}] and piped["summary"] == named["summary"]


@pytest.mark.slow
def test_a_folder_of_results_with_records(call: Callable[..., Said], folder: Path) -> None:
    (folder / "results").mkdir()
    for name, seed in (("a.png", 1), ("b.png", 2)):
        options = ("--init", "noise", "--seed", seed, "-o", f"results/{name}", *QUICK)
        assert call("transfer", "c.png", "s.png", *options).code == 0
    picture(folder / "results" / "stray.png", 4)
    (folder / "results" / "notes.txt").write_text("no picture")
    before = listing(folder)
    said = call("evaluate", "results", "--json")
    assert said.code == 1 and listing(folder) == before
    assert "1 of 3 pictures failed: results/stray.png has no record" in said.err
    facts = json.loads(said.out)
    assert [one["file"] for one in facts["results"]] == ["results/a.png", "results/b.png"]
    values = [one["networks"]["compact"]["ssim"] for one in facts["results"]]
    assert facts["summary"]["compact"]["ssim"] == pytest.approx({"mean": np.mean(values), "sd": np.std(values)})
    for one in facts["results"]:
        assert (one["content"], one["styles"]) == ("c.png", ["s.png"])
    (folder / "results" / "stray.png").unlink()
    lines = call("evaluate", "results", "--quiet").out.splitlines()
    assert [line.split()[0] for line in lines] == ["compact", "results/a.png", "results/b.png", "mean", "sd"]
    with_all = call("evaluate", "results", *PAIR, "--json")
    assert with_all.code == 0 and json.loads(with_all.out)["summary"] == facts["summary"]


def test_which_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxstyle.weights.at_hand", lambda name: Path(name) if name == "vgg19" else None)
    monkeypatch.setattr("jaxstyle.cli.resolve.open_network", lambda settings, quiet: settings.network)
    assert [*evaluating._networks(evaluating.EvaluateOptions(results=("a.png",)))] == [defaults.FULL_NETWORK]
    monkeypatch.setattr("jaxstyle.weights.at_hand", lambda name: Path(name) if name == "compact" else None)
    assert [*evaluating._networks(evaluating.EvaluateOptions(results=("a.png",)))] == [defaults.NETWORK]


@pytest.mark.quick
def test_what_cannot_be_measured(call: Callable[..., Said], folder: Path) -> None:
    refused(call("evaluate", "c.png"), 2, "c.png has no record", "--content")
    refused(call("evaluate", "no.png", *PAIR), 2, "no.png does not exist")
    refused(call("evaluate", "c.png", "--content", "c.png"), 2, "no record", "--style")
    refused(call("evaluate", "c.png", *PAIR, "--network", "vgg16"), 2, "not on this machine: vgg16", "weights fetch")
    refused(call("evaluate", "c.png", *PAIR, "--network", "compact", "compact"), 2, "--network has one twice")
    refused(call("evaluate", "c.png", *PAIR, "--mix", "1,2"), 2, "--mix has 2 numbers")
    refused(call("evaluate", "c.png", "--mix", "1"), 2, "--mix", "--style")
    refused(call("evaluate", "-", "--content", "-", "--style", "s.png"), 2, "- is given twice")
    picture(folder / "tall.png", 1, size=(48, 64))
    refused(call("evaluate", "tall.png", *PAIR), 2, "48 x 64", "64 x 48", "same proportions")
    (folder / "empty").mkdir()
    refused(call("evaluate", "empty", *PAIR), 2, "nothing to measure in empty")
    shutil.copy("c.png", folder / "empty" / "c.png")
    refused(call("evaluate", "empty"), 2, "nothing to measure in empty", "no record")


@pytest.mark.slow
def test_proportions_that_rounding_leaves_are_forgiven(call: Callable[..., Said], folder: Path) -> None:
    picture(folder / "r.png", 5, size=(96, 71))
    said = call("evaluate", "r.png", *PAIR, "--json")
    assert said.code == 0 and json.loads(said.out)["results"][0]["height"] == 71


def test_numbers_of_no_layers_are_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Any = {"content": {"a": 1.0, "b": 3.0}, "style": {"a": 2.0}, "structure": 1.0, "ssim": 0.5}

    class One:
        def _asdict(self) -> dict[str, Any]:
            return found

    one: Any = One()
    assert evaluating._numbers(one) == {"content": 2.0, "style": 2.0, "structure": 1.0, "ssim": 0.5}
