"""Solvers: what moves the pixels. Each is a frozen dataclass with a pair of pure functions, init and step.

    state = solver.init(value_and_grad, image)
    image, state, info = solver.step(value_and_grad, image, state)

`value_and_grad` maps an image to ((total, terms), gradient). This is the only file that knows optax and jaxopt.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxstyle import defaults
from jaxstyle.objective import LossTerms, Number
from jaxstyle.types import Image, Scalar

with warnings.catch_warnings():
    # jaxopt announces on import that it is no longer maintained; README.md says so to whoever needs to know.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    import jaxopt

ARMIJO = 1e-4  # share of the decrease that the slope promises, which a step must bring
FIRST_STEP = 0.01  # root mean square change of a pixel that L-BFGS tries before it knows any curvature

ValueAndGrad: TypeAlias = Callable[[Image], tuple[tuple[Scalar, LossTerms], Image]]
LineSearch: TypeAlias = Literal["backtracking", "zoom"]
P, R = ParamSpec("P"), TypeVar("R")


class Info(NamedTuple):
    """Diagnostics of a step: the terms at the image that it started from, and the evaluations that it took."""

    terms: LossTerms
    evaluations: Int[Array, ""]


@runtime_checkable
class Solver(Protocol):
    """The pair of functions, and whether a step has a loop in it around the evaluation of the loss."""

    has_inner_loop: bool

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> Any:
        """The state before the first step."""

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: Any) -> tuple[Image, Any, Info]:
        """A better image, the next state, and diagnostics."""


def _loops_in_python(image: Image) -> contextlib.AbstractContextManager[Any]:
    """Outside jit only the loss is compiled: a library's loops around it, traced afresh at each call, run in Python."""
    return contextlib.nullcontext() if isinstance(image, jax.core.Tracer) else jax.disable_jit()


def _kept_compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, compiled even where `_loops_in_python` has switched jit off around it."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.disable_jit(False):
            return function(*args, **kwargs)

    return call


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


@dataclass(frozen=True)
class Lbfgs:
    """Limited-memory BFGS (Liu and Nocedal 1989), jaxopt's. Pixels are free between steps, as its model demands.

    Departures from jaxopt's defaults. The first step tried changes pixels by 0.01 (root mean square), where jaxopt
    takes the bare gradient: the path is that of any multiple of the loss. Every line search begins at the full
    quasi-Newton step, and backtracking asks for a decrease alone (Armijo): it can only shorten a step, so that a
    search that begins short, or waits for the slope to flatten, would spend all its evaluations in vain. Pairs of
    negative curvature, which this lets through, are left out.

    Attributes:
      history: pairs of steps and gradients that are kept.
      line_search: "backtracking" takes about one evaluation a step, "zoom" two, and meets the strong Wolfe conditions.
      max_evaluations: of one line search.
    """

    history: int = defaults.HISTORY
    line_search: LineSearch = "backtracking"
    max_evaluations: int = defaults.LINE_SEARCH_EVALUATIONS
    has_inner_loop = True
    init_evaluations = 1  # jaxopt's state begins with the value

    def _solver(self, value_and_grad: ValueAndGrad, image: Image) -> jaxopt.LBFGS:
        eager = not isinstance(image, jax.core.Tracer)
        common = {"value_and_grad": True, "has_aux": True, "jit": not eager, "unroll": eager}
        function, search = _kept_compiled(value_and_grad), self.line_search
        if search == "backtracking":
            # Armijo's condition: jaxopt's own evaluates the loss a second time, for its gradient; this one does not.
            search = jaxopt.BacktrackingLineSearch(
                function,
                condition="strong-wolfe",
                c2=1e9,
                decrease_factor=0.5,
                maxiter=self.max_evaluations,
                **common,
            )
        return jaxopt.LBFGS(
            function,
            tol=0.0,
            linesearch=search,
            linesearch_init="max",
            maxls=self.max_evaluations,
            history_size=self.history,
            implicit_diff=False,
            **common,
        )

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> Any:
        """An empty history; one evaluation."""
        with _loops_in_python(image):
            state = self._solver(value_and_grad, image).init_state(image)
            size = jnp.sqrt(jnp.mean(state.grad**2))
            return state._replace(gamma=FIRST_STEP / jnp.maximum(size, float(jnp.finfo(jnp.float32).tiny)))

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: Any) -> tuple[Image, Any, Info]:
        """One line search along the quasi-Newton direction."""
        if self.line_search == "backtracking" and not isinstance(image, jax.core.Tracer):
            return self._backtrack(value_and_grad, image, state)
        with _loops_in_python(image):
            image, new = self._solver(value_and_grad, image).update(image, state)
            info = Info(state.aux, jnp.asarray(new.num_fun_eval - state.num_fun_eval))
            return image, _without_negative_curvature(new, state), info

    def _backtrack(self, value_and_grad: ValueAndGrad, image: Image, state: Any) -> tuple[Image, Any, Info]:
        """The same search where only the loss may be compiled with its convolutions: the rest is two programs."""
        direction, slope = _direction(self.history, image, state)
        for tried in range(self.max_evaluations):
            length = 0.5**tried
            moved = image + length * direction
            (value, terms), gradient = value_and_grad(moved)
            if float(value) <= float(state.value + ARMIJO * length * slope):
                break
        found = ((value, terms), gradient)
        return moved, _remember(self.history, image, state, length, found), Info(state.aux, jnp.asarray(tried + 1))


