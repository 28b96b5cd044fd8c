"""Resampling against the definition of MATLAB's `imresize`, written out pixel by pixel in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.superres import bicubic
from jaxstyle.superres.bicubic import matrix_of

pytestmark = pytest.mark.quick

# As one program each, which compiles faster than their operations do one by one.
resize_bicubic = jax.jit(bicubic.resize_bicubic, static_argnums=1)
enlarge_bicubic = jax.jit(bicubic.enlarge_bicubic, static_argnums=1)


def keys(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resampled(line, scale):
    """A line of pixels by the definition: each sample is a sum over pixels, of the line and its mirror images, under
    the kernel, which is as wide as the samples are apart where they are farther apart than pixels."""
    length, shrink = len(line), min(scale, 1.0)
    found = []
    for i in range(math.ceil(length * scale)):
        centre = (i + 0.5) / scale - 0.5
        total = weight = 0.0
        reach = math.ceil(2 / shrink) + 1
        for k in range(math.floor(centre) - reach, math.ceil(centre) + reach + 1):
            w = keys(shrink * (centre - k))
            inside = k % (2 * length)
            total += w * line[inside if inside < length else 2 * length - 1 - inside]
            weight += w
        found.append(total / weight)
    return np.array(found)


def by_definition(image, scale):
    rows = np.apply_along_axis(resampled, 0, image, scale)
    return np.apply_along_axis(resampled, 1, rows, scale)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 4, 2.0, 3.0, 4.0, 1.5])
@pytest.mark.parametrize("size", [(24, 36), (7, 5), (4, 4)])
def test_resizing_is_as_defined(rng, size, scale):
    image = rng.random((*size, 3))
    expected = by_definition(image, scale)
    found = resize_bicubic(jnp.asarray(image, jnp.float32), scale)
    assert found.shape == (math.ceil(size[0] * scale), math.ceil(size[1] * scale), 3)
    np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(24, 36), (1, 1), (1, 6), (2, 3), (4, 4)])
def test_enlarging_by_phases_is_the_same(rng, size, scale):
    image = rng.random((*size, 3))
    found = enlarge_bicubic(jnp.asarray(image, jnp.float32), scale)
    np.testing.assert_allclose(found, by_definition(image, scale), atol=3e-6)


def test_a_cubic_stays_the_quadratic_that_it_can_follow():
    """Keys' kernel reproduces polynomials up to the second degree, away from the borders."""
    x = np.arange(30.0)
    line = 0.3 + 0.02 * x + 0.001 * x**2
    found = matrix_of(30, 3.0) @ line
    at = (np.arange(90) + 0.5) / 3 - 0.5
    np.testing.assert_allclose(found[9:-9], (0.3 + 0.02 * at + 0.001 * at**2)[9:-9], atol=1e-12)


def test_grey_stays_grey_and_a_fine_pattern_vanishes_when_shrunk():
    grey = jnp.full((20, 24, 3), 0.4)
    for scale in (1 / 4, 1 / 2, 3.0):
        np.testing.assert_allclose(resize_bicubic(grey, scale), 0.4, atol=1e-6)
    stripes = jnp.tile(jnp.asarray([0.0, 1.0]), 32)[None, :, None] * jnp.ones((64, 1, 3))
    small = resize_bicubic(stripes, 1 / 4)
    assert float(jnp.abs(small[:, 2:-2] - 0.5).max()) < 0.01  # without antialiasing it would be all 0, or all 1


def test_a_gradient_runs_through_both(rng):
    image = jnp.asarray(rng.random((6, 5, 3)), jnp.float32)
    for enlarge in (lambda x: enlarge_bicubic(x, 2), lambda x: resize_bicubic(x, 2.0)):
        slope = jax.jit(jax.grad(lambda x, enlarge=enlarge: jnp.sum(enlarge(x))))(image)
        np.testing.assert_allclose(np.sum(slope), image.size * 4, rtol=1e-5)  # weights of each sample sum to one
