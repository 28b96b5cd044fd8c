"""The network against one written out in NumPy, and what it can see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.superres.bicubic import enlarge_bicubic
from jaxstyle.superres.files import initial
from jaxstyle.superres.network import UpscaleNetwork, Upscaler

# As one program, which compiles faster than its operations do one by one.
bicubic = jax.jit(enlarge_bicubic, static_argnums=1)


def enlarged(upscaler, image, factor):
    return jax.jit(lambda params, x: Upscaler(params, upscaler.module).enlarge(x, factor))(upscaler.params, image)


def convolution(x, layer):
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.tile(layer["bias"].astype(np.float64), (height, width, 1))
    for i in range(3):
        for j in range(3):
            y += padded[i : i + height, j : j + width] @ layer["kernel"][i, j].astype(np.float64)
    return y


def twin(upscaler, image, factor):
    p, (h, w, _) = upscaler.params, image.shape
    x = first = convolution(image.astype(np.float64) - 0.5, p["first"])
    for block in range(1, upscaler.module.blocks + 1):
        x = x + convolution(np.maximum(convolution(x, p[f"block{block}_1"]), 0), p[f"block{block}_2"])
    blocks = convolution(first + convolution(x, p["last"]), p[f"head{factor}"])
    detail = np.zeros((h * factor, w * factor, 3))
    for i in range(factor):
        for j in range(factor):
            at = 3 * (i * factor + j)
            detail[i::factor, j::factor] = blocks[:, :, at : at + 3]
    return detail + np.asarray(bicubic(jnp.asarray(image), factor))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_it_is_its_definition(upscaler, rng, factor):
    image = rng.random((7, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(enlarged(upscaler, image, factor), twin(upscaler, image, factor), atol=2e-5)


def test_it_begins_as_bicubic(rng):
    module = UpscaleNetwork(width=4, blocks=1)
    image = jnp.asarray(rng.random((6, 5, 3)), jnp.float32)
    params = jax.jit(lambda key: initial(module, key))(jax.random.key(0))
    np.testing.assert_allclose(enlarged(Upscaler(params, module), image, 3), bicubic(image, 3), atol=1e-7)


def test_it_sees_as_far_as_it_says_and_no_farther(upscaler, rng):
    image = jnp.asarray(rng.random((25, 25, 3)), jnp.float32)
    slope = jax.jit(jax.grad(lambda x: upscaler.enlarge(x, 2)[24, 24].sum()))(image)
    seen = np.flatnonzero(np.abs(np.asarray(slope)).sum((1, 2)))
    assert seen[0] == 12 - upscaler.module.field and seen[-1] == 12 + upscaler.module.field


def test_a_network_of_the_shipped_size_has_at_most_800_thousand_parameters():
    shapes = jax.eval_shape(lambda: initial(UpscaleNetwork(), jax.random.key(0)))
    assert sum(np.prod(x.shape) for x in jax.tree.leaves(shapes)) < 800_000
