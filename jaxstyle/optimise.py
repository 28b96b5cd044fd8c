"""Style transfer: the loop that runs a solver, from coarse to fine, over one picture or over lanes of them.

Pure: arrays in, arrays out, progress through a callback between chunks of steps. `transfer` is here, `sweep` in
`sweeps`; both go through `paint`.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxstyle import defaults
from jaxstyle.checks import check_margin, check_masks, check_transfer, check_whole
from jaxstyle.compiling import is_traced, rehearsal
from jaxstyle.forecast import check_memory, free_memory
from jaxstyle.lanes import Inputs, inputs_of
from jaxstyle.networks import Network
from jaxstyle.objective import LossTerms, Objective, Weights, default_objective
from jaxstyle.programs import (
    Problem,
    Program,
    Run,
    Runner,
    Scale,
    chunk_length,
    compile_ahead,
    device_of,
    evaluate,
    first_run,
    for_steps,
    make_runner,
    one_step,
    prepare,
    program_of,
    scales_of,
)
from jaxstyle.regions import Masks, Regions, blended
from jaxstyle.solvers import Adam, Info, Solver
from jaxstyle.starts import Start, scale_sizes
from jaxstyle.types import Image, Key, Picture, StyleMask


class Progress(NamedTuple):
    """Where a transfer stands, for `on_progress`.

    Attributes:
      step, steps: steps done and to do at this scale.
      scale, scales: this scale, counted from 1, and how many there are.
      image: the result so far, (h, w, 3) at this scale's size; of a sweep, (n, h, w, 3).
      losses: per-step terms so far, over all scales; of a sweep, (n, steps).
      evaluations: of the loss and its gradient, by each of these steps: all of them, those of line searches too, but
        for the `init_evaluations` that a solver spends before its first step at each scale.
    """

    step: int
    steps: int
    scale: int
    scales: int
    image: Array
    losses: LossTerms
    evaluations: Array


class Result(NamedTuple):
    """What a transfer ends with.

    Attributes:
      image: (h, w, 3), in [0, 1].
      losses: terms at the image that each step started from, arrays (n,) over all scales.
      final: terms at `image`.
      evaluations: of the loss and its gradient, over all scales.

    Those of a sweep have the lanes' axes in front.
    """

    image: Array
    losses: LossTerms
    final: LossTerms
    evaluations: int | Array


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
        if info.terms.total.ndim == 1:  # lanes look after themselves
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


def _per_step(infos: Sequence[Info]) -> Info:
    """Per-step terms and evaluations, lanes first."""
    return jax.tree.map(lambda x: np.moveaxis(x, 0, -1), _concatenate(infos))


def _current(run: Run, decay: float) -> Array:
    """The image to show: the mean of the iterates, corrected for its start at zero, or the last of them."""
    if not decay:
        return jnp.clip(run.image, 0.0, 1.0)
    taken = run.taken.astype(run.mean.dtype).reshape(run.taken.shape + (1,) * (run.mean.ndim - run.taken.ndim))
    return jnp.clip(run.mean / (1 - decay**taken), 0.0, 1.0)


def _shown(regions: Regions | None, margin: int, image: Array) -> Array:
    """The picture to show, cut from its canvas; of lanes, each."""
    image = blended(regions, image)
    return image[..., margin:-margin, margin:-margin, :] if margin else image


def paint(
    network: Network,
    inputs: Inputs,
    program: Program,
    *,
    sizes: Sequence[tuple[int, int]],
    steps: int,
    init: str | None,
    lanes: int | None = None,
    margin: int = 0,
    report_every: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Runs one transfer, or `lanes` of them side by side, over all sizes; with a margin, which the inputs have
    already, on canvases that are so much larger.

    While one scale runs, the programs of the next are compiled on a second thread. Under `jax.jit` and the like there
    is neither that nor a look at the losses in between: each scale is one `scan`.
    """
    plans = scales_of(sizes, init=init, lanes=lanes, margin=margin)
    if is_traced(network, inputs):
        return _traced(network, inputs, program, plans, steps)
    chunk = report_every or chunk_length(network, steps)
    jobs = [
        functools.partial(compile_ahead, network, inputs, before.size, scale, program, min(chunk, steps))
        for before, scale in itertools.pairwise(plans)
    ]
    image: Any = None
    infos: list[Info] = []
    with rehearsal(jobs) as ahead:
        for number, scale in enumerate(plans, 1):
            if number > 1:
                ahead[number - 2].exception()  # waits; what went wrong there comes up again here
            targets, image = prepare(network, inputs, image, program=program, scale=scale)
            problem = Problem(network, targets, inputs.weights.of_terms)
            runner = make_runner(problem, image, inputs.rate, program)

            shown = functools.partial(_shown, targets.regions, scale.margin)

            def report(
                run: Run,
                new: list[Info],
                number: int = number,
                before: tuple[Info, ...] = tuple(infos),
                shown: Callable[[Array], Array] = shown,
            ) -> None:
                if on_progress:
                    done = sum(len(info.evaluations) for info in new)
                    image = shown(_current(run, program.decay))
                    so_far = _per_step([*before, *new])
                    on_progress(Progress(done, steps, number, len(plans), image, so_far.terms, so_far.evaluations))

            try:
                run, new = _optimise(runner, steps, chunk, report)
            except DivergedError as error:
                error.image = shown(error.image)
                raise
            infos += new
            image = _current(run, program.decay)
    all_infos = _per_step(infos)
    evaluations = all_infos.evaluations.sum(-1)
    final = jax.device_get(runner.terms(image))
    return Result(shown(image), all_infos.terms, final, int(evaluations) if lanes is None else evaluations)


