"""Training for super-resolution: by pixels, and then by what a network of features sees (Johnson et al. 2016)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxstyle.losses import relative_error
from jaxstyle.networks import Network
from jaxstyle.ops.compile import compiler_options
from jaxstyle.superres.bicubic import enlarge_bicubic, resize_bicubic
from jaxstyle.superres.critic import Critic, more_real, scores
from jaxstyle.superres.network import UpscaleNetwork, Upscaler, unshuffled
from jaxstyle.training.adam import Training, begin
from jaxstyle.types import Features, Image, Params

LAYERS = ("relu2_1", "relu3_1")  # that the perceptual objective compares
PIXELS = 2.0  # weight of the mean absolute error of pixels in it
RIDGE = 1e-6
STEEPEST = 0.5  # norm of the gradient, which is cut down to it
CRITIC = 0.4  # norm of the critic's gradient by pixels, as a share of that of pixels and features
CRITIC_RISES = 3000  # steps in which it comes to that: at first the critic knows nothing, and is followed too far

Batch = UInt8[Array | np.ndarray, "n side side 3"]


def degraded(image: Float[Array, "h w 3"], factor: int) -> Float[Array, "_ _ 3"]:
    """A picture made smaller as the benchmarks are: MATLAB's bicubic, rounded to 8 bits."""
    return jnp.round(jnp.clip(resize_bicubic(image, 1 / factor), 0, 1) * 255) / 255


def terms_of(found: Image, crop: Image, *, judge: Network | None = None) -> dict[str, Array]:
    """The mean absolute error of a picture's pixels; with a judge, the relative error of its features too."""
    terms = {"pixels": jnp.mean(jnp.abs(found - crop))}
    if judge is None:
        return terms
    here, there = (judge.features(x, LAYERS) for x in (found, crop))
    errors = [relative_error(here[layer], jax.lax.stop_gradient(there[layer])) for layer in LAYERS]
    return terms | {"features": jnp.mean(jnp.stack(errors))}


def loss_of(upscaler: Upscaler, crops: Float[Array, "n h w 3"], factor: int) -> tuple[Array, dict[str, Array]]:
    """The mean absolute error of a batch's pixels, and that by its name."""
    terms = jax.vmap(lambda crop: terms_of(upscaler.enlarge(degraded(crop, factor), factor), crop))(crops)
    terms = jax.tree.map(jnp.mean, terms)
    return terms["pixels"], terms


def likeness(
    found: Float[Array, "n h w 3"], crops: Float[Array, "n h w 3"], judge: Network
) -> tuple[Array, dict[str, Array]]:
    """How far pictures are from the crops that they are to be, by features and a little by pixels; and its terms."""
    terms = jax.tree.map(jnp.mean, jax.vmap(lambda x, crop: terms_of(x, crop, judge=judge))(found, crops))
    return PIXELS * terms["pixels"] + terms["features"], terms


def turns_of(factors: tuple[int, ...]) -> tuple[int, ...]:
    """The factors in the order in which steps train them: the largest, which needs it most, two times in three."""
    *others, largest = factors
    return tuple(factor for other in others for factor in (largest, largest, other)) or (largest,)


Taken = Callable[[Any, Batch, int], tuple[Any, Mapping[str, Any]]]


def make_steps(upscaler: Upscaler, *, rate: float, steps: int) -> tuple[Training, Taken]:
    """A training by pixels before its first step, and a step, for `training.loop.train`.

    Args:
      upscaler: what it begins with.
      rate: Adam's, at its height; it rises over the first steps and falls as a cosine does.
      steps: in all.
    """
    module = upscaler.module
    first, update = _begun(upscaler.params, rate, steps)

    def stepped(training: Training, number: Array, crops: Array, factor: int) -> tuple[Training, Any]:
        def loss(params: Params) -> Any:
            return loss_of(Upscaler(params, module), crops, factor)

        gradient, terms = jax.grad(loss, has_aux=True)(training.params)
        return update(training, gradient, number), terms

    return first, _taken(stepped, module)


