"""Training of networks that paint in one pass (Johnson et al. 2016, https://arxiv.org/abs/1603.08155), by the objective
that pictures are optimised by: any style loss, layers and weights."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jaxstyle.losses import moments
from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Targets, Weights, content_targets, describe_styles, loss_terms
from jaxstyle.onepass.style_network import StyleNetwork, logit, of_styles
from jaxstyle.onepass.transforms import matrix_between
from jaxstyle.ops.compile import compiled
from jaxstyle.training.adam import Training, begin
from jaxstyle.types import Params, Picture

SPARSE = 97  # of so many pixels one is enough for the colours of photographs
CLIP = 10.0  # norm of gradients, at most


class Teaching(NamedTuple):
    """What a network learns from.

    Attributes:
      judge: gives the features.
      objective: layers and formulae.
      weights: of the terms.
      styles: statistics of all styles, with an axis of them in front.
    """

    judge: Network
    objective: Objective
    weights: Weights
    styles: Any


def teaching_of(judge: Network, styles: Sequence[Picture], *, objective: Objective, weights: Weights) -> Teaching:
    """What a network learns from these pictures of styles (h, w, 3), each of the size in which its strokes are
    wanted."""
    described = [describe_styles(judge, [style], objective)[0] for style in styles]
    return Teaching(judge, objective, weights, jax.tree.map(lambda *xs: jnp.stack(xs), *described))


def first_params(
    module: StyleNetwork, photos: Sequence[Picture], styles: Sequence[Picture], *, seed: int = 0
) -> Params:
    """Random parameters, but for the colours: those of each style are had from those of photographs."""
    image, shares = jnp.zeros((64, 64, 3)), jnp.ones(module.count) / module.count
    params = dict(module.init(jax.random.key(seed), image, shares)["params"])
    return {**params, **colors_of(photos, styles)}


def with_more(params: Params, photos: Sequence[Picture], styles: Sequence[Picture]) -> Params:
    """The parameters of a network of some styles more, the last ones. They begin as the mean of those that there are,
    but for the colours."""
    colors = colors_of(photos, styles)

    def more(name: str, values: Array) -> Array:
        mean = jnp.broadcast_to(values.mean(0), (len(styles), *values.shape[1:]))
        return jnp.concatenate([values, colors.get(name, mean)])

    return {name: more(name, values) if of_styles(name) else values for name, values in params.items()}


def colors_of(photos: Sequence[Picture], styles: Sequence[Picture]) -> Params:
    """Matrices and offsets that give photographs the mean and the covariance of each style's colours."""
    pixels = np.concatenate([np.reshape(photo, (-1, 3))[::SPARSE] for photo in photos])
    own = moments(logit(jnp.asarray(pixels, jnp.float32)[None]))
    matrices, offsets = [], []
    for style in styles:
        wanted = moments(logit(jnp.asarray(style, jnp.float32)))
        matrices.append(matrix_between(own.covariance, wanted.covariance))
        offsets.append(wanted.mean - own.mean @ matrices[-1])
    return {"out_color": jnp.stack(matrices), "out_bias": jnp.stack(offsets)}


