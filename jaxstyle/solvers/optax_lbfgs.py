"""L-BFGS with optax's memory of the curvature."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxstyle.solvers.boxed import BoxedLbfgs
from jaxstyle.solvers.cosines import Coefficients


class Memory(NamedTuple):
    """Optax's state, and what it gave last.

    Attributes:
      inner: optax's.
      place: sum of all steps: optax takes steps to be differences of places.
      product: of the inverse Hessian with the gradient there.
    """

    inner: Any
    place: Coefficients
    product: Coefficients


@dataclass(frozen=True)
class OptaxLbfgs(BoxedLbfgs):
    """Limited-memory BFGS within [0, 1], with optax's product of the inverse Hessian: the referee of `Lbfgs`.

    The product alone, `optax.scale_by_lbfgs`, is optax's: it knows no bounds, and its line searches do not hand out the
    terms of the loss, for which each step would evaluate once more.

    Attributes:
      history, line_search, max_evaluations: as of `Lbfgs`.
    """

    def _begin(self, gradient: Coefficients) -> Memory:
        return self._told(optax.scale_by_lbfgs(self.history).init(gradient), jnp.zeros_like(gradient), gradient)

    def _direction(self, memory: Memory) -> Coefficients:
        return -memory.product

    def _remember(self, memory: Memory, step: Coefficients, gradient: Coefficients) -> Memory:
        return self._told(memory.inner, memory.place + step, gradient)

    def _told(self, inner: Any, place: Coefficients, gradient: Coefficients) -> Memory:
        with jax.numpy_dtype_promotion("standard"):  # optax counts in int32, JAX in int64 where float64 is on
            product, inner = optax.scale_by_lbfgs(self.history).update(gradient, inner, place)
        return Memory(inner, place, product)
