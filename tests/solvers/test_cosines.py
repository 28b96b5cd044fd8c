"""The variables of L-BFGS: SciPy's cosine transform, and what a change of variables does to steps and gradients."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from jaxstyle.solvers import cosines
from tiny import picture, x64


@pytest.mark.parametrize("size", [(32, 40), (31, 7), (1, 2)])
def test_the_transform_is_scipys_and_back(size):
    image = picture(3, *size)
    expected = scipy.fft.dctn(np.float64(image), axes=(0, 1), norm="ortho")
    coefficients = cosines.transformed(image)
    np.testing.assert_allclose(coefficients, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(cosines.transformed(coefficients, back=True), image, atol=1e-5)


def test_a_long_side_loses_no_digits():
    line = picture(4, 3000, 1)
    expected = scipy.fft.dctn(np.float64(line), axes=(0, 1), norm="ortho")
    np.testing.assert_allclose(cosines.transformed(line), expected, atol=2e-6 * np.abs(expected).max())


def test_slopes_are_the_same_in_both_variables_and_coarse_steps_are_the_longer_ones():
    with x64():
        gradient, step = (jnp.asarray(np.float64(picture(k))) - 0.5 for k in (5, 6))
        there = cosines.of_step(step)
        np.testing.assert_allclose(cosines.step_of(there), step, atol=1e-12)
        np.testing.assert_allclose(np.vdot(cosines.of_gradient(gradient), there), np.vdot(gradient, step))
        coarse, fine = np.zeros((2, *step.shape))
        coarse[0, 1], fine[-1, -1] = 1.0, 1.0
        lengths = [np.linalg.norm(cosines.step_of(jnp.asarray(x))) for x in (coarse, fine)]
    height, width = step.shape[:2]
    squares = [
        (1 / max(height, width)) ** 2 + down**2 + right**2
        for down, right in ((0, 1 / (2 * width)), ((height - 1) / (2 * height), (width - 1) / (2 * width)))
    ]
    np.testing.assert_allclose(lengths[0] / lengths[1], (squares[1] / squares[0]) ** (cosines.SMOOTHNESS / 2))
