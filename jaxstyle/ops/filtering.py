"""Separable filters."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def gaussian(sigma: float, radius: int) -> Float[np.ndarray, " 2*{radius}+1"]:
    """Weights of a Gaussian of standard deviation `sigma` pixels at -radius ... radius; they sum to one."""
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


def filter_axis(x: Float[Array, "h w c"], weights: Float[np.ndarray, " n"], *, axis: int) -> Float[Array, "_ _ c"]:
    """Weighted means of n neighbours along an axis, wherever they all lie within: n - 1 fewer of them."""
    kernel = jnp.asarray(weights, x.dtype)[None, None]
    lines = jnp.moveaxis(x, axis, 2)
    means = jax.lax.conv(
        lines.reshape(-1, 1, lines.shape[2]), kernel, (1,), "VALID", precision=jax.lax.Precision.HIGHEST
    )
    return jnp.moveaxis(means.reshape(*lines.shape[:2], -1), 2, axis)
