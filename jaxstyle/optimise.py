"""Style transfer of one picture: the loop that runs a solver, from coarse to fine.

Pure: arrays in, arrays out, progress through a callback between chunks of steps.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.checks import check_transfer, check_whole
from jaxstyle.networks import Network
from jaxstyle.objective import LossTerms, Objective, Targets, Vector, Weights, loss_terms, make_targets
from jaxstyle.solvers import Adam, Info, Solver, ValueAndGrad
from jaxstyle.starts import MIN_SIDE, Start, resize, scale_sizes, starting_image
from jaxstyle.types import Image, Key, Picture, Scalar

CPU_CHUNK = 10  # steps between two looks at the result
ACCELERATOR_CHUNK = 25  # the same, compiled as one program


class Problem(NamedTuple):
    """All arrays that the loss of an image depends on."""

    network: Network
    targets: Targets
    weights: Weights


class Run(NamedTuple):
    """What a step hands to the next: the image, the solver's state, the running mean of the images."""

    image: Image
    state: Any
    mean: Image
    taken: Array


class Progress(NamedTuple):
    """Where a transfer stands, for `on_progress`.

    Attributes:
      step, steps: steps done and to do at this scale.
      scale, scales: this scale, counted from 1, and how many there are.
      image: the result so far, (h, w, 3) at this scale's size.
      losses: per-step terms so far, over all scales.
    """

    step: int
    steps: int
    scale: int
    scales: int
    image: Image
    losses: LossTerms


class Result(NamedTuple):
    """What a transfer ends with.

    Attributes:
      image: (h, w, 3), in [0, 1].
      losses: terms at the image that each step started from, arrays (n,) over all scales.
      final: terms at `image`.
      evaluations: of the loss and its gradient, over all scales.
    """

    image: Image
    losses: LossTerms
    final: LossTerms
    evaluations: int


class DivergedError(ArithmeticError):
    """The loss, or a pixel, became NaN or infinite.

    Attributes:
      step: how many steps of this scale led there.
      image: the last one that a look at the losses found good, in [0, 1], at this scale's size.
      losses: terms of this scale so far.
    """

    def __init__(self, step: int, image: Image, losses: LossTerms) -> None:
        super().__init__(
            f"the loss is no longer a finite number at step {step}; a smaller learning rate or smaller weights help"
        )
        self.step, self.image, self.losses = step, image, losses


def _value_and_grad(problem: Problem, objective: Objective) -> ValueAndGrad:
    def loss(image: Image) -> tuple[Scalar, LossTerms]:
        terms = loss_terms(image, *problem, objective=objective)
        return terms.total, terms

    return jax.value_and_grad(loss, has_aux=True)


def _advance(value_and_grad: ValueAndGrad, run: Run, solver: Solver, decay: float) -> tuple[Run, Info]:
    """One step of the solver, and of the running mean."""
    image, state, info = solver.step(value_and_grad, run.image, run.state)
    mean = decay * run.mean + (1 - decay) * image if decay else image
    return Run(image, state, mean, run.taken + 1), info


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _jitted_step(problem: Problem, run: Run, objective: Objective, solver: Solver, decay: float) -> tuple[Run, Info]:
    return _advance(_value_and_grad(problem, objective), run, solver, decay)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _compiled_chunk(
    problem: Problem, run: Run, objective: Objective, solver: Solver, decay: float, count: int
) -> tuple[Run, Info]:
    def body(run: Run, _: None) -> tuple[Run, Info]:
        return _advance(_value_and_grad(problem, objective), run, solver, decay)

    return jax.lax.scan(body, run, length=count)


@functools.partial(jax.jit, static_argnums=2)
def _jitted_value_and_grad(problem: Problem, image: Image, objective: Objective) -> Any:
    return _value_and_grad(problem, objective)(image)


@functools.partial(jax.jit, static_argnames=("objective",))
def _jitted_targets(
    network: Network, content: Image, styles: Sequence[Picture], mix: Vector | None, objective: Objective
) -> Targets:
    return make_targets(network, content, styles, objective=objective, mix=mix)


