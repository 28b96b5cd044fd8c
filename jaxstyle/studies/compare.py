"""Solvers side by side: what each has reached with so many evaluations of the loss.

Arrays in, curves out. Time is read from a function that the caller hands over, so that nothing here knows a
clock. Images are (h, w, 3), float32, in [0, 1]; losses are those of the objective, at a single size.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxstyle.engine.checks import check_layers, check_pictures, check_start, check_weights, check_whole
from jaxstyle.engine.run import DivergedError, Progress
from jaxstyle.engine.sweep import sweep
from jaxstyle.engine.transfer import transfer
from jaxstyle.errors import InputError
from jaxstyle.networks import Network
from jaxstyle.objective import LossTerms, Objective, Targets, Weights, loss_terms, make_targets
from jaxstyle.ops.compile import compiled
from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
from jaxstyle.studies.figures import COLOURS, SMALL, new_figure, show_picture
from jaxstyle.types import Image, Picture

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
MARKERS = "osD^vPX"
LOOKS = 5  # markers along a curve


class Trace(NamedTuple):
    """What a solver reached from one start, looked at after every step.

    Attributes:
      evaluations: (k,), of the loss and its gradient, spent until each look: from 0, the start, strictly increasing.
      seconds: (k,), spent until each look.
      losses: terms of the picture at each look, arrays (k,): of the pixels as they would be saved, in [0, 1].
      image: (h, w, 3), the picture at the last look.
    """

    evaluations: Int[np.ndarray, " k"]
    seconds: Float[np.ndarray, " k"]
    losses: LossTerms
    image: Image


class Pair(NamedTuple):
    """What all solvers are given alike.

    Attributes:
      network: from `load_network`.
      content: (h, w, 3).
      styles: pictures of any sizes.
      weights: of the terms.
      objective: layers and formulae.
    """

    network: Network
    content: Picture
    styles: Sequence[Picture]
    weights: Weights
    objective: Objective


def terms_of(image: Picture, pair: Pair) -> LossTerms:
    """The terms of a picture of the content's size, whatever made it."""
    targets = _targets(pair.network, pair.content, list(pair.styles), pair.weights, objective=pair.objective)
    weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), pair.weights.of_terms)
    return _loss(jnp.asarray(image), pair.network, targets, weights, objective=pair.objective)


class _Enough(Exception):
    """Ends a run whose evaluations are spent."""


def trace(
    pair: Pair, solver: Lbfgs | OptaxLbfgs | Adam, start: Picture, *, evaluations: int, clock: Callable[[], float]
) -> Trace:
    """One solver by itself, from one start, at the content's size.

    The last look is that of the last step which `evaluations` pay for whole: a line search that needs more than are
    left does not count. A solver that diverges ends at its last good look.

    Args:
      pair: what is painted.
      solver: `Lbfgs`, `OptaxLbfgs`, or an `Adam` of one rate.
      start: (h, w, 3).
      evaluations: of the loss and its gradient, at most; all that the solver makes count, those of its
        initialisation and of its line searches too.
      clock: reads seconds. Counted are those from the call to a look, targets included, without those that the look
        itself takes to find the loss. Programs compile at the first call: make one before to leave that out.

    Raises:
      InputError: as `transfer`.
    """
    _check(pair, [start], evaluations)
    looks = _Looks(pair, jnp.asarray(start)[None], solver.init_evaluations, evaluations, clock)
    with contextlib.suppress(_Enough, DivergedError):
        transfer(init=start, solver=solver, **_common(pair, evaluations), on_progress=looks.of_one)
    return looks.traces()[0]


