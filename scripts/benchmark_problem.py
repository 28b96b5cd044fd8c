"""The problem that both sides of a comparison solve: networks and pictures of random numbers, weights of the terms."""

from collections.abc import Mapping

import numpy as np

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
WEIGHTS = (1.0, 50.0, 3.0)


def arrays_of(params: Mapping) -> dict:
    """Parameters as NumPy's arrays, in the order in which a picture meets them, which `jax.tree.map` would not keep."""
    return {name: {key: np.array(x) for key, x in of_layer.items()} for name, of_layer in params.items()}


def random_problem(network: str, size: int) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """He-normal parameters and three pictures (content, style, iterate), the same on both sides."""
    from jaxstyle.networks import random_network

    rng = np.random.default_rng(0)
    return arrays_of(random_network(network).params), *(rng.random((size, size, 3), np.float32) for _ in range(3))
