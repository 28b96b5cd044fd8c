"""jaxopt's memory of the curvature. No other file imports jaxopt, which may not be installed.

`jaxopt.LBFGS` takes any line search of jaxopt's kind, and learns from where it ends. Here it is given one that has been
made already, along a path that jaxopt does not know.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import jaxopt

from jaxstyle.solvers.cosines import Coefficients
from jaxstyle.types import Scalar


class End(NamedTuple):
    """What `jaxopt.LBFGS` reads of the end of a line search."""

    params: Coefficients
    value: Scalar
    grad: Coefficients
    aux: None = None
    failed: bool = False
    iter_num: int = 0
    num_fun_eval: int = 0
    num_grad_eval: int = 0


def _solver(gradient: Coefficients, history: int, step: Callable[[Coefficients], Coefficients]) -> jaxopt.LBFGS:
    """jaxopt's solver, whose line searches, from the origin, take a direction to this step and end at this gradient."""
    value = jnp.zeros((), gradient.dtype)

    def known(_: Coefficients) -> tuple[Scalar, Coefficients]:
        return value, gradient

    def made(init_stepsize: Any, _: Coefficients, *, descent_direction: Coefficients, **rest: Any) -> tuple[Any, End]:
        del rest
        return init_stepsize, End(step(descent_direction), value, gradient)

    search = jaxopt.BacktrackingLineSearch(known, value_and_grad=True)
    search.run = made
    return jaxopt.LBFGS(known, value_and_grad=True, linesearch=search, history_size=history)


def begin(gradient: Coefficients, history: int) -> Any:
    """jaxopt's state before any step, at a point with this gradient."""
    return _solver(gradient, history, lambda direction: direction).init_state(jnp.zeros_like(gradient))


def direction(state: Any, history: int) -> Coefficients:
    """The quasi-Newton step."""
    return _solver(state.grad, history, lambda direction: direction).update(jnp.zeros_like(state.grad), state).params


def remember(state: Any, history: int, step: Coefficients, gradient: Coefficients) -> Any:
    """The state after a step to a point with this gradient."""
    return _solver(gradient, history, lambda _: step).update(jnp.zeros_like(step), state).state
