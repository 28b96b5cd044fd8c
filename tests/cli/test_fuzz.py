"""Command lines, records, grids and summaries drawn at random. Whatever they are, a command answers in a line, or
works; and it touches no file but its own.

A few of each in every run; in the slow tests as many as JAXSTYLE_FUZZ says.
"""

import contextlib
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxstyle.cli import cells, compare_networks, startup
from jaxstyle.cli.main import main
from jaxstyle.cli.outputs import is_leftover, is_ours
from jaxstyle.cli.settings import FIELDS
from jaxstyle.pictures.write import read_record, save_image

FEW, MANY = 8, int(os.environ.get("JAXSTYLE_FUZZ", "300"))
SMALL = ("--size", "32", "--min-size", "32", "--steps", "1", "--content-layers", "relu2_1", "--style-layers", "relu2_1")


def run_drawn(examples: int, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Runs a check on so many examples; a few are always the same ones."""

    @settings(
        max_examples=examples,
        derandomize=examples == FEW,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def test(values: tuple[Any, ...]) -> None:
        check(*values)

    test()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, results of ours, and files of others where results would go."""
    here = tmp_path_factory.mktemp("template")
    draw = np.random.default_rng(0)
    for folder in ("in", "theirs", "empty"):
        (here / folder).mkdir()
    for name in (
        "c.png",
        "s.jpg",
        "in/0001.png",
        "in/sheet.jpg",
        "in/-x.png",
        os.fsdecode(b"o\xff\x1b.png"),
        "x_00001.png",
    ):
        Image.fromarray(draw.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(here / name)
    Image.fromarray(np.tile(np.uint8([[0, 255]]), (32, 24))).save(here / "mask.png")
    for name in (
        "0001.json",
        "thesis.pdf",
        "c_s.json",
        "x.png",
        "report.html",
        "theirs/notes.txt",
        "theirs/cell.png",
        "text",
    ):
        (here / name).write_text("mine")
    (here / "g.toml").write_text("style_weight = [1, 2]\n")
    os.mkfifo(here / "pipe")
    (here / "link.png").symlink_to("c.png")
    (here / "dangling.png").symlink_to("nowhere.png")
    with (
        pytest.MonkeyPatch.context() as patch,
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        for module in (startup, cells, compare_networks):
            patch.setattr(module, "start_jax", lambda **_: None)
        patch.setenv("JAXSTYLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.chdir(here)
        assert main(["transfer", "c.png", "s.jpg", "-o", "r.png", "--quiet", *SMALL]) == 0
        assert main(["sweep", "c.png", "s.jpg", "-o", "d", "--style-weight", "1", "2", "--quiet", *SMALL]) == 0
        yield here


@contextlib.contextmanager
def fresh(template: Path) -> Iterator[Path]:
    """A copy of the template, which the block runs in."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for path in template.iterdir():
            if path.name == "pipe":
                os.mkfifo(path.name)
            elif path.is_dir():
                shutil.copytree(path, path.name)
            else:
                shutil.copy(path, path.name, follow_symlinks=False)
        yield Path(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(x.relative_to(folder)): x.read_bytes() for x in folder.rglob("*") if x.is_file() and not x.is_symlink()}


def run(folder: Path, words: Sequence[str], read: Sequence[str] = ()) -> int:
    """Runs a command line, and checks all that holds for every one."""
    before = contents(folder)
    own = {name for name in before if is_ours(folder / name)}
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    said = err.detach().getvalue().decode("utf-8", "surrogateescape")
    assert code in (0, 1, 2), (words, code, said)
    assert "Traceback" not in said and "--debug shows" not in said, (words, said)
    assert all(line.isprintable() for line in said.splitlines()), (words, said)
    after = contents(folder)
    if code == 2:
        assert said.count("jaxstyle: ") == 1 and said.endswith("\n"), (words, said)
        assert after == before, (words, said, after.keys() ^ before.keys())
    for name, content in before.items():
        if name in read or ("--overwrite" not in words and name not in own):
            assert after.get(name) == content, (words, name)
    for name in after.keys() - before.keys():
        assert is_ours(folder / name), (words, name)
        assert not is_leftover(Path(name).name), (words, name)
    return code


# ------------------------------------------------------------------------------------------------------- command lines

FILES = st.sampled_from(
    [
        *("c.png", "s.jpg", "in", "in/0001.png", os.fsdecode(b"o\xff\x1b.png"), "x_00001.png", "mask.png", "r.png"),
        *("pipe", "link.png", "dangling.png", "text", "absent.png", "g.toml", "d", "d/cell_0.png", "", ".", "/"),
        *("/dev/null", "all"),
    ]
)
OUTS = st.sampled_from(
    [
        *("new.png", "new.jpg", "new.webp", "new.tif", "x.png", "r.png", "c.png", "0001.png", "thesis.png"),
        *("in/new.png", "no/new.png", "d", "empty", "theirs", "new", "in", "text", "pipe", "link.png", "dangling.png"),
        *("", ".", "a" * 254, "-new.png", os.fsdecode(b"\xff.png"), "\x1b.png", "new.h5", "d/sweep.json"),
        *("/dev/null", "/proc/x.png", "new.PNG"),
    ]
)
WORDS = st.one_of(
    st.sampled_from(
        ["0", "1", "2", "0.5", "-1", "nan", "inf", "1e400", "linear:1:2:2", "1,2", "1/2", "content", "noise"]
    ),
    st.sampled_from(
        ["adam", "lbfgs", "style", "luminance", "gatys", "relu1_1", "relu2_1", "conv9", "compact", "", "--", "-"]
    ),
    st.text(max_size=6),
    FILES,
)
FREE = ["style-weight", "content-weight", "tv-weight", "seed", "rate", "color", "mix", "style-scale", "init", "average"]
SETTINGS = st.one_of(st.sampled_from(FREE), st.sampled_from([name.replace("_", "-") for name in FIELDS]))
OPTIONS = st.one_of(
    st.tuples(SETTINGS.map("--{}".format), WORDS),
    st.tuples(st.just("-o"), OUTS),
    st.tuples(st.just("--from"), FILES),
    st.tuples(st.sampled_from(["--masks", "--style-masks", "--weights", "--grid", "--contents", "--style"]), FILES),
    st.tuples(st.sampled_from(["--save-every", "--lanes", "--count"]), st.sampled_from(["1", "2", "0", "x"])),
    st.sampled_from(
        [("--quiet",), ("--overwrite",), ("--each-style",), ("--nonsense",), ("--tile",), ("--strongest",)]
    ),
)
COMMANDS = st.sampled_from(
    ["transfer"] * 6 + ["sweep", "batch", "features", "weights convert", "texture", "demo", "nonsense"]
)


def check_command_lines(template: Path, command: str, files: list[str], options: list[tuple[str, ...]]) -> None:
    words = [*command.split(), *files, *(word for option in options for word in option)]
    small = {
        "features": ["--size", "32"],
        "texture": ["--size", "32", "--steps", "1"],
        "demo": ["--size", "32", "--bad"],
    }
    if command in ("transfer", "sweep", "batch"):
        words += [word for k, word in enumerate(SMALL) if SMALL[k - k % 2] not in words]
    read = [name for name in files if command != "demo"]
    with fresh(template) as folder:
        run(folder, [*words, *small.get(command, [])], read)


# --------------------------------------------------------------------------------------------------------------- data

PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), FILES),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=12,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a value."""
    yield way
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from places(part, (*way, name))


def mutated(record: Any, data: st.DataObject) -> Any:
    """The record with some of its parts replaced, removed or added."""
    record = json.loads(json.dumps(record))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from([way for way in places(record) if way]))
        inner = record
        for part in way:
            inner = inner[part]
        kind = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if kind == "replace":
            inner[last] = data.draw(PLAIN)
        elif kind == "remove":
            del inner[last]
        elif isinstance(inner, dict):
            inner[data.draw(st.sampled_from(["out", "o", "save_every", "x", "overwrite"]))] = data.draw(PLAIN)
        if not any(way for way in places(record)):
            return record
    return record


def check_records(template: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".png", ".jpg", ".webp", ".tif"]))
    with fresh(template) as folder:
        forged = mutated(read_record("r.png"), data)
        save_image(
            f"f{suffix}", np.full((32, 48, 3), 0.5, np.float32), forged if isinstance(forged, dict) else {"a": 1}
        )
        if data.draw(st.booleans()):
            Path("f.json").unlink()
        given = data.draw(st.sampled_from([(), ("c.png", "s.jpg"), ("--network", "compact")]))
        words = [
            "transfer",
            *given[:2],
            "--from",
            f"f{suffix}",
            "-o",
            "new.png",
            "--quiet",
            "--steps",
            "1",
            "--size",
            "48",
        ]
        run(folder, words, [f"f{suffix}", "c.png", "s.jpg"])


def check_cells_of_others(template: Path, data: st.DataObject) -> None:
    words = ["sweep", "c.png", "s.jpg", "-o", "d", "--style-weight", "1", "2", "--quiet", *SMALL]
    with fresh(template) as folder:
        forged = mutated(read_record("d/cell_0.png"), data)
        if isinstance(forged, dict):
            save_image("d/cell_0.png", np.full((21, 32, 3), 0.5, np.float32), forged)
        assert run(folder, words, ["c.png", "s.jpg"]) == 0


TEXTS = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    PLAIN.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 3000).map(lambda depth: b"[" * depth),
    st.integers(1, 3000).map(lambda depth: b'{"identity":' * depth + b"1" + b"}" * depth),
)
KEYS = st.one_of(
    st.sampled_from(["style_weight", "tv-weight", "init", "out", "mix", "style_layers", "seed"]), st.text(max_size=5)
)


