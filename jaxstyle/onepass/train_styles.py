"""Training of networks that paint in one pass (Johnson et al. 2016, https://arxiv.org/abs/1603.08155), by the objective
that pictures are optimised by: any style loss, layers and weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxstyle.networks import Network
from jaxstyle.objective import Objective, Targets, Weights, content_targets, describe_styles, loss_terms
from jaxstyle.onepass.style_network import StyleNetwork, normalisation_names
from jaxstyle.types import Picture

WARM_UP = 100  # steps until the full rate
PIXELS = 20.0  # weight of the mean absolute difference from the crop, for the plain style
LAST = 0.02  # share of the rate at the end
MEAN = 0.999  # decay of the running mean of the parameters, which is what a training ends with

Params = dict[str, Any]


class Training(NamedTuple):
    """What steps hand on: the parameters that learn, their running mean, Adam's state."""

    params: Params
    mean: Params
    solver: Any


class Teaching(NamedTuple):
    """What a network learns from.

    Attributes:
      judge: gives the features.
      objective: layers and formulae.
      weights: of the terms.
      styles: statistics of all styles, with an axis of them in front; the last one's are those of the first again where
        it is the plain one.
      plain: (n,), 1 for the style that leaves pictures as they are, whose loss is the difference from the crop, else 0.
    """

    judge: Network
    objective: Objective
    weights: Weights
    styles: Any
    plain: Float[Array, " n"]


def teaching_of(
    judge: Network, styles: Sequence[Picture], *, objective: Objective, weights: Weights, plain: bool = True
) -> Teaching:
    """What a network learns from these pictures of styles (h, w, 3), each at the size in which its strokes are wanted.

    With `plain`, there is one style more, the last, that leaves pictures as they are.
    """
    described = [describe_styles(judge, [style], objective)[0] for style in styles]
    if plain:
        described.append(described[0])  # its weight is zero
    kinds = jnp.asarray([0.0] * len(styles) + [1.0] * plain)
    return Teaching(judge, objective, weights, jax.tree.map(lambda *xs: jnp.stack(xs), *described), kinds)


def first_params(module: StyleNetwork, *, seed: int = 0) -> Params:
    """Random parameters."""
    image, shares = jnp.zeros((64, 64, 3)), jnp.ones(module.count) / module.count
    return dict(module.init(jax.random.key(seed), image, shares)["params"])


def with_one_more(params: Params) -> Params:
    """The parameters of a network of one style more, which begins as the mean of those that there are."""
    added = {name: jnp.concatenate([params[name], params[name].mean(0, keepdims=True)]) for name in _normalised(params)}
    return {**params, **added}


def _normalised(params: Params) -> list[str]:
    return normalisation_names(params)


def styles_in_turn(first: int, count: int, styles: int) -> list[int]:
    """The styles of the pictures number `first` and following: all of them in random order, and again in another."""
    turns = {turn: np.random.default_rng(turn).permutation(styles) for turn in range(first // styles, (first + count) // styles + 1)}
    return [int(turns[n // styles][n % styles]) for n in range(first, first + count)]


def loss_of(
    module: StyleNetwork, params: Params, teaching: Teaching, crops: Float[Array, "n h w 3"], which: Array
) -> tuple[Array, dict[str, Array]]:
    """The mean loss of a batch, and its terms.

    Args:
      module: the network.
      params: all its parameters.
      teaching: what it learns from.
      crops: in [0, 1].
      which: (n,), the style of each.
    """

    def one(crop: Array, number: Array) -> Any:
        painted, _ = module.apply({"params": params}, crop, jax.nn.one_hot(number, module.count))
        style = jax.tree.map(lambda x: x[number], teaching.styles)
        kept = jax.lax.stop_gradient(content_targets(teaching.judge, crop, teaching.objective))
        plain = teaching.plain[number]
        weights = teaching.weights._replace(
            style=teaching.weights.style * (1 - plain), variation=teaching.weights.variation * (1 - plain)
        )
        terms = loss_terms(painted, teaching.judge, Targets(kept, style), weights, objective=teaching.objective)
        pixels = jnp.mean(jnp.abs(painted - crop)) * plain
        return terms._replace(total=terms.total + PIXELS * pixels)._asdict() | {"plain": pixels}

    terms = jax.tree.map(jnp.mean, jax.vmap(one)(crops, which))
    return terms["total"], terms


def make_steps(
    module: StyleNetwork, params: Params, teaching: Teaching, *, rate: float, steps: int, only_last: bool = False
) -> tuple[Training, Callable[[Training, Any, int], tuple[Training, Mapping[str, Any]]], Callable[[Training], Params]]:
    """The training before its first step; a step, for `training.loop.train`; and the parameters that a training has.

    Args:
      module: the network.
      params: to begin with.
      teaching: what it learns from.
      rate: Adam's, at its highest; it rises at first, and then falls as a cosine.
      steps: in all.
      only_last: whether only the numbers of the last style learn, and it alone is painted.
    """
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(WARM_UP, steps // 10 + 1), steps, LAST * rate)
    solver = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule))
    names = _normalised(params) if only_last else list(params)
    moving = {name: params[name][-1:] if only_last else params[name] for name in names}

    def whole(moving: Params) -> Params:
        if not only_last:
            return moving
        return {**params, **{name: jnp.concatenate([params[name][:-1], moving[name]]) for name in names}}

    @jax.jit
    def step(training: Training, batch: Array, which: Array, judge: Network, styles: Any) -> tuple[Training, Any]:
        crops, given = batch.astype(jnp.float32) / 255, teaching._replace(judge=judge, styles=styles)

        def loss(moving: Params) -> Any:
            return loss_of(module, whole(moving), given, crops, which)

        gradient, terms = jax.grad(loss, has_aux=True)(training.params)
        updates, state = solver.update(gradient, training.solver, training.params)
        moved = optax.apply_updates(training.params, updates)
        mean = jax.tree.map(lambda m, x: MEAN * m + (1 - MEAN) * x, training.mean, moved)
        return Training(moved, mean, state), terms

    def take(training: Training, batch: Any, number: int) -> tuple[Training, Mapping[str, Any]]:
        count = len(batch)
        which = [module.count - 1] * count if only_last else styles_in_turn(number * count, count, module.count)
        return step(training, jnp.asarray(batch), jnp.asarray(which), teaching.judge, teaching.styles)

    def ended(training: Training) -> Params:
        return whole(training.mean)

    return Training(moving, moving, solver.init(moving)), take, ended
