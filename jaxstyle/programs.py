"""What is compiled: the preparation of a scale, a step, an evaluation; and how, which depends on the device.

The same functions serve one picture and lanes of them: what has lanes is mapped over by `jax.vmap`, what is shared is
computed once.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.compiling import compiled, is_traced, platform_of
from jaxstyle.lanes import SHARED, Inputs
from jaxstyle.networks import Network
from jaxstyle.objective import (
    LossTerms,
    Number,
    Objective,
    Targets,
    Weights,
    by_region,
    check_mixes,
    content_targets,
    loss_terms,
    mix_statistics,
    style_statistics,
)
from jaxstyle.regions import Regions, cover_of, layer_masks, style_shares
from jaxstyle.solvers import Adam, Info, Solver, ValueAndGrad
from jaxstyle.starts import scaled_size, sized, starting_image
from jaxstyle.types import Image, Key, Picture, Scalar

CPU_CHUNK = 10  # steps between two looks at the result
ACCELERATOR_CHUNK = 25  # at most so many are compiled as one program


class Program(NamedTuple):
    """What a compiled step depends on, all of it static.

    Attributes:
      objective: layers and formulae.
      solver: without its rate, which is a number like the weights.
      decay: of the running mean.
      axes: of the inputs; None for a single picture.
      sharding: of lanes over devices; None for a single one.
    """

    objective: Objective
    solver: Solver
    decay: float
    axes: Inputs | None = None
    sharding: NamedSharding | None = None

    def spread(self, tree: Any) -> Any:
        """Arrays with lanes in front, laid out over the devices."""
        return tree if self.sharding is None else jax.lax.with_sharding_constraint(tree, self.sharding)


class Problem(NamedTuple):
    """All arrays that the loss of an image depends on."""

    network: Network
    targets: Targets
    weights: Weights


class Run(NamedTuple):
    """What a step hands to the next: the image, the solver's state, the running mean of the images."""

    image: Any
    state: Any
    mean: Any
    taken: Array


def program_of(objective: Objective, solver: Solver, average: float, *, axes: Inputs | None = None) -> Program:
    """The static part of the settings: a new learning rate must not compile anything."""
    if isinstance(solver, Adam):
        solver = dataclasses.replace(solver, rate=defaults.ADAM_RATE)
    return Program(objective, solver, average, axes)


def mapped(function: Callable[..., Any], *axes: Any) -> Callable[..., Any]:
    """The function over lanes, or itself, when no argument has them."""
    return jax.vmap(function, in_axes=axes) if jax.tree.leaves(axes) else function


def _problem_axes(axes: Inputs, problem: Problem) -> Problem:
    """The axes of a problem made from such inputs."""
    style = 0 if jax.tree.leaves((axes.styles, axes.weights.mix, axes.weights.mix_layers)) else None
    regions = None if problem.targets.regions is None else Regions(None, axes.weights.mix, None, axes.content)  # type: ignore[arg-type]
    return Problem(None, Targets(axes.content, style, regions), axes.weights.of_terms)  # type: ignore[arg-type]


def _value_and_grad(problem: Problem, objective: Objective) -> ValueAndGrad:
    def loss(image: Image) -> tuple[Scalar, LossTerms]:
        terms = loss_terms(image, *problem, objective=objective)
        return terms.total, terms

    return jax.value_and_grad(loss, has_aux=True)


def _advance(value_and_grad: ValueAndGrad, run: Run, program: Program) -> tuple[Run, Info]:
    """One step of the solver, and of the running mean."""
    image, state, info = program.solver.step(value_and_grad, run.image, run.state)
    mean = program.decay * run.mean + (1 - program.decay) * image if program.decay else image
    return Run(image, state, mean, run.taken + 1), info


