"""Any style: decoders fitted by least squares, and what is painted with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle.errors import InputError
from jaxstyle.onepass.any_style import described, paint_like
from jaxstyle.onepass.decoders import LEVELS, RANKS, SPACINGS, Decoder, decode, window_of
from jaxstyle.onepass.files import load_any_style, save_decoders
from jaxstyle.onepass.fit_decoders import fit_decoders


def picture(height, width, seed=0):
    small = np.random.default_rng(seed).random((height // 8 + 1, width // 8 + 1, 3)).astype(np.float32)
    return np.asarray(jax.image.resize(small, (height, width, 3), "cubic").clip(0, 1))


@pytest.mark.parametrize("spacing", [1, 2, 4, 8])
def test_windows_sum_to_one(spacing):
    window = window_of(spacing)
    np.testing.assert_allclose(window[:spacing] + window[spacing:], 1, atol=1e-6)


@pytest.mark.parametrize("spacing", [1, 2, 4])
def test_decoding_is_a_sum_of_windowed_squares(spacing):
    """Against a loop over positions in float64."""
    rng, side = np.random.default_rng(spacing), 2 * spacing
    features = rng.standard_normal((5, 4, 3))
    kernel, bias = rng.standard_normal((3, 3, 3, 2)), rng.standard_normal(2)
    squares = rng.standard_normal((2, side, side, 3))
    decoder = Decoder(*(jnp.asarray(x, jnp.float32) for x in (kernel, bias, squares)))
    found = decode(decoder, jnp.asarray(features, jnp.float32))
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    wide = np.pad(features, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    canvas = np.zeros((8 * side, 7 * side, 3))
    for i in range(7):
        for j in range(6):
            numbers = np.einsum("ijc,ijcr->r", wide[i : i + 3, j : j + 3], kernel) + bias
            top, left = i * spacing, j * spacing
            square = np.einsum("r,rijc->ijc", numbers, squares) * window[:, None, None] * window[None, :, None]
            canvas[top : top + side, left : left + side] += square
    first = spacing + spacing // 2
    wanted = canvas[first : first + 5 * spacing, first : first + 4 * spacing] + 0.5
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_fitted_decoders_find_a_picture_that_features_hold():
    """Features that are the pixels of a square, moved by a matrix: a linear decoder can undo that."""
    rng = np.random.default_rng(0)
    matrices = {level: rng.standard_normal((3 * SPACINGS[level] ** 2,) * 2) for level in LEVELS}

    def features(image):
        found = {}
        for level, matrix in matrices.items():
            n = SPACINGS[level]
            h, w = (side // n for side in image.shape[:2])
            blocks = np.asarray(image).reshape(h, n, w, n, 3).transpose(0, 2, 1, 3, 4).reshape(h, w, -1)
            found[level] = (blocks @ matrix).astype(np.float32)
        return found

    decoders = fit_decoders(features, [picture(64, 96, seed) for seed in range(8)])
    unseen = picture(64, 96, 99)
    for level, decoder in decoders.items():
        assert decoder.squares.shape == (min(RANKS[level], 12 * SPACINGS[level] ** 2), *decoder.squares.shape[1:])
        error = np.abs(np.asarray(decode(decoder, jnp.asarray(features(unseen)[level]))) - unseen)
        assert error[8:-8, 8:-8].mean() < 0.05, level


@pytest.fixture(scope="module")
def painter():
    return load_any_style()


@pytest.mark.slow
def test_statistics_are_the_styles_and_parts_are_the_whole(painter):
    content, style = picture(64, 224), picture(64, 64, 1)
    taken = described(painter, style)
    whole = paint_like(painter, content, [taken], [1.0], 1.0)
    assert whole.shape == content.shape and np.isfinite(whole).all() and whole.min() >= 0 and whole.max() <= 1
    # The picture is no larger than what statistics are measured on, so that they are the same.
    parts = paint_like(painter, content, [taken], [1.0], 1.0, whole=0, side=64)
    assert np.abs(parts - whole).max() < 2e-3
    plain = paint_like(painter, content, [taken], [1.0], 0.0)  # by the decoders alone
    assert np.abs(plain - whole).mean() > 0.01


@pytest.mark.slow
def test_as_a_function(painter):
    content, styles = picture(40, 48), [picture(48, 40, 1), picture(40, 40, 2)]
    run = jax.jit(lambda strength, mix: jaxstyle.stylize(content, styles, network=painter, strength=strength, mix=mix))
    first = run(1.0, jnp.asarray([1.0, 0.0]))
    second = run(1.0, jnp.asarray([0.0, 1.0]))
    assert float(jnp.abs(first - second).max()) > 0.02
    with pytest.raises(InputError, match="mix has the shape"):
        jaxstyle.stylize(content, styles, network=painter, mix=[1.0])
    with pytest.raises(InputError, match="in the style of pictures"):
        jaxstyle.stylize(content, "starry_night", network=painter)


@pytest.mark.slow
def test_flat_pictures_give_numbers(painter):
    flat = np.full((24, 24, 3), 0.6, np.float32)
    taken = described(painter, flat)
    for content in (flat, picture(24, 24)):
        assert np.isfinite(paint_like(painter, content, [taken], [1.0], 1.0)).all()


def test_files_of_decoders(painter, tmp_path):
    save_decoders(tmp_path / "d.h5", painter.decoders)
    again = load_any_style(tmp_path / "d.h5")
    for level in LEVELS:
        for one, other in zip(painter.decoders[level], again.decoders[level], strict=True):
            np.testing.assert_array_equal(one, other)
    broken = {level: decoder._replace(bias=jnp.zeros(3)) for level, decoder in painter.decoders.items()}
    save_decoders(tmp_path / "e.h5", broken)
    with pytest.raises(InputError, match="it should be"):
        load_any_style(tmp_path / "e.h5")
