"""Colour profiles, made by hand from the ICC's format: each expected value is a closed form."""

import struct

import numpy as np
import pytest
from PIL import ImageCms

from jaxstyle.pictures.read import load_image, load_picture
from picture_files import close, grey, noise, put

pytestmark = pytest.mark.quick


def test_lab_greys(tmp_path):
    lightness = np.tile(np.linspace(0, 255, 30).round().astype(np.uint8), (20, 1))
    samples = np.stack([lightness, 0 * lightness, 0 * lightness], axis=2)
    path = put(tmp_path / "a.tif", samples, "LAB")
    expected = srgb_of_linear(luminance(lightness / 255 * 100))
    close(load_image(path), grey(expected), steps=2)


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
    close(load_image(path), samples / 255, steps=1)


def test_linear_profile_is_encoded(tmp_path, rng):
    samples = noise(rng)
    path = put(tmp_path / "a.png", samples, icc_profile=rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE))
    close(load_image(path), srgb_of_linear(samples / 255), steps=1)


def test_profile_with_red_and_green_exchanged(tmp_path, rng):
    samples = noise(rng)
    red, green, blue = SRGB_PRIMARIES
    path = put(tmp_path / "a.tif", samples, icc_profile=rgb_profile([green, red, blue], SRGB_CURVE))
    close(load_image(path), samples[..., [1, 0, 2]] / 255, steps=1)


def test_profile_and_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] |= 1
    path = put(tmp_path / "a.png", samples, icc_profile=rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE))
    picture = load_picture(path)
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
    close(load_image(path), srgb_of_linear(grey(value) / 255), steps=1)


def test_profile_of_a_sixteen_bit_grey(tmp_path, rng):
    samples = rng.integers(0, 65536, (20, 30)).astype(np.uint16)
    path = put(tmp_path / "a.png", samples, icc_profile=icc_profile(b"GRAY", {b"kTRC": LINEAR_CURVE}))
    close(load_image(path), srgb_of_linear(grey(samples) / 65535), steps=1)


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
    close(load_image(path), grey(srgb_of_linear(linear)), steps=1)


def test_white_stays_white_whatever_the_profile_calls_white(tmp_path, rng):
    samples = noise(rng)
    profile = rgb_profile(SRGB_PRIMARIES, SRGB_CURVE, white=(0.8, 0.9, 0.9))
    close(load_image(put(tmp_path / "a.png", samples, icc_profile=profile)), samples / 255, steps=1)


@pytest.mark.parametrize("profile", [b"nonsense", rgb_profile(SRGB_PRIMARIES, LINEAR_CURVE)[:300], ink_profile()])
def test_a_profile_that_is_broken_or_does_not_fit_is_ignored(tmp_path, rng, profile):
    samples = noise(rng)
    close(load_image(put(tmp_path / "a.png", samples, icc_profile=profile)), samples / 255)