class Contest(NamedTuple):
    """What the steps of a training by what is seen hand on.

    Attributes:
      network: the training of the network that makes pictures larger.
      critic: that of its critic.
    """

    network: Training
    critic: Training


def make_contest(
    upscaler: Upscaler, judge: Network, *, rate: float, steps: int, seed: int = 0
) -> tuple[Contest, Taken]:
    """A training by features, a little by pixels, and by a critic that learns beside the network; as `make_steps`.

    Args:
      upscaler: what it begins with.
      judge: gives the features.
      rate: of both Adams, at its height.
      steps: in all.
      seed: of the critic's first kernels.
    """
    module = upscaler.module
    network, update_network = _begun(upscaler.params, rate, steps)
    blank = jnp.zeros((48, 48, 3))
    critic, update_critic = _begun(jax.jit(Critic().init)(jax.random.key(seed), blank)["params"], rate, steps)

    def stepped(contest: Contest, number: Array, crops: Array, factor: int, judge: Network) -> tuple[Contest, Any]:
        def enlarged(params: Params) -> Array:
            upscaler = Upscaler(params, module)
            return jax.vmap(lambda crop: upscaler.enlarge(degraded(crop, factor), factor))(crops)

        def deceit(found: Array) -> Array:
            return more_real(scores(contest.critic.params, found), scores(contest.critic.params, crops))

        def exposure(params: Params) -> Array:
            return more_real(scores(params, crops), scores(params, found))

        found, pull_back = jax.vjp(enlarged, contest.network.params)
        toward, terms = jax.grad(likeness, has_aux=True)(found, crops, judge)
        share = CRITIC * jnp.minimum(1.0, number / CRITIC_RISES)
        (gradient,) = pull_back(toward + pushed(jax.grad(deceit)(found), toward, factor, share))
        wrong, lesson = jax.value_and_grad(exposure)(contest.critic.params)
        after = Contest(
            update_network(contest.network, gradient, number), update_critic(contest.critic, lesson, number)
        )
        return after, terms | {"critic": wrong}

    return Contest(network, critic), _taken(stepped, module, judge)


def pushed(
    critic: Float[Array, "n h w 3"], others: Float[Array, "n h w 3"], factor: int, share: Array | float
) -> Float[Array, "n h w 3"]:
    """What of the critic's gradient by pixels is followed: what the small pictures leave open, so that colours stay.
    Its norm is a share of that of the other terms' gradient, however certain the critic is."""
    known = jax.vmap(lambda x: enlarge_bicubic(resize_bicubic(x, 1 / factor), factor))(critic)
    free = critic - known
    return share * jnp.linalg.norm(others.ravel()) / jnp.maximum(jnp.linalg.norm(free.ravel()), 1e-12) * free


def _begun(params: Params, rate: float, steps: int) -> tuple[Training, Any]:
    return begin(jax.tree.map(jnp.asarray, dict(params)), rate=rate, steps=steps, clip=STEEPEST, b2=0.99)


def _taken(stepped: Callable[..., Any], module: UpscaleNetwork, *others: Any) -> Taken:
    """A step of pure arrays as one that is given a batch of 8 bits, and takes its factor by its number."""
    turns = turns_of(module.factors)

    def cut(state: Any, number: Array, batch: Array, factor: int, *others: Any) -> Any:
        side = batch.shape[1] // max(module.factors) * factor  # so that all factors have small pictures of one size
        return stepped(state, number, batch[:, :side, :side].astype(jnp.float32) / 255, factor, *others)

    step = jax.jit(cut, static_argnums=3, compiler_options=compiler_options(platform=jax.default_backend()))

    def take(state: Any, batch: Batch, number: int) -> tuple[Any, Mapping[str, Any]]:
        factor = turns[number % len(turns)]
        state, terms = step(state, jnp.asarray(number), jnp.asarray(batch), factor, *others)
        return state, {f"{name} x{factor}": value for name, value in terms.items()}

    return take


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
