"""Records inside pictures of every format, which name them by their pixels; and what is taken for no record."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from jaxstyle.errors import InputError
from jaxstyle.marks import is_sealed
from jaxstyle.pictures.write import WRITE_FORMATS, hash_of_pixels, is_own, read_record, save_image

RECORD = {"status": "done", "settings": {"style_weight": 10.0, "init": '<&>é\\"', "mix": None}, "losses": [1.5, 2]}
SUFFIXES = [*WRITE_FORMATS]


def image(seed: int = 0, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((20, 30, channels), np.float32)


def refused(path: Path, word: str) -> None:
    with pytest.raises(InputError, match=word):
        read_record(path)
    assert not is_own(path)


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_record_is_inside_and_its_copy_beside(tmp_path: Path, suffix: str, opaque: bool) -> None:
    path = tmp_path / f"a{suffix}"
    save_image(path, image(), RECORD, None if opaque else image(1)[..., 0])
    beside = json.loads((tmp_path / "a.json").read_text())
    assert {key: value for key, value in beside.items() if key != "mark"} == RECORD == read_record(path)
    assert is_own(path) and is_sealed(tmp_path / "a.json")
    (tmp_path / "a.json").unlink()
    assert read_record(path) == RECORD and is_own(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_mark_is_the_hash_of_the_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_image(path, image(), RECORD)
    with Image.open(path) as again:
        samples = np.asarray(again.convert("RGB"))
    expected = hashlib.sha256(b"RGB 30 20\n" + samples.tobytes()).hexdigest()
    assert json.loads((tmp_path / "a.json").read_text())["mark"]["pixels"] == expected


def test_a_png_packed_anew_keeps_its_record(tmp_path: Path) -> None:
    """What an optimiser does: other compression, a palette."""
    greys = np.repeat(np.linspace(0, 1, 30, dtype=np.float32)[None, :, None], 20, 0).repeat(3, 2)
    save_image(tmp_path / "a.png", greys, RECORD)
    with Image.open(tmp_path / "a.png") as picture:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("jaxstyle", picture.info["jaxstyle"])
        picture.convert("L").save(tmp_path / "b.png", pnginfo=chunks, compress_level=9)
    assert read_record(tmp_path / "b.png") == RECORD and is_own(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_record_of_other_pixels_is_none(tmp_path: Path, suffix: str) -> None:
    """Of a picture that was changed, or given another one's record."""
    path, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    save_image(path, image(), RECORD)
    with Image.open(path) as picture:
        kept: dict[str, Any] = {"xmp": picture.info.get("xmp")}
        if picture.format == "PNG":
            kept = {"pnginfo": PngImagePlugin.PngInfo()}
            kept["pnginfo"].add_text("jaxstyle", picture.info["jaxstyle"])
        if picture.format == "TIFF":
            kept = {"tiffinfo": {700: picture.info["xmp"]}}
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(other, **kept)
    refused(other, "not the picture that its record was written with")


def test_what_lies_beside_is_the_record_of_the_picture_that_it_names(tmp_path: Path) -> None:
    save_image(tmp_path / "r.jpg", image(), RECORD)
    save_image(tmp_path / "r.webp", image(), {**RECORD, "status": "another"})
    for name in ("r.jpg", "r.webp"):  # with no record inside
        with Image.open(tmp_path / name) as picture:
            assert picture.info.pop("xmp")
    stripped = Image.open(tmp_path / "r.webp")
    stripped.load()
    stripped.save(tmp_path / "r.png")
    assert read_record(tmp_path / "r.png")["status"] == "another"  # the same pixels
    assert read_record(tmp_path / "r.jpg")["status"] == "done"
    Image.open(tmp_path / "r.jpg").convert("RGB").save(tmp_path / "r.png")
    refused(tmp_path / "r.png", "not the picture")


def test_a_record_that_a_jpeg_has_no_room_for_lies_beside(tmp_path: Path) -> None:
    long = {"text": "x" * 70_000}
    for suffix in SUFFIXES:
        save_image(tmp_path / f"a{suffix}", image(), long)
        assert read_record(tmp_path / f"a{suffix}") == long and is_own(tmp_path / f"a{suffix}")
        (tmp_path / "a.json").unlink()
        if suffix in (".jpg", ".jpeg"):
            refused(tmp_path / f"a{suffix}", "no record")
        else:
            assert read_record(tmp_path / f"a{suffix}") == long


def test_a_record_of_the_first_version_is_read_but_marks_nothing(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("jaxstyle", json.dumps(RECORD))
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png", pnginfo=chunks)
    assert read_record(tmp_path / "a.png") == RECORD and not is_own(tmp_path / "a.png")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "b.json").write_text(json.dumps(RECORD))
    refused(tmp_path / "b.png", "no record")


HOSTILE = [
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    '{"mark": 5}',
    '{"mark": {"pixels": 5}}',
    '{"mark": {"pixels": ["a"]}}',
    '{"mark": []}',
    "5",
    "null",
    '"text"',
    "{",
    '{"a": 1e999999}',
    '{"a": ' + "9" * 5000 + "}",
    "\x00\x01",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_anything_may_stand_where_a_record_does(tmp_path: Path, text: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("jaxstyle", text)
    plain = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    plain.save(tmp_path / "a.png", pnginfo=chunks)
    plain.save(tmp_path / "b.jpg", xmp=f"<jaxstyle:record>{text}</jaxstyle:record>".encode()[:60_000])
    plain.save(tmp_path / "c.png")
    (tmp_path / "c.json").write_text(text)
    for name in ("a.png", "b.jpg", "c.png"):
        assert not is_own(tmp_path / name)
        try:
            assert isinstance(read_record(tmp_path / name), dict)
        except InputError as error:
            assert "\n" not in str(error)


def test_files_that_are_no_pictures_have_no_record(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", image(), RECORD)
    (tmp_path / "text.png").write_text("a letter")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:-200])
    (tmp_path / "folder.png").mkdir()
    for name in ("text", "cut", "folder", "absent"):
        shutil.copy(tmp_path / "a.json", tmp_path / f"{name}.json")
        assert not is_own(tmp_path / f"{name}.png")
        with pytest.raises(InputError):
            read_record(tmp_path / f"{name}.png")


@pytest.mark.parametrize("kind", ["theirs", "changed", "a record without its seal"])
def test_a_strangers_file_beside_is_left(tmp_path: Path, kind: str) -> None:
    beside = tmp_path / "a.json"
    save_image(tmp_path / "a.png", image(1), RECORD)
    text = {
        "theirs": '{"shapes": []}',
        "changed": beside.read_text().replace("done", "seen"),
        "a record without its seal": json.dumps(RECORD),
    }[kind]
    beside.write_text(text)
    save_image(tmp_path / "a.png", image(), RECORD)
    assert beside.read_text() == text and read_record(tmp_path / "a.png") == RECORD
    save_image(tmp_path / "a.png", image(), RECORD, overwrite=True)
    assert is_sealed(beside)


def test_a_hash_tells_pixels_shapes_and_opacity_apart() -> None:
    """All of these differ; the same pixels in another mode do not."""
    draw = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
    draw[..., 3] = 7
    pictures = [draw[..., :3], draw, draw[..., :3].reshape(4, 6, 3), draw[::-1, :, :3]]
    assert len({hash_of_pixels(Image.fromarray(x)) for x in pictures}) == 4
    grey = Image.fromarray(draw[..., 0])
    assert hash_of_pixels(grey) == hash_of_pixels(grey.convert("RGB"))
