"""Pictures read exactly, upright, in every mode, or refused in one line."""

import dataclasses
import errno
import hashlib
import inspect
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxstyle.pictures import read
from jaxstyle.pictures.formats import png
from jaxstyle.pictures.read import MAX_PIXELS, load_image, load_picture, mask_of
from jaxstyle.pictures.write import check_writable
from picture_files import close, grey, noise, png_file, put, refused

pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("error")]


# Modes


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm", ".jp2"])
def test_rgb_is_read_exactly(tmp_path, rng, suffix):
    samples = noise(rng)
    picture = load_picture(put(tmp_path / f"a{suffix}", samples))
    close(picture.pixels, samples / 255)
    assert picture.alpha is None


def test_the_first_of_several_pictures_in_one_file_is_read(tmp_path, rng):
    """Phones write such JPEGs (MPO), and browsers save such GIFs."""
    first = np.zeros((32, 32, 3), np.uint8)
    first[:, 16:] = 255
    others = [Image.fromarray(255 - first)]
    Image.fromarray(first).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=others, quality=95)
    Image.fromarray(first).save(tmp_path / "a.gif", save_all=True, append_images=others)
    for name in ("a.jpg", "a.gif"):
        close(load_image(tmp_path / name), first / 255, steps=1)


def test_a_picture_knows_its_file(tmp_path, rng):
    path = put(tmp_path / "a.tif", noise(rng), compression="tiff_lzw")
    picture = load_picture(path)
    assert picture.path == str(path)
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(load_image(str(path)), picture.pixels)


def test_eight_bit_grey(tmp_path, rng):
    samples = noise(rng, channels=1)
    close(load_image(put(tmp_path / "a.png", samples)), grey(samples) / 255)


def test_grey_with_alpha(tmp_path, rng):
    samples = noise(rng, channels=2)
    samples[..., 1] |= 1
    picture = load_picture(put(tmp_path / "a.png", samples, "LA"))
    close(picture.pixels, grey(samples[..., 0]) / 255)
    close(picture.alpha, samples[..., 1] / 255)


def test_grey_with_one_value_transparent(tmp_path):
    samples = np.full((20, 30), 200, np.uint8)
    samples[:, :10] = 50
    picture = load_picture(put(tmp_path / "a.png", samples, transparency=50))
    close(picture.alpha, samples == 200)
    close(picture.pixels, np.full((20, 30, 3), 200 / 255))


def test_one_bit(tmp_path, rng):
    bits = rng.integers(0, 2, (20, 30)).astype(bool)
    path = tmp_path / "a.png"
    Image.fromarray(bits).save(path)
    assert Image.open(io.BytesIO(path.read_bytes())).mode == "1"
    close(load_image(path), grey(bits.astype(np.float32)))


@pytest.mark.parametrize("transparency", [None, 2, b"\xff\x80\x00\xff"], ids=["none", "index", "table"])
def test_palette(tmp_path, rng, transparency):
    colours = np.array([[255, 0, 0], [0, 250, 10], [7, 8, 9], [200, 100, 50]], np.uint8)
    index = rng.integers(0, 4, (20, 30), dtype=np.uint8)
    image = Image.frombytes("P", (30, 20), index.tobytes())
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    picture = load_picture(tmp_path / "a.png")
    table = {None: [1, 1, 1, 1], 2: [1, 1, 0, 1]}.get(transparency, [1, 128 / 255, 0, 1])
    alpha = np.array(table)[index]
    if transparency is None:
        assert picture.alpha is None
    else:
        close(picture.alpha, alpha)
    close(picture.pixels[alpha > 0], (colours[index] / 255)[alpha > 0])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_sixteen_bit_grey_keeps_its_bits(tmp_path, suffix):
    samples = np.linspace(0, 65535, 600).round().astype(np.uint16).reshape(20, 30)
    assert len(np.unique(samples)) == 600
    close(load_image(put(tmp_path / f"a{suffix}", samples)), grey(samples) / 65535)


def test_sixteen_bit_grey_of_the_other_byte_order(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30)).astype(">u2")
    path = put(tmp_path / "a.tif", samples, "I;16B")
    close(load_image(path), grey(samples) / 65535)


def test_sixteen_bit_grey_with_one_value_transparent(tmp_path):
    samples = np.full((20, 30), 40000, np.uint16)
    samples[:5] = 300
    picture = load_picture(put(tmp_path / "a.png", samples, transparency=300))
    close(picture.alpha, samples == 40000)
    close(picture.pixels, np.full((20, 30, 3), 40000 / 65535))


