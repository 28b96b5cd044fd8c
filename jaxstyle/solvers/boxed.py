"""L-BFGS for pixels in [0, 1]: all of it but the memory of the curvature, which is a library's.

A projected quasi-Newton method (Bertsekas 1982, https://doi.org/10.1137/0320018; Kim, Sra and Dhillon 2010,
https://doi.org/10.1137/08073812X). Pixels at a bound that the gradient pushes outward stay there. For the others the
direction is the L-BFGS product with the gradient, in which the pixels that stay count as zero; it is followed along
the projection arc, clip(image + length * direction), so that each pixel stops at its own bound and holds up no other.
As both sides of the product are restricted to the same pixels, the loss falls along the arc. Where a step was cut
short or a pixel came to stay, the library is told how the image moved and how the restricted gradient changed.

The library never sees pixels, but the variables of `cosines`.
"""

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxstyle import defaults
from jaxstyle.objective import LossTerms
from jaxstyle.solvers import cosines
from jaxstyle.solvers.base import Info, ValueAndGrad
from jaxstyle.solvers.cosines import Coefficients
from jaxstyle.types import Image, Scalar

ARMIJO = 1e-4  # share of the decrease that the slope promises, which a step must bring
WOLFE = 0.9  # share of the slope that may be left at its end
CURVATURE = 1e-6  # least cosine between a step and the change of the gradient that is taken for curvature
FIRST_STEP = 0.01  # root mean square change of a pixel that is tried before any curvature is known

LineSearch: TypeAlias = Literal["backtracking", "zoom"]


class Point(NamedTuple):
    """The loss of an image, its terms and its gradient."""

    value: Scalar
    terms: LossTerms
    gradient: Image


class State(NamedTuple):
    """What a step hands to the next.

    Attributes:
      memory: the library's, of the curvature.
      point: of the image at hand.
      free: the gradient there of the pixels that are free, as the memory takes it.
      fresh: whether the next step follows the gradient alone: the first one, and one after a line search that failed.
    """

    memory: Any
    point: Point
    free: Coefficients
    fresh: Bool[Array, ""]


class Trial(NamedTuple):
    """Where a line search stands.

    Attributes:
      low, high: lengths between which it ends.
      length: to try next.
      image, point: the best so far: the start, until one is low enough.
      tried: evaluations so far.
      going: whether it goes on.
    """

    low: Scalar
    high: Scalar
    length: Scalar
    image: Image
    point: Point
    tried: Int[Array, ""]
    going: Bool[Array, ""]


@dataclass(frozen=True)
class BoxedLbfgs(abc.ABC):
    """The step. Subclasses keep the memory, of coefficients of gradients and of steps."""

    history: int = defaults.HISTORY
    line_search: LineSearch = "backtracking"
    max_evaluations: int = defaults.LINE_SEARCH_EVALUATIONS
    has_inner_loop = True
    init_evaluations = 1  # a state begins with the value
    usual_steps = defaults.STEPS

    @abc.abstractmethod
    def _begin(self, gradient: Coefficients) -> Any:
        """A memory without steps, at a point with this gradient."""

    @abc.abstractmethod
    def _direction(self, memory: Any) -> tuple[Coefficients, Any]:
        """The quasi-Newton step from where the memory is, and the memory."""

    @abc.abstractmethod
    def _remember(self, memory: Any, step: Coefficients, gradient: Coefficients) -> Any:
        """The memory after a step to a point with this gradient; one of zero is none."""

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> State:
        """An empty history; one evaluation."""
        (value, terms), gradient = value_and_grad(image)
        return _started(self, image, Point(value, terms, gradient))

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: State) -> tuple[Image, State, Info]:
        """One line search along the quasi-Newton direction; without success the image stays as it is."""
        direction, memory = _aimed(self, image, state)
        state = state._replace(memory=memory)
        search = functools.partial(
            _judged, self.line_search == "zoom", self.max_evaluations, image, state.point, direction
        )

        def attempt(trial: Trial) -> Trial:
            moved = _moved(image, direction, trial.length)
            (value, terms), gradient = value_and_grad(moved)
            return search(trial, moved, Point(value, terms, gradient))

        trial = _repeated(attempt, _first_trial(image, state.point))
        info = Info(state.point.terms, trial.tried)
        return trial.image, _learnt(self, image, state, trial), info


def _repeated(attempt: Callable[[Trial], Trial], trial: Trial) -> Trial:
    """Attempts while the trial goes on: a loop of XLA's within jit. Outside it is one of Python's, so that the loss
    can be a program of its own, which XLA's convolutions on CPUs must be to be fast."""
    if isinstance(trial.image, jax.core.Tracer):
        return jax.lax.while_loop(lambda trial: trial.going, attempt, trial)
    while trial.going:
        trial = attempt(trial)
    return trial


