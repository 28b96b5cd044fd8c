"""A small network that has something to say: one whose last convolutions are not zero."""

import jax
import numpy as np
import pytest

from jaxstyle.superres.files import initial
from jaxstyle.superres.network import UpscaleNetwork, Upscaler


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="session")
def upscaler() -> Upscaler:
    module = UpscaleNetwork(width=6, blocks=2)
    params = jax.tree.map(np.asarray, jax.jit(lambda key: initial(module, key))(jax.random.key(1)))
    rng = np.random.default_rng(2)
    noisy = {
        name: {key: (x + 0.05 * rng.standard_normal(x.shape)).astype(np.float32) for key, x in layer.items()}
        for name, layer in params.items()
    }
    return Upscaler(noisy, module)
