"""Training for super-resolution: by pixels, and then by what a network of features sees (Johnson et al. 2016)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxstyle.losses import relative_error
from jaxstyle.networks import Network
from jaxstyle.onepass.train_styles import LAST, MEAN, WARM_UP, Training
from jaxstyle.superres.bicubic import resize_bicubic
from jaxstyle.superres.network import UpscaleNetwork

LAYERS = ("relu2_1", "relu3_1")  # that the perceptual objective compares
PIXELS = 0.5  # weight of the mean absolute error of pixels in it

Params = dict[str, Any]


def degraded(image: Float[Array, "h w 3"], factor: int) -> Float[Array, "_ _ 3"]:
    """A picture made smaller as the benchmarks are: MATLAB's bicubic, rounded to 8 bits."""
    return jnp.round(jnp.clip(resize_bicubic(image, 1 / factor), 0, 1) * 255) / 255


def loss_of(
    module: UpscaleNetwork,
    params: Params,
    crops: Float[Array, "n h w 3"],
    factor: int,
    judge: Network | None,
) -> tuple[Array, dict[str, Array]]:
    """The mean loss of a batch, and its terms: the mean absolute error of pixels; with a judge, features' too."""

    def one(crop: Array) -> dict[str, Array]:
        found = module.apply({"params": params}, degraded(crop, factor), factor)
        terms = {"pixels": jnp.mean(jnp.abs(found - crop))}
        if judge is None:
            return terms
        here, there = (judge.features(x, LAYERS) for x in (found, crop))
        errors = [relative_error(here[layer], jax.lax.stop_gradient(there[layer])) for layer in LAYERS]
        return terms | {"features": jnp.mean(jnp.stack(errors))}

    terms = jax.tree.map(jnp.mean, jax.vmap(one)(crops))
    total = terms["pixels"] if judge is None else PIXELS * terms["pixels"] + terms["features"]
    return total, terms


def make_steps(
    module: UpscaleNetwork, params: Params, *, rate: float, steps: int, judge: Network | None = None
) -> tuple[Training, Callable[[Training, Any, int], tuple[Training, Mapping[str, Any]]]]:
    """The training before its first step, and a step, for `training.loop.train`. Factors take turns, 4 twice as often."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(WARM_UP, steps // 10 + 1), steps, LAST * rate)
    solver = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    turns = [factor for other in module.factors[:-1] for factor in (*module.factors[-1:] * 2, other)]

    def stepped(training: Training, batch: Array, judge: Network | None, factor: int) -> tuple[Training, Any]:
        side = batch.shape[1] // module.factors[-1] * factor
        crops = batch[:, :side, :side].astype(jnp.float32) / 255

        def loss(params: Params) -> Any:
            return loss_of(module, params, crops, factor, judge)

        gradient, terms = jax.grad(loss, has_aux=True)(training.params)
        updates, state = solver.update(gradient, training.solver, training.params)
        moved = optax.apply_updates(training.params, updates)
        mean = jax.tree.map(lambda m, x: MEAN * m + (1 - MEAN) * x, training.mean, moved)
        return Training(moved, mean, state), terms

    step = jax.jit(stepped, static_argnums=3)

    def take(training: Training, batch: Any, number: int) -> tuple[Training, Mapping[str, Any]]:
        factor = turns[number % len(turns)]
        training, terms = step(training, jnp.asarray(batch), judge, factor)
        return training, {f"{name} x{factor}": value for name, value in terms.items()}

    return Training(params, params, solver.init(params)), take
