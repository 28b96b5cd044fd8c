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
from jaxstyle.ops.compile import compiled
from jaxstyle.solvers import cosines
from jaxstyle.solvers.base import Info, ValueAndGrad
from jaxstyle.solvers.cosines import Coefficients
from jaxstyle.types import Image, Scalar

ARMIJO = 1e-4  # share of the decrease that the slope promises, which a step must bring
WOLFE = 0.9  # share of the slope that may be left at its end
CURVATURE = 1e-6  # least cosine between a step and the change of the gradient that is taken for curvature
ROUNDING = 16  # times the last digit of a gradient, which a change of it must exceed
FIRST_STEP = 0.01  # root mean square change of a pixel that is tried before any curvature is known

LineSearch: TypeAlias = Literal["backtracking", "zoom"]
Settled: TypeAlias = Callable[[Any], Any]  # arrays as they are to lie on several devices


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
      moved: the image there.
      image, point: the best so far: the start, until one is low enough.
      tried: evaluations so far.
      going: whether it goes on.
    """

    low: Scalar
    high: Scalar
    length: Scalar
    moved: Image
    image: Image
    point: Point
    tried: Int[Array, ""]
    going: Bool[Array, ""]


class Parts(NamedTuple):
    """A step, cut where the loss is evaluated: within jit functions that are traced with the rest, outside programs.

    Attributes:
      start: (image, point) -> state.
      aim: (memory, image, state without it) -> (direction, trial).
      judge: (trial, image, point, direction, point found) -> trial.
      learn: (memory, image, free, trial) -> state.
    """

    start: Callable[..., State]
    aim: Callable[..., tuple[Image, Trial]]
    judge: Callable[..., Trial]
    learn: Callable[..., State]

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> State:
        """`BoxedLbfgs.init`, of these parts."""
        return self.start(image, _evaluated(value_and_grad, image))

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: State) -> tuple[Image, State, Info]:
        """`BoxedLbfgs.step`, of these parts."""
        direction, trial = self.aim(state.memory, image, state._replace(memory=None))

        def attempt(trial: Trial) -> Trial:
            return self.judge(trial, image, state.point, direction, _evaluated(value_and_grad, trial.moved))

        trial = _repeated(attempt, trial)
        info = Info(state.point.terms, trial.tried)
        return trial.image, self.learn(state.memory, image, state.free, trial), info


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
    def _direction(self, memory: Any) -> Coefficients:
        """The quasi-Newton step from where the memory is."""

    @abc.abstractmethod
    def _remember(self, memory: Any, step: Coefficients, gradient: Coefficients) -> Any:
        """The memory after a step to a point with this gradient; one of zero is none."""

    @property
    def _parts(self) -> Parts:
        judge = functools.partial(_judged, wolfe=self._wolfe, most=self.max_evaluations)
        start, aim, learn = (functools.partial(part, solver=self) for part in (_started, _aimed, _learnt))
        return Parts(start, aim, judge, learn)

    @property
    def _wolfe(self) -> bool:
        return self.line_search == "zoom"

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> State:
        """An empty history; one evaluation."""
        return self._parts.init(value_and_grad, image)

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: State) -> tuple[Image, State, Info]:
        """One line search along the quasi-Newton direction; without success the image stays as it is."""
        return self._parts.step(value_and_grad, image, state)

    def ahead(self, image: Any, point: Point, *, placed: bool, settled: Settled | None = None) -> Parts:
        """The parts of steps outside jit, compiled for an image and a point of these shapes, see `Compiled.ahead`;
        `settled` has all that they hand on laid out on several devices, hashable as a static argument is.

        Their `step` uses up the state that it is given, at its very end: its memory of the curvature becomes the next
        one's.
        """
        how: Any = {"placed": placed, "settled": settled}
        start, state = _started.ahead(image, point, solver=self, **how)
        apart = (state.memory, image, state._replace(memory=None))
        aim, (direction, trial) = _aimed.ahead(*apart, solver=self, **how)
        search = (trial, image, point, direction, point)
        judge, _ = _judged.ahead(*search, wolfe=self._wolfe, most=self.max_evaluations, **how)
        learn, _ = _learnt_in_place.ahead(state.memory, image, state.free, trial, solver=self, **how)
        return Parts(start, aim, judge, learn)


def _evaluated(value_and_grad: ValueAndGrad, image: Image) -> Point:
    (value, terms), gradient = value_and_grad(image)
    return Point(value, terms, gradient)


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


@compiled("solver", "settled")
def _started(image: Image, point: Point, *, solver: BoxedLbfgs, settled: Settled | None = None) -> State:
    free = _restricted(image, point.gradient)
    return _laid(State(solver._begin(free), point, free, jnp.asarray(True)), settled)


def _laid(tree: Any, settled: Settled | None) -> Any:
    return tree if settled is None else settled(tree)


@compiled("solver", "settled")
def _aimed(
    memory: Any, image: Image, state: State, *, solver: BoxedLbfgs, settled: Settled | None = None
) -> tuple[Image, Trial]:
    """The direction of a step, and the line search before its first evaluation.

    The full step comes first: a search that begins short spends its evaluations in vain.
    """
    direction = cosines.step_of(jnp.where(state.fresh, -state.free, solver._direction(memory)))
    outward = ((image <= 0) & (direction < 0)) | ((image >= 1) & (direction > 0))
    direction = jnp.where(_free(image, state.point.gradient) & ~outward, direction, 0.0)
    size = jnp.sqrt(jnp.mean(direction**2))
    first = FIRST_STEP / jnp.maximum(size, float(jnp.finfo(size.dtype).tiny))
    direction = jnp.where(state.fresh, first, 1.0) * direction
    low, high, length = (jnp.asarray(x, image.dtype) for x in (0.0, jnp.inf, 1.0))
    moved = _moved(image, direction, length)
    trial = Trial(low, high, length, moved, image, state.point, jnp.asarray(0), jnp.asarray(True))
    return _laid((direction, trial), settled)


def _moved(image: Image, direction: Image, length: Scalar) -> Image:
    """A place on the projection arc."""
    return jnp.clip(image + length * direction, 0.0, 1.0)


@compiled("wolfe", "most", "settled")
def _judged(
    trial: Trial,
    start: Image,
    first: Point,
    direction: Image,
    point: Point,
    *,
    wolfe: bool,
    most: int,
    settled: Settled | None = None,
) -> Trial:
    """The trial after an evaluation, which has found this point.

    A step is too long when it brings less than Armijo's share of what the slope promises for the pixels as they moved;
    by Wolfe's conditions also when the loss rises steeply at its end, and too short when it still falls steeply.
    Halving what lies between a length too short and one too long ends at one that is neither. A search gives up where
    the slope promises less than a digit of the loss.
    """
    moved = trial.moved
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
    going = (too_long | too_short) & hope & (tried < most)
    return _laid(Trial(low, high, length, _moved(start, direction, length), image, point, tried, going), settled)


def learnt(
    memory: Any,
    start: Image,
    before: Coefficients,
    trial: Trial,
    *,
    solver: BoxedLbfgs,
    settled: Settled | None = None,
) -> State:
    """The state after a line search from a point where the gradient of the free pixels was `before`.

    Where the curvature along the step was negative, or next to none, the memory is told of a step along the change of
    the gradient that is as long: of curvature as large, but positive. A change of the gradient that may be rounding
    alone teaches nothing.
    """
    free = _restricted(trial.image, trial.point.gradient)
    change = free - before
    step = cosines.of_step(trial.image - start)
    length, rise = jnp.sqrt(_dot(step, step)), jnp.sqrt(_dot(change, change))
    rounding = ROUNDING * float(jnp.finfo(free.dtype).eps) * jnp.sqrt(_dot(free, free))
    told = (length > 0) & (rise > rounding)
    curved = told & (_dot(step, change) > CURVATURE * length * rise)
    instead = jnp.where(told, length / jnp.where(told, rise, 1.0), 0.0) * change
    memory = solver._remember(memory, jnp.where(curved, step, instead), free)
    return _laid(State(memory, trial.point, free, ~told), settled)


_learnt = compiled("solver", "settled")(learnt)
_learnt_in_place = compiled("solver", "settled", donated=("memory",))(learnt)
