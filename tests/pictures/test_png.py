"""PNG: files made chunk by chunk from arrays, after the PNG specification, so that their pictures are known."""

import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_image, load_picture, own_size

HEIGHT, WIDTH = 21, 33
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KINDS = [
    (0, 1),
    (0, 2),
    (0, 4),
    (0, 8),
    (0, 16),
    (2, 8),
    (2, 16),
    (3, 1),
    (3, 2),
    (3, 4),
    (3, 8),
    (4, 8),
    (4, 16),
    (6, 8),
]
KINDS.append((6, 16))
SEVEN = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
D65_SRGB = [0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06]
P3 = [0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def lines(samples, depth):
    """Rows as bytes, without a filter; narrow samples from the top bit on."""
    flat = samples.reshape(len(samples), -1)
    if depth >= 8:
        return b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in flat)
    bits = [((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8) for row in flat]
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)


def png(samples, kind, depth, before=b"", after=b"", *, interlaced=False):
    height, width = samples.shape[:2]
    data = lines(samples, depth)
    if interlaced:
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in SEVEN]
        data = b"".join(lines(part, depth) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def put(tmp_path, *args, **options):
    path = tmp_path / "a.png"
    path.write_bytes(png(*args, **options))
    return path


def made(rng, kind, depth):
    return rng.integers(0, 2**depth, (HEIGHT, WIDTH, CHANNELS[kind]))


def close(actual, expected, atol=3e-7):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def encoded(x):
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)


def decoded(x):
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), KINDS)
@pytest.mark.parametrize("transparent", [False, True])
def test_every_kind(tmp_path, rng, kind, depth, transparent, interlaced):
    samples, full = made(rng, kind, depth), 2**depth - 1
    table, covers = rng.integers(0, 256, (2**depth if kind == 3 else 1, 3)), None
    before = chunk(b"PLTE", table.astype(np.uint8).tobytes()) if kind == 3 else b""
    if kind == 3:
        colours = table[samples[..., 0]] / 255
        if transparent:
            covers = rng.integers(0, 256, 2**depth)
            before += chunk(b"tRNS", covers.astype(np.uint8).tobytes())
            covers = covers[samples[..., 0]] / 255
    elif kind in (4, 6):
        if transparent:
            return  # the specification has no tRNS there
        colours, covers = samples[..., :-1] / full, samples[..., -1] / full
    else:
        colours, key = samples / full, samples[3, 4]
        if transparent:
            before += chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
            covers = np.any(samples != key, 2).astype(float)
    colours = np.broadcast_to(colours, (HEIGHT, WIDTH, 3))
    path = put(tmp_path, samples, kind, depth, before, interlaced=interlaced)
    picture = load_picture(path)
    if covers is None:
        assert picture.alpha is None
        close(picture.pixels, colours)
    else:
        close(picture.alpha, covers)
        seen = covers >= 1 / 255
        close(picture.pixels[seen], colours[seen])
    assert own_size(path) == (HEIGHT, WIDTH)


def gamma(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def primaries(values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(x * 100_000) for x in values)))


def xyz_of(numbers):
    """The matrix from linear RGB to XYZ, of primaries and a white point given as x and y."""
    white, corners = numbers[:2], np.reshape(numbers[2:], (3, 2))
    columns = np.array([[x, y, 1 - x - y] for x, y in corners]).T
    point = np.array([white[0], white[1], 1 - sum(white)]) / white[1]
    return columns * np.linalg.solve(columns, point)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("exponent", [1.0, 1 / 1.8, 1 / 2.6])
def test_gamma(tmp_path, rng, exponent, depth):
    samples = made(rng, 2, depth)
    path = put(tmp_path, samples, 2, depth, gamma(exponent))
    close(load_image(path), encoded((samples / (2**depth - 1)) ** (1 / exponent)), atol=1 / 255 if depth == 8 else 3e-4)
    grey = made(rng, 0, depth)
    path = put(tmp_path, grey, 0, depth, gamma(exponent))
    expected = np.repeat(encoded((grey / (2**depth - 1)) ** (1 / exponent)), 3, 2)
    close(load_image(path), expected, atol=1e-4)


@pytest.mark.parametrize("depth", [8, 16])
def test_gamma_and_primaries(tmp_path, rng, depth):
    samples = made(rng, 2, depth)
    path = put(tmp_path, samples, 2, depth, gamma(1.0) + primaries(P3))
    linear = samples / (2**depth - 1) @ (np.linalg.inv(xyz_of(D65_SRGB)) @ xyz_of(P3)).T
    close(load_image(path), encoded(np.clip(linear, 0, 1)), atol=1.5 / 255 if depth == 8 else 2e-3)


