"""How rough an image (h, w, 3) is: ours, and those of published programs."""

import jax.numpy as jnp

from jaxstyle.types import Image, Scalar


def total_variation(image: Image) -> Scalar:
    """Mean squared difference to the pixel below, plus the same to the right (Mahendran and Vedaldi 2014,
    https://arxiv.org/abs/1412.0035, with beta = 2)."""
    return jnp.mean((image[1:] - image[:-1]) ** 2) + jnp.mean((image[:, 1:] - image[:, :-1]) ** 2)


def periodic_variation(image: Image) -> Scalar:
    """`total_variation` of a picture that tiles the plane: the last row and column have neighbours too, the first."""
    return sum((jnp.mean((jnp.roll(image, -1, axis) - image) ** 2) for axis in (0, 1)), jnp.zeros((), image.dtype))


def absolute_variation_255(image: Image) -> Scalar:
    """Sum of absolute differences of neighbours on a scale of 0 to 255: neural-style-pt."""
    return 255 * (jnp.sum(jnp.abs(image[1:] - image[:-1])) + jnp.sum(jnp.abs(image[:, 1:] - image[:, :-1])))


def no_variation(image: Image) -> Scalar:
    """Nothing: Gatys et al. and the PyTorch tutorial have no such term."""
    return jnp.zeros((), image.dtype)


def nine_point_variation(image: Image) -> Scalar:
    """Squared differences to all eight neighbours, the diagonal ones at half weight: style-transfer-pytorch.

    2 (right / 3 + below / 3 + both diagonals / 12 each) of means, edges replicated.
    """
    x = jnp.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    right = jnp.mean((x[1:-1, 2:] - x[1:-1, 1:-1]) ** 2)
    below = jnp.mean((x[2:, 1:-1] - x[1:-1, 1:-1]) ** 2)
    falling = jnp.mean((x[1:, 1:] - x[:-1, :-1]) ** 2)
    rising = jnp.mean((x[1:, :-1] - x[:-1, 1:]) ** 2)
    return 2 * (right / 3 + below / 3 + falling / 12 + rising / 12)