def check_grids_and_summaries(template: Path, text: bytes, table: list[tuple[str, Any]], whole: bool) -> None:
    toml = "\n".join(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table).encode()
    with fresh(template) as folder:
        Path("f.toml").write_bytes(text if not whole else toml)
        Path("empty/sweep.json").write_bytes(text)
        run(folder, ["sweep", "c.png", "s.jpg", "-o", "new", "--grid", "f.toml", "--quiet", *SMALL[2:6]], ["f.toml"])
        assert run(folder, ["sweep", "c.png", "s.jpg", "-o", "empty", *SMALL]) == 2


# --------------------------------------------------------------------------------------------------------- how many

DRAWN: dict[str, tuple[Any, ...]] = {
    "command lines": (check_command_lines, COMMANDS, st.lists(FILES, max_size=3), st.lists(OPTIONS, max_size=4)),
    "records": (check_records, st.data()),
    "cells": (check_cells_of_others, st.data()),
    "grids": (check_grids_and_summaries, TEXTS, st.lists(st.tuples(KEYS, PLAIN), max_size=3), st.booleans()),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", DRAWN)
def test_a_few(template: Path, what: str) -> None:
    check, *strategies = DRAWN[what]
    run_drawn(FEW, functools.partial(check, template), *strategies)


@pytest.mark.slow
@pytest.mark.parametrize("what", DRAWN)
def test_many(template: Path, what: str) -> None:
    check, *strategies = DRAWN[what]
    run_drawn(MANY, functools.partial(check, template), *strategies)
