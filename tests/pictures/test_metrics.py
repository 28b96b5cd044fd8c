"""PSNR and SSIM: against NumPy twins in float64, against scikit-image where it is, and what they are by definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.pictures.metrics import psnr, ssim
from tiny import picture

pytestmark = pytest.mark.quick

A, B = picture(1, 16, 20), picture(2, 16, 20)
NOISY = jnp.clip(A + 0.05 * jax.random.normal(jax.random.key(0), A.shape), 0, 1)
PAIRS = [(A, B), (NOISY, A), (A, 0.5 * A + 0.3), (A[:11, :14], B[:11, :14])]


def naive_ssim(x, y):
    """Every window by itself."""
    x, y = np.float64(x), np.float64(y)
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line)[..., None] / np.outer(line, line).sum()
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mp, mq = (window * p).sum((0, 1)), (window * q).sum((0, 1))
            vp, vq = (window * (p - mp) ** 2).sum((0, 1)), (window * (q - mq) ** 2).sum((0, 1))
            c = (window * (p - mp) * (q - mq)).sum((0, 1))
            values.append((2 * mp * mq + 1e-4) * (2 * c + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return np.mean(values)


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_both_equal_their_definitions_in_float64(pair):
    image, reference = PAIRS[pair]
    error = np.mean((np.float64(image) - np.float64(reference)) ** 2)
    np.testing.assert_allclose(psnr(image, reference), 10 * np.log10(1 / error), rtol=1e-6)
    np.testing.assert_allclose(ssim(image, reference), naive_ssim(image, reference), atol=2e-6)


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_both_equal_those_of_scikit_image(pair):
    metrics = pytest.importorskip("skimage.metrics")
    image, reference = (np.float64(x) for x in PAIRS[pair])
    expected = metrics.structural_similarity(
        image, reference, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    np.testing.assert_allclose(ssim(*PAIRS[pair]), expected, atol=1e-5)
    expected = metrics.peak_signal_noise_ratio(reference, image, data_range=1.0)
    np.testing.assert_allclose(psnr(*PAIRS[pair]), expected, rtol=1e-6)


def test_a_uniform_error_of_a_tenth_is_twenty_decibels():
    np.testing.assert_allclose(psnr(jnp.full((16, 16, 3), 0.6), jnp.full((16, 16, 3), 0.5)), 20, rtol=1e-5)


def test_equal_pictures_have_the_largest_of_both_and_more_noise_less():
    assert abs(float(psnr(A, A)) - 138.47) < 0.01 and abs(float(ssim(A, A)) - 1) < 1e-6
    noise = jax.random.normal(jax.random.key(1), A.shape)
    for metric in (psnr, ssim):
        values = [float(metric(A + scale * noise, A)) for scale in (0, 0.01, 0.03, 0.1, 0.3)]
        assert values == sorted(values, reverse=True) and len(set(values)) == 5
        np.testing.assert_allclose(metric(A, B), metric(B, A), rtol=1e-4)


def test_both_take_numpy_and_go_through_vmap_and_jit():
    stack = jnp.stack([NOISY, B])
    for metric in (psnr, ssim):
        lanes = jax.jit(jax.vmap(metric, (0, None)))(stack, A)
        np.testing.assert_allclose(lanes, [metric(np.asarray(x), np.asarray(A)) for x in stack], rtol=1e-5)
