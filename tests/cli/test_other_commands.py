"""`jaxstyle demo`, `info` and `presets`."""

import os
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

import jaxstyle
from commandline import COMPACT, Said, same_record
from jaxstyle.cli.commands import demo
from jaxstyle.cli.commands.transfer import paint
from jaxstyle.presets import PRESETS


def test_presets_are_listed_a_line_each(call: Callable[..., Said]) -> None:
    said = call("presets")
    lines = said.out.splitlines()
    assert said.code == 0 and said.err == ""
    assert [line.split()[0] for line in lines[1 : len(PRESETS) + 1]] == list(PRESETS)
    for name, preset in PRESETS.items():
        assert preset.line in said.out and (not preset.source or f"{name}: {preset.source}" in said.out)


# The other commands


@pytest.mark.slow
def test_demo(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "paint", lambda options: paint(options.having(steps=2)))
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
