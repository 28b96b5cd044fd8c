"""Training for super-resolution: by pixels, and then by what a network of features sees (Johnson et al. 2016)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxstyle.losses import relative_error
from jaxstyle.networks import Network
from jaxstyle.ops.compile import compiler_options
from jaxstyle.superres.bicubic import enlarge_bicubic, resize_bicubic
from jaxstyle.superres.network import Upscaler, unshuffled
from jaxstyle.training.adam import Training, begin
from jaxstyle.types import Features, Params

LAYERS = ("relu2_1", "relu3_1")  # that the perceptual objective compares
PIXELS = 0.5  # weight of the mean absolute error of pixels in it
RIDGE = 1e-6
STEEPEST = 0.5  # norm of the gradient, which is cut down to it

Batch = UInt8[Array | np.ndarray, "n side side 3"]


def degraded(image: Float[Array, "h w 3"], factor: int) -> Float[Array, "_ _ 3"]:
    """A picture made smaller as the benchmarks are: MATLAB's bicubic, rounded to 8 bits."""
    return jnp.round(jnp.clip(resize_bicubic(image, 1 / factor), 0, 1) * 255) / 255


def loss_of(
    upscaler: Upscaler, crops: Float[Array, "n h w 3"], factor: int, *, judge: Network | None = None
) -> tuple[Array, dict[str, Array]]:
    """The mean loss of a batch, and its terms: the mean absolute error of pixels; with a judge, features' too."""

    def one(crop: Array) -> dict[str, Array]:
        found = upscaler.enlarge(degraded(crop, factor), factor)
        terms = {"pixels": jnp.mean(jnp.abs(found - crop))}
        if judge is None:
            return terms
        here, there = (judge.features(x, LAYERS) for x in (found, crop))
        errors = [relative_error(here[layer], jax.lax.stop_gradient(there[layer])) for layer in LAYERS]
        return terms | {"features": jnp.mean(jnp.stack(errors))}

    terms = jax.tree.map(jnp.mean, jax.vmap(one)(crops))
    total = terms["pixels"] if judge is None else PIXELS * terms["pixels"] + terms["features"]
    return total, terms


def turns_of(factors: tuple[int, ...]) -> tuple[int, ...]:
    """The factors in the order in which steps train them: the largest, which needs it most, two times in three."""
    *others, largest = factors
    return tuple(factor for other in others for factor in (largest, largest, other)) or (largest,)


def make_steps(
    upscaler: Upscaler, *, rate: float, steps: int, judge: Network | None = None
) -> tuple[Training, Callable[[Training, Batch, int], tuple[Training, Mapping[str, Any]]]]:
    """The training before its first step, and a step, for `training.loop.train`.

    Args:
      upscaler: what it begins with.
      rate: Adam's, at its height; it rises over the first steps and falls as a cosine does.
      steps: in all.
      judge: gives the features of the perceptual objective; None: by pixels.
    """
    module = upscaler.module
    params = jax.tree.map(jnp.asarray, dict(upscaler.params))
    first, update = begin(params, rate=rate, steps=steps, clip=STEEPEST, b2=0.99)
    turns = turns_of(module.factors)

    def stepped(
        training: Training, number: Array, batch: Array, judge: Network | None, factor: int
    ) -> tuple[Training, Any]:
        side = batch.shape[1] // max(module.factors) * factor  # so that all factors have small pictures of one size
        crops = batch[:, :side, :side].astype(jnp.float32) / 255

        def loss(params: Params) -> Any:
            return loss_of(Upscaler(params, module), crops, factor, judge=judge)

        gradient, terms = jax.grad(loss, has_aux=True)(training.params)
        return update(training, gradient, number), terms

    options = compiler_options(platform=jax.default_backend())
    step = jax.jit(stepped, static_argnums=4, compiler_options=options)

    def take(training: Training, batch: Batch, number: int) -> tuple[Training, Mapping[str, Any]]:
        factor = turns[number % len(turns)]
        training, terms = step(training, jnp.asarray(number), jnp.asarray(batch), judge, factor)
        return training, {f"{name} x{factor}": value for name, value in terms.items()}

    return first, take


def fitted_heads(
    upscaler: Upscaler, batches: Iterable[Batch], *, ridge: float = RIDGE
) -> tuple[Upscaler, dict[int, float]]:
    """The network with last convolutions that are best in the mean square over these crops, by linear least squares:
    what comes before them stays.

    Args:
      upscaler: the network.
      batches: crops.
      ridge: what is added to the squares, as a share of their mean.

    Returns:
      The network, and by factor the share of the squared error that was left of it.
    """
    module = upscaler.module

    def moments(batch: Array, factor: int) -> tuple[Array, Array, Array]:
        side = batch.shape[1] // max(module.factors) * factor
        crops = batch[:, :side, :side].astype(jnp.float32) / 255

        def one(crop: Array) -> tuple[Array, Array, Array]:
            small = degraded(crop, factor)
            features = patches_of(upscaler.trunk(small))
            wanted = unshuffled(crop - enlarge_bicubic(small, factor), factor).reshape(len(features), -1)
            error = jnp.sum((upscaler.enlarge(small, factor) - crop) ** 2)
            return features.T @ features, features.T @ wanted, jnp.stack([jnp.sum(wanted**2), error])

        return jax.tree.map(lambda x: jnp.sum(x, 0), jax.vmap(one)(crops))

    gather = jax.jit(moments, static_argnums=1)
    sums: dict[int, Any] = {}
    for batch in batches:
        for factor in module.factors:
            found = [np.asarray(x, np.float64) for x in gather(jnp.asarray(batch), factor)]
            sums[factor] = [x + y for x, y in zip(sums[factor], found, strict=True)] if factor in sums else found
    params, left = dict(upscaler.params), {}
    for factor, (squares, products, (energy, before)) in sums.items():
        eased = squares + ridge * np.trace(squares) / len(squares) * np.eye(len(squares))
        weights = np.linalg.solve(eased, products)
        after = energy - 2 * np.sum(weights * products) + np.sum(weights * (squares @ weights))
        kernel = weights[:-1].reshape(3, 3, module.width, -1)
        params[f"head{factor}"] = {"kernel": kernel.astype(np.float32), "bias": weights[-1].astype(np.float32)}
        left[factor] = float(after / before)
    return Upscaler(params, module), left


def patches_of(features: Features) -> Float[Array, "_ _"]:
    """At each position the features under a 3x3 kernel, in its order, zeros beyond borders, and a one for the bias."""
    h, w, c = features.shape
    padded = jnp.pad(features, ((1, 1), (1, 1), (0, 0)))
    under = [padded[i : i + h, j : j + w] for i in range(3) for j in range(3)]
    flat = jnp.stack(under, 2).reshape(h * w, 9 * c)
    return jnp.concatenate([flat, jnp.ones((h * w, 1))], 1)
