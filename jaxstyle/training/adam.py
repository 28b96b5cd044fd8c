"""Adam as trainings use it: its rate rises at first and then falls as a cosine, gradients are clipped, and a training
ends with a running mean of the parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxstyle.types import Params

WARM_UP = 100  # steps until the full rate
LAST = 0.02  # share of the rate at the end
MEAN = 0.999  # decay of the running mean


class Training(NamedTuple):
    """What steps hand on: the parameters that learn, their running mean, Adam's state."""

    params: Params
    mean: Params
    solver: Any


def begin(
    params: Params, *, rate: float, steps: int, clip: float, b2: float = 0.999
) -> tuple[Training, Callable[[Training, Params, Array], Training]]:
    """A training before its first step; and a pure function from a training, a gradient and the number of the step to
    the training after it.

    Args:
      params: to begin with.
      rate: at its highest.
      steps: in all.
      clip: the largest norm that a gradient may have.
      b2: decay of the mean of squares.
    """
    risen = min(WARM_UP, steps // 10 + 1)

    def schedule(count: Array) -> Array:
        step = count.astype(jnp.float32)
        way = jnp.clip((step - risen) / max(1, steps - risen), 0.0, 1.0)
        return rate * jnp.minimum((step + 1) / risen, LAST + (1 - LAST) * (1 + jnp.cos(jnp.pi * way)) / 2)

    solver = optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule, b2=b2))

    def take(training: Training, gradient: Params, number: Array) -> Training:
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an integer power
            updates, state = solver.update(gradient, training.solver, training.params)
        moved: Any = optax.apply_updates(training.params, updates)
        return Training(moved, running_mean(training.mean, moved, number), state)

    return Training(params, params, solver.init(params)), take


def running_mean(mean: Params, params: Params, number: Array) -> Params:
    """The mean with one set of parameters more; after few steps, whose parameters are still far off, it forgets
    faster."""
    taken = number.astype(jnp.float32)
    decay = jnp.minimum(MEAN, (1 + taken) / (10 + taken))
    return jax.tree.map(lambda m, x: decay * m + (1 - decay) * x, mean, params)