def _advance_or_stay(problem: Problem, run: Run, program: Program) -> tuple[Run, Info]:
    """The same for a lane, which keeps its last good image when it diverges; its losses are NaN from there on."""
    new, info = _advance(_value_and_grad(problem, program.objective), run, program)
    good = jnp.isfinite(info.terms.total) & jnp.isfinite(new.image).all()
    image, mean = (jnp.where(good, x, old) for x, old in ((new.image, run.image), (new.mean, run.mean)))
    terms = jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), info.terms)
    return new._replace(image=image, mean=mean), info._replace(terms=terms)


def one_step(problem: Problem, run: Run, program: Program) -> tuple[Run, Info]:
    """One step, of one picture or of all lanes."""
    if program.axes is None:
        return _advance(_value_and_grad(problem, program.objective), run, program)
    advance = functools.partial(_advance_or_stay, program=program)
    run, info = jax.vmap(advance, in_axes=(_problem_axes(program.axes, problem), 0))(problem, run)
    return program.spread(run), info


def evaluate(problem: Problem, image: Array, program: Program) -> Any:
    """((total, terms), gradient) of one image, or of all lanes'."""

    def one(problem: Problem, image: Image) -> Any:
        return _value_and_grad(problem, program.objective)(image)

    lanes = () if program.axes is None else (_problem_axes(program.axes, problem), 0)
    return mapped(one, *lanes)(problem, image)


def first_run(problem: Problem, image: Array, rate: Number | None, program: Program) -> Run:
    """The run before its first step."""

    def first(problem: Problem, image: Image, rate: Number | None) -> Run:
        solver = program.solver if rate is None else dataclasses.replace(program.solver, rate=rate)  # type: ignore[type-var]
        state = solver.init(_value_and_grad(problem, program.objective), image)
        return Run(image, state, jnp.zeros_like(image), jnp.zeros((), jnp.int32))

    lanes = () if program.axes is None else (_problem_axes(program.axes, problem), 0, program.axes.rate)
    return program.spread(mapped(first, *lanes)(problem, image, rate))


@compiled("program")
def jitted_step(problem: Problem, run: Run, *, program: Program) -> tuple[Run, Info]:
    """`one_step`, compiled: what runs on CPU."""
    return one_step(problem, run, program)


@compiled("program", "count", donated=("state",))
def jitted_chunk(problem: Problem, run: Run, state: Any, *, program: Program, count: int) -> tuple[Run, Info]:
    """`count` steps in a compiled loop: what runs on accelerators.

    The solver's state comes apart from the run, since the new one takes its place in memory; the images of the run
    may be somebody's still.
    """
    run = run._replace(state=state)
    return jax.lax.scan(lambda run, _: one_step(problem, run, program), run, length=count)


@compiled("program")
def jitted_evaluate(problem: Problem, image: Array, *, program: Program) -> Any:
    """`evaluate`, compiled."""
    return evaluate(problem, image, program)


@compiled("program")
def jitted_first(problem: Problem, image: Array, rate: Number | None, *, program: Program) -> Run:
    """`first_run`, compiled."""
    return first_run(problem, image, rate, program)


class Scale(NamedTuple):
    """One of the sizes from coarse to fine: its own (height, width), the last one's long side, how to begin.

    With a margin these are the canvas's, from which the picture is cut.
    """

    size: tuple[int, int]
    full: int
    init: str | None
    lanes: int | None
    margin: int = 0

    @property
    def picture(self) -> tuple[int, int]:
        """The picture's (height, width)."""
        return self.size[0] - 2 * self.margin, self.size[1] - 2 * self.margin


def scales_of(
    sizes: Sequence[tuple[int, int]], *, init: str | None, lanes: int | None = None, margin: int = 0
) -> list[Scale]:
    """The scales at which the picture has these sizes; the last one's margin is `margin`, others are in proportion."""
    longest = max(sizes[-1])
    around = [round(margin * max(size) / longest) for size in sizes]
    return [
        Scale((height + 2 * more, width + 2 * more), longest + 2 * margin, init, lanes, more)
        for (height, width), more in zip(sizes, around, strict=True)
    ]


