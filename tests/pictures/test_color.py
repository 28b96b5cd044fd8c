"""Colours: each transfer against a twin in NumPy and float64, CIELAB against the CIE's formulae and LittleCMS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxstyle import defaults
from jaxstyle.pictures import color as colors
from tiny import picture

STYLE, CONTENT = np.asarray(picture(1)), np.asarray(picture(2, 24, 28))
SAME = np.asarray(picture(3))  # of the size of `STYLE`


def srgb_to_xyz():
    """From the chromaticities of sRGB's primaries (IEC 61966-2-1) and the white D65 (CIE 15)."""
    primaries = np.array([[x / y, 1, (1 - x - y) / y] for x, y in ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))]).T
    return primaries * np.linalg.solve(primaries, [0.95047, 1, 1.08883])


def naive_lab(rgb):
    """CIE 15 and IEC 61966-2-1, one colour at a time."""
    matrix = srgb_to_xyz()
    found = []
    for color in np.asarray(rgb, np.float64).reshape(-1, 3):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        f = []
        for row in matrix:
            t = sum(m * c for m, c in zip(row, linear, strict=True)) / sum(row)
            f.append(t ** (1 / 3) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29)
        found.append([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
    return np.reshape(found, np.shape(rgb))


def cube(n=9):
    return np.stack(np.meshgrid(*[np.linspace(0, 1, n, dtype=np.float32)] * 3), -1).reshape(n, -1, 3)


def test_lab_is_that_of_the_cie():
    np.testing.assert_allclose(colors.rgb_to_lab(cube()), naive_lab(cube()), atol=2e-4)
    known = {  # of sRGB's corners
        (1, 1, 1): (100, 0, 0),
        (1, 0, 0): (53.2408, 80.0925, 67.2032),
        (0, 1, 0): (87.7347, -86.1827, 83.1793),
        (0, 0, 1): (32.2970, 79.1875, -107.8602),
    }
    np.testing.assert_allclose(colors.rgb_to_lab(np.float32([[*known]])), np.float32([[*known.values()]]), atol=0.02)


def test_lab_is_that_of_littlecms():
    image = np.round(cube() * 255).astype(np.uint8)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB", colorTemp=5000)
    found = ImageCms.profileToProfile(Image.fromarray(image), srgb, lab, outputMode="LAB")
    values = np.asarray(found).astype(np.float64)
    wanted = np.stack([values[..., 0] / 2.55, *(values[..., i].astype(np.uint8).astype(np.int8) for i in (1, 2))], -1)
    # Its white is D50, to which it adapts D65 (Bradford): lightness is nearly the same, greys have no colour in both.
    difference = np.asarray(colors.rgb_to_lab(image.astype(np.float32) / 255)) - wanted
    assert np.abs(difference[..., 0]).max() < 3 and np.abs(difference[..., 0]).mean() < 0.8
    grey = (image == image[..., :1]).all(-1)
    assert np.abs(difference[grey]).max() < 1


def test_rgb_to_lab_and_back():
    np.testing.assert_allclose(colors.lab_to_rgb(colors.rgb_to_lab(cube())), cube(), atol=2e-5)


def test_colours_that_srgb_does_not_have_keep_lightness_and_hue():
    rng = np.random.default_rng(0)
    lab = np.float32(rng.uniform([5, -120, -120], [95, 120, 120], (20, 30, 3)))
    rgb = np.asarray(colors.lab_to_rgb(lab))
    assert rgb.min() >= 0 and rgb.max() <= 1
    again = np.asarray(colors.rgb_to_lab(rgb))
    np.testing.assert_allclose(again[..., 0], lab[..., 0], atol=0.05)
    before, after = (np.hypot(x[..., 1], x[..., 2]) for x in (lab, again))
    assert (after <= before + 0.05).all() and (after < before - 1).mean() > 0.3
    seen = after > 5
    turned = np.angle(np.exp(1j * (np.arctan2(again[..., 2], again[..., 1]) - np.arctan2(lab[..., 2], lab[..., 1]))))
    assert np.abs(turned[seen]).max() < 0.02
    outside = np.float32([[[120, 0, 0], [-5, 3, 3]]])
    np.testing.assert_allclose(colors.lab_to_rgb(outside), [[[1, 1, 1], [0, 0, 0]]], atol=1e-3)


def test_lab_transfer_takes_lightness_from_one_and_colour_from_the_other():
    soft = 0.5 + 0.2 * (SAME - 0.5)  # so that all is within sRGB
    found = naive_lab(colors.lab_transfer(0.25 + 0.5 * STYLE, soft))
    np.testing.assert_allclose(found[..., 0], naive_lab(0.25 + 0.5 * STYLE)[..., 0], atol=1e-2)
    np.testing.assert_allclose(found[..., 1:], naive_lab(soft)[..., 1:], atol=1e-2)


def naive_luminance_transfer(image, content):
    """Each pixel's chrominance shrunk until all three channels are in range."""
    out = np.zeros(image.shape)
    for place in np.ndindex(*image.shape[:2]):
        y, own = (np.dot((0.299, 0.587, 0.114), x[place].astype(np.float64)) for x in (image, content))
        color = content[place].astype(np.float64) - own
        share = min([1.0, *((1 - y) / c for c in color if c > 0), *(y / -c for c in color if c < 0)])
        out[place] = y + share * color
    return out


def test_luminance_transfer():
    for image in (STYLE, 0.5 + 0.3 * (STYLE - 0.5), np.zeros_like(STYLE), np.ones_like(STYLE)):
        found = np.asarray(colors.luminance_transfer(image, SAME))
        np.testing.assert_allclose(found, naive_luminance_transfer(image, SAME), atol=2e-6)
        np.testing.assert_allclose(colors.luminance(found), colors.luminance(image), atol=1e-6)


@pytest.mark.parametrize("transfer", [colors.luminance_transfer, colors.lab_transfer, colors.match_colors])
def test_a_picture_keeps_its_own_colours(transfer):
    np.testing.assert_allclose(transfer(SAME, SAME), SAME, atol=2e-5)


def test_transfers_of_greys():
    grey = np.asarray(colors.grey(SAME))
    for transfer in (colors.luminance_transfer, colors.lab_transfer):
        np.testing.assert_allclose(transfer(STYLE, grey).std(-1), 0, atol=1e-5)
        assert np.isfinite(transfer(np.zeros_like(SAME), SAME)).all()


def moments(x):
    flat = np.asarray(x, np.float64).reshape(-1, 3)
    return flat.mean(0), np.cov(flat.T, bias=True)


def naive_match(style, content):
    def power(c, exponent):
        values, vectors = np.linalg.eigh(c)
        return vectors @ np.diag(values**exponent) @ vectors.T

    (mean, s), (wanted, c) = moments(style), moments(content)
    return (np.asarray(style, np.float64) - mean) @ (power(c, 0.5) @ power(s, -0.5)).T + wanted


def test_matched_styles_have_the_colours_of_the_content():
    content = 0.5 + 0.3 * (CONTENT[..., ::-1] - 0.5)
    matched = np.asarray(colors.match_colors(STYLE, content))
    assert matched.shape == STYLE.shape and matched.min() > 0 and matched.max() < 1  # so that nothing was clipped
    np.testing.assert_allclose(matched, naive_match(STYLE, content), atol=1e-5)
    for found, wanted in zip(moments(matched), moments(content), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    wide = np.asarray(colors.match_colors(STYLE, np.round(CONTENT)))
    np.testing.assert_allclose(wide, np.clip(naive_match(STYLE, np.round(CONTENT)), 0, 1), atol=1e-4)


def test_masks_say_whose_colours_are_matched():
    """A mask of ones and zeros is a crop; weights of 2 to 1 are pixels counted twice."""
    content, tame = 0.5 + 0.3 * (CONTENT - 0.5), 0.5 + 0.3 * (STYLE - 0.5)
    mask, part = (np.zeros(x.shape[:2], np.float32) for x in (content, tame))
    mask[2:11, 5:], part[:, :9] = 1, 1
    for match in (colors.match_colors, colors.match_luminance):
        found = match(tame, content, style_mask=part, mask=mask)
        np.testing.assert_allclose(found[:, :9], match(tame[:, :9], content[2:11, 5:]), atol=1e-5)
        faint = match(tame, content, style_mask=np.full_like(part, 0.5))
        np.testing.assert_allclose(faint, match(tame, content), atol=1e-5)
    twice = np.concatenate([content, content[:7]])
    mask[:7], mask[7:] = 1, 0.5
    found = colors.match_colors(tame, content, mask=mask)
    np.testing.assert_allclose(found, colors.match_colors(tame, twice), atol=1e-5)


def test_matching_of_pictures_without_colours():
    flat = np.full((20, 20, 3), 0.5, np.float32) * np.float32([1, 0.5, 0.2])
    noise = np.float32(np.random.default_rng(0).normal(size=(20, 20, 3)) * 1e-3)
    grey = np.asarray(colors.grey(STYLE))
    for style in (flat, flat + noise):  # the noise of a file is not blown up into colours
        np.testing.assert_allclose(
            colors.match_colors(style, CONTENT), np.broadcast_to(CONTENT.mean((0, 1)), style.shape), atol=1e-4
        )
    np.testing.assert_allclose(colors.match_colors(STYLE, flat), np.broadcast_to(flat[0, 0], STYLE.shape), atol=1e-4)
    np.testing.assert_allclose(colors.match_colors(STYLE, np.asarray(colors.grey(CONTENT))).std(-1), 0, atol=1e-4)
    toned = np.asarray(colors.match_colors(grey, 0.5 + 0.3 * (CONTENT - 0.5)))
    assert np.linalg.matrix_rank(moments(toned)[1], tol=1e-6) == 1  # one direction still, with the content's mean
    np.testing.assert_allclose(moments(toned)[0], moments(0.5 + 0.3 * (CONTENT - 0.5))[0], atol=1e-5)


def test_matched_luminance():
    wanted = colors.luminance(0.5 + 0.3 * (CONTENT - 0.5))
    matched = colors.match_luminance(STYLE, 0.5 + 0.3 * (CONTENT - 0.5))
    np.testing.assert_allclose([matched.mean(), matched.std()], [wanted.mean(), wanted.std()], atol=1e-5)
    assert (matched == matched[..., :1]).all()
    flat = colors.match_luminance(np.full_like(STYLE, 0.2), CONTENT)
    np.testing.assert_allclose(flat, colors.luminance(CONTENT).mean(), atol=1e-6)


@pytest.mark.slow
def test_colour_functions_are_pure():
    several = np.stack([STYLE, SAME])
    for function in (colors.luminance_transfer, colors.lab_transfer, colors.match_colors, colors.match_luminance):
        alone, lanes = jax.jit(function), jax.jit(jax.vmap(function, (0, None)))
        np.testing.assert_allclose(lanes(several, SAME), np.stack([alone(x, SAME) for x in several]), atol=1e-5)
        slope = jax.jit(jax.grad(lambda x: jnp.sum(function(x, jnp.asarray(SAME)) ** 2)))(jnp.asarray(STYLE))  # noqa: B023
        assert jnp.isfinite(slope).all()


def test_the_ways_to_colour_are_those_of_the_command_line():
    assert tuple(colors.COLORINGS) == defaults.COLORINGS and defaults.CONTENT_COLORING in colors.COLORINGS
