"""The critic: what it sees, and what it is asked."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.superres import critic
from jaxstyle.superres.critic import Critic

more_real = jax.jit(critic.more_real)


def test_it_sees_patches_of_32_pixels(rng):
    image = jnp.asarray(rng.random((44, 40, 3)), jnp.float32)
    params = jax.jit(Critic().init)(jax.random.key(0), image)["params"]
    scores = jax.jit(critic.scores)
    assert scores(params, image[None]).shape == (1, 4, 3)
    slope = jax.jit(jax.grad(lambda image: critic.scores(params, image[None])[0, 1, 2]))(image)
    rows, columns = np.nonzero(np.abs(slope).sum(-1))
    assert (rows.min(), rows.max()) == (4, 35) and (columns.min(), columns.max()) == (8, 39)
    both = scores(params, jnp.stack([image, image[::-1]]))
    np.testing.assert_allclose(both[0], scores(params, image[None])[0], atol=1e-6)


def test_the_relativistic_average(rng):
    ones, others = (rng.normal(size=(3, 4, 5)) for _ in range(2))

    def softplus(x):
        return np.log1p(np.exp(x))

    expected = (softplus(others.mean() - ones).mean() + softplus(others - ones.mean()).mean()) / 2
    found = more_real(jnp.asarray(ones, jnp.float32), jnp.asarray(others, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(more_real(jnp.zeros((1, 2, 2)), jnp.zeros((1, 2, 2))), np.log(2), rtol=1e-6)
    apart = more_real(jnp.full((1, 2, 2), 20.0), jnp.zeros((1, 2, 2)))
    assert 0 <= float(apart) < 1e-6