@pytest.mark.parametrize(
    "before",
    [
        gamma(1 / 2.2),
        gamma(1 / 2.2) + primaries(D65_SRGB),
        primaries(P3),  # says nothing without a curve
        gamma(1.0) + chunk(b"sRGB", b"\0"),
        chunk(b"sRGB", b"\0") + gamma(1.0) + primaries(P3),
        gamma(0.0),
        gamma(0.00001),
        gamma(1 / 2.2) + primaries([0.1] * 8),
        gamma(1.0) + chunk(b"cICP", bytes([1, 13, 0, 1])),
        chunk(b"cICP", bytes([1, 1, 0, 1])),
    ],
)
def test_what_is_srgb_is_left_alone(tmp_path, rng, before):
    samples = made(rng, 2, 8)
    close(load_image(put(tmp_path, samples, 2, 8, before)), samples / 255)


def profile(gamma):
    return imagecodecs.cms_profile("rgb", gamma=gamma, whitepoint=tuple(D65_SRGB[:2]), primaries=D65_SRGB[2:])


@pytest.mark.parametrize("depth", [8, 16])
def test_a_profile_goes_before_gamma_and_cicp_before_both(tmp_path, rng, depth):
    samples = made(rng, 2, depth)
    x = samples / (2**depth - 1)
    icc = chunk(b"iCCP", b"linear\0\0" + zlib.compress(profile(1.0)))
    path = put(tmp_path, samples, 2, depth, gamma(1 / 1.4) + icc)
    close(load_image(path), encoded(x), atol=1 / 255 if depth == 8 else 3e-4)
    code = chunk(b"cICP", bytes([12, 13, 0, 1]))
    path = put(tmp_path, samples, 2, depth, code + icc + chunk(b"sRGB", b"\0"))
    linear = decoded(x) @ (np.linalg.inv(xyz_of(D65_SRGB)) @ xyz_of(P3)).T
    close(load_image(path), encoded(np.clip(linear, 0, 1)), atol=2 / 255 if depth == 8 else 2e-3)


def test_a_profile_that_does_not_fit_gives_way_to_gamma(tmp_path, rng):
    samples = made(rng, 2, 8)
    for bad in (b"nonsense", profile(1.4)[:200].replace(b"RGB ", b"CMYK")):
        icc = chunk(b"iCCP", b"odd\0\0" + zlib.compress(bad))
        close(load_image(put(tmp_path, samples, 2, 8, icc + gamma(1.0))), encoded(samples / 255), atol=1 / 255)


@pytest.mark.parametrize(("code", "word"), [([9, 16, 0, 1], "PQ"), ([9, 18, 0, 1], "HLG"), ([1, 1, 0, 0], "video")])
def test_high_dynamic_range_is_refused(tmp_path, rng, code, word):
    refused(put(tmp_path, made(rng, 2, 16), 2, 16, chunk(b"cICP", bytes(code))), word, "sRGB")


@pytest.mark.parametrize("place", ["before", "after"])
def test_exif_on_either_side_of_the_picture(tmp_path, rng, place):
    samples = made(rng, 2, 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    part = chunk(b"eXIf", exif.tobytes()[6:])
    path = put(tmp_path, samples, 2, 8, *((part, b"") if place == "before" else (b"", part)))
    close(load_image(path), np.rot90(samples, -1) / 255)
    assert own_size(path) == (WIDTH, HEIGHT)


def test_of_an_animation_the_picture_that_it_is_without(tmp_path, rng):
    frames = [Image.fromarray(made(rng, 2, 8).astype(np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], default_image=True)
    close(load_image(tmp_path / "a.png"), np.asarray(frames[0]) / 255)


@pytest.mark.parametrize(("kind", "depth"), [(0, 8), (2, 16), (6, 16), (3, 8), (0, 16)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_cut_short(tmp_path, rng, kind, depth, interlaced, part):
    before = chunk(b"PLTE", bytes(768)) if kind == 3 else b""
    whole = png(made(rng, kind, depth), kind, depth, before, interlaced=interlaced)
    path = tmp_path / "a.png"
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path, "cut short")


def test_data_that_is_damaged(tmp_path, rng):
    for kind, depth in ((2, 8), (2, 16), (6, 16)):
        whole = bytearray(png(made(rng, kind, depth), kind, depth))
        whole[whole.index(b"IDAT") + 30] ^= 0xFF
        (tmp_path / "a.png").write_bytes(whole)
        refused(tmp_path / "a.png", "damaged")


def test_nothing_is_printed(tmp_path, rng):
    """libpng would warn of these."""
    odd = gamma(7.0) + chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")) + chunk(b"tEXt", b"no key")
    samples = made(rng, 2, 16)
    names = []
    for name, data in {
        "a": png(samples, 2, 16, odd + chunk(b"tRNS", b"\0\0")),
        "b": png(samples, 2, 16, odd, interlaced=True),
        "c": png(samples, 2, 16)[:300],
    }.items():
        names.append(str(tmp_path / f"{name}.png"))
        (tmp_path / f"{name}.png").write_bytes(data)
    code = (
        "import sys\nfrom jaxstyle.pictures.read import load_image\nfrom jaxstyle.errors import InputError\n"
        "for path in sys.argv[1:]:\n    try:\n        load_image(path)\n    except InputError:\n        pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
