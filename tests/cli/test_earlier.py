"""`transfer --from`, `sweep --grid` and the records in a sweep's folder: data that may be a stranger's."""

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from commandline import Said
from jaxstyle.cli import cells, compare_networks, startup
from jaxstyle.engine import sweep as engine
from jaxstyle.marks import is_sealed
from jaxstyle.pictures.write import is_own, read_record, save_image
from jaxstyle.weights import load_network, save_weights

QUICK = ("--size", "32", "--steps", "1", "--content-layers", "relu2_1", "--style-layers", "relu2_1", "--quiet")
SWEEP = ("sweep", "c.png", "s.png", "-o", "d", *QUICK, "--style-weight", "1", "2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a test runs in, with two pictures."""
    for starting in (startup, cells, compare_networks):
        monkeypatch.setattr(starting, "start_jax", lambda **_: None)
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name in ("c.png", "s.png"):
        Image.fromarray(draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(name)
    return tmp_path


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(said: Said, *words: str, code: int = 2) -> None:
    """One plain line that has the words."""
    assert (said.code, said.out) == (code, ""), said
    assert said.err.startswith("jaxstyle: ") and said.err.count("\n") == 1 and said.err[:-1].isprintable(), said.err
    for word in words:
        assert word in said.err


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is painted once for all tests."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def made(call: Callable[..., Said], folder: Path, kept: Path) -> dict[str, Any]:
    """The record of a picture r.png, which the command line made."""
    if not (kept / "r.png").exists():
        assert call("transfer", "c.png", "s.png", "-o", kept / "r.png", *QUICK).code == 0
    for name in ("r.json", "r.png"):
        shutil.copy(kept / name, name)
    return read_record("r.png")


def forge(record: Any, name: str = "x.png") -> None:
    """A picture whose record says this."""
    save_image(name, np.zeros((32, 48, 3), np.float32), record)


# --------------------------------------------------------------------------------------------------------------- --from


def changed(record: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The record with another value at "a.b.c"; numbers are places in lists."""
    record = copy.deepcopy(record)
    *way, last = (int(part) if part.isdigit() else part for part in place.split("."))
    inner: Any = record
    for part in way:
        inner = inner[part]
    inner[last] = value
    return record


DEEP: Any = json.loads("[" * 20 + "]" * 20)
HOSTILE: dict[str, tuple[str, Any, str]] = {
    "a number for a file": ("content.file", 5, "not one of a transfer"),
    "a list for a file": ("content.file", ["c.png"], "not one of a transfer"),
    "no file": ("content.file", None, "not one of a transfer"),
    "an empty file": ("content.file", "", "not one of a transfer"),
    "a file with a zero": ("content.file", "a\0b", "not one of a transfer"),
    "a file that none is called": ("content.file", "\ud800", "not one of a transfer"),
    "escapes in a file": ("content.file", "\x1b[31mx\nx", "$'\\x1b[31mx\\x0ax'"),
    "no content": ("content", None, "not one of a transfer"),
    "a list for content": ("content", [], "not one of a transfer"),
    "a text for content": ("content", "c.png", "not one of a transfer"),
    "a number for a hash": ("content.sha256", 5, "not one of a transfer"),
    "another hash": ("content.sha256", "0" * 64, "c.png has changed since"),
    "no styles": ("styles", [], "not one of a transfer"),
    "a table for styles": ("styles", {"file": "s.png"}, "not one of a transfer"),
    "styles without end": ("styles", [{"file": "s.png", "sha256": ""}] * 10_000, "not one of a transfer"),
    "a text for a style": ("styles.0", "s.png", "not one of a transfer"),
    "a device": ("content.file", "/dev/zero", "/dev/zero is not a plain file"),
    "a folder": ("content.file", "/", "is a directory"),
    "settings in a list": ("settings", [], "not one of a transfer"),
    "no settings": ("settings", None, "not one of a transfer"),
    "a setting that is none": ("settings.out", "c.png", "'out', which is none"),
    "an option that is no setting": ("settings.save_every", 1, "'save_every', which is none"),
    "another one": ("settings.overwrite", True, "'overwrite', which is none"),
    "a text for a number": ("settings.style_weight", "10", "style_weight is wrong: '10' is not a number"),
    "true for a number": ("settings.style_weight", True, "style_weight is wrong"),
    "a number out of range": ("settings.style_weight", -1, "style_weight is wrong"),
    "a table for a number": ("settings.steps", {"a": 1}, "steps is wrong"),
    "steps without end": ("settings.steps", 10**9, "steps is wrong"),
    "a number for a name": ("settings.optimizer", 1, "optimizer is wrong"),
    "no such name": ("settings.network", "vgg91", "network is wrong: 'vgg91'"),
    "no such layer": ("settings.style_layers", ["relu9_9"], "relu9_9"),
    "a text for layers": ("settings.style_layers", "relu2_1", "style_layers is wrong"),
    "numbers for layers": ("settings.style_layers", [1, 2], "style_layers is wrong"),
    "too few weights": ("settings.layer_weights", [1, 2, 3], "--layer-weights"),
    "lists of several lengths": ("settings.mix_layers", [[1], [1, 2]], "several lengths"),
    "lists within lists": ("settings.mix_layers", DEEP, "mix_layers is wrong"),
    "weights of a number": ("settings.weights", 5, "not one of a transfer"),
    "weights of a file": ("settings.weights", "/etc/passwd", "a record's file is not opened"),
    "weights of a pipe": ("settings.weights", "pipe", "a record's file is not opened"),
    "other weights": ("weights.sha256", "0" * 64, "was made with other weights of compact; --network compact"),
    "a hash of a number": ("weights.sha256", 7, "not one of a transfer"),
    "a network that is not at hand": ("settings.network", "densenet121", "jaxstyle weights fetch densenet121"),
    "a text for masks": ("masks", "c.png", "not one of a transfer"),
    "a number for masks": ("masks", 5, "not one of a transfer"),
    "too many masks": ("masks", [{"file": "c.png", "sha256": ""}] * 3, "mask"),
    "a mask of no picture": ("style_masks", [{"file": "/etc/passwd", "sha256": ""}], "/etc/passwd has changed"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_record_is_checked_as_words_are(
    kind: str, call: Callable[..., Said], folder: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAXSTYLE_CACHE", str(folder / "cache"))
    os.mkfifo("pipe")
    place, value, word = HOSTILE[kind]
    forge(changed(made, place, value))
    before = listing(folder)
    refused(call("transfer", "--from", "x.png", "-o", "new.png", "--quiet"), word)
    assert listing(folder) == before


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", '{"settings": {}}', '{"a":' * 400 + "1" + "}" * 400])
def test_texts_that_are_no_record(text: str, call: Callable[..., Said], folder: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("jaxstyle", text)
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save("x.png", pnginfo=chunks)
    refused(call("transfer", "--from", "x.png", "-o", "new.png"), "x.png")
    refused(call("transfer", "--from", "", "-o", "new.png"), "directory")
    os.mkfifo("pipe.png")
    refused(call("transfer", "--from", "pipe.png", "-o", "new.png"), "not a plain file")


def test_what_a_record_cannot_choose(call: Callable[..., Said], folder: Path, made: dict[str, Any]) -> None:
    """Neither the start nor the size is the record's, nor where the result goes."""
    record = changed(changed(made, "settings.init", "/etc/passwd"), "settings.size", 16_384)
    record |= {"out": "c.png", "o": "c.png", "init": {"file": "/etc/passwd", "sha256": ""}}
    forge(record)
    before = listing(folder)
    assert call("transfer", "--from", "x.png", "--quiet", "--steps", "1") == (0, "c_s.png\n", "")
    assert listing(folder) - before == {"c_s.png", "c_s.json"}
    settings = read_record("c_s.png")["settings"]
    assert settings["init"] == "x.png" and settings["size"] == 48


def test_what_is_given_wins_and_paths_are_shown(call: Callable[..., Said], folder: Path, made: dict[str, Any]) -> None:
    forge(changed(made, "settings.style_weight", 7.0))
    said = call("transfer", "--from", "x.png", "-o", "a.png", "--size", "32", "--steps", "2", "--tv-weight", "9")
    assert said.code == 0 and "reading c.png, s.png, as the record of x.png says" in said.err
    settings = read_record("a.png")["settings"]
    assert (settings["style_weight"], settings["tv_weight"], settings["steps"]) == (7, 9, 2)
    shutil.copy("s.png", "t.png")
    forge(changed(made, "content.file", "/nowhere"))
    assert call("transfer", "t.png", "t.png", "--from", "x.png", "-o", "b.png", "--steps", "1", "--quiet").code == 0
    assert read_record("b.png")["content"]["file"] == "t.png"


@pytest.mark.slow
def test_pictures_are_looked_for_beside_the_result_too(
    call: Callable[..., Said], folder: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("elsewhere", "elsewhere/deep"):
        (folder / place).mkdir()
    shutil.copy("r.png", "elsewhere/r.png")
    monkeypatch.chdir(folder / "elsewhere")
    line = ("transfer", "--from", "r.png", "-o", "new.png", "--steps", "1", "--quiet")
    refused(call(*line), "the record of r.png names c.png as its content, which is neither here nor beside it")
    for name in ("c.png", "s.png"):
        shutil.copy(folder / name, name)
    monkeypatch.chdir(folder / "elsewhere/deep")
    shutil.copy(folder / "s.png", "c.png")  # one of that name, but another
    assert call(*line[:2], "../r.png", *line[3:]) == (0, "new.png\n", "")
    assert read_record("new.png")["content"]["file"] == "../c.png"
    for path in ((folder / "elsewhere/c.png"), (folder / "c.png")):
        path.unlink()
    refused(call(*line[:2], "../r.png", *line[3:]), "c.png has changed since")


@pytest.mark.slow
def test_weights_of_a_file_are_named_again(call: Callable[..., Said], folder: Path) -> None:
    params = load_network("compact").params
    save_weights("w.h5", params, network="compact", preprocessing="keras", source="", licence="")
    assert call("transfer", "c.png", "s.png", "-o", "r.png", "--weights", "w.h5", *QUICK).code == 0
    line = ("transfer", "--from", "r.png", "-o", "new.png", "--steps", "1", "--quiet")
    refused(call(*line), "was made with weights of w.h5", "--weights", "--network")
    for choice in (("--weights", "w.h5"), ("--network", "compact")):
        assert call(*line, *choice).code == 0
        assert read_record("new.png")["settings"]["weights"] == (choice[1] if choice[0] == "--weights" else None)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_records_of_other_formats(suffix: str, call: Callable[..., Said], folder: Path) -> None:
    for name, weight in ((f"r{suffix}", "10"), ("r.png", "300")):  # they share r.json
        assert call("transfer", "c.png", "s.png", "-o", name, "--style-weight", weight, *QUICK).code == 0
    line = ("--steps", "1", "--quiet", "-o", "new.png")
    assert call("transfer", "--from", f"r{suffix}", *line).code == 0
    assert read_record("new.png")["settings"]["style_weight"] == 10


# --------------------------------------------------------------------------------------------------------------- --grid


GRIDS = {
    'out = "c.png"': "there is no setting 'out'",
    'o = ["c.png"]': "there is no setting 'o'",
    "quiet = true": "there is no setting 'quiet'",
    'weights = "/etc/passwd"': "there is no setting 'weights'",
    "style_weight = {a = 1}": "style_weight is wrong",
    "style_weight = 2020-01-01": "style_weight is wrong",
    "style_weight = [[1]]": "style_weight is wrong",
    'style_weight = "linear:1:2"': "no range",
    "style_weight = [1e400]": "style_weight is wrong",
    "tv-weight = 1\ntv_weight = 2": "has a setting twice",
    "[style_weight]\na = 1": "style_weight is wrong",
    f"a = {'[' * 5000}{']' * 5000}": "no TOML",
    f"a = {'[' * 200}{']' * 200}": "no TOML",
    "a = " + "{a = " * 100 + "1" + "}" * 100: "no TOML",
    "\0": "no TOML",
}


@pytest.mark.parametrize("text", GRIDS, ids=range(len(GRIDS)))
def test_a_grid_is_checked_as_words_are(text: str, call: Callable[..., Said], folder: Path) -> None:
    Path("g.toml").write_text(text)
    before = listing(folder)
    refused(call("sweep", "c.png", "s.png", "-o", "d", "--grid", "g.toml", *QUICK[:2]), GRIDS[text])
    assert listing(folder) == before


def test_a_grid_that_is_no_file(call: Callable[..., Said], folder: Path) -> None:
    os.mkfifo("pipe.toml")
    Path("bytes.toml").write_bytes(b"\xff\xfe")
    for name, word in (
        ("pipe.toml", "not a plain file"),
        (".", "directory"),
        ("", ""),
        ("bytes.toml", "no TOML"),
    ):
        refused(call("sweep", "c.png", "s.png", "-o", "d", "--grid", name), word)
    assert not Path("d").exists()


# -------------------------------------------------------------------------------------------------- a folder of a sweep


def test_a_summary_of_anybodys(call: Callable[..., Said], folder: Path) -> None:
    Path("d").mkdir()
    for text in (
        "[" * 100_000,
        "5",
        "null",
        "[]",
        "{}",
        '{"identity": 5}',
        '{"identity": {"axes": 5}}',
        '{"identity": {"axes": {"a": 5}}}',
        '{"identity": {"axes": {"a": [[5]]}}}',
        '{"identity": {"axes": {}}, "cells": ' + "[" * 500 + "]" * 500 + "}",
    ):
        Path("d/sweep.json").write_text(text)
        refused(call(*SWEEP), "sweep.json")
        assert Path("d/sweep.json").read_text() == text and listing(folder / "d") == {"sweep.json"}
    Path("d/sweep.json").unlink()
    os.mkfifo("d/sweep.json")
    refused(call(*SWEEP), "d is not empty")


BAD = {
    "curves": [5, None, [], {}, {"total": 5}, {"total": ["a"]}, "text", {name: [True] for name in "abcd"}],
    "losses": [5, None, [], {"total": "a"}, {"total": None}],
    "seconds": ["long", None, [], True],
    "status": [5, "running", None, []],
    "styles": [5, None, [None], [[]], [{"file": "s.png"}]],
    "content": [5, None, [], {"sha256": {}}],
    "settings": [5, None, [], {"style_weight": "1"}],
    "weights": [5, None, [], {}],
    "init": [5, [], "text", {"a": 1}],
}


@pytest.mark.slow
@pytest.mark.parametrize("field", BAD)
def test_a_cell_with_a_bad_record_is_made_anew(
    field: str, call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(*SWEEP).code == 0
    good = read_record("d/cell_0.png")
    chosen: list[int] = []
    real = engine.batches
    monkeypatch.setattr(cells, "batches", lambda plan, **how: chosen.extend(how["chosen"]) or real(plan, **how))
    for value in BAD[field]:
        forge({**good, field: value}, "d/cell_0.png")
        assert call(*SWEEP).code == 0, value
        assert chosen == [0] and read_record("d/cell_0.png")["losses"] == good["losses"], value
        chosen.clear()
    assert all(is_own(path) for path in Path("d").glob("*.png")) and is_sealed(Path("d/sweep.json"))


def test_a_cell_that_was_cut_short_or_is_anothers_is_named(call: Callable[..., Said], folder: Path) -> None:
    """It cannot be told from a file of the user's."""
    assert call(*SWEEP).code == 0
    kept = Path("d/cell_1.png").read_bytes()
    for content in (kept[: len(kept) // 2], b"cut short", Path("c.png").read_bytes()):
        Path("d/cell_1.png").write_bytes(content)
        refused(call(*SWEEP), "d/cell_1.png", "--overwrite")
        assert Path("d/cell_1.png").read_bytes() == content
    assert call(*SWEEP, "--overwrite").code == 0
    assert is_own("d/cell_1.png")
