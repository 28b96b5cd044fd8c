"""Files told by their content: what is read whatever its name, and what is not read is named."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from jaxstyle.cli.masks import read_mask
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Picture, load_image, load_picture, own_size, sha256_of


def refused(path, *words, call=load_image):
    with pytest.raises(InputError) as caught:
        call(path)
    line = str(caught.value)
    assert line.isprintable(), line
    assert all(word in line for word in words), line
    return line


def media(brand, *compatible):
    return struct.pack(">I4s4sI", 16 + 4 * len(compatible), b"ftyp", brand, 0) + b"".join(compatible) + bytes(99)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"8BPS\0\1" + bytes(99), ["Photoshop"]),
        (b"gimp xcf v011\0" + bytes(99), ["GIMP"]),
        (b"\x76\x2f\x31\x01" + bytes(99), ["OpenEXR"]),
        (b"#?RADIANCE\n", ["Radiance"]),
        (b"\xff\x0a" + bytes(99), ["JPEG XL"]),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), ["JPEG XL"]),
        (b"\0\0\1\0\1\0" + bytes(99), ["ICO"]),
        (b"qoif" + bytes(99), ["QOI"]),
        (b"DDS " + bytes(99), ["DDS"]),
        (b"P7\nWIDTH 4\n", ["PAM"]),
        (b"Pf\n4 4\n-1.0\n" + bytes(64), ["PFM"]),
        (b"PF\n4 4\n-1.0\n" + bytes(192), ["PFM"]),
        (b"SIMPLE  =                    T", ["FITS"]),
        (bytes(128) + b"DICM" + bytes(99), ["DICOM"]),
        (b"%PDF-1.7\n", ["PDF", "not a picture"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", ["PostScript", "not a picture"]),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', ["SVG"]),
        (b"<svg/>", ["SVG"]),
        (b"<!DOCTYPE html><html>", ["web page", "not a picture"]),
        (b"PK\3\4" + bytes(99), ["zip", "unpack"]),
        (b"RIFF\0\0\0\0AVI " + bytes(99), ["video"]),
        (media(b"isom", b"mp41"), ["video"]),
        (media(b"crx ", b"isom"), ["raw", "develop"]),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), ["raw", "develop"]),
        (b"FUJIFILMCCD-RAW 0201" + bytes(99), ["raw", "develop"]),
        (b"IIU\0" + bytes(99), ["raw", "develop"]),
        (b"IIRO" + bytes(99), ["raw", "develop"]),
        (b"Dear reader,\nthis is no picture.\n", ["not a picture", "PNG", "JPEG"]),
        (bytes(100), ["not a picture"]),
        (b"BM and then some text, as it may stand in any file", ["not a picture"]),
        (b"\x89PNG\r\n\x1a\n", ["damaged or cut short"]),
        (b"\xff\xd8\xff\xe0" + bytes(99), ["damaged or cut short"]),
        (b"II*\0\x08\0\0\0" + bytes(2), ["damaged or cut short"]),
        (b"II*\0\xff\0\0\0" + bytes(2), ["damaged or cut short"]),
        (b"RIFF\0\0\0\0WEBPVP8 ", ["damaged or cut short"]),
        (b"GIF89a", ["damaged or cut short"]),
        (media(b"avif", b"mif1"), ["damaged or cut short"]),
        (b"\xff\x4f\xff\x51" + bytes(99), ["damaged or cut short"]),
    ],
)
def test_what_is_not_read_is_named(tmp_path, data, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    refused(path, str(path), *words)
    refused(path, str(path), *words, call=own_size)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000"])
def test_a_picture_is_read_whatever_its_name(tmp_path, kind):
    data = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 100, 50)).save(data, kind)
    path = tmp_path / "notes.txt"
    path.write_bytes(data.getvalue())
    np.testing.assert_allclose(
        load_image(path), np.broadcast_to(np.array([200, 100, 50]) / 255, (30, 40, 3)), atol=0.03
    )


def test_size_and_hash_without_reading_the_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.effect_noise((50, 40), 60).save(path)
    picture = load_picture(path)
    monkeypatch.setattr(Image.Image, "load", None)
    assert own_size(path) == picture.own_size
    assert sha256_of(path) == picture.sha256
    for call in (own_size, sha256_of):
        refused(tmp_path / "b.png", "does not exist", call=call)


@pytest.mark.parametrize("multiple", [1, 16])
@pytest.mark.parametrize("tall", [False, True])
def test_too_thin_once_resized_names_the_way_out(tmp_path, multiple, tall):
    path = tmp_path / "strip.png"
    Image.new("RGB", (20, 400) if tall else (400, 20), (9, 9, 9)).save(path)

    def read(path, size=128):
        return load_picture(path, size, multiple=multiple)

    refused(path, "6 x 128" if tall else "128 x 6", "at least 16", "--size of 320", call=read)
    refused(path, "16 a side", call=lambda path: read(path, 300))
    assert sorted(read(path, 320).pixels.shape) == [3, 16, 320]
    thin = tmp_path / "thin.png"
    Image.new("RGB", (17_000, 16)).save(thin)
    line = refused(thin, "once resized", call=lambda path: read(path, 16_384))
    assert "--size" not in line  # none is large enough


@pytest.mark.parametrize("size", [320, 336, 500])
def test_a_multiple_moves_the_short_side_by_half_of_it_at_most(tmp_path, size):
    path = tmp_path / "strip.png"
    Image.new("RGB", (400, 20)).save(path)
    height, width = load_picture(path, size, multiple=16).pixels.shape[:2]
    assert width == size
    assert height % 16 == 0
    assert abs(height - size / 20) <= 8


def mask_file(tmp_path, samples):
    path = tmp_path / "two\x1b[31m.png"
    Image.fromarray(samples).save(path)
    return str(path)


def mask_of_file(path):
    whole = Picture(np.zeros((48, 64, 3), np.float32), None, "content", "", (48, 64))
    return read_mask(path, whole, read=load_picture).values


def test_a_mask_with_colours_is_refused(tmp_path):
    """Red here and blue there have the same mean, and would be the same mask."""
    samples = np.zeros((48, 64, 3), np.uint8)
    samples[:, :32, 0], samples[:, 32:, 2] = 255, 255
    refused(mask_file(tmp_path, samples), "colours", "white", call=mask_of_file)
    samples[:] = 255
    samples[:4, :4] = [0, 200, 0]  # a small part of it
    refused(mask_file(tmp_path, samples), "colours", call=mask_of_file)


def test_a_mask_that_is_nearly_grey_is_one(tmp_path):
    """As a lossy format leaves it, and where colours are transparent."""
    y, x = np.mgrid[0:48, 0:64]
    tinted = np.stack([255 * (x > 30), 255 * (x > 30), 240 * (x > 30)], 2).astype(np.uint8)
    np.testing.assert_allclose(mask_of_file(mask_file(tmp_path, tinted)), (x > 30) * 250 / 255, atol=1e-6)
    hidden = np.zeros((48, 64, 4), np.uint8)
    hidden[y > 20] = [255, 255, 255, 255]
    hidden[y <= 20] = [255, 0, 0, 0]
    np.testing.assert_allclose(mask_of_file(mask_file(tmp_path, hidden)), (y > 20) * 1.0, atol=1e-6)