def trace_rates(
    pair: Pair, rates: Sequence[float], starts: Sequence[Picture], *, evaluations: int, clock: Callable[[], float]
) -> list[list[Trace]]:
    """Adam at several learning rates, from several starts, all of them lanes of one program of `sweep`.

    Lanes share a clock: the seconds of each are those of the program, divided by the lanes. A lane that diverges
    stays at its last good picture.

    Args:
      pair, evaluations, clock: see `trace`.
      rates: learning rates, r of them.
      starts: s pictures (h, w, 3).

    Returns:
      s lists of r traces.

    Raises:
      InputError: no rate or no start; else as `sweep`.
    """
    _check(pair, starts, evaluations)
    if not rates or not starts:
        raise InputError(f"there are {len(rates)} rates and {len(starts)} starts; at least one of each is needed")
    grid = jnp.stack([jnp.asarray(start) for start in starts])[:, None]
    lanes = jnp.repeat(grid[:, 0], len(rates), axis=0)
    looks = _Looks(pair, lanes, Adam.init_evaluations, evaluations, clock)
    solver = Adam(rate=jnp.asarray(rates, jnp.float32))
    sweep(init=grid, solver=solver, **_common(pair, evaluations), lanes=len(lanes), on_progress=looks)
    found = looks.traces()
    return [found[i : i + len(rates)] for i in range(0, len(found), len(rates))]


def _check(pair: Pair, starts: Sequence[Picture], evaluations: int) -> None:
    """What `transfer` would refuse, and starts of other sizes than the content's."""
    check_whole(evaluations, "evaluations", 1)
    network, content, styles, weights, objective = pair
    check_pictures(content, styles, smallest=network.module.smallest)
    check_layers(network, objective)
    check_weights(weights, objective, len(styles))
    for start in starts:
        check_start(start)
        if np.shape(start) != np.shape(content):
            raise InputError(f"a start has shape {np.shape(start)}; the content's is {np.shape(content)}")


def _common(pair: Pair, evaluations: int) -> dict[str, Any]:
    """Arguments of `transfer` and `sweep`: a single size, and a look after each step, which costs one at least."""
    named = {name: value for name, value in pair._asdict().items() if name != "styles"}
    size = max(pair.content.shape)
    return named | {"styles": list(pair.styles), "steps": evaluations, "min_size": size, "report_every": 1}


class _Looks:
    """The callback of a run: at each look, what every lane has spent, and the loss of its picture."""

    def __init__(self, pair: Pair, starts: Array, init_evaluations: int, most: int, clock: Callable[[], float]) -> None:
        self._pair, self._init_evaluations, self._most, self._clock = pair, init_evaluations, most, clock
        self._targets = _targets(pair.network, pair.content, list(pair.styles), pair.weights, objective=pair.objective)
        self._images = starts
        self._looks: list[tuple[Any, float, LossTerms]] = [(np.zeros(len(starts), int), 0.0, self._losses(starts))]
        self._spent, self._since = 0.0, clock()

    def __call__(self, state: Progress) -> None:
        jax.block_until_ready(state.image)
        self._spent += self._clock() - self._since
        evaluations = self._init_evaluations + state.evaluations.sum(-1)
        if (evaluations > self._most).any():
            raise _Enough
        self._images = state.image
        self._looks.append((evaluations, self._spent / len(self._images), self._losses(self._images)))
        self._since = self._clock()

    def of_one(self, state: Progress) -> None:
        """The callback of a run without a batch axis."""
        self(state._replace(image=state.image[None], evaluations=state.evaluations[None]))

    def _losses(self, images: Array) -> LossTerms:
        """Terms of each image: one program for all of them, however many lanes there are."""
        pair = self._pair
        weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), pair.weights.of_terms)
        found = [_loss(image, pair.network, self._targets, weights, objective=pair.objective) for image in images]
        return jax.tree.map(lambda *xs: np.stack(xs), *jax.device_get(found))

    def traces(self) -> list[Trace]:
        """One for each lane."""
        evaluations, seconds, losses = zip(*self._looks, strict=True)
        return [
            Trace(
                np.array([look[lane] for look in evaluations]),
                np.array(seconds),
                jax.tree.map(lambda *xs, lane=lane: np.array([x[lane] for x in xs]), *losses),
                self._images[lane],
            )
            for lane in range(len(self._images))
        ]


@compiled("objective")
def _targets(
    network: Network, content: Picture, styles: Sequence[Picture], weights: Weights, *, objective: Objective
) -> Targets:
    return make_targets(
        network, jnp.asarray(content), styles, objective=objective, mix=weights.mix, mix_layers=weights.mix_layers
    )


