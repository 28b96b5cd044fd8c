"""Pixels in blocks of 2 x 2: the same convolutions as pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.ops import blocks
from jaxstyle.ops.convolution import convolution_within

pytestmark = pytest.mark.quick


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def convolved(x, kernel, stride=1):
    """A convolution of a picture with its border, as XLA has it."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (stride, stride), "VALID", dimension_numbers=numbers)[0]


def reflected(x, n):
    return jnp.pad(x, ((n, n), (n, n), (0, 0)), mode="reflect")


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * float(np.abs(b).max()))


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (9, 1)])
def test_convolutions_within_a_border(rng, size, stride):
    x = jnp.asarray(rng.random((13, 16, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((size, size, 3, 5)), jnp.float32)
    wanted = convolved(x, kernel, stride)
    found = convolution_within(x, kernel, stride=stride)
    assert found.shape == wanted.shape
    close(found, wanted)


def test_blocks_and_pixels_are_inverse(rng):
    x = jnp.asarray(rng.random((6, 8, 3)), jnp.float32)
    there = blocks.blocks_of(x)
    assert there.shape == (3, 4, 12)
    np.testing.assert_array_equal(there[1, 2], x[2:4, 4:6].reshape(-1))
    np.testing.assert_array_equal(blocks.pixels_of(there), x)


def test_reflection_of_blocks_is_that_of_pixels(rng):
    x = jnp.asarray(rng.random((8, 12, 2)), jnp.float32)
    np.testing.assert_array_equal(blocks.reflected_blocks(blocks.blocks_of(x)), blocks.blocks_of(reflected(x, 4)))


def test_between_blocks(rng):
    x = jnp.asarray(rng.random((12, 16, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((9, 9, 3, 4)), jnp.float32)
    folded = blocks.kernel_between_blocks(kernel)
    assert folded.shape == (5, 5, 12, 16)
    found = blocks.pixels_of(convolution_within(blocks.blocks_of(reflected(x, 4)), folded))
    close(found, convolved(reflected(x, 4), kernel))


def test_onto_blocks_is_upsampling_and_a_convolution(rng):
    x = jnp.asarray(rng.random((5, 7, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4)), jnp.float32)
    large = jnp.repeat(jnp.repeat(x, 2, 0), 2, 1)
    edged = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = blocks.pixels_of(convolution_within(edged, blocks.kernel_onto_blocks(kernel)))
    close(found, convolved(reflected(large, 1), kernel))


def test_from_blocks_is_a_convolution_of_stride_two(rng):
    x = jnp.asarray(rng.random((10, 14, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 4)), jnp.float32)
    edged = jnp.pad(blocks.blocks_of(x), ((1, 0), (1, 0), (0, 0)), mode="edge")
    found = convolution_within(edged, blocks.kernel_from_blocks(kernel))
    close(found, convolved(reflected(x, 1), kernel, 2)[:5, :7])
