"""Convolutions, in the form that each kind of device is fast at, with what can be computed once of their kernels."""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.ops import tpu, winograd
from jaxstyle.ops.tpu import Platform
from jaxstyle.types import FeatureMap, Features

FEW = 3  # channels, as pictures have, up to which `onto_few` is used


class Prepared(NamedTuple):
    """What loops around gradients compute once of a kernel (h, w, c, d).

    Attributes:
      adjoint: (h, w, d, c), the kernel that takes a gradient back to the input.
      halved: the kernel and the adjoint one as `winograd.convolution` wants them; None where that does not pay.
    """

    adjoint: Float[Array, "h w d c"]
    halved: tuple[winograd.Kernels, winograd.Kernels] | None = None


def convolution(
    x: Features,
    kernel: Float[Array, "p q c d"],
    padding: tuple[int, int],
    *,
    stride: int = 1,
    prepared: Prepared | None = None,
    platform: Platform | None = None,
) -> FeatureMap:
    """The convolution of features (h, w, c).

    Args:
      x: (h, w, c).
      kernel: (p, q, c, d).
      padding: zeros before and after, in rows as in columns.
      stride: of the outputs.
      prepared: what is known of the kernel; for reverse mode (`jax.grad`) only.
      platform: the kind of device that it will run on; None where that is not known.
    """
    if is_pointwise(kernel) and stride == 1 and padding == (0, 0):
        return jnp.einsum("hwc,cd->hwd", x, kernel[0, 0])  # XLA's products are faster than its convolutions on CPUs
    if stride == 1 and prepared is not None:
        if prepared.halved is not None and winograd.pays(x.shape, kernel.shape):
            return _with_prepared(winograd.convolution, x, kernel, prepared.halved, padding)
        return _with_prepared(_on_cpu, x, kernel, (kernel, prepared.adjoint), padding)
    if (kernel.shape[:2], stride) == ((3, 3), 1) and kernel.shape[3] < tpu.LANES and padding in ((0, 0), (1, 1)):
        return tpu.by_platform(
            platform,
            lambda x, kernel: tpu.convolution(x, kernel, bordered=padding == (0, 0)),
            lambda x, kernel: _plain(x, kernel, padding),
            x,
            kernel,
        )
    return _plain(x, kernel, padding, stride)


def convolution_within(x: Features, kernel: Float[Array, "p q c d"], *, stride: int = 1) -> FeatureMap:
    """The convolution of features (h, w, c) that have a border already: (h - p) // stride + 1 high.

    XLA's convolutions on CPUs are up to ten times slower where nothing is padded; so a line is, and cut off again.
    """
    if is_pointwise(kernel) and stride == 1:
        return convolution(x, kernel, (0, 0))
    sides = [(side - size) // stride + 1 for side, size in zip(x.shape[:2], kernel.shape[:2], strict=True)]
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x[None], kernel, (stride, stride), [(0, stride)] * 2, dimension_numbers=numbers)
    return y[0, : sides[0], : sides[1]]


def is_pointwise(kernel: Float[Array, "h w c d"]) -> bool:
    """Whether the kernel is 1x1: a product of matrices, for which nothing need be prepared."""
    return kernel.shape[:2] == (1, 1)


def _plain(x: Features, kernel: Array, padding: tuple[int, int], stride: int = 1) -> FeatureMap:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (stride, stride), [padding] * 2, dimension_numbers=numbers)[0]


def _on_cpu(x: Features, kernel: Array, padding: tuple[int, int]) -> FeatureMap:
    return onto_few(x, kernel, padding) if kernel.shape[3] <= FEW else _plain(x, kernel, padding)


def onto_few(x: Features, kernel: Float[Array, "p q c d"], padding: tuple[int, int]) -> FeatureMap:
    """The convolution of features (h, w, c) with stride 1 onto few channels, such as the gradient of a network's first.

    It is a product of matrices, for all places of the kernel at once, and the sum of its shifted parts: in a third of
    the time that XLA's own takes on CPUs.
    """
    rows, columns, _, few = kernel.shape
    height, width = (side + sum(padding) - size + 1 for side, size in zip(x.shape[:2], kernel.shape[:2], strict=True))
    wide = max(x.dtype, jnp.dtype(jnp.float32), key=lambda dtype: dtype.itemsize)  # bfloat16 is too short for sums
    products = jnp.einsum("hwc,pqcd->hwpqd", x, kernel, preferred_element_type=wide)
    products = products.reshape(*x.shape[:2], rows * columns * few)
    products = jnp.pad(products, (padding, padding, (0, 0)))
    places = [(i, j, few * (columns * i + j)) for i in range(rows) for j in range(columns)]
    parts = [products[i : i + height, j : j + width, at : at + few] for i, j, at in places]
    return functools.reduce(operator.add, parts).astype(x.dtype)


def adjoint_kernel(kernel: Float[Array, "h w c d"]) -> Float[Array, "h w d c"]:
    """The kernel of the convolution which takes a gradient back to the input."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def _with_prepared(
    convolve: Callable[[Features, Any, tuple[int, int]], FeatureMap],
    x: Features,
    kernel: Array,
    prepared: tuple[Any, Any],
    padding: tuple[int, int],
) -> FeatureMap:
    """A convolution with stride 1, where what `convolve` wants of the kernel and of the adjoint one is at hand."""
    return convolve(x, prepared[0], padding)


def _forward(convolve: Any, x: Features, kernel: Array, prepared: Any, padding: Any) -> tuple[FeatureMap, Any]:
    return convolve(x, prepared[0], padding), (x, kernel, prepared)


def _backward(convolve: Any, padding: tuple[int, int], kept: Any, gradient: Features) -> tuple[Array, Array, Any]:
    x, kernel, prepared = kept
    around = (kernel.shape[0] - 1 - padding[0], kernel.shape[0] - 1 - padding[1])
    (of_kernel,) = jax.vjp(lambda kernel: _plain(x, kernel, padding), kernel)[1](gradient)
    return convolve(gradient, prepared[1], around), of_kernel, jax.tree.map(jnp.zeros_like, prepared)


_with_prepared.defvjp(_forward, _backward)
