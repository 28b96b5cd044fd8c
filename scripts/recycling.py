"""A new life for dead channels: those of a ReLU network that hardly ever fire, and have no gradient to come back by.

After Sokar et al. 2023 (https://arxiv.org/abs/2302.12902): a dead channel is given a fresh kernel, and what reads it
gives it no weight. So the network computes what it did, and finds in the channel something new to use. The kernels
are fitted to real pictures: what they see is uncorrelated with what the living channels of their layer see.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

# (params, images, names of layers) -> features by name.
Network: TypeAlias = Callable[[Any, jax.Array, tuple[str, ...]], dict[str, jax.Array]]
Dead: TypeAlias = dict[str, np.ndarray]  # convolution -> which of its channels are dead (c,)

DEAD = 0.01  # of the mean activation of its layer: a channel with less is dead
FITTED = 8  # batches, at most, to which fresh kernels are fitted
BIAS = 0.1  # of a fresh channel, in standard deviations, above that with which it fires half of the time


@functools.partial(jax.jit, static_argnums=0)
def activations(network: Network, params: Any, images: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Mean and mean square (c,) of what comes out of each convolution's ReLU."""
    found = network(params, images, tuple(f"relu{name[4:]}" for name in params))
    return {f"conv{name[4:]}": (x.mean((0, 1, 2)), (x**2).mean((0, 1, 2))) for name, x in found.items()}


@functools.partial(jax.jit, static_argnums=0)
def moments(network: Network, params: Any, images: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Mean (c,) and mean products (c, c) of what goes into each convolution's ReLU."""
    found = network(params, images, tuple(params))
    return {k: (x.mean((0, 1, 2)), jnp.einsum("nhwi,nhwj->ij", x, x) / x[..., 0].size) for k, x in found.items()}


def averaged(function: Any, network: Network, params: Any, batches: list[jax.Array]) -> Any:
    """What `activations` or `moments` gives, over several batches; float64."""
    parts = [jax.device_get(function(network, params, images)) for images in batches]
    return jax.tree.map(lambda *x: np.mean(x, 0, np.float64), *parts)


def dead_channels(network: Network, params: Any, batches: list[jax.Array]) -> Dead:
    """The channels that hardly ever fire."""
    means = {name: mean for name, (mean, _) in averaged(activations, network, params, batches).items()}
    return {name: mean <= DEAD * mean.mean() for name, mean in means.items()}


def told(dead: Dead) -> str:
    """The counts, of the layers that have any."""
    return "dead " + (" ".join(f"{k[4:]} {v.sum()}/{len(v)}" for k, v in dead.items() if v.any()) or "none")


def around(state: Any, dead: Dead) -> Any:
    """What comes into dead channels and goes out of them: a tree like `state`, of booleans."""
    params, heads = state
    masks, before = {}, np.zeros(3, bool)
    for name, of_layer in dead.items():
        kernel = np.broadcast_to(before[:, None] | of_layer[None], params[name]["kernel"].shape)
        masks[name], before = {"kernel": kernel, "bias": of_layer}, of_layer
    rows = {name: dead[f"conv{name.partition(':')[0][4:]}"] for name in heads}
    return masks, {
        name: head._replace(
            kernel=np.broadcast_to(rows[name][:, None], head.kernel.shape), bias=np.zeros(head.bias.shape, bool)
        )
        for name, head in heads.items()
    }


def uncorrelated(kernel: np.ndarray, bias: np.ndarray, dead: np.ndarray, mean: Any, products: Any) -> Any:
    """The kernels of the dead channels, without what the living ones tell of them, and so that their outputs have
    unit variance, no correlation, and a mean of `BIAS`. `mean` and `products` are those of the outputs as they are.

    A projection: outputs are linear in kernels, so all it takes is the covariance of the outputs.
    """
    covariance = products - np.outer(mean, mean)
    new, old = covariance[np.ix_(dead, dead)], covariance[np.ix_(~dead, ~dead)]
    shares = np.linalg.solve(old + 1e-6 * np.trace(old) * np.eye(len(old)), covariance[np.ix_(~dead, dead)])
    values, vectors = np.linalg.eigh(new - covariance[np.ix_(dead, ~dead)] @ shares)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-5 * values.max())) @ vectors.T
    mix = np.concatenate([-shares @ whiten, whiten])
    order = np.concatenate([np.flatnonzero(~dead), np.flatnonzero(dead)])
    kernel, bias = kernel.copy(), bias.copy()
    kernel[..., dead] = kernel[..., order] @ mix
    bias[dead] = BIAS - (mean - bias)[order] @ mix
    return kernel, bias


def fresh(key: jax.Array, network: Network, state: Any, dead: Dead, batches: list[jax.Array]) -> Any:
    """The state with fresh kernels of unit mean-square activation for its dead channels, and no weight on them."""
    params, heads = jax.tree.map(lambda x, mask: np.where(mask, 0, x), jax.device_get(state), around(state, dead))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    before = np.zeros(3, bool)
    for name, of_layer in dead.items():
        kernel = rng.normal(size=params[name]["kernel"].shape) * np.where(before, 0, 1)[:, None]
        params[name]["kernel"] += np.where(of_layer, kernel / np.sqrt(kernel[..., 0].size), 0)
        before = of_layer
    for name, statistics in averaged(moments, network, params, batches[:FITTED]).items():
        if dead[name].any():
            kernel, bias = uncorrelated(*(params[name][k] for k in ("kernel", "bias")), dead[name], *statistics)
            params[name] = {"kernel": kernel, "bias": bias}
    for name, (_, square) in averaged(activations, network, params, batches[:FITTED]).items():
        scale = np.where(dead[name], 1 / np.sqrt(np.where(dead[name], square, 1)), 1)
        params[name] = {kind: np.asarray(x * scale, np.float32) for kind, x in params[name].items()}
    return params, heads


def recycled(key: jax.Array, network: Network, state: Any, batches: list[jax.Array]) -> tuple[Any, Any]:
    """The state with its dead channels recycled, and a tree of what is new in it. Says how many they were."""
    dead = dead_channels(network, state[0], batches)
    print(f"    recycled: {told(dead)}", flush=True)
    return jax.device_put(fresh(key, network, state, dead, batches)), around(state, dead)


def recycle(key: jax.Array, network: Network, training: Any, solver: Any, batches: list[jax.Array]) -> Any:
    """A training with its dead channels recycled, in the running average too, and nothing known of their slopes."""
    new, mask = recycled(key, network, training.state, batches)
    state, average = (jax.tree.map(jnp.where, mask, new, old) for old in (training.state, training.average))
    opt_state = optax.tree_map_params(solver, lambda x, mask: jnp.where(mask, 0, x), training.opt_state, mask)
    return training._replace(state=state, opt_state=opt_state, average=average)
