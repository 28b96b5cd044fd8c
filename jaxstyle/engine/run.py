"""The loop that runs a plan: from coarse to fine, in chunks of steps, with a look at the result after each."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle.engine.devices import at_hand, placed
from jaxstyle.engine.plan import Plan
from jaxstyle.engine.preparation import prepare
from jaxstyle.engine.steps import (
    Problem,
    Runner,
    State,
    compile_scale,
    evaluate,
    first_state,
    make_runner,
    one_step,
    tiling_at,
)
from jaxstyle.errors import InputError
from jaxstyle.objective import LossTerms
from jaxstyle.ops.compile import on_a_thread
from jaxstyle.pictures.write import png_of
from jaxstyle.regions import Regions, blended
from jaxstyle.solvers import Info
from jaxstyle.types import Image


class Progress(NamedTuple):
    """Where a transfer stands, for `on_progress`.

    Attributes:
      step, steps: steps done and to do at this scale.
      scale, scales: this scale, counted from 1, and how many there are.
      image: the result so far, (h, w, 3) at this scale's size; of a batch, (n, h, w, 3).
      losses: per-step terms so far, over all scales; of a batch, (n, steps).
      evaluations: of the loss and its gradient, by each of these steps: all of them, those of line searches too, but
        for the `init_evaluations` that a solver spends before its first step at each scale.
      tile: side in pixels of the tiles in which this scale is seen; None as a whole.
    """

    step: int
    steps: int
    scale: int
    scales: int
    image: Array
    losses: LossTerms
    evaluations: Array
    tile: int | None = None


class Stand(NamedTuple):
    """Where a transfer stands after some steps: all that the others depend on.

    Attributes:
      scale: the latest step's, counted from 0.
      state: what that step handed on, or its arrays in their order. The solver's part may be used up by the next step.
      infos: diagnostics of all steps so far, parts of one step or several.
    """

    scale: int
    state: Any
    infos: Sequence[Info]


class Result(NamedTuple):
    """What a transfer ends with.

    Attributes:
      image: (h, w, 3), in [0, 1].
      losses: terms at the image that each step started from, arrays (n,) over all scales.
      final: terms at `image`.
      evaluations: of the loss and its gradient, over all scales.

    Those of a batch have its axis, or axes, in front.
    """

    image: Array
    losses: LossTerms
    final: LossTerms
    evaluations: int | Array

    def _repr_png_(self) -> bytes | None:
        """The image, which is how a notebook shows a result; None of a batch, which has several."""
        return png_of(self.image) if np.ndim(self.image) == 3 else None


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


def run(
    plan: Plan,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    begin: Stand | None = None,
    on_stand: Callable[[Stand], None] | None = None,
) -> Result:
    """Runs a plan over all its scales.

    While one scale runs, the programs of the next are compiled on a second thread. Under `jax.jit` and the like there
    is neither that nor a look at the losses in between: each scale is one `scan`.

    Args:
      plan: what to run.
      on_progress: called with a `Progress` after each chunk of steps, and where it goes on.
      begin: where an earlier run of a plan alike stood, from which this one goes on; None: from the start.
      on_stand: called with where the run stands, before it is known whether the losses of the chunk are finite.

    Raises:
      DivergedError: the loss became NaN or infinite; a batch goes on instead.
      InputError: `begin` is of another plan.
    """
    if plan.traced:
        if plan.tile is not None:
            raise InputError("tiles are a loop over programs; they cannot be had under jax.jit or the like")
        return _run_traced(plan)
    image: Any = None
    infos: list[Info] = []
    first = 0 if begin is None else begin.scale
    if first:  # where the image before is of no matter any more
        size, rows = (*plan.scales[first - 1].size, 3), plan.program.rows
        image = placed(jnp.zeros(size), None if rows is None else rows.of(size))
    jobs = [functools.partial(compile_scale, plan, number) for number in range(first, len(plan.scales))]
    with on_a_thread(jobs) as compiling:
        for number, scale in list(enumerate(plan.scales))[first:]:
            runner = make_runner(plan, compiling[number - first].result(), image)
            new: list[Info] = []
            if begin is not None:
                runner = runner._replace(first=_taken_up(begin.state, runner.first))
                infos, new = _parted(begin.infos, number * plan.steps)
                begin = None
            shown = functools.partial(_shown, runner.targets.regions, scale.margin)
            before = tuple(infos)
            report = _reporter(plan, number, before, shown, on_progress)
            if new:  # the earlier run may have ended before it was reported
                report(runner.first, new)

            def stand(state: State, new: list[Info], number: int = number, before: tuple[Info, ...] = before) -> None:
                if on_stand:
                    on_stand(Stand(number, state, (*before, *new)))

            try:
                state, new = _optimise(plan, runner, new, stand, report)
            except DivergedError as error:
                error.image = shown(error.image)
                raise
            infos += new
            image = _current(state, plan.program.decay)
    every = _per_step(infos)
    evaluations = every.evaluations.sum(-1)
    final = jax.device_get(runner.terms(image))
    return Result(shown(image), every.terms, final, int(evaluations) if plan.batch is None else evaluations)


def _taken_up(state: Any, first: State) -> State:
    """The state that an earlier run kept, as one of this run, whose first one is like it."""
    kept, leaves = jax.tree.leaves(state), jax.tree.leaves(first)
    if [np.shape(x) for x in kept] != [x.shape for x in leaves]:
        raise InputError("what was kept of an earlier run is of another transfer")
    own = [
        placed(jnp.asarray(x, like.dtype), like.sharding if like.committed else None)
        for x, like in zip(kept, leaves, strict=True)
    ]
    found: State = jax.tree.unflatten(jax.tree.structure(first), own)
    return found


def _parted(infos: Sequence[Info], count: int) -> tuple[list[Info], list[Info]]:
    """Diagnostics of so many steps, and of those that came after."""
    every = _concatenate(jax.device_get(infos))
    before, after = jax.tree.map(lambda x: x[:count], every), jax.tree.map(lambda x: x[count:], every)
    return [before] if count else [], [after]


def _optimise(
    plan: Plan,
    runner: Runner,
    infos: list[Info],
    stand: Callable[[State, list[Info]], None],
    report: Callable[[State, list[Info]], None],
) -> tuple[State, list[Info]]:
    """The steps of a scale in chunks, but those that these infos are of, with a look at the losses and a report after
    each."""
    state = runner.first
    good = state.image
    for start in range(sum(len(info.evaluations) for info in infos), plan.steps, runner.chunk):
        new, info = runner.advance(state, min(runner.chunk, plan.steps - start))
        stand(new, [*infos, info])  # at once, as the state before may be used up
        info = jax.device_get(info)
        infos = [*infos, info]
        if plan.batch is None:  # a batch looks after itself
            finite = np.append(np.isfinite(info.terms.total), bool(jnp.isfinite(new.image).all()))
            if not finite.all():
                done = int(np.argmin(finite))
                # With the very first loss of the chunk gone, the image that the chunk began with is no good either.
                image = state.image if done else good
                raise DivergedError(start + done, jnp.clip(image, 0.0, 1.0), _concatenate(infos).terms)
        good, state = state.image, new
        report(state, infos)
    return state, infos


def _reporter(
    plan: Plan,
    number: int,
    before: Sequence[Info],
    shown: Callable[[Array], Array],
    on_progress: Callable[[Progress], None] | None,
) -> Callable[[State, list[Info]], None]:
    """What hands over a `Progress` after a chunk of a scale, with the infos of the scales before."""

    def report(state: State, new: list[Info]) -> None:
        if on_progress:
            done = sum(len(info.evaluations) for info in new)
            image = shown(_current(state, plan.program.decay))
            so_far = _per_step([*before, *new])
            place = (done, plan.steps, number + 1, len(plan.scales))
            tile = plan.tile if tiling_at(plan, number) else None
            on_progress(Progress(*place, image, so_far.terms, so_far.evaluations, tile))

    return report


def _concatenate(infos: Sequence[Info]) -> Info:
    return jax.tree.map(lambda *xs: np.concatenate(xs), *infos)


def _per_step(infos: Sequence[Info]) -> Info:
    """Per-step terms and evaluations, the batch axis first."""
    return jax.tree.map(lambda x: np.moveaxis(x, 0, -1), _concatenate(infos))


def _current(state: State, decay: float) -> Array:
    """The image to show: the mean of the iterates, corrected for its start at zero, or the last of them."""
    if not decay:
        return jnp.clip(state.image, 0.0, 1.0)
    taken = state.taken.astype(state.mean.dtype)
    taken = taken.reshape(taken.shape + (1,) * (state.mean.ndim - taken.ndim))
    return jnp.clip(state.mean / (1 - decay**taken), 0.0, 1.0)


def _shown(regions: Regions | None, margin: int, image: Array) -> Array:
    """The picture to show, cut from its canvas; of a batch, each."""
    return _cut(at_hand(blended(regions, image)), margin)


def _cut(image: Array, margin: int) -> Array:
    return image[..., margin:-margin, margin:-margin, :] if margin else image


def _run_traced(plan: Plan) -> Result:
    """Runs a plan as one traced computation."""
    image: Any = None
    infos = []
    for scale in plan.scales:
        targets, image = prepare(plan.network, plan.inputs, image, program=plan.program, scale=scale, batch=plan.batch)
        problem = Problem(plan.network, targets, plan.inputs.weights.of_terms)
        first = first_state(problem, image, plan.inputs.rate, plan.program)
        state, info = jax.lax.scan(
            lambda state, _: one_step(problem, state, plan.program),  # noqa: B023 - used at once
            first,
            length=plan.steps,
        )
        infos.append(info)
        image = _current(state, plan.program.decay)
    every = jax.tree.map(lambda *xs: jnp.concatenate(xs), *infos)
    losses = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), every.terms)
    final = evaluate(problem, image, plan.program)[0][1]
    return Result(_cut(blended(targets.regions, image), scale.margin), losses, final, every.evaluations.sum(0))