def test_sixteen_bit_colour_is_read_to_eight_bits(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    (tmp_path / "a.png").write_bytes(png_file(30, 20, rows, depth=16))
    close(load_image(tmp_path / "a.png"), samples / 65535, steps=1)


def test_float_grey(tmp_path, rng):
    samples = rng.random((20, 30), dtype=np.float32)
    close(load_image(put(tmp_path / "a.tif", samples)), grey(samples))


@pytest.mark.parametrize("value", [np.nan, np.inf, 255.0, -0.5])
def test_float_off_its_scale_is_refused(tmp_path, value):
    samples = np.full((20, 30), 0.5, np.float32)
    samples[3, 4] = value
    path = put(tmp_path / "a.tif", samples)
    refused(lambda: load_image(path), path, "0 to 1")


def test_32_bit_integers_are_refused(tmp_path):
    path = put(tmp_path / "a.tif", np.full((20, 30), 100, np.int32))
    refused(lambda: load_image(path), path, "32-bit", "16 bits")


def test_cmyk_without_a_profile(tmp_path, rng):
    samples = noise(rng, channels=4)
    path = put(tmp_path / "a.tif", samples, "CMYK")
    ink = samples / 255
    close(load_image(path), (1 - ink[..., :3]) * (1 - ink[..., 3:]), steps=1)


def test_cmyk_jpeg(tmp_path):
    """Adobe's JPEGs store ink upside down: the file made by Pillow does, and must not come out negative."""
    samples = np.tile(np.array([30, 100, 200, 20], np.uint8), (32, 32, 1))
    path = put(tmp_path / "a.jpg", samples, "CMYK", quality=100)
    ink = samples / 255
    close(load_image(path), (1 - ink[..., :3]) * (1 - ink[..., 3:]), steps=4)


# Orientation


def shown_from_stored(stored, orientation):
    """EXIF's own words, pixel by pixel: where on the upright picture row r and column c are to be seen."""
    rows, columns = stored.shape[:2]
    place = {
        1: lambda r, c: (r, c),  # row 0 is the top, column 0 the left side
        2: lambda r, c: (r, columns - 1 - c),  # top, right
        3: lambda r, c: (rows - 1 - r, columns - 1 - c),  # bottom, right
        4: lambda r, c: (rows - 1 - r, c),  # bottom, left
        5: lambda r, c: (c, r),  # row 0 is the left side, column 0 the top
        6: lambda r, c: (c, rows - 1 - r),  # right, top
        7: lambda r, c: (columns - 1 - c, rows - 1 - r),  # right, bottom
        8: lambda r, c: (columns - 1 - c, r),  # left, bottom
    }[orientation]
    shape = (rows, columns) if orientation < 5 else (columns, rows)
    shown = np.zeros((*shape, *stored.shape[2:]), stored.dtype)
    for r in range(rows):
        for c in range(columns):
            shown[place(r, c)] = stored[r, c]
    return shown


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_orientation(tmp_path, rng, orientation, suffix):
    stored = noise(rng)
    exif = Image.Exif()
    exif[0x0112] = orientation
    extra = {"tiffinfo": {274: orientation}} if suffix == ".tif" else {"exif": exif}
    path = put(tmp_path / f"a{suffix}", stored, **extra)
    close(load_image(path), shown_from_stored(stored, orientation) / 255)


def test_exif_turns_alpha_too_and_the_long_side(tmp_path, rng):
    stored = noise(rng, channels=4)
    stored[..., 3] |= 1
    exif = Image.Exif()
    exif[0x0112] = 6
    path = put(tmp_path / "a.png", stored, exif=exif)
    picture = load_picture(path)
    close(picture.alpha, shown_from_stored(stored[..., 3], 6) / 255)
    assert load_image(path, size=60).shape == (60, 40, 3)


def test_broken_exif_is_ignored(tmp_path, rng):
    stored = noise(rng)
    path = put(tmp_path / "a.png", stored, exif=b"Exif\0\0garbage")
    close(load_image(path), stored / 255)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty", "0 bytes"]),
        (b"Dear reader,\nthis is no picture.\n" * 50, ["not a picture", "PNG", "JPEG"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", ["not a picture"]),
        (png_file(20_000, 20_000, b""), ["20000 x 20000", str(MAX_PIXELS)]),
        (png_file(65_000, 65_000, b""), ["65000 x 65000", str(MAX_PIXELS)]),
        (png_file(15, 40, b"".join(b"\0" + bytes(45) for _ in range(40))), ["15 x 40", "16"]),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    before = Image.MAX_IMAGE_PIXELS
    refused(lambda: load_image(path), path, *words)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp", ".ppm", ".avif", ".jp2"])
@pytest.mark.parametrize("part", [0.02, 0.4, 0.8])
def test_a_truncated_file_is_refused(tmp_path, rng, suffix, part):
    whole = put(tmp_path / f"whole{suffix}", noise(rng, 64, 64)).read_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(lambda: load_image(path), path, "cut short")


def test_a_missing_file_names_the_nearest(tmp_path, rng):
    put(tmp_path / "sunset.png", noise(rng))
    refused(lambda: load_image(tmp_path / "sunest.png"), "sunest.png", "does not exist", "'sunset.png'")
    refused(lambda: load_image(tmp_path / "no" / "such.png"), "such.png", "does not exist")


def test_a_directory_or_a_pipe_is_refused(tmp_path):
    refused(lambda: load_image(tmp_path), tmp_path, "a directory")
    os.mkfifo(tmp_path / "pipe.png")
    refused(lambda: load_image(tmp_path / "pipe.png"), "pipe.png", "not a plain file")


def test_an_unreadable_file_is_refused(tmp_path, rng, monkeypatch):
    path = put(tmp_path / "a.png", noise(rng))

    def denied(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(read, "open", denied, raising=False)  # as root no file is unreadable
    refused(lambda: load_image(path), path, "Permission denied")


def test_a_name_with_line_breaks_still_gives_one_line(tmp_path):
    refused(lambda: load_image(tmp_path / "two\nlines\x1b.png"), "two\\x0alines\\x1b.png")
    refused(lambda: check_writable(tmp_path / "two\nlines.tx"), "two\\x0alines")
    refused(lambda: load_image(""), "''")


def test_a_fully_transparent_picture_is_refused(tmp_path):
    path = put(tmp_path / "a.png", np.zeros((20, 20, 4), np.uint8))
    refused(lambda: load_image(path), path, "transparent")


def test_our_limit_of_pixels_holds_and_not_pillows(tmp_path, rng, monkeypatch):
    path = put(tmp_path / "a.png", noise(rng, 20, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load_image(path).shape == (20, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    opened = png.open_png
    monkeypatch.setattr(png, "open_png", lambda *about: dataclasses.replace(opened(*about), most=599))
    refused(lambda: load_image(path), path, "30 x 20", "599", "--large")
    assert load_image(path, large=True).shape == (20, 30, 3)
    monkeypatch.setattr(png, "open_png", lambda *about: dataclasses.replace(opened(*about), most=600))
    assert load_image(path).shape == (20, 30, 3)


@pytest.mark.parametrize("size", [15, 0, -5, 16385, True, 64.0, "64\n", float("nan")])
def test_a_wrong_size_is_refused(tmp_path, rng, size):
    path = put(tmp_path / "a.png", noise(rng))
    load = inspect.unwrap(load_picture)  # past the type checker of the tests, as users have none
    refused(lambda: load(path, size), repr(size), "16", "16384")


def test_too_small_once_resized(tmp_path, rng):
    path = put(tmp_path / "a.png", noise(rng, 20, 200))
    refused(lambda: load_image(path, 100), path, "100 x 10", "at least 16")
    refused(lambda: load_image(path, 8), "8", "16")
    assert load_image(path, 160).shape == (16, 160, 3)
    tiny = put(tmp_path / "b.png", noise(rng, 4, 4))
    refused(lambda: load_image(tiny), tiny, "4 x 4", "at least 16")
    assert load_image(tiny, 16).shape == (16, 16, 3)


def test_colours_and_transparency_of_mask_files(tmp_path: Path) -> None:
    values = np.zeros((32, 32, 4), np.uint8)
    values[:16], values[16:, :16] = (255, 255, 255, 255), (255, 255, 255, 51)
    values[16:, 16:] = (255, 0, 0, 255)
    Image.fromarray(values).save(tmp_path / "m.png")
    mask = mask_of(load_picture(tmp_path / "m.png"), 32, 32)
    np.testing.assert_allclose([mask[0, 0], mask[31, 0], mask[31, 31]], [1, 0.2, 1 / 3], atol=1e-5)
    small = mask_of(load_picture(tmp_path / "m.png"), 16, 16)
    assert small.shape == (16, 16) and small.min() >= 0 and small.max() <= 1
