"""jaxopt's memory of the curvature. No other file imports jaxopt, which may not be installed.

`jaxopt.LBFGS` takes any line search of jaxopt's kind, and learns from where it ends. Here it is given one that has been
made already, along a path that jaxopt does not know.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import jaxopt

from jaxstyle.solvers.boxed import Coefficients


class End(NamedTuple):
    """What `jaxopt.LBFGS` reads of the end of a line search."""

    params: Coefficients
    value: Any
    grad: Coefficients
    aux: None = None
    failed: bool = False
    iter_num: int = 0
    num_fun_eval: int = 0
    num_grad_eval: int = 0


class Made(jaxopt.BacktrackingLineSearch):
    """A line search from the origin that has been made already: `fun` maps the direction to its end."""

    def run(self, init_stepsize: Any, params: Coefficients, *, descent_direction: Coefficients, **known: Any) -> Any:
        """jaxopt's interface: the step length, and the end."""
        del params, known
        return init_stepsize, self.fun(descent_direction)


def _solver(gradient: Coefficients, history: int, step: Callable[[Coefficients], Coefficients]) -> jaxopt.LBFGS:
    """jaxopt's solver, whose line searches take a direction to this step, and end at this gradient."""
    value = jnp.zeros((), gradient.dtype)
    search = Made(lambda direction: End(step(direction), value, gradient))
    return jaxopt.LBFGS(lambda _: (value, gradient), value_and_grad=True, linesearch=search, history_size=history)


def begin(gradient: Coefficients, history: int) -> Any:
    """jaxopt's state before any step, at a point with this gradient."""
    return _solver(gradient, history, lambda direction: direction).init_state(jnp.zeros_like(gradient))


def direction(state: Any, history: int) -> Coefficients:
    """The quasi-Newton step."""
    return _solver(state.grad, history, lambda direction: direction).update(jnp.zeros_like(state.grad), state).params


def remember(state: Any, history: int, step: Coefficients, gradient: Coefficients) -> Any:
    """The state after a step to a point with this gradient."""
    return _solver(gradient, history, lambda _: step).update(jnp.zeros_like(step), state).state
