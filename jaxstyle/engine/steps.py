"""What is compiled of a scale: a step, an evaluation; and how, which depends on the device.

The same functions serve one picture and a batch of them: what is batched is mapped over by `jax.vmap`, what is shared
is computed once.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle.engine.devices import Settled
from jaxstyle.engine.inputs import Inputs, axis_of, problem_axes
from jaxstyle.engine.plan import Plan, Program
from jaxstyle.engine.preparation import prepare, prepare_in_tiles
from jaxstyle.engine.scales import Scale
from jaxstyle.engine.tiles import TiledLoss, tiling_for
from jaxstyle.engine.tiling import Tiling
from jaxstyle.networks import Network
from jaxstyle.objective import (
    LossTerms,
    Number,
    Targets,
    Weights,
    loss_terms,
)
from jaxstyle.ops.compile import compiled
from jaxstyle.ops.rows import kept_apart
from jaxstyle.solvers import BoxedLbfgs, Info, Point, Solver, ValueAndGrad
from jaxstyle.types import Image, Scalar


class Problem(NamedTuple):
    """All arrays that the loss of an image depends on."""

    network: Network
    targets: Targets
    weights: Weights


class State(NamedTuple):
    """What a step hands to the next: the image, the solver's state, the running mean of the images, how many it has."""

    image: Any
    solver: Any
    mean: Any
    taken: Array


# A step.


def _value_and_grad(problem: Problem, program: Program) -> ValueAndGrad:
    def loss(image: Image) -> tuple[Scalar, LossTerms]:
        with kept_apart(program.rows is not None):
            terms = loss_terms(program.split(image), *problem, objective=program.objective)
        return terms.total, terms

    return jax.value_and_grad(loss, has_aux=True)


def advance(value_and_grad: ValueAndGrad, state: State, program: Program) -> tuple[State, Info]:
    """One step of the solver, and of the running mean."""
    image, solver, info = program.solver.step(value_and_grad, state.image, state.solver)
    mean = program.decay * state.mean + (1 - program.decay) * image if program.decay else image
    return State(image, solver, mean, state.taken + 1), info


def _advance_or_stay(problem: Problem, state: State, program: Program) -> tuple[State, Info]:
    """One step in a batch: where it diverges the last good image stays, and losses are NaN from there on."""
    new, info = advance(_value_and_grad(problem, program), state, program)
    good = jnp.isfinite(info.terms.total) & jnp.isfinite(new.image).all()
    image, mean = (jnp.where(good, x, old) for x, old in ((new.image, state.image), (new.mean, state.mean)))
    terms = jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), info.terms)
    return new._replace(image=image, mean=mean), info._replace(terms=terms)


def _axes(problem: Problem, program: Program) -> Any:
    """The axes of a problem to map over."""
    assert program.batched is not None
    return Problem._make(problem_axes(program.batched, problem.targets))


def one_step(problem: Problem, state: State, program: Program) -> tuple[State, Info]:
    """One step, of one picture or of a batch."""
    if program.batched is None:
        state, info = advance(_value_and_grad(problem, program), state, program)
        return program.settled(state, state.image.shape[:2]), info
    step = functools.partial(_advance_or_stay, program=program)
    state, info = jax.vmap(step, in_axes=(_axes(problem, program), 0))(problem, state)
    return program.spread(state), info


def evaluate(problem: Problem, image: Array, program: Program) -> Any:
    """((total, terms), gradient) of one image, or of a batch."""

    def one(problem: Problem, image: Image) -> Any:
        return _value_and_grad(problem, program)(image)

    if program.batched is None:
        return program.settled(one(problem, image), image.shape[:2])
    return jax.vmap(one, in_axes=(_axes(problem, program), 0))(problem, image)


def first_state(problem: Problem, image: Array, rate: Number | None, program: Program) -> State:
    """The state before the first step."""

    def first(problem: Problem, image: Image, rate: Number | None) -> State:
        solver: Any = program.solver if rate is None else dataclasses.replace(program.solver, rate=rate)  # type: ignore[type-var]
        begun = solver.init(_value_and_grad(problem, program), image)
        return State(image, begun, jnp.zeros_like(image), jnp.zeros((), jnp.int32))

    if program.batched is None:
        return program.settled(first(problem, image, rate), image.shape[:2])
    axes = (_axes(problem, program), 0, axis_of(program.batched, "rate"))
    return program.spread(jax.vmap(first, in_axes=axes)(problem, image, rate))


@compiled("program")
def compiled_step(problem: Problem, state: State, *, program: Program) -> tuple[State, Info]:
    """`one_step`, compiled: what runs on CPUs."""
    return one_step(problem, state, program)


