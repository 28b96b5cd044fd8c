"""What several test files share: a network and pictures small enough to differentiate by differences, and counters."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.networks import Network
from jaxstyle.networks.vgg import VGG
from jaxstyle.objective import Objective

TINY = VGG(depths=(1, 1, 1, 1, 1), widths=(4, 4, 8, 8, 8))
UNEVEN = VGG(depths=(2, 1, 2, 1, 1), widths=(4, 5, 6, 5, 4))
MODES = {"zero": "constant", "edge": "edge", "reflect": "reflect", "periodic": "wrap"}  # of numpy.pad
DEEP = VGG(depths=(2, 2, 2, 2, 1), widths=(4, 5, 6, 7, 6))
OBJECTIVE = Objective(content_layers=("relu4_1",))


def network(seed: int = 0, module: VGG = TINY, preprocessing: str = "torchvision", **options: Any) -> Network:
    """A VGG with He-normal kernels and small biases; the same for the same seed."""
    rng = np.random.default_rng(seed)
    params = {
        name: {
            "kernel": jnp.asarray(rng.normal(size=shape) * np.sqrt(2 / (9 * shape[2])), jnp.float32),
            "bias": jnp.asarray(0.1 * rng.normal(size=shape[3]), jnp.float32),
        }
        for name, shape in module.kernel_shapes.items()
    }
    return Network(params, "tiny", module.clone(**options), preprocessing)


class FixedFeatures(Network):
    """In place of a network: each layer is a random map of the colours of every second, fourth ... pixel."""

    def features(self, image: jax.Array, layers: Any) -> dict[str, jax.Array]:
        def layer(name: str) -> jax.Array:
            rng, stride = np.random.default_rng(list(name.encode())), 2 ** (int(name[4]) - 1)
            kernel = jnp.asarray(rng.normal(size=(3, 4 + stride)), image.dtype)
            x = jnp.sin(3 * image[::stride, ::stride] @ kernel)
            return jnp.maximum(x, 0) if name.startswith("relu") else x

        return {name: layer(name) for name in layers}


def fixed_features() -> FixedFeatures:
    """A network of fixed features, with the layers of VGG19 that published programs use."""
    return FixedFeatures({}, "fixed", DEEP, "torchvision")


def picture(seed: int, height: int = 32, width: int = 40) -> jax.Array:
    """Waves and some noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(6 * x * (k + 1) + 4 * y + seed) for k in range(3)]
    return jnp.asarray(
        np.clip(0.5 + 0.3 * np.stack(waves, -1) + 0.1 * rng.normal(size=(height, width, 3)), 0, 1), jnp.float32
    )


@functools.partial(jax.jit, static_argnums=2)
def features(net: Network, image: jax.Array, layers: tuple[str, ...]) -> dict[str, jax.Array]:
    """`Network.features` as one program, which compiles faster than its operations do one by one."""
    return net.features(image, layers)


def x64() -> contextlib.AbstractContextManager[Any]:
    """float64 within the context, whatever the version of JAX calls it."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


def check_gradient(function: Callable[[Any], Any], x: np.ndarray, tolerance: float = 1e-6, seed: int = 0) -> None:
    """`jax.grad` agrees with central differences along random directions; call it within `x64`."""
    x = np.asarray(x, np.float64)
    function = jax.jit(function)
    gradient = np.asarray(jax.jit(jax.grad(function))(jnp.asarray(x)))
    assert gradient.dtype == np.float64
    rng = np.random.default_rng(seed)
    for _ in range(3):
        direction = rng.normal(size=x.shape)
        step = 1e-7 * max(1.0, np.abs(x).max())  # short, to stay on one side of the kinks of ReLU and maximum
        ahead, behind = (float(function(jnp.asarray(x + s * direction))) for s in (step, -step))
        expected, actual = (ahead - behind) / (2 * step), float((gradient * direction).sum())
        assert abs(expected) > 1e-12, "a direction without slope proves nothing"
        np.testing.assert_allclose(actual, expected, rtol=tolerance)


def check_pooling(ours: Callable[..., Any], size: tuple[int, int], side: int) -> None:
    """Pooling (x, "max" or "average") with stride 2, and its gradient, are those of flax for windows of this side."""
    x = jnp.asarray(np.random.default_rng(4).normal(size=(*size, 3)), jnp.float32)
    for pooling, theirs in (("max", nn.max_pool), ("average", nn.avg_pool)):
        with jax.numpy_dtype_promotion("standard"):  # flax divides by an integer
            expected, pull_back = jax.vjp(functools.partial(theirs, window_shape=(side, side), strides=(2, 2)), x)
            gradient = pull_back(expected)[0]
        actual, pull_back = jax.vjp(functools.partial(ours, pooling=pooling), x)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(pull_back(expected)[0], gradient, rtol=1e-5, atol=1e-7)


def primitives(function: Callable[..., Any], *arguments: Any) -> Counter[str]:
    """How often each primitive stands in a function's program, calls within it included."""

    def count(jaxpr: Any) -> Counter[str]:
        found = Counter(str(equation.primitive) for equation in jaxpr.eqns)
        for equation in jaxpr.eqns:
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")):
                inner = getattr(value, "jaxpr", value)
                found += count(inner) if hasattr(inner, "eqns") else Counter()
        return found

    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


_compilations = 0


def _count(event: str, *_: Any, **__: Any) -> None:
    global _compilations
    _compilations += "backend_compile" in event


jax.monitoring.register_event_duration_secs_listener(_count)


@contextlib.contextmanager
def compilations() -> Iterator[list[int]]:
    """A list that holds, after the block, how many programs XLA compiled in it."""
    before, counted = _compilations, []
    yield counted
    counted.append(_compilations - before)
