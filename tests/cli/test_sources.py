"""What a transfer reads, and how its result is called."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import QUICK, Said, picture, same_record
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
        (folder / default_name(f"{name}.png", f"{name}.jpg")).touch()