@compiled("program", "count", donated=("solver",))
def compiled_chunk(problem: Problem, state: State, solver: Any, *, program: Program, count: int) -> tuple[State, Info]:
    """`count` steps in a compiled loop: what runs on accelerators.

    The solver's state comes apart, since the new one takes its place in memory; the images of the state may be
    somebody's still.
    """
    state = state._replace(solver=solver)
    return jax.lax.scan(lambda state, _: one_step(problem, state, program), state, length=count)


@compiled("solver", donated=("state",))
def compiled_update(
    image: Image, state: Any, terms: LossTerms, gradient: Image, *, solver: Solver
) -> tuple[Image, Any, Info]:
    """A step of a solver without a line search, at whose one evaluation these were found."""
    return solver.step(lambda _: ((terms.total, terms), gradient), image, state)


@compiled("program")
def compiled_evaluate(problem: Problem, image: Array, *, program: Program) -> Any:
    """`evaluate`, compiled."""
    return evaluate(problem, image, program)


@compiled("program")
def compiled_first(problem: Problem, image: Array, rate: Number | None, *, program: Program) -> State:
    """`first_state`, compiled."""
    return first_state(problem, image, rate, program)


# How steps are compiled, which the device decides. On accelerators a chunk of steps is one compiled loop. XLA's CPU
# convolutions are several times slower inside any loop (jax issue 12868), so there each step is a program of its own;
# and of a solver with a loop inside the step the loss is one, between whose calls its line search runs in Python.


@dataclass(frozen=True)
class Executables:
    """The compiled programs of a scale.

    Attributes:
      prepare: (network, inputs, image before) -> (targets, image).
      evaluate: (problem, image) -> ((total, terms), gradient), where the line search runs in Python; else None.
      solver: what has the `init` and `step` of the solver then.
      first: (problem, image, rate) -> state; None where `evaluate` is not.
      step: (problem, state) -> (state, info) of one step on a CPU, (problem, state without the solver's, the solver's)
        -> (state, infos) of a chunk on an accelerator; None where `evaluate` is not.
    """

    prepare: Any
    evaluate: Any = None
    solver: Any = None
    first: Any = None
    step: Any = None

    @property
    def all(self) -> list[Any]:
        """Those that there are of the loss."""
        if isinstance(self.evaluate, TiledLoss):
            return self.evaluate.programs
        return [x for x in (self.prepare, self.evaluate, self.first, self.step) if x is not None]


def compile_scale(plan: Plan, number: int) -> Executables:
    """Compiles what a scale of a plan will run, and runs nothing.

    In place of arrays the plan may have shapes, with shardings of any devices, those that are not there included.
    """
    leaves, tree = jax.tree.flatten((plan.network, plan.inputs))
    shapes = [x if isinstance(x, jax.ShapeDtypeStruct) else _shape_of(x) for x in leaves]
    network, inputs = jax.tree.unflatten(tree, shapes)
    program, scale = plan.program, plan.scales[number]
    placed = any(x.sharding is not None for x in shapes)
    before = None
    if number:
        size = plan.scales[number - 1].size
        axes = () if plan.batch is None else (plan.batch,)
        sharding = program.sharding if program.rows is None else program.rows.of((*size, 3))
        before = jax.ShapeDtypeStruct((*axes, *size, 3), jnp.float32, sharding=sharding)
    tiling = tiling_at(plan, number)
    if tiling is not None:
        return _compile_tiled(plan, tiling, network, inputs, before, scale=scale, placed=placed)
    prepared, (targets, image) = prepare.ahead(
        network, inputs, before, program=program, scale=scale, batch=plan.batch, placed=placed
    )
    problem = Problem(network, targets, inputs.weights.of_terms)
    if plan.on_cpu and program.solver.has_inner_loop:
        evaluated, ((total, terms), gradient) = compiled_evaluate.ahead(problem, image, program=program, placed=placed)
        solver: Any = program.solver
        if isinstance(solver, BoxedLbfgs):
            settled = None if program.rows is None else Settled(program.rows, scale.size)
            solver = solver.ahead(image, Point(total, terms, gradient), placed=placed, settled=settled)
        return Executables(prepared, evaluate=evaluated, solver=solver)
    first, state = compiled_first.ahead(problem, image, inputs.rate, program=program, placed=placed)
    if plan.on_cpu:
        step, _ = compiled_step.ahead(problem, state, program=program, placed=placed)
    else:
        apart = (problem, state._replace(solver=None), state.solver)
        step, _ = compiled_chunk.ahead(*apart, program=program, count=plan.chunk, placed=placed)
    return Executables(prepared, first=first, step=step)


