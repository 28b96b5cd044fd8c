"""Pictures read and written exactly: each expected value is a closed form, a naive twin, or the input."""

import ast
import errno
import hashlib
import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin

from jaxstyle import images
from jaxstyle.errors import InputError

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def noise(rng, height=20, width=30, channels=3):
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def put(path, samples, mode=None, **options):
    image = Image.fromarray(samples)
    if mode is not None:  # the same bytes under another name, such as CMYK
        image = Image.frombytes(mode, image.size, np.ascontiguousarray(samples).tobytes())
    image.save(path, **options)
    return path


def close(actual, expected, steps=0.0):
    """Equal to within `steps` of 8 bits, and to float32 rounding if `steps` is 0."""
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=steps / 255 + 2e-7)


def refused(call, *words):
    """`call` raises an `InputError` of one plain line in which every word stands."""
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert line.isprintable(), line
    for word in words:
        assert str(word) in line
    return line


def grey(samples):
    return np.repeat(samples[..., None], 3, axis=2)


# Modes


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".ppm", ".jp2"])
def test_rgb_is_read_exactly(tmp_path, rng, suffix):
    samples = noise(rng)
    picture = images.load_picture(put(tmp_path / f"a{suffix}", samples))
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
        close(images.load_image(tmp_path / name), first / 255, steps=1)


def test_a_picture_knows_its_file(tmp_path, rng):
    path = put(tmp_path / "a.tif", noise(rng), compression="tiff_lzw")
    picture = images.load_picture(path)
    assert picture.path == str(path)
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(images.load_image(str(path)), picture.pixels)


def test_eight_bit_grey(tmp_path, rng):
    samples = noise(rng, channels=1)
    close(images.load_image(put(tmp_path / "a.png", samples)), grey(samples) / 255)


def test_grey_with_alpha(tmp_path, rng):
    samples = noise(rng, channels=2)
    samples[..., 1] |= 1
    picture = images.load_picture(put(tmp_path / "a.png", samples, "LA"))
    close(picture.pixels, grey(samples[..., 0]) / 255)
    close(picture.alpha, samples[..., 1] / 255)


def test_grey_with_one_value_transparent(tmp_path):
    samples = np.full((20, 30), 200, np.uint8)
    samples[:, :10] = 50
    picture = images.load_picture(put(tmp_path / "a.png", samples, transparency=50))
    close(picture.alpha, samples == 200)
    close(picture.pixels, np.full((20, 30, 3), 200 / 255))


def test_one_bit(tmp_path, rng):
    bits = rng.integers(0, 2, (20, 30)).astype(bool)
    path = tmp_path / "a.png"
    Image.fromarray(bits).save(path)
    assert Image.open(io.BytesIO(path.read_bytes())).mode == "1"
    close(images.load_image(path), grey(bits.astype(np.float32)))


@pytest.mark.parametrize("transparency", [None, 2, b"\xff\x80\x00\xff"], ids=["none", "index", "table"])
def test_palette(tmp_path, rng, transparency):
    colours = np.array([[255, 0, 0], [0, 250, 10], [7, 8, 9], [200, 100, 50]], np.uint8)
    index = rng.integers(0, 4, (20, 30), dtype=np.uint8)
    image = Image.frombytes("P", (30, 20), index.tobytes())
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    picture = images.load_picture(tmp_path / "a.png")
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
    close(images.load_image(put(tmp_path / f"a{suffix}", samples)), grey(samples) / 65535)


def test_sixteen_bit_grey_of_the_other_byte_order(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30)).astype(">u2")
    path = put(tmp_path / "a.tif", samples, "I;16B")
    close(images.load_image(path), grey(samples) / 65535)


def test_sixteen_bit_grey_with_one_value_transparent(tmp_path):
    samples = np.full((20, 30), 40000, np.uint16)
    samples[:5] = 300
    picture = images.load_picture(put(tmp_path / "a.png", samples, transparency=300))
    close(picture.alpha, samples == 40000)
    close(picture.pixels, np.full((20, 30, 3), 40000 / 65535))


