"""How far features are from those of the content: ours, and those of published programs."""

import jax.numpy as jnp

from jaxstyle.losses.reductions import float32, relative_error
from jaxstyle.types import Features, Scalar


def content_loss(features: Features, target: Features) -> Scalar:
    """Squared distance of features from those of the content, relative to the latter: |F - P|^2 / |P|^2.

    After Gatys et al. (2015), equation 1, whose 1/2 |F - P|^2 depends on layer, size and network.
    """
    return relative_error(features, target)


def half_squared_error(features: Features, target: Features) -> Scalar:
    """1/2 |F - P|^2: Gatys et al. (2015), equation 1."""
    return 0.5 * jnp.sum((float32(features) - float32(target)) ** 2)


def mean_squared_error(features: Features, target: Features) -> Scalar:
    """Mean of (F - P)^2: neural-style, the PyTorch tutorial and style-transfer-pytorch."""
    return jnp.mean((float32(features) - float32(target)) ** 2)