def _compile_tiled(
    plan: Plan, tiling: Tiling, network: Network, inputs: Inputs, before: Any, *, scale: Scale, placed: bool
) -> Executables:
    """Those of a scale that is seen in tiles: on any device Python runs between them."""
    program, tile = plan.program, plan.tile
    assert tile is not None
    shapes = functools.partial(prepare.function, program=program, scale=scale, batch=None)
    targets, image = jax.eval_shape(shapes, network, inputs, before)
    weights = inputs.weights.of_terms
    loss, ((total, terms), gradient) = TiledLoss.ahead(
        network, targets, weights, image, objective=program.objective, tiling=tiling, placed=placed
    )
    solver: Any = program.solver
    if isinstance(solver, BoxedLbfgs):
        solver = solver.ahead(image, Point(total, terms, gradient), placed=placed)
    else:
        solver = SteppedOutside(solver, functools.partial(compiled_update, solver=solver))
    return Executables(functools.partial(prepare_in_tiles, program=program, scale=scale, tile=tile), loss, solver)


def _shape_of(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding if getattr(x, "committed", False) else None)


@dataclass(frozen=True)
class SteppedOutside:
    """A solver without a line search whose loss is not one program: what has `init` and `step` then.

    Attributes:
      solver: with its rate.
      update: program of the rest of a step.
    """

    solver: Solver
    update: Any

    def at_rate(self, rate: Number | None) -> "SteppedOutside":
        """The same with this learning rate, where the solver has one."""
        if rate is None:
            return self
        rate = jnp.array(rate)  # a copy: a state, which has it, is used up
        return dataclasses.replace(self, solver=dataclasses.replace(self.solver, rate=rate))  # type: ignore[type-var]

    def init(self, value_and_grad: ValueAndGrad, image: Image) -> Any:
        """The solver's."""
        return self.solver.init(value_and_grad, image)

    def step(self, value_and_grad: ValueAndGrad, image: Image, state: Any) -> tuple[Image, Any, Info]:
        """One evaluation, one step; the state is used up."""
        (_, terms), gradient = value_and_grad(image)
        return self.update(image, state, terms, gradient)


def tiling_at(plan: Plan, number: int) -> Tiling | None:
    """The tiles in which a scale of a plan is seen; None where that is as a whole."""
    if plan.tile is None:
        return None
    tiling = tiling_for(plan.network, plan.program.objective.layers, plan.scales[number].size, plan.tile)
    return tiling if len(tiling) > 1 else None


class Runner(NamedTuple):
    """A scale made ready to run.

    Attributes:
      targets: what the image is held against.
      first: the state before its first step.
      advance: (state, steps) -> (state, infos with a leading axis of steps).
      terms: image -> its loss terms.
      chunk: steps between two looks at the result.
    """

    targets: Targets
    first: State
    advance: Callable[[State, int], tuple[State, Info]]
    terms: Callable[[Array], LossTerms]
    chunk: int


def make_runner(plan: Plan, executables: Executables, before: Array | None) -> Runner:
    """Prepares a scale of a plan, from the image of the scale before, if any."""
    program, rate = plan.program, plan.inputs.rate
    targets, image = executables.prepare(plan.network, plan.inputs, before)
    problem = Problem(plan.network, targets, plan.inputs.weights.of_terms)
    if executables.evaluate is not None:
        evaluated, solver = functools.partial(executables.evaluate, problem), executables.solver
        if isinstance(solver, SteppedOutside):
            solver = solver.at_rate(rate)
        program = program._replace(solver=solver)
        state = State(image, program.solver.init(evaluated, image), jnp.zeros_like(image), jnp.zeros((), jnp.int32))
        step = _one_by_one(lambda state: advance(evaluated, state, program))
        chunk = 1 if isinstance(executables.evaluate, TiledLoss) else plan.chunk  # where a step may take minutes
        return Runner(targets, state, step, lambda image: evaluated(image)[0][1], chunk)
    first = executables.first(problem, image, rate)
    if plan.on_cpu:
        step = functools.partial(executables.step, problem)
        # The terms of an image are those at which a step from it begins: no second program needs compiling.
        return Runner(
            targets, first, _one_by_one(step), lambda image: step(first._replace(image=image))[1].terms, plan.chunk
        )

    def steps(state: State, count: int) -> tuple[State, Info]:
        apart = (problem, state._replace(solver=None), state.solver)
        if count == plan.chunk:
            return executables.step(*apart)
        return compiled_chunk(*apart, program=program, count=count)

    return Runner(
        targets, first, steps, lambda image: compiled_evaluate(problem, image, program=program)[0][1], plan.chunk
    )


def _one_by_one(step: Callable[[State], tuple[State, Info]]) -> Callable[[State, int], tuple[State, Info]]:
    """Several calls of a step, their infos stacked."""

    def steps(state: State, count: int) -> tuple[State, Info]:
        infos = []
        for _ in range(count):
            state, info = step(state)
            infos.append(info)
        return state, jax.tree.map(lambda *xs: np.stack(xs), *jax.device_get(infos))

    return steps
