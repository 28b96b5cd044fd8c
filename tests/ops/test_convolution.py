"""Convolutions in the form that CPUs are fast at: against NumPy in float64, and their gradients."""

import jax
import numpy as np
import pytest

from jaxstyle.ops import convolution as ops
from tiny import primitives, x64

SHAPES = [((8, 6), (3, 3)), ((7, 9), (3, 3)), ((6, 5), (5, 5)), ((6, 11), (1, 3))]


def arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape) for shape in shapes)


def naive(x, kernel, padding):
    """The definition."""
    x = np.pad(x, (padding, padding, (0, 0)))
    rows, columns = kernel.shape[:2]
    h, w = x.shape[0] - rows + 1, x.shape[1] - columns + 1
    return sum(x[i : i + h, j : j + w] @ kernel[i, j] for i in range(rows) for j in range(columns))


@pytest.mark.quick
@pytest.mark.parametrize("padding", [(1, 1), (0, 0), (2, 2), (0, 1)])
@pytest.mark.parametrize(("size", "kernel"), SHAPES)
def test_onto_few_channels_equals_the_definition(size, kernel, padding):
    x, kernel = arrays(1, (*size, 7), (*kernel, 7, 3))
    expected = naive(x, kernel, padding)
    with x64():
        found = jax.jit(ops.onto_few, static_argnums=2)(x, kernel, padding)
    assert found.shape == expected.shape and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


@pytest.mark.quick
@pytest.mark.parametrize("channels", [(3, 8), (8, 3), (3, 3), (5, 8)])
@pytest.mark.parametrize("padding", [(1, 1), (0, 0)])
def test_gradients_with_prepared_kernels_are_those_of_the_definition(channels, padding):
    x, kernel, weights = arrays(2, (9, 7, channels[0]), (3, 3, *channels), (9, 7, channels[1]))
    weights = weights[: 9 - 2 + sum(padding), : 7 - 2 + sum(padding)]
    # Both gradients of sum(weights * y), position by position.
    around = np.pad(x, (padding, padding, (0, 0)))
    h, w = weights.shape[:2]
    of_kernel = np.empty_like(kernel)
    of_around = np.zeros_like(around)
    for i in range(3):
        for j in range(3):
            of_kernel[i, j] = np.einsum("hwc,hwd->cd", around[i : i + h, j : j + w], weights)
            of_around[i : i + h, j : j + w] += weights @ kernel[i, j].T
    of_x = of_around[padding[0] : padding[0] + 9, padding[0] : padding[0] + 7]

    def total(x, kernel, prepared):
        return (weights * ops.convolution(x, kernel, padding, prepared=prepared, platform="cpu")).sum()

    with x64():
        prepared = ops.Prepared(ops.adjoint_kernel(jax.numpy.asarray(kernel)))
        value, found = jax.jit(jax.value_and_grad(total, (0, 1)))(x, kernel, prepared)
    np.testing.assert_allclose(value, (weights * naive(x, kernel, padding)).sum(), rtol=1e-12)
    for array, expected in zip(found, (of_x, of_kernel), strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-13 * np.abs(expected).max())


@pytest.mark.quick
def test_the_gradient_of_a_first_convolution_is_a_product():
    x, kernel = (jax.numpy.asarray(a, "float32") for a in arrays(3, (6, 8, 3), (3, 3, 3, 16)))
    prepared = ops.Prepared(ops.adjoint_kernel(kernel))

    def total(x):
        return (ops.convolution(x, kernel, (1, 1), prepared=prepared, platform="cpu") ** 2).sum()

    assert primitives(total, x)["dot_general"] == 0 < primitives(jax.grad(total), x)["dot_general"]
