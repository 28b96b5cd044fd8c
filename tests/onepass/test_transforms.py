"""Whitening and colouring against float64 and by what it is to do."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.losses import Moments
from jaxstyle.losses import moments as describe
from jaxstyle.onepass.transforms import mixed, roots, whiten_and_colour


def features(seed, channels=12, side=24):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((channels, channels)) * rng.uniform(0.1, 2, channels)
    return jnp.asarray(np.maximum(rng.standard_normal((side, side, channels)) @ mixing + 1, 0), jnp.float32)


def moments_in_float64(x):
    x = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    return x.mean(0), np.cov(x.T, bias=True)


def test_mean_and_covariance_are_the_styles():
    content, style = features(0), features(1)
    mean, covariance = moments_in_float64(whiten_and_colour(content, describe(style)))
    wanted_mean, wanted = moments_in_float64(style)
    assert np.linalg.norm(mean - wanted_mean) < 1e-4 * np.linalg.norm(wanted_mean)
    assert np.linalg.norm(covariance - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_twin_in_float64():
    content, style = features(2), features(3)
    found = whiten_and_colour(content, describe(style))

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T

    (mean, own), (style_mean, wanted) = moments_in_float64(content), moments_in_float64(style)
    inverse = np.linalg.inv(root(own))
    matrix = inverse @ root(root(own) @ wanted @ root(own)) @ inverse
    twin = (np.asarray(content, np.float64) - mean) @ matrix + style_mean
    assert np.abs(found - twin).max() < 2e-3 * np.abs(twin).max()


def test_its_own_style_changes_nothing():
    content = features(6)
    found = whiten_and_colour(content, describe(content))
    assert float(jnp.abs(found - content).max()) < 1e-3 * float(jnp.abs(content).max())


def test_a_part_is_changed_as_within_the_whole():
    content, style = features(7), describe(features(8))
    whole = whiten_and_colour(content, style)
    part = whiten_and_colour(content[3:9, 2:11], style, own=describe(content))
    np.testing.assert_allclose(part, whole[3:9, 2:11], atol=1e-4 * float(jnp.abs(whole).max()))


def test_masks_count_positions():
    x = features(9)
    mask = jnp.zeros((24, 24)).at[:10].set(1.0)
    here, there = describe(x, mask=mask), describe(x[:10])
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.abs(b).max()))


def test_flat_and_dead_features_give_numbers():
    """A picture of one colour, channels that are zero throughout, on either side."""
    flat, live = jnp.full((8, 8, 5), 0.7), features(10, 5, 8)
    dead = live.at[..., 2:].set(0.0)
    for content in (flat, dead, live):
        for style in (flat, dead, live):
            assert bool(jnp.isfinite(whiten_and_colour(content, describe(style))).all())
    np.testing.assert_allclose(whiten_and_colour(live, describe(flat)), flat, atol=1e-4)


def test_mixes_average():
    one, two = describe(features(11)), describe(features(12))
    found = mixed([one, two], jnp.asarray([0.25, 0.75]))
    assert isinstance(found, Moments)
    np.testing.assert_allclose(found.mean, 0.25 * one.mean + 0.75 * two.mean, rtol=1e-5)


def test_roots_of_a_matrix_of_low_rank():
    x = np.random.default_rng(0).standard_normal((9, 3))
    root, inverse = roots(jnp.asarray(x @ x.T, jnp.float32))
    np.testing.assert_allclose(root @ root, x @ x.T, atol=1e-4)
    projection = x @ np.linalg.pinv(x)
    np.testing.assert_allclose(root @ inverse, projection, atol=1e-3)


def test_lanes():
    contents = jnp.stack([features(13), features(14)])
    style = describe(features(15))
    lanes = jax.vmap(lambda x: whiten_and_colour(x, style))(contents)
    for lane, content in zip(lanes, contents, strict=True):
        np.testing.assert_allclose(lane, whiten_and_colour(content, style), atol=1e-3)
