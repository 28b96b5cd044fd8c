"""Adam: the paper's algorithm, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle import defaults
from jaxstyle.solvers import Adam
from solver_problems import SHAPE, quadratic, run, with_terms


def numpy_adam(gradient, x, steps, rate, b1, b2, epsilon):
    """Algorithm 1 of Kingma and Ba, and the clip."""
    x = np.asarray(x, np.float64)
    m, v, path = np.zeros_like(x), np.zeros_like(x), []
    for t in range(1, steps + 1):
        g = gradient(x)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        x = x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + epsilon)
        x = np.clip(x, 0, 1)
        path.append(x)
    return path


@pytest.mark.parametrize("solver", [Adam(), Adam(rate=0.2, b1=0.5, b2=0.9, epsilon=1e-2)])
def test_adam_equals_the_paper_with_pixels_clipped(solver):
    image = jnp.asarray(np.random.default_rng(1).random(SHAPE), jnp.float32)
    steps = np.arange(1, image.size + 1)

    def gradient(x):
        return (2 * 100 ** (steps / steps.size) * (x.reshape(-1) - 0.11 * steps)).reshape(SHAPE)

    expected = numpy_adam(gradient, image, 12, solver.rate, solver.b1, solver.b2, solver.epsilon)
    images, totals, evaluations = run(solver, with_terms(quadratic), image, 12)
    np.testing.assert_allclose(images, expected, atol=2e-6)
    assert (expected[-1] == 1).any() and (expected[-1] < 1).any()  # the minima beyond 1 are at the wall
    assert evaluations == [1] * 12
    np.testing.assert_allclose(totals[3], quadratic(jnp.asarray(images[2])), rtol=1e-6)


def test_adam_takes_its_rate_from_the_state_so_that_lanes_may_differ_in_it():
    value_and_grad, solver = with_terms(quadratic), Adam()
    image = jnp.full(SHAPE, 0.6)
    state = solver.init(value_and_grad, image)
    np.testing.assert_allclose(state.rate, defaults.ADAM_RATE)

    def first_step(rate):
        return solver.step(value_and_grad, image, state._replace(rate=rate))[0]

    moved = jax.vmap(first_step)(jnp.float32([0.0, 0.1, 0.2])) - image[None]
    assert (moved[0] == 0).all()
    np.testing.assert_allclose(np.abs(moved[1]), 0.1, rtol=1e-4)  # Adam's first step is the rate in each pixel
    np.testing.assert_allclose(moved[2], 2 * moved[1], rtol=1e-4)
