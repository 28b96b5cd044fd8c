"""What a network's layers answer to a picture: statistics of each, the strongest maps of one, the first filters."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxstyle.losses import gatys_style, gram_matrix
from jaxstyle.networks import PREPROCESSING, Network
from jaxstyle.types import Features, Picture, Scalar


class LayerStatistics(NamedTuple):
    """A layer's features in four numbers.

    Attributes:
      mean: of all its values.
      rms: root of the mean of their squares.
      sparsity: share of them that are zero: what a ReLU has silenced.
      style_term: |A|_F^2 / (4 N^2), which is Gatys's style term of this layer for a picture without features. It
        differs between layers by orders of magnitude, hence the weights per layer of all programs that do not, as
        this one, divide it by |A|_F^2.
    """

    mean: Scalar
    rms: Scalar
    sparsity: Scalar
    style_term: Scalar


def layer_statistics(network: Network, image: Picture, layers: Sequence[str]) -> dict[str, LayerStatistics]:
    """Statistics of each layer's features of an image (h, w, 3) in [0, 1]; pure, for use under `jit` and `vmap`."""
    return {name: _statistics(features) for name, features in network.features(jnp.asarray(image), layers).items()}


def _statistics(features: Features) -> LayerStatistics:
    features = features.astype(jnp.float32)
    gram = gram_matrix(features)
    return LayerStatistics(
        jnp.mean(features),
        jnp.sqrt(jnp.mean(features**2)),
        jnp.mean(features == 0, dtype=jnp.float32),
        gatys_style(jnp.zeros_like(features), gram),
    )


def strongest_maps(features: Features, count: int) -> Int[Array, " {count}"]:
    """Numbers of the `count` channels of (h, w, c) with the largest mean square, strongest first."""
    strength = jnp.mean(features.astype(jnp.float32) ** 2, (0, 1))
    return jax.lax.top_k(strength, count)[1]


def first_filters(network: Network) -> Float[Array, "n h w 3"]:
    """Kernels of the first convolution as pictures (n, height, width, RGB): 0.5 is zero, and each filter's largest
    weight is 0 or 1. What they see is RGB in [0, 1], whatever the network's preprocessing is."""
    kernel = jnp.moveaxis(network.params[next(iter(network.module.kernel_shapes))]["kernel"], 3, 0)
    wanted = PREPROCESSING[network.preprocessing]
    kernel = kernel / jnp.asarray(wanted.std, kernel.dtype)[None, None, None]
    kernel = kernel[..., ::-1] if wanted.bgr else kernel
    largest = jnp.max(jnp.abs(kernel), (1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * kernel / jnp.maximum(largest, float(jnp.finfo(jnp.float32).tiny))