class Runner(NamedTuple):
    """A problem made ready to run on its device.

    Attributes:
      first: the run before its first step.
      advance: (run, steps) -> (run, infos with a leading axis of steps).
      terms: image -> its loss terms.
      chunk: how many steps to ask for at a time.
    """

    first: Run
    advance: Callable[[Run, int], tuple[Run, Info]]
    terms: Callable[[Image], LossTerms]
    chunk: int


def make_runner(problem: Problem, image: Image, objective: Objective, solver: Solver, decay: float) -> Runner:
    """Chooses how steps are compiled: the one place where the device decides.

    On accelerators a chunk is one compiled `scan`. XLA's CPU convolutions are several times slower inside any loop
    (jax issue 12868), so there each step is a program of its own; and of a solver with a loop inside the step only
    the loss is compiled, its line search runs in Python.
    """

    def first(value_and_grad: ValueAndGrad) -> Run:
        return Run(image, solver.init(value_and_grad, image), jnp.zeros_like(image), jnp.zeros((), jnp.int32))

    def unrolled(step: Callable[[Run], tuple[Run, Info]]) -> Callable[[Run, int], tuple[Run, Info]]:
        def advance(run: Run, count: int) -> tuple[Run, Info]:
            infos = []
            for _ in range(count):
                run, info = step(run)
                infos.append(info)
            return run, jax.tree.map(lambda *xs: np.stack(xs), *jax.device_get(infos))

        return advance

    lazy = functools.partial(_jitted_value_and_grad, problem, objective=objective)
    device = next(iter(jax.tree.leaves(problem.network.params)[0].devices()))
    if device.platform != "cpu":

        def compiled_chunk(run: Run, count: int) -> tuple[Run, Info]:
            return _compiled_chunk(problem, run, objective, solver, decay, count)

        return Runner(first(lazy), compiled_chunk, lambda image: lazy(image)[0][1], ACCELERATOR_CHUNK)

    if solver.has_inner_loop:
        advance = unrolled(lambda run: _advance(lazy, run, solver, decay))
        return Runner(first(lazy), advance, lambda image: lazy(image)[0][1], CPU_CHUNK)

    def step(run: Run) -> tuple[Run, Info]:
        return _jitted_step(problem, run, objective, solver, decay)

    start = first(lazy)
    # The terms of an image are those at which a step from it begins: no second program needs compiling.
    return Runner(start, unrolled(step), lambda image: step(start._replace(image=image))[1].terms, CPU_CHUNK)


def _optimise(
    runner: Runner, steps: int, chunk: int, report: Callable[[Run, list[Info]], None]
) -> tuple[Run, list[Info]]:
    """`steps` steps in chunks, with a look at the losses and a report after each."""
    run, infos = runner.first, []
    good = run.image
    for start in range(0, steps, chunk):
        new, info = runner.advance(run, min(chunk, steps - start))
        info = jax.device_get(info)
        infos.append(info)
        finite = np.append(np.isfinite(info.terms.total), bool(jnp.isfinite(new.image).all()))
        if not finite.all():
            done = int(np.argmin(finite))
            # With the very first loss of the chunk gone, the image that the chunk began with is no good either.
            image = run.image if done else good
            raise DivergedError(start + done, jnp.clip(image, 0.0, 1.0), _concatenate(infos).terms)
        good, run = run.image, new
        report(run, infos)
    return run, infos


def _concatenate(infos: Sequence[Info]) -> Info:
    return jax.tree.map(lambda *xs: np.concatenate(xs), *infos)


def _current(run: Run, decay: float) -> Image:
    """The image to show: the mean of the iterates, corrected for its start at zero, or the last of them."""
    image = run.mean / (1 - decay**run.taken) if decay else run.image
    return jnp.clip(image, 0.0, 1.0)


