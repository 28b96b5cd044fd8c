"""What a good picture takes, in evaluations and in time: until the loss at the final size is within 2 % of that of 500
steps of Adam from the content. Run by benchmark.py."""

import argparse
import importlib.util
import math
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import benchmark_torch
import numpy as np

import jaxstyle
from jaxstyle.cli.startup import start_jax
from jaxstyle.engine.scales import scale_sizes, scaled_size
from jaxstyle.engine.starts import enlarge
from jaxstyle.onepass.any_style import described, paint_like
from jaxstyle.onepass.files import load_any_style
from jaxstyle.ops.resize import resize, sized
from jaxstyle.pictures.write import save_image
from jaxstyle.solvers import Solver

WITHIN = 1.02
LOOK = 2  # steps between two looks
MATCHED = "Adam, 500 steps"


class Stage(NamedTuple):
    """Steps at one size (height, width)."""

    size: tuple[int, int]
    steps: int
    solver: Solver


class Course(NamedTuple):
    """What was spent until the goal, or in all: evaluations in units of those at the final size, and seconds of all
    cores' time; the last loss, at the final size, and the picture."""

    evaluations: float
    seconds: float
    loss: float
    image: Any


class ReachedError(Exception):
    """The loss is as low as asked: the run stops here."""


def quality(options: argparse.Namespace) -> Iterator[dict]:
    """A row for each pair and each way to go. Of PyTorch too, where it is installed and `--compile` is given."""
    start_jax()  # ways share programs
    net = jaxstyle.load_network(options.network, options.weights)
    demo = Path(jaxstyle.__file__).parent / "demo"
    files = [Path(name) for name in options.pairs or (demo / "content.jpg", demo / "style_strokes.jpg")]
    for size in options.sizes:
        for pair in zip(files[::2], files[1::2], strict=True):
            content, style = (jaxstyle.load_image(file, size) for file in pair)
            ways = ways_to_go(content, style)
            first = course(content, style, net, *ways[MATCHED], None)
            for name, way in ways.items():
                if options.runs and not any(name.startswith(word) for word in options.runs):
                    continue
                found = first if name == MATCHED else course(content, style, net, *way, WITHIN * first.loss)
                yield _row(size, pair, name, found, first)
                if options.pictures:
                    save_image(options.pictures / f"{pair[0].stem}-{pair[1].stem}-{size}-{name}.png", found.image)
            if options.compile and importlib.util.find_spec("torch"):
                began = time.process_time()
                curve = benchmark_torch.timed_adam(net, content, style, 500, jaxstyle.Adam().rate)
                spent = Course(500, time.process_time() - began, curve[-1][1], None)
                yield _row(size, pair, "PyTorch, Adam, 500 steps", spent, first)


def _row(size: int, pair: tuple[Path, ...], name: str, found: Course, first: Course) -> dict:
    return {
        "size": size,
        "pair": ", ".join(file.stem for file in pair),
        "run": name,
        "evaluations": found.evaluations,
        "processor, s": found.seconds,
        "loss": found.loss,
        "of Adam's loss": found.loss / first.loss,
        "of Adam's time": found.seconds / first.seconds,
    }


def ways_to_go(content: np.ndarray, style: np.ndarray) -> dict[str, tuple[Any, list[Stage]]]:
    """By name, a start and stages."""
    sizes = scale_sizes(*content.shape[:2])
    last, number = sizes[-1], len(sizes)
    adam, lbfgs = jaxstyle.Adam, jaxstyle.Lbfgs()
    painter = load_any_style()
    strength = jaxstyle.defaults.PICTURE_STRENGTH
    painted = np.asarray(paint_like(painter, content, [described(painter, style)], [1.0], strength))
    usual = [Stage(size, lbfgs.usual_steps, lbfgs) for size in sizes]
    falling = np.geomspace(0.05, 0.01, number)
    return {
        MATCHED: (content, [Stage(last, 500, adam())]),
        "default": (content, [*usual[:-1], Stage(last, 150, lbfgs)]),
        "default, one pass first": (painted, [*usual[:-1], Stage(last, 150, lbfgs)]),
        "final size": (content, [Stage(last, 200, lbfgs)]),
        "final size, one pass first": (painted, [Stage(last, 200, lbfgs)]),
        "80 steps at the coarsest": (content, [usual[0]._replace(steps=80), *usual[1:-1], Stage(last, 150, lbfgs)]),
        "halved at each finer scale": (
            content,
            [*(Stage(size, 20 * 2 ** (number - i), lbfgs) for i, size in enumerate(sizes[:-1], 1)), usual[-1]],
        ),
        "coarsest and final": (content, [usual[0], Stage(last, 150, lbfgs)]),
        "20 steps at coarse scales": (content, [*(s._replace(steps=20) for s in usual[:-1]), Stage(last, 150, lbfgs)]),
        "Adam, rate falling": (
            content,
            [Stage(last, 60, adam(rate)) for rate in (0.05, 0.02)] + [Stage(last, 200, adam(0.008))],
        ),
        "Adam, coarse to fine, rate falling": (
            content,
            [Stage(size, 60, adam(rate)) for size, rate in zip(sizes[:-1], falling[:-1], strict=True)]
            + [Stage(last, 240, adam(falling[-1]))],
        ),
    }


def course(
    content: np.ndarray, style: np.ndarray, net: Any, start: np.ndarray, stages: list[Stage], goal: float | None
) -> Course:
    """Runs stages, each from the picture of the one before, as a transfer's scales are, up to the goal."""
    image: Any = None
    evaluations = seconds = 0.0
    loss = math.nan
    for stage in stages:
        at = [content, style]
        if stage.size != content.shape[:2]:
            ratio = max(stage.size) / max(content.shape[:2])
            at = [resize(content, *stage.size), resize(style, *scaled_size(style.shape[:2], ratio, smallest=16))]
        looks: list[tuple[float, Any]] = [(time.process_time(), None)]

        def look(state: jaxstyle.Progress, looks: list = looks, stage: Stage = stage) -> None:
            looks.append((time.process_time(), state))
            final = stage.size == content.shape[:2]
            if final and goal is not None and state.losses.total[-1] <= goal:
                raise ReachedError

        reached = False
        try:
            result = jaxstyle.transfer(
                *at,
                network=net,
                solver=stage.solver,
                steps=stage.steps,
                min_size=max(stage.size),
                init=sized(start, stage.size) if image is None else enlarge(image, start, size=stage.size),
                report_every=LOOK,
                on_progress=look,
            )
            image, loss = result.image, float(result.final.total)
        except ReachedError:
            reached, image = True, looks[-1][1].image
            loss = float(looks[-1][1].losses.total[-1])
        last = looks[-1][1]
        spent = stage.solver.init_evaluations + int(np.sum(last.evaluations))
        # The first look has compiling in it; by the others, an evaluation's time.
        each = [
            (after - before) / max(1, int(np.sum(now.evaluations[-LOOK:])))
            for (before, _), (after, now) in pairwise(looks[1:])
        ]
        evaluations += spent * math.prod(stage.size) / math.prod(content.shape[:2])
        seconds += spent * statistics.median(each or [math.nan])
        if reached:
            break
    return Course(evaluations, seconds, loss, image)
