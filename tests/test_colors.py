"""Colours: each transfer against a twin in NumPy and float64, CIELAB against the CIE's formulae and LittleCMS."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commandline import SHALLOW, listing, refused
from PIL import Image, ImageCms
from tiny import compilations, picture

import jaxstyle
from jaxstyle import colors, defaults
from jaxstyle.images import load_image, read_record, resize

STYLE, CONTENT = np.asarray(picture(1)), np.asarray(picture(2, 24, 28))
SAME = np.asarray(picture(3))  # of the size of `STYLE`
PLAIN = ("--size", "48", "--min-size", "48", "--steps", "3", "--quiet")
QUICK = (*PLAIN, *SHALLOW)
SWEPT = (*PLAIN, "--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")


def naive_lab(rgb):
    """CIE 15 and IEC 61966-2-1, one colour at a time."""
    found = []
    for color in np.asarray(rgb, np.float64).reshape(-1, 3):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
        f = []
        for row in colors.TO_XYZ:
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


def test_colour_functions_are_pure():
    several = np.stack([STYLE, SAME])
    for function in (colors.luminance_transfer, colors.lab_transfer, colors.match_colors, colors.match_luminance):
        alone, lanes = jax.jit(function), jax.jit(jax.vmap(function, (0, None)))
        np.testing.assert_allclose(lanes(several, SAME), np.stack([alone(x, SAME) for x in several]), atol=1e-5)
        slope = jax.jit(jax.grad(lambda x: jnp.sum(function(x, jnp.asarray(SAME)) ** 2)))(jnp.asarray(STYLE))  # noqa: B023
        assert jnp.isfinite(slope).all()


def test_the_ways_to_colour_are_those_of_the_command_line():
    assert tuple(colors.COLORINGS) == defaults.COLORINGS and defaults.CONTENT_COLORING in colors.COLORINGS


# ------------------------------------------------------------------------------------------------ the command line


def on_disk(path):
    return np.asarray(Image.open(path), np.float32) / 255


@pytest.mark.parametrize("color", defaults.COLORINGS[1:])
def test_transfer_in_the_contents_colours(color, call, folder: Path):
    said = call("transfer", "c.png", "s.png", "-o", "a.png", "--color", color, "--save-every", "2", *QUICK)
    assert said.code == 0, said
    assert read_record(folder / "a.png")["settings"]["color"] == color
    content, style, how = load_image("c.png", 48), load_image("s.png", 48), colors.COLORINGS[color]
    layers = {"content_layers": ("relu2_1",), "style_layers": ("relu1_1", "relu2_1")}
    network = jaxstyle.load_network("compact")
    options = {"network": network, "objective": jaxstyle.Objective(**layers), "min_size": 48, "steps": 3}
    result = jaxstyle.transfer(np.asarray(how.content(content)), np.asarray(how.style(style, content)), **options)
    np.testing.assert_allclose(on_disk("a.png"), how.finish(result.image, content), atol=0.51 / 255)
    again = call(
        "transfer", "--from", "a.png", "-o", "b.png", "--init", "content", "--quiet", "--size", "48", "--min-size", "48"
    )
    assert again.code == 0, again
    np.testing.assert_array_equal(on_disk("a.png"), on_disk("b.png"))
    if color == "luminance":  # pictures on the way are coloured alike: their chrominance is the content's direction
        way = on_disk("a_00002.png")
        assert way.shape == content.shape and not np.allclose(way, on_disk("a.png"), atol=1e-3)
        np.testing.assert_allclose(way, colors.luminance_transfer(way, content), atol=2 / 255)


@pytest.mark.slow
def test_pictures_of_coarser_scales_are_coloured_too(call, folder: Path):
    options = ("--size", "48", "--min-size", "24", "--steps", "1", "--quiet", *SHALLOW)
    said = call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "luminance", "--save-every", "1", *options)
    assert said.code == 0, said
    way, content = on_disk("a_00001.png"), load_image("c.png", 48)
    assert way.shape[1] == 24
    np.testing.assert_allclose(way, colors.luminance_transfer(way, resize(content, *way.shape[:2])), atol=2 / 255)


def test_colour_is_an_axis_of_a_sweep(call, folder: Path):
    colorings = ("style", "luminance", "lab", "match")
    options = ("--style-weight", "5", "50", "--seed", "3")
    said = call("sweep", "c.png", "s.png", "-o", "d", "--color", *colorings, *options, *SWEPT)
    assert said.code == 0, said
    for i, color in enumerate(colorings):
        assert read_record(f"d/cell_{i}_1.png")["settings"]["color"] == color
    cells = json.loads((folder / "d/sweep.json").read_text())["cells"]
    assert "--color lab" in cells[5]["command"] and "--color" not in cells[1]["command"]
    for color, i in (("match", 3), ("luminance", 1)):
        extra = ("--color", color, "--style-weight", "50", "--seed", "3")
        assert call("transfer", "c.png", "s.png", "-o", "a.png", *extra, *QUICK).code == 0
        np.testing.assert_allclose(on_disk("a.png"), on_disk(f"d/cell_{i}_1.png"), atol=2 / 255)


def test_each_region_has_the_colours_of_its_own_part(call, folder: Path):
    """Of a content with a red and a blue half, each style gets those of its half."""
    pixels = np.random.default_rng(0).integers(0, 60, (48, 64, 3)).astype(np.uint8)
    pixels[:, :32, 0] += 150
    pixels[:, 32:, 2] += 150
    Image.fromarray(pixels).save("e.png")
    halves = np.repeat(np.uint8([[255] * 32 + [0] * 32, [0] * 32 + [255] * 32])[:, None], 48, 1)
    for name, half in zip(("left.png", "right.png"), halves, strict=True):
        Image.fromarray(half).save(name)
    options = ("--masks", "left.png", "right.png", "--color", "match", "--init", "noise", "--content-weight", "0")
    assert call("transfer", "e.png", "s.png", "s.png", "-o", "a.png", *options, *QUICK, "--steps", "60").code == 0
    means = np.asarray(on_disk("a.png")).reshape(36, 2, 24, 3).mean((0, 2))
    assert means[0, 0] > 1.5 * means[0, 2] and means[1, 2] > 1.5 * means[1, 0], means


def test_colour_of_several_contents(call, folder: Path):
    """A style matched to each content is not one that lanes share."""
    Image.fromarray(np.asarray(Image.open("c.png"))[::-1, :, ::-1].copy()).save("e.png")
    said = call("sweep", "c.png", "s.png", "-o", "d", "--contents", "e.png", "--color", "match", *SWEPT)
    assert said.code == 0, said
    assert call("transfer", "e.png", "s.png", "-o", "a.png", "--color", "match", *QUICK).code == 0
    np.testing.assert_allclose(on_disk("a.png"), on_disk("d/cell_1.png"), atol=2 / 255)


def test_content_is_the_way_that_suits_most_and_wrong_words_are_refused(call, folder: Path):
    assert call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "content", *QUICK).code == 0
    assert read_record("a.png")["settings"]["color"] == defaults.CONTENT_COLORING
    before = listing(folder)
    refused(call("transfer", "c.png", "s.png", "-o", "b.png", "--color", "labb"), 2, "--color", "'labb'", "'lab'")
    assert listing(folder) == before


def test_colour_needs_no_programs_of_its_own(call, folder: Path):
    assert call("transfer", "c.png", "s.png", "-o", "a.png", *QUICK).code == 0
    assert call("transfer", "c.png", "s.png", "-o", "a.png", "--color", "match", *QUICK).code == 0
    with compilations() as counted:
        assert call("transfer", "c.png", "s.png", "-o", "a.png", *QUICK).code == 0
    assert not counted[0]