def _scaled(style: Picture, ratio: float) -> Picture:
    h, w = (max(MIN_SIDE, round(side * ratio)) for side in style.shape[:2])
    return style if (h, w) == style.shape[:2] else resize(style, h, w)


def transfer(
    content: Picture,
    styles: Picture | Sequence[Picture],
    *,
    network: Network,
    weights: Weights | None = None,
    objective: Objective | None = None,
    solver: Solver | None = None,
    steps: int = defaults.STEPS,
    init: Start | Picture = "content",
    min_size: int | None = None,
    average: float = 0.0,
    key: Key | None = None,
    report_every: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Paints the content in the manner of the styles (Gatys, Ecker and Bethge 2015,
    https://arxiv.org/abs/1508.06576), from coarse to fine.

    At each scale the pictures are resized alike, `steps` steps are taken, and the result, enlarged, is the start of
    the next scale. The solver begins anew at each scale: moments and curvature of a coarser grid mean little on a
    finer one, and its first steps are short. Large shapes settle at the coarse scales, where they are a few pixels
    wide and steps are cheap.

    Args:
      content: (h, w, 3), in [0, 1]; the result has its size.
      styles: one picture or several, of any sizes; `weights.mix` says how they are mixed.
      network: from `load_network`.
      weights: of the terms; new values do not recompile.
      objective: layers and formulae.
      solver: `Adam`, `Lbfgs` or `OptaxLbfgs`.
      steps: at each scale.
      init: "content", "noise", "style", "blur", or a picture.
      min_size: long side in pixels of the coarsest scale; None for 128. Equal to the content's: a single scale.
      average: decay of a running mean of the images, in [0, 1), which is then the result; 0 for the last image.
      key: `jax.random` key for the start from noise; None for a fixed one.
      report_every: steps between two looks at the result; None for 10 on CPU, 25 elsewhere, where so many are
        compiled as one program.
      on_progress: called with a `Progress` at each of these looks.

    Raises:
      InputError: an image, a size, a number or a layer that cannot be used.
      DivergedError: the loss became NaN or infinite; the error holds the last good image.
    """
    weights, objective, solver = weights or Weights(), objective or Objective(), solver or Adam()
    single = isinstance(styles, np.ndarray | jax.Array) and styles.ndim == 3
    styles = [styles] if single else list(styles)  # type: ignore[list-item]
    check_transfer(content, styles, network, weights, objective, steps, init, min_size, average)
    check_whole(1 if report_every is None else report_every, "report_every", 1)
    content = jnp.asarray(content, jnp.float32)
    styles = [jnp.asarray(style, jnp.float32) for style in styles]
    sizes = scale_sizes(*content.shape[:2], min_size=min_size)
    image = starting_image(jax.random.key(0) if key is None else key, init, content, styles, sizes[0])
    weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)
    infos: list[Info] = []
    for scale, (height, width) in enumerate(sizes, 1):
        ratio = max(height, width) / max(content.shape[:2])
        scaled = [_scaled(style, ratio) for style in styles]
        small = content if ratio == 1 else resize(content, height, width)
        targets = _jitted_targets(network, small, scaled, weights.mix, objective=objective)
        problem = Problem(network, targets, weights._replace(mix=None))
        image = resize(image, height, width) if image.shape[:2] != (height, width) else image
        runner = make_runner(problem, image, objective, solver, average)

        def report(run: Run, new: list[Info], scale: int = scale, before: tuple[Info, ...] = tuple(infos)) -> None:
            if on_progress:
                done = sum(len(info.evaluations) for info in new)
                losses = _concatenate([*before, *new]).terms
                on_progress(Progress(done, steps, scale, len(sizes), _current(run, average), losses))

        run, new = _optimise(runner, steps, report_every or runner.chunk, report)
        infos += new
        image = _current(run, average)
    info = _concatenate(infos)
    return Result(image, info.terms, jax.device_get(runner.terms(image)), int(info.evaluations.sum()))