def test_sixteen_bit_colour_is_read_to_eight_bits(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    (tmp_path / "a.png").write_bytes(png_file(30, 20, rows, depth=16))
    close(images.load_image(tmp_path / "a.png"), samples / 65535, steps=1)


def test_float_grey(tmp_path, rng):
    samples = rng.random((20, 30), dtype=np.float32)
    close(images.load_image(put(tmp_path / "a.tif", samples)), grey(samples))


@pytest.mark.parametrize("value", [np.nan, np.inf, 255.0, -0.5])
def test_float_off_its_scale_is_refused(tmp_path, value):
    samples = np.full((20, 30), 0.5, np.float32)
    samples[3, 4] = value
    path = put(tmp_path / "a.tif", samples)
    refused(lambda: images.load_image(path), path, "0 to 1")


def test_32_bit_integers_are_refused(tmp_path):
    path = put(tmp_path / "a.tif", np.full((20, 30), 100, np.int32))
    refused(lambda: images.load_image(path), path, "32-bit", "16 bits")


def test_cmyk_without_a_profile(tmp_path, rng):
    samples = noise(rng, channels=4)
    path = put(tmp_path / "a.tif", samples, "CMYK")
    ink = samples / 255
    close(images.load_image(path), (1 - ink[..., :3]) * (1 - ink[..., 3:]), steps=1)


def test_cmyk_jpeg(tmp_path):
    """Adobe's JPEGs store ink upside down: the file made by Pillow does, and must not come out negative."""
    samples = np.tile(np.array([30, 100, 200, 20], np.uint8), (32, 32, 1))
    path = put(tmp_path / "a.jpg", samples, "CMYK", quality=100)
    ink = samples / 255
    close(images.load_image(path), (1 - ink[..., :3]) * (1 - ink[..., 3:]), steps=4)


def test_lab_greys(tmp_path):
    lightness = np.tile(np.linspace(0, 255, 30).round().astype(np.uint8), (20, 1))
    samples = np.stack([lightness, 0 * lightness, 0 * lightness], axis=2)
    path = put(tmp_path / "a.tif", samples, "LAB")
    expected = srgb_of_linear(luminance(lightness / 255 * 100))
    close(images.load_image(path), grey(expected), steps=2)


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
    close(images.load_image(path), shown_from_stored(stored, orientation) / 255)


def test_exif_turns_alpha_too_and_the_long_side(tmp_path, rng):
    stored = noise(rng, channels=4)
    stored[..., 3] |= 1
    exif = Image.Exif()
    exif[0x0112] = 6
    path = put(tmp_path / "a.png", stored, exif=exif)
    picture = images.load_picture(path)
    close(picture.alpha, shown_from_stored(stored[..., 3], 6) / 255)
    assert images.load_image(path, size=60).shape == (60, 40, 3)


def test_broken_exif_is_ignored(tmp_path, rng):
    stored = noise(rng)
    path = put(tmp_path / "a.png", stored, exif=b"Exif\0\0garbage")
    close(images.load_image(path), stored / 255)


# Colour profiles, made by hand from the ICC's format


def srgb_of_linear(value):
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)


def luminance(lightness):
    """Y of CIE L*, 0 to 100."""
    return np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)


def fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


SRGB_CURVE = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
LINEAR_CURVE = b"para" + bytes(4) + struct.pack(">HH", 0, 0) + fixed(1.0)
SRGB_PRIMARIES = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]


