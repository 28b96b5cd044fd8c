"""Training of decoders: pictures from features, as like as can be, in pixels and in features (Li et al. 2017)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.losses import relative_error
from jaxstyle.networks import Network
from jaxstyle.onepass.decoders import LEVELS, Decoder
from jaxstyle.training.adam import Training, begin
from jaxstyle.types import Params

FEATURES = 0.02  # weight of the relative error of features against the mean absolute error of pixels


def first_params(decoders: Mapping[str, Decoder], encoder: Network, crops: Float[Array, "n h w 3"]) -> Params:
    """Random parameters, and the scales of the features of some crops."""
    features = jax.jit(jax.vmap(lambda crop: encoder.features(crop, LEVELS)))(crops)
    params = {}
    for k, (level, decoder) in enumerate(decoders.items()):
        found = dict(decoder.init(jax.random.key(k), features[level][0])["params"])
        scale = jnp.sqrt(jnp.mean(features[level] ** 2, (0, 1, 2)))
        params[level] = found | {"scale": jnp.maximum(scale, 0.01 * jnp.max(scale))}
    return params


def loss_of(
    decoders: Mapping[str, Decoder], params: Params, encoder: Network, crops: Float[Array, "n h w 3"]
) -> tuple[Array, dict[str, Array]]:
    """The sum over levels of the errors of pixels and features, and the errors of pixels by level."""

    def one(crop: Array) -> dict[str, tuple[Array, Array]]:
        wanted = encoder.features(crop, LEVELS)
        found = {}
        for level, decoder in decoders.items():
            picture: Any = decoder.apply({"params": params[level]}, wanted[level])
            again = encoder.features(picture, [level])[level]
            found[level] = jnp.mean(jnp.abs(picture - crop)), relative_error(again, wanted[level])
        return found

    errors = jax.tree.map(jnp.mean, jax.vmap(one)(crops))
    total = sum(pixels + FEATURES * features for pixels, features in errors.values())
    return jnp.asarray(total), {level: pixels for level, (pixels, _) in errors.items()}


def make_steps(
    decoders: Mapping[str, Decoder], params: Params, encoder: Network, *, rate: float, steps: int
) -> tuple[Training, Callable[[Training, Any, int], tuple[Training, Mapping[str, Any]]]]:
    """The training before its first step, and a step, for `training.loop.train`."""
    first, update = begin(params, rate=rate, steps=steps, clip=1.0)

    @jax.jit
    def step(training: Training, number: Array, batch: Array, encoder: Network) -> tuple[Training, Any]:
        crops = batch.astype(jnp.float32) / 255

        def loss(params: Params) -> Any:
            return loss_of(decoders, params, encoder, crops)

        gradient, errors = jax.grad(loss, has_aux=True)(training.params)
        return update(training, gradient, number), errors

    def take(training: Training, batch: Any, number: int) -> tuple[Training, Mapping[str, Any]]:
        return step(training, jnp.asarray(number), jnp.asarray(batch), encoder)

    return first, take
