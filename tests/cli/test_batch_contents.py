"""What `batch` takes of a folder: every picture by its content; the rest is named."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commandline import SHALLOW
from jaxstyle.cli.contents import contents_of
from jaxstyle.cli.main import main
from jaxstyle.errors import InputError

QUICK = ["--size", "32", "--min-size", "32", "--steps", "1", *SHALLOW]


def encoded(kind):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(data, kind)
    return data.getvalue()


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    files = {
        "a.jpg": encoded("JPEG"),
        "b.jfif": encoded("JPEG"),
        "c.jpe": encoded("JPEG"),
        "d.pgm": encoded("PPM"),
        "e": encoded("PNG"),
        "f.txt": encoded("WEBP"),
        "g.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
        "h.psd": b"8BPS\0\1" + bytes(99),
        "notes.txt": b"Dear reader",
        "page.jpg": b"<!DOCTYPE html><html>",
        "two\x1b[31m.json": b"{}",
        ".hidden.jpg": encoded("JPEG"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "sub").mkdir()
    return folder


def names(paths):
    return [Path(path).name for path in paths]


def test_pictures_by_their_content(pictures):
    files, others = contents_of([str(pictures), str(pictures / "a.jpg"), "absent.png"])
    assert names(files) == ["a.jpg", "b.jfif", "c.jpe", "d.pgm", "e", "f.txt", "g.heic", "h.psd", "absent.png"]
    assert names(others) == ["notes.txt", "page.jpg", "two\x1b[31m.json"]


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(InputError, match=r"has no pictures in it$"):
        contents_of([str(tmp_path)])
    for i in range(30):
        (tmp_path / f"{i:02}.txt").write_text("text")
    with pytest.raises(InputError, match=r"passed over: .*/00\.txt, .*/19\.txt and 10 more$"):
        contents_of([str(tmp_path)])


@pytest.mark.slow
def test_what_is_not_painted_is_named_at_the_end(pictures, folder, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("c.jpe", "d.pgm", "e", "f.txt"):
        (pictures / name).unlink()
    code = main(["batch", str(pictures), "--style", "s.png", "-o", "out", *QUICK])
    out, err = capfd.readouterr()
    assert code == 1
    assert {path.name for path in (folder / "out").glob("[ab].png")} == {"a.png", "b.png"}
    failed, passed = err.strip().splitlines()[-2:]
    assert "2 of 4 pictures failed" in failed
    assert "g.heic is a HEIC picture, which the package pillow-heif reads" in failed
    assert "h.psd is a Photoshop document, which is not read" in failed
    assert "notes.txt" in passed
    assert "page.jpg" in passed
    assert "\x1b" not in out + err
    for name in ("g.heic", "h.psd"):
        (pictures / name).unlink()
    # What is no picture is no failure.
    assert main(["batch", str(pictures), "--style", "s.png", "-o", "out", *QUICK]) == 0
    assert "notes.txt" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["transfer", "sweep", "features", "reconstruct", "texture", "compare", "ablate"])
def test_pictures_that_are_large_are_asked_for_everywhere(tmp_path, capfd, monkeypatch, command):
    """Each command refuses, and names the option, which it has."""
    monkeypatch.chdir(tmp_path)
    Path("big.ppm").write_bytes(b"P6 14100 14100 255\n" + bytes(100))
    Path("style.png").write_bytes(encoded("PNG"))
    pictures = ["big.ppm"] + (["style.png"] if command in ("transfer", "sweep", "compare", "ablate") else [])
    out = ["-o", "out"] if command == "sweep" else []
    assert main([command, *pictures, *out]) == 2
    err = capfd.readouterr().err
    assert "14100 x 14100" in err
    assert "--large" in err
    assert main([command, *pictures, *out, "--large"]) == 2  # it is cut short
    assert "cut short" in capfd.readouterr().err
    assert sorted(x.name for x in tmp_path.iterdir()) == ["big.ppm", "style.png"]