def icc_profile(space, tags, version=4, kind=b"mntr", connection=b"XYZ "):
    """The bytes of an ICC profile: a header of 128, the table of tags, the tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        data += bytes(-len(data) % 4)
        table += signature + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4sI", start + len(body), bytes(4), version << 24) + kind + space + connection
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + table + body


def rgb_profile(primaries, curve, white=(0.9642, 1, 0.8249)):
    def xyz(values):
        return b"XYZ " + bytes(4) + fixed(*values)

    tags = {b"wtpt": xyz(white)}
    for letter, values in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = xyz(values)
        tags[bytes([letter]) + b"TRC"] = curve
    return icc_profile(b"RGB ", tags)


def ink_profile(darkest=0):
    """CMYK by a 2-a-side table: L* from `darkest` to 100 with (1 - C) (1 - K), magenta and yellow unseen."""
    corners = [(c, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    light = [100 if (1 - c) * (1 - k) else darkest for c, k in corners]
    table = [word for value in light for word in (round(value / 100 * 0xFF00), 0x8000, 0x8000)]
    straight = [0, 0xFFFF]
    words = straight * 4 + table + straight * 3
    data = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    data += struct.pack(">HH", 2, 2) + struct.pack(f">{len(words)}H", *words)
    return icc_profile(b"CMYK", {b"A2B0": data, b"A2B1": data}, version=2, kind=b"scnr", connection=b"Lab ")


@pytest.mark.parametrize("own", [True, False], ids=["pillow", "handmade"])
def test_srgb_profile_changes_nothing(tmp_path, rng, own):
    samples = noise(rng)
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = made if own else rgb_profile(SRGB_PRIMARIES, SRGB_CURVE)
    path = put(tmp_path / "a.png", samples, icc_profile=profile)
    close(images.load_image(path), samples / 255, steps=1)


def test_linear_profile_is_encoded(tmp_path, rng):
    samples = noise(rng)
    path = put(tmp_path / "a.png", samples, icc_profile=rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE))
    close(images.load_image(path), srgb_of_linear(samples / 255), steps=1)


def test_profile_with_red_and_green_exchanged(tmp_path, rng):
    samples = noise(rng)
    red, green, blue = SRGB_PRIMARIES
    path = put(tmp_path / "a.tif", samples, icc_profile=rgb_profile([green, red, blue], SRGB_CURVE))
    close(images.load_image(path), samples[..., [1, 0, 2]] / 255, steps=1)


def test_profile_and_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] |= 1
    path = put(tmp_path / "a.png", samples, icc_profile=rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE))
    picture = images.load_picture(path)
    close(picture.pixels, srgb_of_linear(samples[..., :3] / 255), steps=1)
    close(picture.alpha, samples[..., 3] / 255)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("space", ["grey", "colour"])
def test_profile_of_a_grey_picture(tmp_path, rng, space, channels):
    samples = noise(rng, channels=channels) | 1
    profile = rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE)
    if space == "grey":
        profile = icc_profile(b"GRAY", {b"kTRC": LINEAR_CURVE})
    path = put(tmp_path / "a.png", samples, "LA" if channels == 2 else "L", icc_profile=profile)
    value = samples[..., 0] if channels == 2 else samples
    close(images.load_image(path), srgb_of_linear(grey(value) / 255), steps=1)


def test_profile_of_a_sixteen_bit_grey(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30)).astype(np.uint16)
    path = put(tmp_path / "a.png", samples, icc_profile=icc_profile(b"GRAY", {b"kTRC": LINEAR_CURVE}))
    close(images.load_image(path), srgb_of_linear(grey(samples) / 65535), steps=1)


@pytest.mark.parametrize("darkest", [0, 20])
def test_cmyk_with_a_profile(tmp_path, rng, darkest):
    """The darkest ink, grey on paper, is black on screen: XYZ is stretched (black point compensation)."""
    samples = noise(rng, channels=4)
    samples[..., 1:3] = 0
    path = put(tmp_path / "a.tif", samples, "CMYK", icc_profile=ink_profile(darkest))
    ink = samples / 255
    paper = (1 - ink[..., 0]) * (1 - ink[..., 3])
    low = luminance(np.float64(darkest))
    linear = (luminance(darkest + (100 - darkest) * paper) - low) / (1 - low)
    close(images.load_image(path), grey(srgb_of_linear(linear)), steps=1)


def test_white_stays_white_whatever_the_profile_calls_white(tmp_path, rng):
    samples = noise(rng)
    profile = rgb_profile(SRGB_PRIMARIES, SRGB_CURVE, white=(0.8, 0.9, 0.9))
    close(images.load_image(put(tmp_path / "a.png", samples, icc_profile=profile)), samples / 255, steps=1)


@pytest.mark.parametrize("profile", [b"nonsense", rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE)[:300], ink_profile()])
def test_a_profile_that_is_broken_or_does_not_fit_is_ignored(tmp_path, rng, profile):
    samples = noise(rng)
    close(images.load_image(put(tmp_path / "a.png", samples, icc_profile=profile)), samples / 255)


# Resizing


def lanczos_twin(image, height, width):
    """Every output value as the normalised sum over every input value, in float64."""

    def weights(old, new):
        stretch = max(old / new, 1)
        centres = (np.arange(new) + 0.5) * old / new
        x = (np.arange(old) + 0.5 - centres[:, None]) / stretch
        table = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        return table / table.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("ih,jw,hw...->ij...", rows, columns, image.astype(np.float64))


SHAPES = [(7, 11), (20, 30), (47, 61), (13, 64), (1, 1)]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_resize_is_lanczos(rng, height, width):
    image = rng.random((20, 30, 3), dtype=np.float32)
    resized = images.resize(image, height, width)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.clip(lanczos_twin(image, height, width), 0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_a_constant_stays_constant(height, width):
    image = np.tile(np.float32([0.1, 0.5, 1.0]), (20, 30, 1))
    close(images.resize(image, height, width), np.broadcast_to(image[:1, :1], (height, width, 3)))


def test_shrinking_does_not_alias():
    checks = np.indices((64, 64)).sum(axis=0) % 2
    shrunk = images.resize(grey(checks.astype(np.float32)), 16, 16)
    np.testing.assert_allclose(shrunk[4:-4, 4:-4], 0.5, atol=0.01)


def test_resize_stays_in_range():
    step = np.zeros((20, 30, 3), np.float32)
    step[:, 15:] = 1
    resized = images.resize(step, 40, 60)
    assert lanczos_twin(step, 40, 60).max() > 1.01
    assert resized.min() == 0
    assert resized.max() == 1


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((20, 30), 60, (40, 60)),
        ((30, 20), 60, (60, 40)),
        ((100, 298), 100, (34, 100)),
        ((298, 100), 100, (100, 34)),
        ((40, 40), 16, (16, 16)),
        ((33, 47), 47, (33, 47)),
    ],
)
def test_size_is_the_long_side(tmp_path, rng, shape, size, expected):
    samples = noise(rng, *shape)
    loaded = images.load_image(put(tmp_path / "a.png", samples), size)
    assert loaded.shape == (*expected, 3)
    twin = np.clip(lanczos_twin(samples / 255, *expected), 0, 1)
    np.testing.assert_allclose(loaded, twin, rtol=0, atol=1e-5)


# Alpha


@pytest.mark.parametrize("size", [None, 17, 40, 90])
def test_no_fringe_from_hidden_colours(tmp_path, size):
    """A soft red disc on transparent black is red everywhere, at any size."""
    y, x = np.indices((40, 40)) - 19.5
    alpha = np.clip(12 - np.hypot(x, y), 0, 1)
    samples = np.zeros((40, 40, 4), np.uint8)
    samples[..., 3] = np.rint(alpha * 255)
    samples[..., 0] = np.where(samples[..., 3] > 0, 255, 0)
    picture = images.load_picture(put(tmp_path / "a.png", samples), size)
    side = size or 40
    red = np.broadcast_to(np.float32([1, 0, 0]), (side, side, 3))
    np.testing.assert_allclose(picture.pixels, red, rtol=0, atol=1e-3)
    twin = np.clip(lanczos_twin(samples[..., 3] / 255, side, side), 0, 1)
    np.testing.assert_allclose(picture.alpha, twin, rtol=0, atol=1e-5)


def test_resizing_weighs_colours_by_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] |= 64
    picture = images.load_picture(put(tmp_path / "a.png", samples), size=24)
    colour, alpha = samples[..., :3] / 255, samples[..., 3:] / 255
    cover = lanczos_twin(alpha, 16, 24)
    twin = np.clip(lanczos_twin(colour * alpha, 16, 24) / cover, 0, 1)
    np.testing.assert_allclose(picture.pixels, twin, rtol=0, atol=1e-5)
    np.testing.assert_allclose(picture.alpha, np.clip(cover[..., 0], 0, 1), rtol=0, atol=1e-5)


def test_what_can_hardly_be_seen_is_near_the_mean(tmp_path, rng):
    """Lanczos rings outside a hard edge, where colour over alpha would be anything."""
    samples = noise(rng, 40, 40, 4)
    samples[..., 3] = np.where(np.hypot(*(np.indices((40, 40)) - 19.5)) < 12, 255, 0)
    seen = samples[samples[..., 3] > 0][:, :3] / 255
    picture = images.load_picture(put(tmp_path / "a.png", samples), 97)
    far = np.abs(picture.pixels - seen.mean(axis=0)).max(axis=2)
    faint = picture.alpha < 1 / 255
    assert np.count_nonzero(faint & (picture.alpha > 0)) > 20
    farthest = np.maximum(seen.mean(axis=0), 1 - seen.mean(axis=0)).max()
    assert np.all(far[faint] <= farthest * picture.alpha[faint] * 255 + 1e-5)


def test_hidden_colours_become_the_mean_of_the_visible(tmp_path):
    samples = np.zeros((30, 20, 4), np.uint8)
    samples[:10] = (200, 40, 0, 255)
    samples[10:20] = (100, 240, 0, 51)
    samples[20:] = (9, 9, 255, 0)
    picture = images.load_picture(put(tmp_path / "a.png", samples))
    mean = (np.array([200, 40, 0]) + 0.2 * np.array([100, 240, 0])) / 1.2 / 255
    close(picture.pixels[20:], np.broadcast_to(mean, (10, 20, 3)))
    close(picture.pixels[:20], samples[:20, :, :3] / 255)


def test_opaque_alpha_is_no_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] = 255
    picture = images.load_picture(put(tmp_path / "a.png", samples))
    assert picture.alpha is None
    close(picture.pixels, samples[..., :3] / 255)


# Writing


def every_level():
    return np.tile(np.arange(256, dtype=np.float32)[:, None, None] / 255, (1, 16, 3)) * np.float32([1, 1, 1])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
def test_what_is_saved_is_what_is_loaded(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    images.save_image(path, every_level())
    close(images.load_image(path), every_level())
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(("suffix", "steps"), [(".jpg", 2), (".jpeg", 2), (".webp", 8)])
def test_lossy_formats_are_near(tmp_path, suffix, steps):
    images.save_image(tmp_path / f"a{suffix}", every_level())
    close(images.load_image(tmp_path / f"a{suffix}"), every_level(), steps=steps)


def test_jpeg_keeps_full_colour_at_quality_95(tmp_path, rng):
    images.save_image(tmp_path / "a.jpg", noise(rng) / 255)
    put(tmp_path / "b.jpg", noise(rng), quality=95)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as theirs:
        assert JpegImagePlugin.get_sampling(ours) == 0
        assert ours.quantization == theirs.quantization


def test_values_are_rounded_and_clipped(tmp_path):
    values = np.float64([-0.5, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1.5])
    images.save_image(tmp_path / "a.png", np.tile(values[:, None, None], (1, 4, 3)))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image)[:, 0, 0].tolist() == [0, 0, 1, 254, 255, 255]


def test_png_says_that_it_is_srgb(tmp_path):
    images.save_image(tmp_path / "a.png", every_level())
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["srgb"] == 0
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_comes_back(tmp_path, rng, suffix):
    samples = noise(rng, channels=4)
    samples[:3, :, 3] = 0
    first = images.load_picture(put(tmp_path / f"a{suffix}", samples))
    images.save_image(tmp_path / f"b{suffix}", first.pixels, alpha=first.alpha)
    second = images.load_picture(tmp_path / f"b{suffix}")
    close(second.alpha, samples[..., 3] / 255)
    seen = samples[..., 3] > 0
    close(second.pixels[seen], (samples[..., :3] / 255)[seen])


def test_webp_keeps_alpha_and_jpeg_lies_on_white(tmp_path):
    image = np.tile(np.float32([1, 0, 0]), (32, 32, 1))
    alpha = np.full((32, 32), 51 / 255)
    alpha[16:] = 1
    images.save_image(tmp_path / "a.webp", image, alpha=alpha)
    close(images.load_picture(tmp_path / "a.webp").alpha, alpha)
    images.save_image(tmp_path / "a.jpg", image, alpha=alpha)
    flat = images.load_picture(tmp_path / "a.jpg")
    assert flat.alpha is None
    close(flat.pixels, np.where(alpha[..., None] == 1, image, [1, 0.8, 0.8]), steps=4)


RECORD = {"size": 512, "loss": 0.1 + 0.2, "styles": ["é\n.jpg"], "nested": {"b": 1, "a": None}, "on": True}


@pytest.mark.parametrize("suffix", images.WRITE_FORMATS)
def test_record_comes_back(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    images.save_image(path, every_level(), RECORD)
    assert images.read_record(path) == RECORD
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == RECORD
    assert list(json.loads(text)) == list(RECORD)  # in its own order
    assert len(text.splitlines()) > len(RECORD)
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, "a.json"])


def test_record_is_inside_the_png(tmp_path):
    images.save_image(tmp_path / "a.png", every_level(), RECORD)
    (tmp_path / "a.json").write_text('{"another": "record"}')
    assert images.read_record(tmp_path / "a.png") == RECORD
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["jaxstyle"]) == RECORD


def test_a_record_never_loses_the_picture(tmp_path):
    record = {
        "a": np.float32(0.5),
        "b": np.arange(3),
        4: float("nan"),
        "p": Path("x"),
        "t": (1, float("inf")),
    }
    images.save_image(tmp_path / "a.png", every_level(), record)
    plain = {"a": 0.5, "b": [0, 1, 2], "4": None, "p": "x", "t": [1, None]}
    assert images.read_record(tmp_path / "a.png") == plain
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == plain


def test_damaged_record_inside_falls_back_to_the_one_beside(tmp_path, rng):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("jaxstyle", "{not json")
    put(tmp_path / "a.png", noise(rng), pnginfo=chunks)
    refused(lambda: images.read_record(tmp_path / "a.png"), tmp_path / "a.png", "no record")
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert images.read_record(tmp_path / "a.png") == {"a": 1}


@pytest.mark.parametrize("content", [None, "[1, 2]", "{", ""])
def test_no_record(tmp_path, content):
    images.save_image(tmp_path / "a.png", every_level())
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    for name in ("a.png", "absent.png", "."):
        refused(lambda name=name: images.read_record(tmp_path / name), tmp_path / name, "no record")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["encode", "rename"])
@pytest.mark.parametrize("suffix", images.WRITE_FORMATS)
def test_a_failed_write_leaves_the_old_files(tmp_path, monkeypatch, failure, where, suffix):
    path = tmp_path / f"a{suffix}"
    images.save_image(path, every_level(), {"run": 1})
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
        images.save_image(path, 1 - every_level(), {"run": 2})
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    images.save_image(tmp_path / "a.png", every_level(), RECORD)
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
    refused(lambda: images.save_image(path, image, RECORD, alpha), path, word)
    assert os.listdir(tmp_path) == []


# What cannot be read


def png_file(width, height, rows, depth=8):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty", "0 bytes"]),
        (b"Dear reader,\nthis is no picture.\n" * 50, ["not a picture", "PNG", "JPEG"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", ["not a picture"]),
        (png_file(20_000, 20_000, b""), ["20000 x 20000", "200000000"]),
        (png_file(65_000, 65_000, b""), ["too many pixels", "200000000"]),
        (png_file(15, 40, b"".join(b"\0" + bytes(45) for _ in range(40))), ["15 x 40", "16"]),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, words):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    before = Image.MAX_IMAGE_PIXELS
    refused(lambda: images.load_image(path), path, *words)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp", ".ppm", ".avif", ".jp2"])
@pytest.mark.parametrize("part", [0.02, 0.4, 0.8])
def test_a_truncated_file_is_refused(tmp_path, rng, suffix, part):
    whole = put(tmp_path / f"whole{suffix}", noise(rng, 64, 64)).read_bytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(lambda: images.load_image(path), path, "cut short")


def test_a_missing_file_names_the_nearest(tmp_path, rng):
    put(tmp_path / "sunset.png", noise(rng))
    refused(lambda: images.load_image(tmp_path / "sunest.png"), "sunest.png", "does not exist", "'sunset.png'")
    refused(lambda: images.load_image(tmp_path / "no" / "such.png"), "such.png", "does not exist")


def test_a_directory_or_a_pipe_is_refused(tmp_path):
    refused(lambda: images.load_image(tmp_path), tmp_path, "a directory")
    os.mkfifo(tmp_path / "pipe.png")
    refused(lambda: images.load_image(tmp_path / "pipe.png"), "pipe.png", "not a plain file")


def test_an_unreadable_file_is_refused(tmp_path, rng, monkeypatch):
    path = put(tmp_path / "a.png", noise(rng))

    def denied(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(images, "open", denied, raising=False)  # as root no file is unreadable
    refused(lambda: images.load_image(path), path, "Permission denied")


def test_a_name_with_line_breaks_still_gives_one_line(tmp_path):
    refused(lambda: images.load_image(tmp_path / "two\nlines\x1b.png"), "two\\nlines\\x1b.png")
    refused(lambda: images.check_writable(tmp_path / "two\nlines.tx"), "two\\nlines")
    refused(lambda: images.load_image(""), "''")


def test_a_fully_transparent_picture_is_refused(tmp_path):
    path = put(tmp_path / "a.png", np.zeros((20, 20, 4), np.uint8))
    refused(lambda: images.load_image(path), path, "transparent")


def test_our_limit_of_pixels_holds_and_not_pillows(tmp_path, rng, monkeypatch):
    path = put(tmp_path / "a.png", noise(rng, 20, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert images.load_image(path).shape == (20, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setattr(images, "MAX_PIXELS", 599)
    refused(lambda: images.load_image(path), path, "30 x 20", "599")
    monkeypatch.setattr(images, "MAX_PIXELS", 600)
    assert images.load_image(path).shape == (20, 30, 3)


@pytest.mark.parametrize("size", [15, 0, -5, 16385, True, 64.0, "64\n", float("nan")])
def test_a_wrong_size_is_refused(size):
    refused(lambda: images._check_size(size), repr(size), "16", "16384")


def test_too_small_once_resized(tmp_path, rng):
    path = put(tmp_path / "a.png", noise(rng, 20, 200))
    refused(lambda: images.load_image(path, 100), path, "100 x 10", "at least 16")
    refused(lambda: images.load_image(path, 8), "8", "16")
    assert images.load_image(path, 160).shape == (16, 160, 3)
    tiny = put(tmp_path / "b.png", noise(rng, 4, 4))
    refused(lambda: images.load_image(tiny), tiny, "4 x 4", "at least 16")
    assert images.load_image(tiny, 16).shape == (16, 16, 3)


# What cannot be written


def test_check_writable_leaves_nothing(tmp_path):
    for suffix in images.WRITE_FORMATS:
        images.check_writable(tmp_path / f"a{suffix}")
        images.check_writable(str(tmp_path / f"a{suffix.upper()}"))
    assert os.listdir(tmp_path) == []


def test_check_writable_keeps_what_is_there(tmp_path):
    images.save_image(tmp_path / "a.png", every_level(), RECORD)
    images.check_writable(tmp_path / "a.png")
    assert images.read_record(tmp_path / "a.png") == RECORD
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
    refused(lambda: images.check_writable(tmp_path / name), *words)
    refused(lambda: images.save_image(tmp_path / name, every_level()), *words)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_check_writable_tries_the_directory(tmp_path, monkeypatch, code):
    def fails(path, data):
        path.touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", fails)  # as root no directory is closed
    refused(lambda: images.check_writable(tmp_path / "a.png"), tmp_path / "a.png", os.strerror(code))
    assert os.listdir(tmp_path) == []


def test_reading_pictures_needs_no_jax_and_prints_nothing():
    tree = ast.parse(Path(images.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in names if name.split(".")[0] in ("jax", "flax", "optax")}
    assert {name for name in names if name.startswith("jaxstyle")} == {"jaxstyle.errors", "jaxstyle.files"}
    assert "print" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