@compiled("program", "scale")
def prepare(
    network: Network, inputs: Inputs, before: Array | None, *, program: Program, scale: Scale
) -> tuple[Targets, Array]:
    """The targets of a scale, and the image to begin with: that of the scale before enlarged, or a start."""
    axes, objective, network = program.axes or SHARED, program.objective, network.for_once()
    ratio = max(scale.size) / scale.full
    content = mapped(lambda x: sized(x, scale.size), axes.content)(inputs.content)
    styles = mapped(lambda xs: [_scaled(x, ratio, network.module.smallest) for x in xs], axes.styles)(inputs.styles)
    kept = mapped(lambda x: content_targets(network, x, objective), axes.content)(content)
    parts = inputs.style_masks or (None,) * len(styles)

    def described(xs: Sequence[Picture]) -> list[dict[str, Any]]:
        return [style_statistics(network, x, objective, mask=mask) for x, mask in zip(xs, parts, strict=True)]

    def combine(found: list[dict[str, Any]], mix: Any, mix_layers: Any) -> Any:
        if inputs.masks is None:
            return mix_statistics(found, objective, mix, mix_layers)
        check_mixes(mix_layers)
        return by_region(found)

    statistics = mapped(described, axes.styles)(styles)
    mixes = (axes.weights.mix, axes.weights.mix_layers)
    wanted = mapped(combine, axes.styles, *mixes)(statistics, inputs.weights.mix, inputs.weights.mix_layers)
    regions = None if inputs.masks is None else _regions(network, inputs, content, axes, program, scale)
    if before is None:

        def begin(key: Key, start: Picture | None, content: Picture, styles: Sequence[Picture]) -> Image:
            return starting_image(key, scale.init if start is None else start, content, styles, scale.size)  # type: ignore[arg-type]

        starts = (axes.key, axes.start, axes.content, axes.styles)
        image = mapped(begin, *starts)(inputs.key, inputs.start, inputs.content, inputs.styles)
        if scale.lanes and not jax.tree.leaves(starts):
            image = jnp.broadcast_to(image[None], (scale.lanes, *image.shape))
    else:
        image = mapped(lambda x: sized(x, scale.size), *(() if scale.lanes is None else (0,)))(before)
    return Targets(kept, wanted, regions), program.spread(image)


def _regions(network: Network, inputs: Inputs, content: Array, axes: Inputs, program: Program, scale: Scale) -> Regions:
    """The regions of a scale: masks are shared, the content and mixing weights may have lanes."""
    masks = layer_masks(network, inputs.masks, program.objective.style_layers, scale.size)
    shares = mapped(style_shares, None, axes.weights.mix)(inputs.masks, inputs.weights.mix)
    return Regions(masks, shares, cover_of(inputs.masks, scale.size), content)


def _scaled(style: Picture, ratio: float, smallest: int) -> Image:
    return sized(style, scaled_size(style.shape[:2], ratio, smallest=smallest))


class Runner(NamedTuple):
    """A problem made ready to run on its device.

    Attributes:
      first: the run before its first step.
      advance: (run, steps) -> (run, infos with a leading axis of steps).
      terms: image -> its loss terms.
    """

    first: Run
    advance: Callable[[Run, int], tuple[Run, Info]]
    terms: Callable[[Array], LossTerms]


def device_of(network: Network) -> jax.Device:
    """Where the network's weights lie, the first of several."""
    return next(iter(jax.tree.leaves(network.params)[0].devices()))


def runs_on_cpu(network: Network) -> bool:
    """Whether the network's weights lie on a CPU."""
    return platform_of(jax.tree.leaves(network.params)[0]) == "cpu"


def for_steps(network: Network, inputs: Inputs) -> Network:
    """The network as steps on its device want it."""
    return network if is_traced(network, inputs) else network.for_steps(inputs.content.shape[-3:-1])


