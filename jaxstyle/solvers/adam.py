"""Adam, optax's."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxstyle import defaults
from jaxstyle.objective import Number
from jaxstyle.solvers.base import Info, ValueAndGrad
from jaxstyle.types import Image


class AdamState(NamedTuple):
    """Optax's state, and the learning rate: an array, so that lanes of a sweep may differ in it."""

    moments: Any
    rate: Float[Array, ""]


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2014, https://arxiv.org/abs/1412.6980), pixels clipped to [0, 1] after each step.

    Attributes:
      rate: learning rate, in units of pixel values; an array of them for `sweep`. New values do not recompile.
      b1: decay of the mean of the gradients.
      b2: decay of the mean of their squares; 0.99 forgets early, steep gradients sooner than the usual 0.999.
      epsilon: added to the root of the latter.
    """

    rate: Number = defaults.ADAM_RATE
    b1: float = 0.9
    b2: float = 0.99
    epsilon: float = 1e-8
    has_inner_loop = False
    init_evaluations = 0
    usual_steps = defaults.ADAM_STEPS

    def _transform(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(b1=self.b1, b2=self.b2, eps=self.epsilon)

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> AdamState:
        """Zero moments."""
        del value_and_grad
        return AdamState(self._transform().init(image), jnp.asarray(self.rate, image.dtype))

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: AdamState) -> tuple[Image, AdamState, Info]:
        """One evaluation, one step."""
        (_, terms), gradient = value_and_grad(image)
        with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an integer power
            direction, moments = self._transform().update(gradient, state.moments)
        # Squares of huge gradients overflow, and would silently stop all motion: better that the loss says so.
        direction = jnp.where(jnp.isfinite(moments.nu), direction, jnp.nan)
        image = jnp.clip(image - state.rate * direction, 0.0, 1.0)
        return image, AdamState(moments, state.rate), Info(terms, jnp.asarray(1))