@compiled("objective")
def _loss(image: Image, network: Network, targets: Targets, weights: Weights, *, objective: Objective) -> LossTerms:
    return loss_terms(image, network, targets, weights, objective=objective)


class Curve(NamedTuple):
    """A curve of the figure: which solver, from which start, and what it reached."""

    name: str
    start: str
    solver: Adam | Lbfgs | OptaxLbfgs
    lanes: int  # that shared its clock
    trace: Trace


def draw_comparison(
    content: Picture, style: Picture, stems: Sequence[str], curves: Sequence[Curve], *, starts: Sequence[str]
) -> Any:
    """The figure: curves above, a row for each start; below, what is painted, and each solver's picture at equal cost.

    Args:
      content, style: (h, w, 3).
      stems: names of content and style.
      curves: of each solver from each start.
      starts: two names of starts.
    """
    names = list(dict.fromkeys(one.name for one in curves))
    height, width = content.shape[:2]
    columns = len(names) + 1
    wide = max(9.0, 1.5 * columns)
    tall = wide / columns * height / width + 0.45
    title = f"{stems[0]}, in the manner of {stems[1]}: solvers at equal cost ({width} x {height} pixels)"
    figure = new_figure(wide, 5.6 + 0.25 * -(-len(names) // 3) + len(starts) * tall, title=title)
    above, below = figure.subfigures(2, 1, height_ratios=[5.6 + 0.25 * -(-len(names) // 3), len(starts) * tall])
    lines = _plot(above.subplots(len(starts), 2, sharey="row"), names, curves, starts)
    above.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=SMALL + 1, frameon=False, handlelength=4)
    axes = below.subplots(len(starts), columns)
    sources = ((content, f"content\n{stems[0]}"), (style, f"style\n{stems[1]}"))
    for start, row, (source, label) in zip(starts, axes, sources, strict=True):
        show_picture(row[0], source, label)
        for name, place in zip(names, row[1:], strict=True):
            (one,) = [one for one in curves if (one.name, one.start) == (name, start)]
            reached = f"{one.trace.evaluations[-1]} eval., loss {one.trace.losses.total[-1]:.3g}"
            heading = name.replace(", ", "\n") + "\n" if start == starts[0] else ""
            show_picture(place, one.trace.image, f"{heading}from {start}\n{reached}")
    return figure


def _plot(axes: Any, names: Sequence[str], curves: Sequence[Curve], starts: Sequence[str]) -> list[Any]:
    """Loss against evaluations, left, and seconds, right; the lines of one of them, for the legend."""
    from matplotlib.ticker import LogLocator, NullFormatter

    shared = max(one.lanes for one in curves)
    lines = []
    for start, row in zip(starts, axes, strict=True):
        for place, what in zip(row, ("evaluations", "seconds"), strict=True):
            for one in (one for one in curves if one.start == start):
                k, trace = names.index(one.name), one.trace
                (line,) = place.plot(
                    getattr(trace, what),
                    trace.losses.total,
                    label=one.name,
                    color=(*COLOURS[:6], COLOURS[7])[k % 7],
                    linestyle=DASHES[k % len(DASHES)],
                    linewidth=1.3,
                    marker=MARKERS[k % len(MARKERS)],
                    markersize=4,
                    # Not all at the same places, so that none hides another.
                    markevery=(0.02 * (k + 1), 1 / LOOKS),
                )
                if what == "evaluations" and start == starts[0]:
                    lines.append(line)
            place.set_yscale("log")
            place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            place.yaxis.set_major_formatter("{x:g}")
            place.yaxis.set_minor_formatter(NullFormatter())
            place.grid(alpha=0.3, which="both", linewidth=0.5)
            place.set_xlim(left=0)
            place.tick_params(labelsize=SMALL + 1, which="both")
        row[0].set_ylabel(f"loss, from {start}", fontsize=SMALL + 2)
    axes[-1][0].set_xlabel("evaluations of loss and gradient, line searches included", fontsize=SMALL + 2)
    lanes = f" (Adam: of {shared} lanes run together, divided by {shared})" if shared > 1 else ""
    axes[-1][1].set_xlabel(f"seconds, without compilation{lanes}", fontsize=SMALL + 2)
    return lines
