"""Pictures and their records written exactly, or not at all; and what cannot be written."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin

from jaxstyle.pictures.read import load_image, load_picture
from jaxstyle.pictures.write import WRITE_FORMATS, check_writable, read_record, save_image
from picture_files import close, noise, put, refused

pytestmark = pytest.mark.quick

# Writing


def every_level():
    return np.tile(np.arange(256, dtype=np.float32)[:, None, None] / 255, (1, 16, 3)) * np.float32([1, 1, 1])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
def test_what_is_saved_is_what_is_loaded(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_image(path, every_level())
    close(load_image(path), every_level())
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(("suffix", "steps"), [(".jpg", 2), (".jpeg", 2), (".webp", 8)])
def test_lossy_formats_are_near(tmp_path, suffix, steps):
    save_image(tmp_path / f"a{suffix}", every_level())
    close(load_image(tmp_path / f"a{suffix}"), every_level(), steps=steps)


def test_jpeg_keeps_full_colour_at_quality_95(tmp_path, rng):
    save_image(tmp_path / "a.jpg", noise(rng) / 255)
    put(tmp_path / "b.jpg", noise(rng), quality=95)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as theirs:
        assert JpegImagePlugin.get_sampling(ours) == 0
        assert ours.quantization == theirs.quantization


def test_values_are_rounded_and_clipped(tmp_path):
    values = np.float64([-0.5, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1.5])
    save_image(tmp_path / "a.png", np.tile(values[:, None, None], (1, 4, 3)))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image)[:, 0, 0].tolist() == [0, 0, 1, 254, 255, 255]


def test_png_says_that_it_is_srgb(tmp_path):
    save_image(tmp_path / "a.png", every_level())
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["srgb"] == 0
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_comes_back(tmp_path, rng, suffix):
    samples = noise(rng, channels=4)
    samples[:3, :, 3] = 0
    first = load_picture(put(tmp_path / f"a{suffix}", samples))
    save_image(tmp_path / f"b{suffix}", first.pixels, alpha=first.alpha)
    second = load_picture(tmp_path / f"b{suffix}")
    close(second.alpha, samples[..., 3] / 255)
    seen = samples[..., 3] > 0
    close(second.pixels[seen], (samples[..., :3] / 255)[seen])


def test_webp_keeps_alpha_and_jpeg_lies_on_white(tmp_path):
    image = np.tile(np.float32([1, 0, 0]), (32, 32, 1))
    alpha = np.full((32, 32), 51 / 255)
    alpha[16:] = 1
    save_image(tmp_path / "a.webp", image, alpha=alpha)
    close(load_picture(tmp_path / "a.webp").alpha, alpha)
    save_image(tmp_path / "a.jpg", image, alpha=alpha)
    flat = load_picture(tmp_path / "a.jpg")
    assert flat.alpha is None
    close(flat.pixels, np.where(alpha[..., None] == 1, image, [1, 0.8, 0.8]), steps=4)


RECORD = {"size": 512, "loss": 0.1 + 0.2, "styles": ["é\n.jpg"], "nested": {"b": 1, "a": None}, "on": True}


@pytest.mark.parametrize("suffix", WRITE_FORMATS)
def test_record_comes_back(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_image(path, every_level(), RECORD)
    assert read_record(path) == RECORD
    text = (tmp_path / "a.json").read_text()
    mark, *rest = json.loads(text).items()
    assert mark[0] == "mark"
    assert rest == list(RECORD.items())  # in its own order
    assert len(text.splitlines()) > len(RECORD)
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, "a.json"])


def test_record_is_inside_the_png(tmp_path):
    save_image(tmp_path / "a.png", every_level(), RECORD)
    (tmp_path / "a.json").write_text('{"another": "record"}')
    assert read_record(tmp_path / "a.png") == RECORD
    with Image.open(tmp_path / "a.png") as image:
        inside = json.loads(image.info["jaxstyle"])
    assert inside == {"mark": inside["mark"], **RECORD}


def test_a_record_never_loses_the_picture(tmp_path):
    record = {
        "a": np.float32(0.5),
        "b": np.arange(3),
        4: float("nan"),
        "p": Path("x"),
        "t": (1, float("inf")),
    }
    save_image(tmp_path / "a.png", every_level(), record)
    plain = {"a": 0.5, "b": [0, 1, 2], "4": None, "p": "x", "t": [1, None]}
    assert read_record(tmp_path / "a.png") == plain
    beside = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert beside == {"mark": beside["mark"], **plain}


def test_damaged_record_inside_falls_back_to_the_one_beside(tmp_path, rng):
    """If that names this picture."""
    stored = noise(rng)
    save_image(tmp_path / "a.png", np.float32(stored / 255), {"a": 1})
    beside = (tmp_path / "a.json").read_text()
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("jaxstyle", "{not json")
    put(tmp_path / "a.png", stored, pnginfo=chunks)
    assert read_record(tmp_path / "a.png") == {"a": 1}
    for other in ('{"a": 1}', beside.replace('"pixels": "', '"pixels": "0')):
        (tmp_path / "a.json").write_text(other)
        refused(lambda: read_record(tmp_path / "a.png"), tmp_path / "a.png", "record")


@pytest.mark.parametrize("content", [None, "[1, 2]", "{", ""])
def test_no_record(tmp_path, content):
    save_image(tmp_path / "a.png", every_level())
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    for name in ("a.png", "absent.png", "."):
        refused(lambda name=name: read_record(tmp_path / name), tmp_path / name, "no record")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["encode", "rename"])
@pytest.mark.parametrize("suffix", WRITE_FORMATS)
def test_a_failed_write_leaves_the_old_files(tmp_path, monkeypatch, failure, where, suffix):
    path = tmp_path / f"a{suffix}"
    save_image(path, every_level(), {"run": 1})
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    assert len(before) == 2

    def half(image, file, **options):
        file.write(b"half a picture")
        raise failure

    def never(*paths):
        raise failure

    if where == "encode":
        monkeypatch.setattr(Image.Image, "save", half)
    else:
        monkeypatch.setattr(os, "replace", never)
    with pytest.raises(type(failure)):
        save_image(path, 1 - every_level(), {"run": 2})
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    save_image(tmp_path / "a.png", every_level(), RECORD)
    expected = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "a.png").stat().st_mode == expected
    assert (tmp_path / "a.json").stat().st_mode == expected


@pytest.mark.parametrize(
    ("image", "alpha", "word"),
    [
        (np.full((16, 16, 3), np.nan), None, "NaN"),
        (np.full((16, 16, 3), np.inf), None, "infinity"),
        (np.zeros((16, 16, 3)), np.full((16, 16), np.nan), "alpha"),
        (np.zeros((16, 16, 3)), np.zeros((16, 15)), "(16, 16)"),
        (np.zeros((16, 16)), None, "(16, 16)"),
        (np.zeros((16, 16, 4)), None, "(16, 16, 4)"),
        (np.zeros((16, 16, 3), np.uint8), None, "uint8"),
    ],
)
def test_a_wrong_image_is_not_written(tmp_path, image, alpha, word):
    path = tmp_path / "a.png"
    refused(lambda: save_image(path, image, RECORD, alpha), path, word)
    assert os.listdir(tmp_path) == []


# What cannot be written


def test_check_writable_leaves_nothing(tmp_path):
    for suffix in WRITE_FORMATS:
        check_writable(tmp_path / f"a{suffix}")
        check_writable(str(tmp_path / f"a{suffix.upper()}"))
    assert os.listdir(tmp_path) == []


def test_check_writable_keeps_what_is_there(tmp_path):
    save_image(tmp_path / "a.png", every_level(), RECORD)
    check_writable(tmp_path / "a.png")
    assert read_record(tmp_path / "a.png") == RECORD
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pgn", ["a.pgn", ".png", ".webp", "did you mean '.png'?"]),
        ("a.gif", ["a.gif", ".png, .jpg"]),
        ("a", [".png"]),
        (".png", [".png"]),
        ("outs/a.png", ["outs", "no directory", "did you mean 'out'?"]),
        ("file/a.png", ["file", "no directory"]),
        ("out", ["directory"]),
        ("taken.png", ["taken.json", "directory"]),
        ("n" * 300 + ".png", ["too long"]),
    ],
)
def test_check_writable_refuses(tmp_path, name, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "taken.json").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    before = sorted(os.listdir(tmp_path))
    refused(lambda: check_writable(tmp_path / name), *words)
    refused(lambda: save_image(tmp_path / name, every_level()), *words)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_check_writable_tries_the_directory(tmp_path, monkeypatch, code):
    def fails(path, data):
        path.touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", fails)  # as root no directory is closed
    refused(lambda: check_writable(tmp_path / "a.png"), tmp_path / "a.png", os.strerror(code))
    assert os.listdir(tmp_path) == []