def _traced(network: Network, inputs: Inputs, program: Program, plans: Sequence[Scale], steps: int) -> Result:
    """The same as one traced computation."""
    image: Any = None
    infos = []
    for scale in plans:
        targets, image = prepare(network, inputs, image, program=program, scale=scale)
        problem = Problem(network, targets, inputs.weights.of_terms)
        first = first_run(problem, image, inputs.rate, program)
        run, info = jax.lax.scan(lambda run, _: one_step(problem, run, program), first, length=steps)  # noqa: B023
        infos.append(info)
        image = _current(run, program.decay)
    all_infos = jax.tree.map(lambda *xs: jnp.concatenate(xs), *infos)
    losses = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), all_infos.terms)
    final = evaluate(problem, image, program)[0][1]
    return Result(_shown(targets.regions, scale.margin, image), losses, final, all_infos.evaluations.sum(0))


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
    masks: Masks | None = None,
    style_masks: Sequence[StyleMask | None] | None = None,
    margin: int = 0,
    report_every: int | None = None,
    memory: int | None = None,
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
      objective: layers and formulae; None: the network's layers.
      solver: `Adam`, `Lbfgs` or `OptaxLbfgs`.
      steps: at each scale.
      init: "content", "noise", "style", "blur", or a picture.
      min_size: long side in pixels of the coarsest scale; None for 128. Equal to the content's: a single scale.
      average: decay of a running mean of the images, in [0, 1), which is then the result; 0 for the last image.
      key: `jax.random` key for the start from noise; None for a fixed one.
      masks: (k, h, w) in [0, 1], of the content's size: where each of the k styles goes (Gatys et al. 2016,
        https://arxiv.org/abs/1611.07865). Where they sum to less than 1, so much of the content shows, and where all
        are 0 it stays as it is. Weights mean what they do without masks, however small a region is. None: all styles
        everywhere, mixed.
      style_masks: for each style a mask (h, w) of its size, the part of it that is taken, or None for all; None for
        all of all.
      margin: pixels to paint beyond each border, in proportion at coarser scales, and cut off; the content, a start
        that is a picture, and masks go on there as in a mirror. 24 take away the frame of saturated colours, some 8
        pixels wide at 256 as at 512, that `Weights.mix_layers` leaves. Losses are those of the whole canvas.
      report_every: steps between two looks at the result; None for 10 on CPU, 25 elsewhere, where so many are
        compiled as one program.
      memory: bytes that may be used; None for what the device has free, where it says so.
      on_progress: called with a `Progress` at each of these looks.

    Raises:
      InputError: an image, a size, a number or a layer that cannot be used, or pictures too large for the memory.
      DivergedError: the loss became NaN or infinite; the error holds the last good image.
    """
    weights, objective, solver = weights or Weights(), objective or default_objective(network), solver or Adam()
    single = isinstance(styles, np.ndarray | jax.Array) and styles.ndim == 3
    styles = [styles] if single else list(styles)  # type: ignore[list-item]
    check_transfer(content, styles, network, weights, objective, steps, init, min_size, average)
    check_whole(1 if report_every is None else report_every, "report_every", 1)
    check_masks(masks, style_masks, content, styles)
    check_margin(margin, content)
    inputs = inputs_of(
        content,
        styles,
        weights=weights,
        solver=solver,
        init=init,
        key=jax.random.key(0) if key is None else key,
        masks=masks,
        style_masks=style_masks,
        margin=margin,
    )
    network = for_steps(network, inputs)
    program, named = program_of(objective, solver, average), init if isinstance(init, str) else None
    sizes = scale_sizes(*content.shape[:2], min_size=min_size, smallest=network.module.smallest)
    if not is_traced(network, inputs):
        *coarser, last = scales_of(sizes, init=named, margin=margin)
        before = coarser[-1].size if coarser else None
        count = min(report_every or chunk_length(network, steps), steps)
        available = free_memory(device_of(network)) if memory is None else memory
        check_memory(network, inputs, program, last, count, before, available)
    return paint(
        network,
        inputs,
        program,
        sizes=sizes,
        steps=steps,
        init=named,
        margin=margin,
        report_every=report_every,
        on_progress=on_progress,
    )
