"""The problem that both sides of a comparison solve: networks and pictures of random numbers, weights of the terms."""

import numpy as np

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
WEIGHTS = (1.0, 50.0, 3.0)


def random_problem(network: str, size: int) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray]:
    """He-normal parameters and three pictures (content, style, iterate), the same on both sides."""
    from jaxstyle.networks import ARCHITECTURES

    rng = np.random.default_rng(0)
    params = {
        name: {
            "kernel": np.float32(rng.normal(size=shape) * np.sqrt(2 / (9 * shape[2]))),
            "bias": np.zeros(shape[3], np.float32),
        }
        for name, shape in ARCHITECTURES[network].kernel_shapes.items()
    }
    return params, *(rng.random((size, size, 3), np.float32) for _ in range(3))
