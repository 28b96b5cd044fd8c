"""JPEG, WebP, GIF, BMP, PPM, JPEG 2000, AVIF and HEIC, by files made byte by byte or by another library's encoder."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from jaxstyle.errors import InputError
from jaxstyle.pictures import stored
from jaxstyle.pictures.read import load_image, load_picture, own_size
from picture_files import grey
from picture_files import near as close

HEIGHT, WIDTH = 37, 53


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def noise(rng, channels=3, bits=8, height=HEIGHT, width=WIDTH):
    kind = np.uint8 if bits <= 8 else np.uint16
    return rng.integers(0, 2**bits, (height, width, channels), dtype=kind)


def smooth(height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.rint(255 * np.stack([x, y, 1 - (x + y) / 2], 2)).astype(np.uint8)


def put(tmp_path, data, name="a.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        load_image(path)
    line = str(caught.value)
    assert str(path) in line
    assert line.isprintable()
    assert all(word in line for word in words), line


def turned(exif_orientation):
    exif = Image.Exif()
    exif[0x0112] = exif_orientation
    return exif


# JPEG


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda x: imagecodecs.jpeg_encode(x[..., 0].astype(np.uint16) * 16, bitspersample=12), ["12 bits", "JPEG"]),
        (lambda x: imagecodecs.jpegls_encode(x[..., 0].copy()), ["JPEG-LS"]),
    ],
)
def test_jpegs_of_other_kinds_are_named(tmp_path, data, words):
    refused(put(tmp_path, data(smooth())), *words)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_jpeg_cut_short(tmp_path, rng, progressive, part):
    data = io.BytesIO()
    Image.fromarray(noise(rng, height=64, width=64)).save(data, "JPEG", progressive=progressive)
    refused(put(tmp_path, data.getvalue()[: int(len(data.getvalue()) * part)]), "cut short")


@pytest.mark.parametrize("extra", [0, 5])
def test_a_large_jpeg_is_decoded_at_a_reduced_size(tmp_path, monkeypatch, extra):
    """Of sides that are multiples of 8, and that are not: the picture neither moves nor grows."""
    height, width = 384 + extra, 512 + extra
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin(x / 23) * np.cos(y / 17)
    samples = np.rint(127.5 + 100 * np.stack([wave, -wave, np.roll(wave, 40, 1)], 2)).astype(np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(samples).save(path, quality=97, subsampling=0, exif=turned(6))
    whole = load_picture(path, 32)
    monkeypatch.setattr(stored, "REDUCED_FROM", 10_000)
    used, draft = [], JpegImagePlugin.JpegImageFile.draft
    monkeypatch.setattr(
        JpegImagePlugin.JpegImageFile, "draft", lambda self, *args: used.append(args) or draft(self, *args)
    )
    reduced = load_picture(path, 32)
    assert used == [(None, (width // 4, height // 4))]
    assert reduced.own_size == whole.own_size == own_size(path) == (width, height)
    assert reduced.pixels.shape == whole.pixels.shape
    close(reduced.pixels, whole.pixels, atol=(3.5 if extra else 2.5) / 255)  # a block at a border is padded
    used.clear()
    close(load_picture(path, 200).pixels, load_picture(path, 200).pixels)
    assert used == []  # 200 is more than a quarter


def test_ink_of_adobe_with_luminance_apart(tmp_path):
    """YCCK, as Photoshop saves CMYK JPEGs: libjpeg makes it of inks that are stored upside down."""
    ink = np.tile(np.array([30, 100, 200, 20], np.uint8), (32, 32, 1))
    data = io.BytesIO()
    Image.frombytes("CMYK", (32, 32), ink.tobytes()).save(data, "JPEG", quality=100)
    x = ink / 255
    close(load_image(put(tmp_path, data.getvalue())), (1 - x[..., :3]) * (1 - x[..., 3:]), atol=4 / 255)


# WebP


def webp(image, **options):
    data = io.BytesIO()
    image.save(data, "WEBP", **options)
    return data.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp(tmp_path, rng, channels):
    samples = noise(rng, channels)
    if channels == 4:
        samples[..., 3] |= 1
    picture = load_picture(put(tmp_path, webp(Image.fromarray(samples), lossless=True, exact=True)))
    close(picture.pixels, samples[..., :3] / 255)
    if channels == 4:
        close(picture.alpha, samples[..., 3] / 255)


def test_lossy_webp_with_alpha(tmp_path):
    samples = np.dstack([smooth(64, 80), np.full((64, 80), 255, np.uint8)])
    samples[:30, :, 3] = 100
    path = put(tmp_path, webp(Image.fromarray(samples), quality=95, alpha_quality=100))
    picture = load_picture(path)
    close(picture.pixels, samples[..., :3] / 255, atol=14 / 255)
    close(picture.alpha, samples[..., 3] / 255)
    assert own_size(path) == (64, 80)


def test_webp_with_a_profile_and_exif(tmp_path, rng):
    samples = noise(rng)
    profile = imagecodecs.cms_profile(
        "rgb", gamma=1.0, whitepoint=(0.3127, 0.3290), primaries=[0.64, 0.33, 0.30, 0.60, 0.15, 0.06]
    )
    path = put(tmp_path, webp(Image.fromarray(samples), lossless=True, icc_profile=profile, exif=turned(8)))
    x = np.rot90(samples, 1) / 255
    expected = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    close(load_image(path), expected, atol=1 / 255)
    assert own_size(path) == (WIDTH, HEIGHT)


def test_of_a_webp_animation_the_first_picture(tmp_path, rng):
    frames = [Image.fromarray(noise(rng, 4) | np.uint8([0, 0, 0, 255])) for _ in range(3)]
    path = put(tmp_path, webp(frames[0], save_all=True, append_images=frames[1:], lossless=True))
    close(load_image(path), np.asarray(frames[0])[..., :3] / 255)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("part", [0.02, 0.4, 0.95])
def test_a_webp_cut_short(tmp_path, rng, lossless, part):
    data = webp(Image.fromarray(noise(rng)), lossless=lossless)
    refused(put(tmp_path, data[: max(13, int(len(data) * part))]), "cut short")


# GIF


def gif_frame(left, top, width, height, index, transparent=None):
    """A frame of one colour, its codes of LZW each as it is."""
    control = b"!\xf9\x04" + bytes([transparent is not None]) + b"\0\0" + bytes([transparent or 0]) + b"\0"
    codes = []
    for k in range(width * height):
        codes += [4, index] if k % 2 == 0 else [index]  # 4 clears the table, so that codes stay of 3 bits
    value = sum(code << 3 * i for i, code in enumerate([*codes, 5]))
    packed = value.to_bytes((3 * len(codes) + 10) // 8, "little")
    blocks = b"".join(bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255))
    return control + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2" + blocks + b"\0"


COLOURS = bytes([10, 20, 30, 255, 0, 0, 0, 255, 0, 0, 0, 255])


def gif(*frames, width=20, height=16, background=2):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF1, background, 0) + COLOURS + b"".join(frames) + b";"


def test_a_gif_smaller_than_its_screen(tmp_path):
    """Of the screen around the picture nothing is there, as browsers have it."""
    picture = load_picture(put(tmp_path, gif(gif_frame(4, 2, 10, 8, 1))))
    expected = np.zeros((16, 20))
    expected[2:10, 4:14] = 1
    close(picture.alpha, expected)
    close(picture.pixels, np.broadcast_to([1.0, 0, 0], (16, 20, 3)))


def test_a_gif_with_a_colour_that_is_not_there(tmp_path):
    both = gif_frame(0, 0, 20, 16, 3, transparent=1)
    assert load_picture(put(tmp_path, gif(both))).alpha is None
    close(load_image(put(tmp_path, gif(both, gif_frame(0, 0, 20, 16, 1)))), np.broadcast_to([0.0, 0, 1], (16, 20, 3)))
    refused(put(tmp_path, gif(gif_frame(0, 0, 20, 16, 1, transparent=1))), "transparent")


# BMP


def bmp(rows, bits, *, compression=0, masks=(), palette=b"", header=40, flip=True):
    """Rows as bytes, each of a multiple of four."""
    data = b"".join(rows[::-1] if flip else rows)
    masked = struct.pack(f"<{len(masks)}I", *masks)
    body = struct.pack("<IiiHHIIiiII", header, 20, 16 if flip else -16, 1, bits, compression, len(data), 0, 0, 0, 0)
    body = (body + masked).ljust(header, b"\0") if header > 40 else body + masked
    start = 14 + len(body) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + body + palette + data


@pytest.mark.parametrize("flip", [True, False], ids=["from below", "from above"])
def test_bmp_of_16_and_32_bits(tmp_path, rng, flip):
    r, g, b = (rng.integers(0, 32, (16, 20)) for _ in range(3))
    words = ((r << 10) | (g << 5) | b).astype("<u2")
    expected = np.stack([r, g, b], 2) * 255 // 31 / 255
    close(load_image(put(tmp_path, bmp([x.tobytes() for x in words], 16, flip=flip))), expected, atol=1 / 255)
    g6 = rng.integers(0, 64, (16, 20))
    words = ((r << 11) | (g6 << 5) | b).astype("<u2")
    data = bmp([x.tobytes() for x in words], 16, compression=3, masks=(0xF800, 0x7E0, 0x1F), flip=flip)
    close(load_image(put(tmp_path, data)), np.stack([r / 31, g6 / 63, b / 31], 2), atol=1 / 255)
    samples = noise(rng, 4, height=16, width=20)
    samples[..., 3] |= 1
    stored_ = samples[..., [2, 1, 0, 3]]
    opaque = load_picture(put(tmp_path, bmp([x.tobytes() for x in stored_], 32, flip=flip)))
    assert opaque.alpha is None
    close(opaque.pixels, samples[..., :3] / 255)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    picture = load_picture(
        put(tmp_path, bmp([x.tobytes() for x in stored_], 32, compression=3, masks=masks, header=124))
    )
    close(picture.alpha, samples[..., 3] / 255)
    close(picture.pixels, samples[..., :3] / 255)


def test_bmp_of_palettes_and_runs(tmp_path, rng):
    table = rng.integers(0, 256, (256, 4), dtype=np.uint8)
    index = rng.integers(0, 256, (16, 20), dtype=np.uint8)
    colours = table[index][..., [2, 1, 0]] / 255
    close(load_image(put(tmp_path, bmp([x.tobytes() for x in index], 8, palette=table.tobytes()))), colours)
    rows = [b"".join(bytes([1, i]) for i in row) + b"\0\0" for row in index]
    close(load_image(put(tmp_path, bmp(rows, 8, compression=1, palette=table.tobytes()))), colours)


def test_a_bmp_of_other_kinds_is_named(tmp_path):
    data = bmp([bytes(80)] * 16, 32, compression=3, masks=(0x3FF00000, 0xFFC00, 0x3FF))
    refused(put(tmp_path, data), "kind that is not read", "bitfields")


# PPM


@pytest.mark.parametrize("most", [1, 7, 100, 255, 300, 1023, 65535])
@pytest.mark.parametrize("plain", [True, False], ids=["text", "bytes"])
@pytest.mark.parametrize("channels", [1, 3])
def test_ppm_of_any_white(tmp_path, rng, most, plain, channels):
    samples = rng.integers(0, most + 1, (HEIGHT, WIDTH, channels))
    name = {(1, True): "P2", (3, True): "P3", (1, False): "P5", (3, False): "P6"}[channels, plain]
    data = f"{name}\n# a remark\n{WIDTH} {HEIGHT}\n{most}\n".encode()
    data += (
        " ".join(map(str, samples.ravel())).encode()
        if plain
        else samples.astype(">u2" if most > 255 else "u1").tobytes()
    )
    expected = samples / most
    steps = 0.5 / 65535 if channels == 1 and most > 255 else 0.5 / 255
    close(load_image(put(tmp_path, data)), expected if channels == 3 else grey(expected), atol=steps + 1e-6)


@pytest.mark.parametrize("plain", [True, False])
def test_pbm(tmp_path, rng, plain):
    bits = rng.integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8)
    data = f"P{1 if plain else 4}\n{WIDTH} {HEIGHT}\n".encode()
    data += " ".join(map(str, bits.ravel())).encode() if plain else np.packbits(bits, 1).tobytes()
    close(load_image(put(tmp_path, data)), grey(1 - bits.astype(float)))


# JPEG 2000


@pytest.mark.parametrize("bits", [4, 8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("form", ["jp2", "j2k"])
def test_jpeg_2000(tmp_path, rng, bits, channels, form):
    samples = noise(rng, channels, bits, 64, 80)
    if channels == 4:
        samples[..., 3] |= 1 << (bits - 1)
    array = samples[..., 0] if channels == 1 else samples
    data = imagecodecs.jpeg2k_encode(array, level=0, codecformat=form, bitspersample=bits, reversible=True)
    path = put(tmp_path, data)
    assert own_size(path) == (64, 80)
    if channels == 4 and form == "j2k":
        return  # a bare codestream does not say what the fourth is
    picture = load_picture(path)
    expected = samples / (2**bits - 1)
    close(picture.pixels, grey(expected) if channels == 1 else expected[..., :3])
    if channels == 4:
        close(picture.alpha, expected[..., 3])


def test_a_large_jpeg_2000_is_decoded_at_a_reduced_size(tmp_path, monkeypatch):
    path = tmp_path / "a.jp2"
    Image.fromarray(smooth(301, 403)).save(path)
    whole = load_picture(path, 32)
    monkeypatch.setattr(stored, "REDUCED_FROM", 10_000)
    reduced = load_picture(path, 32)
    assert reduced.own_size == whole.own_size == (301, 403)
    assert not np.array_equal(reduced.pixels, whole.pixels)
    close(reduced.pixels, whole.pixels, atol=2 / 255)


# AVIF and HEIC


def with_code(data, primaries, transfer):
    """An AVIF whose colours are told by other numbers."""
    place = data.index(b"nclx") + 4
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


@pytest.fixture
def avif():
    data = io.BytesIO()
    Image.fromarray(smooth(64, 80)).save(data, "AVIF", quality=100, subsampling="4:4:4")
    assert b"nclx" in data.getvalue()
    return data.getvalue()


def test_avif(tmp_path, avif):
    close(load_image(put(tmp_path, avif)), smooth(64, 80) / 255, atol=3 / 255)
    assert own_size(tmp_path / "a.bin") == (64, 80)


@pytest.mark.parametrize(("transfer", "word"), [(16, "PQ"), (18, "HLG")])
def test_an_avif_of_high_dynamic_range_is_refused(tmp_path, avif, transfer, word):
    refused(put(tmp_path, with_code(avif, 9, transfer)), word)


def test_an_avif_of_other_primaries(tmp_path, avif):
    """Display P3's, with sRGB's curve."""
    before = load_image(put(tmp_path, avif)).astype(float)
    after = load_image(put(tmp_path, with_code(avif, 12, 13)))
    linear = np.where(before <= 0.04045, before / 12.92, ((before + 0.055) / 1.055) ** 2.4)
    # From Display P3 to sRGB, https://www.w3.org/TR/css-color-4/#color-conversion-code.
    matrix = [[1.2249402, -0.2249402, 0], [-0.0420570, 1.0420570, 0], [-0.0196376, -0.0786361, 1.0982736]]
    linear = np.clip(linear @ np.array(matrix).T, 0, 1)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    close(after, expected, atol=3 / 255)


def test_heic(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    data = io.BytesIO()
    heif.from_pillow(Image.fromarray(smooth(64, 80))).save(data, quality=100, chroma=444)
    close(load_image(put(tmp_path, data.getvalue())), smooth(64, 80) / 255, atol=4 / 255)
    assert own_size(tmp_path / "a.bin") == (64, 80)
    refused(put(tmp_path, data.getvalue()[:-200]), "cut short")


def test_heic_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    data = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic") + bytes(200)
    refused(put(tmp_path, data), "HEIC", "pillow-heif", "JPEG")
