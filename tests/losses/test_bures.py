"""The distance of covariances against eigenvalues in float64: at full and low rank, far apart and close together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import bures, moments, polar_factor, wasserstein_loss
from jaxstyle.losses.gaussian import BLUR

CHANNELS = 24


def root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def exact(s: np.ndarray, t: np.ndarray) -> float:
    """By square roots from eigenvalues, in float64."""
    s, t = (np.float64(x) + BLUR * np.eye(len(x)) for x in (s, t))
    half = root(t)
    return float(np.trace(s + t) - 2 * np.trace(root(half @ s @ half)))


def covariance(seed: int, positions: int, scale: float = 1.0) -> np.ndarray:
    """Of so few positions: of a rank below that number."""
    x = np.random.default_rng(seed).normal(size=(positions, CHANNELS)) * np.geomspace(1, 0.03, CHANNELS) * scale
    return np.float32(np.cov(x, rowvar=False, bias=True))


@pytest.mark.parametrize("positions", [2, 5, 20, 400])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 5.0])
def test_it_is_that_of_float64_at_every_rank(positions: int, scale: float) -> None:
    s, t = covariance(1, positions, scale), covariance(2, 50)
    np.testing.assert_allclose(bures(jnp.asarray(s), jnp.asarray(t)), exact(s, t), rtol=1e-3)


@pytest.mark.parametrize("positions", [2, 5, 400])
def test_next_to_the_target_it_is_small_and_never_negative(positions: int) -> None:
    t = covariance(3, positions)
    for distance in (0.0, 1e-6, 1e-4, 1e-2):
        s = t + distance * covariance(4, 30)
        found = float(bures(jnp.asarray(s), jnp.asarray(t)))
        assert 0 <= found < exact(s, t) * 1.001 + 1e-6 * np.trace(t)


@pytest.mark.parametrize("positions", [3, 400])
@pytest.mark.parametrize("side", [0, 1])
def test_gradients_are_differences(positions: int, side: int) -> None:
    matrices = [covariance(5, positions), covariance(6, 60)]
    towards = covariance(7, 40)
    found = np.sum(np.asarray(jax.grad(bures, argnums=side)(*map(jnp.asarray, matrices))) * towards)

    def moved(step: float) -> float:
        both = [np.float64(x) for x in matrices]
        both[side] = both[side] + step * towards
        return exact(*both)

    np.testing.assert_allclose(found, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=2e-3)


def test_a_picture_against_itself_is_at_no_distance() -> None:
    """Fewer positions than channels, as deep layers of small pictures have."""
    features = jnp.maximum(jax.random.normal(jax.random.key(0), (4, 4, 64)), 0)
    value, gradient = jax.value_and_grad(wasserstein_loss)(features, moments(features))
    assert 0 <= value < 1e-6 and np.abs(gradient).max() < 1e-3


def test_a_polar_factor_is_orthogonal_and_leaves_a_symmetric_one() -> None:
    matrix = jax.random.normal(jax.random.key(1), (12, 12))
    found = np.asarray(polar_factor(matrix, smallest=1e-4))
    np.testing.assert_allclose(found.T @ found, np.eye(12), atol=1e-5)
    symmetric = found.T @ np.asarray(matrix)
    np.testing.assert_allclose(symmetric, symmetric.T, atol=1e-4)
    assert np.linalg.eigvalsh(symmetric).min() > -1e-5
