"""What a transfer reads, and how its result is called."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import QUICK, Said, picture, same_record
from jaxstyle.cli import machine, sources
from jaxstyle.cli.main import main
from jaxstyle.cli.sources import default_name


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
def test_default_names(content: str, style: str, expected: str, folder: Path) -> None:
    """They are printed as they are, text or not."""
    for seed, name in enumerate((content, style)):
        picture(folder / "x.png", seed).rename(folder / name)
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main(["transfer", content, style, *QUICK, "--quiet"]) == 0
    assert out.detach().getvalue() == os.fsencode(expected) + b"\n" and not err.detach().getvalue()
    assert (folder / expected).is_file() and (folder / expected).with_suffix(".json").is_file()
    same_record(folder / expected)


def test_default_names_of_long_names_fit(folder: Path) -> None:
    for letter in ("a", "é", "雨"):
        name = letter * (250 // len(letter.encode()))
        (folder / default_name(f"{name}.png", f"{name}.jpg")).touch()


@pytest.mark.parametrize("line", ["transfer c.png s.png -o big.png", "sweep c.png s.png -o big --style-weight 1 2"])
def test_a_size_that_cannot_fit_is_refused_before_a_picture_is_read(
    line: str, folder: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 2 * 10**9)
    monkeypatch.setattr(sources, "load_picture", lambda *_, **__: pytest.fail("it was read"))
    code, out, err = call(*line.split(), "--size", "8000")
    assert (code, out, err.count("\n")) == (2, "", 1) and "8000 x" in err and "GB are free; a size above" in err
    assert not list(folder.glob("big*"))