def _free(image: Image, gradient: Image) -> Bool[Array, "h w 3"]:
    """The pixels that the gradient does not hold at a bound."""
    return ~(((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0)))


def _restricted(image: Image, gradient: Image) -> Coefficients:
    """The gradient of the pixels that are free, as the memory takes it."""
    return cosines.of_gradient(jnp.where(_free(image, gradient), gradient, 0.0))


def _dot(x: Array, y: Array) -> Scalar:
    return jnp.sum(x * y)  # a product of matrices would be rounded to bfloat16 on a TPU


@functools.partial(jax.jit, static_argnums=0)
def _started(solver: BoxedLbfgs, image: Image, point: Point) -> State:
    free = _restricted(image, point.gradient)
    return State(solver._begin(free), point, free, jnp.asarray(True))


@functools.partial(jax.jit, static_argnums=0)
def _aimed(solver: BoxedLbfgs, image: Image, state: State) -> tuple[Image, Any]:
    """The direction of a step, and the memory."""
    direction, memory = solver._direction(state.memory)
    direction = jnp.where(state.fresh, -state.free, direction)
    direction = cosines.step_of(direction)
    outward = ((image <= 0) & (direction < 0)) | ((image >= 1) & (direction > 0))
    direction = jnp.where(_free(image, state.point.gradient) & ~outward, direction, 0.0)
    size = jnp.sqrt(jnp.mean(direction**2))
    first = FIRST_STEP / jnp.maximum(size, float(jnp.finfo(size.dtype).tiny))
    return jnp.where(state.fresh, first, 1.0) * direction, memory


@jax.jit
def _first_trial(image: Image, point: Point) -> Trial:
    """The full step comes first; a line search that begins short spends its evaluations in vain."""
    low, high, length = (jnp.asarray(x, image.dtype) for x in (0.0, jnp.inf, 1.0))
    return Trial(low, high, length, image, point, jnp.asarray(0), jnp.asarray(True))


@jax.jit
def _moved(image: Image, direction: Image, length: Scalar) -> Image:
    """A place on the projection arc."""
    return jnp.clip(image + length * direction, 0.0, 1.0)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _judged(
    wolfe: bool, most: int, start: Image, first: Point, direction: Image, trial: Trial, moved: Image, point: Point
) -> Trial:
    """The trial after an evaluation at `moved`.

    A step is too long when it brings less than Armijo's share of what the slope promises for the pixels as they moved;
    by Wolfe's conditions also when the loss rises steeply at its end, and too short when it still falls steeply.
    Halving what lies between a length too short and one too long ends at one that is neither. A search gives up where
    the slope promises less than a digit of the loss.
    """
    promised = jnp.minimum(_dot(first.gradient, moved - start), 0.0)
    fell = point.value <= first.value + ARMIJO * promised
    too_long, too_short = ~fell, jnp.asarray(False)
    if wolfe:
        within = (moved > 0) & (moved < 1)
        slope, steep = _dot(point.gradient, jnp.where(within, direction, 0.0)), WOLFE * _dot(first.gradient, direction)
        too_long = too_long | (slope > -steep)
        too_short = ~too_long & (slope < steep)
    low = jnp.where(too_short, trial.length, trial.low)
    high = jnp.where(too_long, trial.length, trial.high)
    better = fell & (point.value <= trial.point.value)
    image, point = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), (moved, point), (trial.image, trial.point)
    )
    tried = trial.tried + 1
    length = jnp.where(jnp.isinf(high), 2 * low, (low + high) / 2)
    hope = -promised > float(jnp.finfo(start.dtype).eps) * jnp.abs(first.value)
    return Trial(low, high, length, image, point, tried, (too_long | too_short) & hope & (tried < most))


@functools.partial(jax.jit, static_argnums=0)
def _learnt(solver: BoxedLbfgs, start: Image, state: State, trial: Trial) -> State:
    """The state after a line search.

    Where the curvature along the step was negative, or next to none, the memory is told of a step along the change of
    the gradient that is as long: of curvature as large, but positive.
    """
    free = _restricted(trial.image, trial.point.gradient)
    change = free - state.free
    step = cosines.of_step(trial.image - start)
    length, rise = jnp.sqrt(_dot(step, step)), jnp.sqrt(_dot(change, change))
    told = length * rise > 0
    curved = _dot(step, change) > CURVATURE * length * rise
    instead = jnp.where(told, length / jnp.where(told, rise, 1.0), 0.0) * change
    memory = solver._remember(state.memory, jnp.where(curved, step, instead), free)
    return State(memory, trial.point, free, ~told)