def _fixed_step(history: int, length: Any, found: Any) -> jaxopt.LBFGS:
    """jaxopt's update for a step whose length, and the evaluation at whose end, are known."""
    return jaxopt.LBFGS(
        lambda image: found,
        value_and_grad=True,
        has_aux=True,
        tol=0.0,
        stepsize=lambda iteration: length,
        history_size=history,
        implicit_diff=False,
    )


@functools.partial(jax.jit, static_argnums=0)
def _direction(history: int, image: Image, state: Any) -> tuple[Image, Scalar]:
    """The quasi-Newton step, and the slope of the loss along it."""
    known = ((state.value, state.aux), state.grad)
    # From the origin, so that no digit of a short step is lost in an image's.
    direction = _fixed_step(history, 1.0, known).update(jnp.zeros_like(image), state).params
    return direction, jnp.vdot(direction, state.grad)


@functools.partial(jax.jit, static_argnums=0)
def _remember(history: int, image: Image, state: Any, length: Any, found: Any) -> Any:
    """The state after a step of that length, which led to what was `found`."""
    new = _fixed_step(history, length, found).update(image, state).state
    return _without_negative_curvature(new, state)


def _without_negative_curvature(new: Any, old: Any) -> Any:
    """A pair counts through rho = 1 / (step . change of gradient), and the last one through gamma."""
    gamma = jnp.where(new.gamma > 0, new.gamma, old.gamma)
    return new._replace(rho_history=jnp.maximum(new.rho_history, 0.0), gamma=gamma)


class OptaxLbfgsState(NamedTuple):
    """Optax's state, which holds the value and gradient that the line search ended on."""

    inner: Any


@dataclass(frozen=True)
class OptaxLbfgs:
    """Limited-memory BFGS, optax's: a second implementation, the referee of the first.

    Optax's line search does not hand out the terms of the loss, so each step evaluates once more than it needs.

    Attributes:
      history: pairs of steps and gradients that are kept.
      line_search: "zoom" (strong Wolfe conditions) or "backtracking".
      max_evaluations: of one line search.
    """

    history: int = defaults.HISTORY
    line_search: LineSearch = "zoom"
    max_evaluations: int = defaults.LINE_SEARCH_EVALUATIONS
    has_inner_loop = True
    init_evaluations = 0

    def _transform(self) -> optax.GradientTransformationExtraArgs:
        if self.line_search == "zoom":
            search = optax.scale_by_zoom_linesearch(self.max_evaluations, initial_guess_strategy="one")
        else:
            search = optax.scale_by_backtracking_linesearch(self.max_evaluations, store_grad=True)
        direction = optax.lbfgs(memory_size=self.history, linesearch=None)
        compiled = optax.GradientTransformation(direction.init, functools.partial(_optax_direction, self.history))
        return optax.chain(compiled, search)

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> OptaxLbfgsState:
        """An empty history."""
        del value_and_grad
        return OptaxLbfgsState(self._transform().init(image))

    def step(
        self, value_and_grad: ValueAndGrad, image: Image, state: OptaxLbfgsState
    ) -> tuple[Image, OptaxLbfgsState, Info]:
        """One line search along the quasi-Newton direction."""
        value_and_grad = _kept_compiled(value_and_grad)
        with _loops_in_python(image):
            (value, terms), gradient = value_and_grad(image)
            updates, inner = self._transform().update(
                gradient, state.inner, image, value=value, grad=gradient, value_fn=_as_function(value_and_grad)
            )
            search = optax.tree.get(inner, "info")
            evaluations = 1 + jnp.asarray(search.num_linesearch_steps)
            return optax.apply_updates(image, updates), OptaxLbfgsState(inner), Info(terms, evaluations)


@_kept_compiled  # there is no evaluation of the loss in it
@functools.partial(jax.jit, static_argnums=0)
def _optax_direction(history: int, gradient: Image, state: Any, image: Image | None = None) -> tuple[Image, Any]:
    """Optax's quasi-Newton step, and its state."""
    return optax.lbfgs(memory_size=history, linesearch=None).update(gradient, state, image)


def _as_function(value_and_grad: ValueAndGrad) -> Callable[[Image], Scalar]:
    """A function whose derivative is the gradient that `value_and_grad` gives, for callers that differentiate."""

    @jax.custom_vjp
    def function(image: Image) -> Scalar:
        return value_and_grad(image)[0][0]

    def forward(image: Image) -> tuple[Scalar, Image]:
        (value, _), gradient = value_and_grad(image)
        return value, gradient

    function.defvjp(forward, lambda gradient, cotangent: (cotangent * gradient,))
    return function


SOLVERS: dict[str, type[Solver]] = {"adam": Adam, "lbfgs": Lbfgs, "optax-lbfgs": OptaxLbfgs}