def styles_in_turn(first: int, count: int, styles: int) -> list[int]:
    """The styles of the pictures number `first` and following: all of them in random order, and again in another."""
    needed = range(first // styles, (first + count) // styles + 1)
    turns = {turn: np.random.default_rng(turn).permutation(styles) for turn in needed}
    return [int(turns[n // styles][n % styles]) for n in range(first, first + count)]


def loss_of(
    module: StyleNetwork,
    params: Params,
    teaching: Teaching,
    crops: Float[Array, "n h w 3"],
    which: Array,
    fixed: int,
) -> tuple[Array, dict[str, Array]]:
    """The mean loss of a batch, and its terms.

    Args:
      module: the network.
      params: all its parameters.
      teaching: what it learns from.
      crops: in [0, 1].
      which: (n,), the style of each, among those that it learns.
      fixed: how many the network has before those.
    """

    def one(crop: Array, number: Array) -> Any:
        painted, _ = module.apply({"params": params}, crop, jax.nn.one_hot(fixed + number, module.count))
        style = jax.tree.map(lambda x: x[number], teaching.styles)
        kept = jax.lax.stop_gradient(content_targets(teaching.judge, crop, teaching.objective))
        return loss_terms(painted, teaching.judge, Targets(kept, style), teaching.weights, objective=teaching.objective)

    terms = jax.tree.map(jnp.mean, jax.vmap(one)(crops, which))
    return terms.total, terms._asdict()


@dataclass(frozen=True)
class StyleTraining:
    """A training, for `training.loop.train`.

    Attributes:
      first: as it is before its first step.
      step: (training, batch of crops (n, h, w, 3) in uint8, number of the step) -> (training, terms of the loss).
      params: of a training, all the parameters of the network.
      memory: of a batch's shape, the bytes that a step takes beside what it is given; it compiles the step.
    """

    first: Training
    step: Callable[[Training, Any, int], tuple[Training, Mapping[str, Any]]]
    params: Callable[[Training], Params]
    memory: Callable[[tuple[int, ...]], int]


def training_of(
    module: StyleNetwork,
    params: Params,
    teaching: Teaching,
    *,
    rate: float,
    steps: int,
    fixed: int = 0,
    devices: Sequence[Any] = (),
) -> StyleTraining:
    """The training of a network.

    Args:
      module: the network.
      params: to begin with.
      teaching: what it learns from; its styles are those that learn.
      rate: Adam's, at its highest; it rises at first, and then falls as a cosine.
      steps: in all.
      fixed: how many styles there are before those that learn. If there are any, the others learn by their own
        parameters alone, and nothing else of the network changes.
      devices: several, among which each batch is divided, if its size allows.
    """
    moving = {name: x[fixed:] for name, x in params.items() if of_styles(name)} if fixed else params
    first, update = begin(moving, rate=rate, steps=steps, clip=CLIP)
    along = Mesh(np.array(devices), ("batch",)) if len(devices) > 1 else None

    def whole(moving: Params) -> Params:
        if not fixed:
            return moving
        return {**params, **{name: jnp.concatenate([params[name][:fixed], x]) for name, x in moving.items()}}

    @compiled()
    def step(
        training: Training, number: Array, batch: Array, which: Array, judge: Network, styles: Any
    ) -> tuple[Training, Any]:
        crops, given = batch.astype(jnp.float32) / 255, teaching._replace(judge=judge, styles=styles)

        def loss(moving: Params) -> Any:
            return loss_of(module, whole(moving), given, crops, which, fixed)

        gradient, terms = jax.grad(loss, has_aux=True)(training.params)
        return update(training, gradient, number), terms

    @functools.cache
    def program(shape: tuple[int, ...]) -> Any:
        """The step for batches of this shape."""
        batch, which = jax.ShapeDtypeStruct(shape, jnp.uint8), jax.ShapeDtypeStruct(shape[:1], jnp.int32)
        number = jax.ShapeDtypeStruct((), jnp.int32)
        return step.ahead(first, number, batch, which, teaching.judge, teaching.styles, placed=False)[0]

    def take(training: Training, batch: Any, number: int) -> tuple[Training, Mapping[str, Any]]:
        which = styles_in_turn(number * len(batch), len(batch), module.count - fixed)
        given = jnp.asarray(batch), jnp.asarray(which, jnp.int32)
        run = program(given[0].shape) if along is None else step
        if along is not None and len(batch) % along.size == 0:
            given = jax.device_put(given, NamedSharding(along, PartitionSpec("batch")))
        return run(training, jnp.asarray(number, jnp.int32), *given, teaching.judge, teaching.styles)

    def memory(shape: tuple[int, ...]) -> int:
        return int(program(shape).memory_analysis().temp_size_in_bytes)

    return StyleTraining(first, take, lambda training: whole(training.mean), memory)
