"""`jaxstyle compare`: the same objective under every solver, from the content and from noise, in one figure.

With `--networks` it is the work of `compare_networks`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxstyle import defaults
from jaxstyle.commands import compare_networks
from jaxstyle.commands.inputs import Inputs, check_options, default_name, read_pictures
from jaxstyle.errors import InputError
from jaxstyle.figures import COLOURS, SMALL, check_figure, new_figure, save_figure, show_picture

if TYPE_CHECKING:
    from jaxstyle.comparison import Pair, Trace
    from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs

WARM_UP = 12  # evaluations of a run before the clock starts: all programs are compiled by then
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
MARKERS = "osD^vPX"
STARTS = ("content", "noise")
LOOKS = 5  # markers along a curve


class Run(NamedTuple):
    """A curve of the figure: which solver, from which start, and what it reached."""

    name: str
    start: str
    solver: "Adam | Lbfgs | OptaxLbfgs"
    lanes: int  # that shared its clock
    trace: "Trace"


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, runs every solver, draws."""
    if options.networks:
        return compare_networks.run(options)
    if options.random_weights:
        raise InputError("--random-weights goes with --networks")
    options.rates = options.rates or list(defaults.COMPARE_RATES)
    name = Path(default_name(options.content, options.styles[0])).with_suffix("").name
    out = check_figure(f"{name}_comparison.png" if options.out is None else options.out)
    check_options(options)
    if len(set(options.rates)) < len(options.rates):
        raise InputError("--rates has a number twice; each once")
    inputs = read_pictures(options, out)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    import jax

    from jaxstyle.commands.records import origin
    from jaxstyle.commands.session import start_jax
    from jaxstyle.commands.settings import open_network, resolve, term_weights
    from jaxstyle.comparison import Pair
    from jaxstyle.starts import starting_image

    start_jax()
    settings = resolve(options, inputs.size)
    record = origin(inputs, settings)
    styles, network = [style.pixels for style in inputs.styles], open_network(settings, options.quiet)
    pair = Pair(network, inputs.content.pixels, styles, term_weights(settings), settings.objective)
    key, content = jax.random.key(settings.seed), jax.numpy.asarray(pair.content)
    starts = {start: starting_image(key, start, content, styles, content.shape[:2]) for start in STARTS}  # type: ignore[arg-type]
    began, runs = time.time(), []
    for done in _runs(pair, starts, options.rates, options.evaluations):
        runs += done
        if not options.quiet:
            for one in done:
                trace = one.trace
                spent = f"{trace.evaluations[-1]} evaluations, {trace.seconds[-1]:.1f} s"
                line = f"{one.name} from {one.start}: loss {trace.losses.total[-1]:.4g} after {spent}"
                print(line, file=sys.stderr)
    figure = _draw(inputs, runs, options.evaluations)
    save_figure(out, figure, _data(record, options.evaluations, runs))
    print(f"{out}{'' if options.quiet else f': {len(runs)} runs, {time.time() - began:.0f} s'}")
    return 0


def _runs(pair: "Pair", starts: dict[str, Any], rates: Sequence[float], evaluations: int) -> Iterator[list[Run]]:
    """Every solver from every start, each after a run that compiles its programs."""
    from jaxstyle.comparison import trace, trace_rates
    from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs

    clock, warm_up = time.perf_counter, min(WARM_UP, evaluations)
    trace_rates(pair, rates, list(starts.values()), evaluations=1, clock=clock)
    found = trace_rates(pair, rates, list(starts.values()), evaluations=evaluations, clock=clock)
    count = len(rates) * len(starts)
    yield [
        Run(f"Adam, rate {rate:g}", start, Adam(rate=rate), count, one)
        for start, traces in zip(starts, found, strict=True)
        for rate, one in zip(rates, traces, strict=True)
    ]
    solvers: dict[str, Lbfgs | OptaxLbfgs] = {
        "L-BFGS (jaxopt), backtracking": Lbfgs(),
        "L-BFGS (jaxopt), zoom": Lbfgs(line_search="zoom"),
        "L-BFGS (optax), zoom": OptaxLbfgs(),
    }
    for name, solver in solvers.items():
        trace(pair, solver, starts["noise"], evaluations=warm_up, clock=clock)
        for start, image in starts.items():
            yield [Run(name, start, solver, 1, trace(pair, solver, image, evaluations=evaluations, clock=clock))]


def _data(record: dict[str, Any], evaluations: int, runs: Sequence[Run]) -> dict[str, Any]:
    """What stands beside the figure."""
    chosen = ("optimizer", "rate", "steps", "init", "min_size", "average")  # each run has its own
    settings = {name: value for name, value in record["settings"].items() if name not in chosen}
    return {
        **record,
        "settings": settings,
        "evaluations": evaluations,
        "seconds": "without compilation; a lane's are those of the program it shares, divided by its lanes",
        "runs": [
            {
                "name": one.name,
                "start": one.start,
                "solver": {"kind": type(one.solver).__name__, **vars(one.solver)},
                "lanes": one.lanes,
                "evaluations": one.trace.evaluations,
                "seconds": one.trace.seconds,
                "loss": one.trace.losses.total,
                "final": {term: values[-1] for term, values in one.trace.losses._asdict().items()},
            }
            for one in runs
        ],
    }


def _draw(inputs: Inputs, runs: Sequence[Run], evaluations: int) -> Any:
    """Curves above, a row for each start; below, what is painted, and each solver's picture at equal cost."""
    names = list(dict.fromkeys(one.name for one in runs))
    height, width = inputs.content.pixels.shape[:2]
    columns = len(names) + 1
    wide = max(9.0, 1.5 * columns)
    tall = wide / columns * height / width + 0.45
    content, style = (Path(picture.path).stem for picture in (inputs.content, inputs.styles[0]))
    title = f"{content}, in the manner of {style}: solvers at equal cost ({width} x {height} pixels)"
    figure = new_figure(wide, 5.6 + 0.25 * -(-len(names) // 3) + len(STARTS) * tall, title=title)
    above, below = figure.subfigures(2, 1, height_ratios=[5.6 + 0.25 * -(-len(names) // 3), len(STARTS) * tall])
    lines = _curves(above.subplots(len(STARTS), 2, sharey="row"), names, runs)
    above.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=SMALL + 1, frameon=False, handlelength=4)
    axes = below.subplots(len(STARTS), columns)
    sources = ((inputs.content.pixels, f"content\n{content}"), (inputs.styles[0].pixels, f"style\n{style}"))
    for start, row, (source, label) in zip(STARTS, axes, sources, strict=True):
        show_picture(row[0], source, label)
        for name, place in zip(names, row[1:], strict=True):
            (one,) = [one for one in runs if (one.name, one.start) == (name, start)]
            reached = f"{one.trace.evaluations[-1]} eval., loss {one.trace.losses.total[-1]:.3g}"
            heading = name.replace(", ", "\n") + "\n" if start == STARTS[0] else ""
            show_picture(place, one.trace.image, f"{heading}from {start}\n{reached}")
    return figure


def _curves(axes: Any, names: Sequence[str], runs: Sequence[Run]) -> list[Any]:
    """Loss against evaluations, left, and seconds, right; the lines of one of them, for the legend."""
    from matplotlib.ticker import LogLocator, NullFormatter

    shared = max(one.lanes for one in runs)
    lines = []
    for start, row in zip(STARTS, axes, strict=True):
        for place, what in zip(row, ("evaluations", "seconds"), strict=True):
            for one in (one for one in runs if one.start == start):
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
                if what == "evaluations" and start == STARTS[0]:
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