def make_runner(problem: Problem, image: Array, rate: Number | None, program: Program) -> Runner:
    """Chooses how steps are compiled: the one place where the device decides.

    On accelerators a chunk is one compiled `scan`. XLA's CPU convolutions are several times slower inside any loop
    (jax issue 12868), so there each step is a program of its own; and of a solver with a loop inside the step only
    the loss is compiled, its line search runs in Python.
    """

    def unrolled(step: Callable[[Run], tuple[Run, Info]]) -> Callable[[Run, int], tuple[Run, Info]]:
        def advance(run: Run, count: int) -> tuple[Run, Info]:
            infos = []
            for _ in range(count):
                run, info = step(run)
                infos.append(info)
            return run, jax.tree.map(lambda *xs: np.stack(xs), *jax.device_get(infos))

        return advance

    evaluated = functools.partial(jitted_evaluate, problem, program=program)
    if not runs_on_cpu(problem.network):

        def chunk(run: Run, count: int) -> tuple[Run, Info]:
            return jitted_chunk(problem, run._replace(state=None), run.state, program=program, count=count)

        first = jitted_first(problem, image, rate, program=program)
        return Runner(first, chunk, lambda image: evaluated(image)[0][1])

    if program.solver.has_inner_loop:
        state = program.solver.init(evaluated, image)
        start = Run(image, state, jnp.zeros_like(image), jnp.zeros((), jnp.int32))
        return Runner(start, unrolled(lambda run: _advance(evaluated, run, program)), lambda x: evaluated(x)[0][1])

    def step(run: Run) -> tuple[Run, Info]:
        return jitted_step(problem, run, program=program)

    first = jitted_first(problem, image, rate, program=program)
    # The terms of an image are those at which a step from it begins: no second program needs compiling.
    return Runner(first, unrolled(step), lambda image: step(first._replace(image=image))[1].terms)


def compile_ahead(
    network: Network, inputs: Inputs, before: tuple[int, int] | None, scale: Scale, program: Program, count: int
) -> tuple[Any, ...]:
    """Compiles what `paint` will run at a scale after one of size `before`, if any; returns the programs.

    In place of arrays it takes shapes, with shardings of any devices, those that are not there included.
    """
    leaves, tree = jax.tree.flatten((network, inputs))
    shapes = tuple(x if isinstance(x, jax.ShapeDtypeStruct) else _shape_of(x) for x in leaves)
    return _compile_for(shapes, tree, before, scale, program, count, runs_on_cpu(network))


def _shape_of(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding if getattr(x, "committed", False) else None)


@functools.lru_cache(64)  # a second transfer of the same size need not even trace
def _compile_for(
    shapes: tuple[Any, ...],
    tree: Any,
    before: tuple[int, int] | None,
    scale: Scale,
    program: Program,
    count: int,
    cpu: bool,
) -> tuple[Any, ...]:
    network, inputs = jax.tree.unflatten(tree, shapes)
    lanes, placed = () if scale.lanes is None else (scale.lanes,), any(x.sharding is not None for x in shapes)
    start = before and jax.ShapeDtypeStruct((*lanes, *before, 3), jnp.float32, sharding=program.sharding)
    prepared, (targets, image) = prepare.ahead(network, inputs, start, program=program, scale=scale, placed=placed)
    problem = Problem(network, targets, inputs.weights.of_terms)
    if cpu and program.solver.has_inner_loop:
        return prepared, jitted_evaluate.ahead(problem, image, program=program, placed=placed)[0]
    begun, first = jitted_first.ahead(problem, image, inputs.rate, program=program, placed=placed)
    if cpu:
        step = jitted_step.ahead(problem, first, program=program, placed=placed)[0]
    else:
        run, state = first._replace(state=None), first.state
        step = jitted_chunk.ahead(problem, run, state, program=program, count=count, placed=placed)[0]
    return prepared, begun, step


def chunk_length(network: Network, steps: int) -> int:
    """How many steps to take between two looks."""
    if runs_on_cpu(network):
        return CPU_CHUNK
    return math.ceil(steps / math.ceil(steps / ACCELERATOR_CHUNK))  # all of one length: a single program
