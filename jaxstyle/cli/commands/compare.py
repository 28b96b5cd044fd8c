"""Compare the same loss under every optimizer, or a pair by every network, in one figure.

Minimises the same loss by Adam at several learning rates and by three kinds of L-BFGS, from the content and from noise,
at a single size. FIG.png, FIG.pdf and FIG.json: loss against evaluations and against seconds, and each one's picture at
equal cost. With --networks: the pair as each network paints it, by Adam, from coarse to fine, with the same relative
weights.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.messages import name_of, say
from jaxstyle.cli.options import Reading, TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional, Several
from jaxstyle.cli.settings import NetworkSettings, Settings, TermSettings
from jaxstyle.cli.sources import Sources, check_options, default_name, files_of, read_pictures
from jaxstyle.cli.values import NETWORK, POSITIVE, SEED, SIDE, Text, Whole
from jaxstyle.errors import InputError
from jaxstyle.studies.figures import check_figure, files_of_figure, save_figure

if TYPE_CHECKING:
    from jaxstyle.studies.compare import Curve, Pair

WARM_UP = 12  # evaluations of a run before the clock starts: all programs are compiled by then
STARTS = ("content", "noise")


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `compare` can be told.

    Attributes:
      content: the picture to paint
      style: the picture to paint like
      networks: compare networks, not optimizers
      random_weights: with --networks, for those that are not on this machine
      out: (default: CONTENT_STYLE_comparison.png, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      size: long side in pixels
      evaluations: of loss and gradient, for each; with --networks at each size
      rates: Adam's learning rates (default: {COMPARE_RATES})
      seed: of the noise
      quiet: print only the result's name
    """

    content: Annotated[str, Positional(Text("CONTENT"))]
    style: Annotated[str, Positional(Text("STYLE"))]
    networks: Annotated[tuple[str, ...] | None, Several(NETWORK)] = None
    random_weights: bool = False
    out: Annotated[str | None, Text("FIG.png"), Named("-o", "--out")] = None
    overwrite: bool = False
    size: Annotated[int, SIDE] = defaults.COMPARE_SIZE
    evaluations: Annotated[int, Whole(2, 10_000)] = defaults.COMPARE_EVALUATIONS
    rates: Annotated[tuple[float, ...] | None, Several(POSITIVE)] = None
    seed: Annotated[int, SEED] = defaults.SEED
    quiet: bool = False
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    terms: TermSettings = dataclasses.field(default_factory=TermSettings)
    given: frozenset[str] = frozenset()

    @property
    def transfer(self) -> TransferOptions:
        """The transfer whose loss is minimised."""
        settings = Settings(**vars(self.network), **vars(self.terms), size=self.size, seed=self.seed)
        given = self.given | {"size", "seed", "optimizer", "init", "average", "steps"}
        return TransferOptions(
            content=self.content, styles=(self.style,), large=self.large, settings=settings, given=given
        )


def run(options: Options) -> int:
    """Compares optimizers, or networks."""
    if options.networks:
        return _compare_networks(options, options.networks)
    if options.random_weights:
        raise InputError("--random-weights goes with --networks")
    return _compare_solvers(options)


def _compare_networks(options: Options, networks: Sequence[str]) -> int:
    """Checks everything that can be checked, and has the pair painted by each network."""
    stem = Path(default_name(options.content, options.style)).with_suffix("").name
    out = check_figure(f"{stem}_networks.png" if options.out is None else options.out)
    check_options(options.transfer)
    if len(set(networks)) < len(networks):
        raise InputError("--networks has a name twice; each once")
    one = {"weights": options.network.weights, "preprocessing": options.network.preprocessing, "rates": options.rates}
    for name in filter(one.get, one):
        raise InputError(f"--{name} is not for several networks; leave it out, or --networks")
    outputs = _outputs(options, out)
    sources = read_pictures(options.transfer, out)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.cli.compare_networks import paint_with_each

    how: Any = {"random": options.random_weights, "quiet": options.quiet}
    with outputs.claimed():
        return paint_with_each(options.transfer, networks, sources, options.evaluations, outputs, **how)


def _compare_solvers(options: Options) -> int:
    """Checks everything that can be checked, runs every solver, draws."""
    rates = options.rates or defaults.COMPARE_RATES
    name = Path(default_name(options.content, options.style)).with_suffix("").name
    out = check_figure(f"{name}_comparison.png" if options.out is None else options.out)
    check_options(options.transfer)
    if len(set(rates)) < len(rates):
        raise InputError("--rates has a number twice; each once")
    outputs = _outputs(options, out)
    sources = read_pictures(options.transfer, out)
    with outputs.claimed():
        return _run_solvers(options, outputs, sources, rates)


def _run_solvers(options: Options, outputs: Outputs, sources: Sources, rates: Sequence[float]) -> int:
    """Runs every solver, draws."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    import jax

    from jaxstyle.cli.records import origin
    from jaxstyle.cli.resolve import objective_of, open_for, resolve, weights_of
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.engine.starts import starting_image
    from jaxstyle.studies.compare import Pair, draw_comparison

    start_jax()
    settings = resolve(options.transfer, sources.size)
    record = origin(sources, settings)
    styles, network = [style.pixels for style in sources.styles], open_for(settings, options.quiet)
    pair = Pair(network, sources.content.pixels, styles, weights_of(settings), objective_of(settings))
    key, content = jax.random.key(settings.seed), jax.numpy.asarray(pair.content)
    starts = {start: starting_image(key, start, content, styles, content.shape[:2]) for start in STARTS}  # type: ignore[arg-type]
    began, curves = time.time(), []
    for done in _curves(pair, starts, rates, options.evaluations):
        curves += done
        if not options.quiet:
            for one in done:
                trace = one.trace
                spent = f"{trace.evaluations[-1]} evaluations, {trace.seconds[-1]:.1f} s"
                line = f"{one.name} from {one.start}: loss {trace.losses.total[-1]:.4g} after {spent}"
                say(line)
    stems = [Path(path).stem for path in (options.content, options.style)]
    figure = draw_comparison(sources.content.pixels, styles[0], stems, curves, starts=STARTS)
    with outputs.writing(*files_of_figure(sources.out)):
        save_figure(sources.out, figure, _data(record, options.evaluations, curves))
    print(f"{name_of(sources.out)}{'' if options.quiet else f': {len(curves)} runs, {time.time() - began:.0f} s'}")
    return 0


def _outputs(options: Options, out: Path) -> Outputs:
    """The figure, with what lies beside it."""
    outputs = Outputs(read=files_of(options.transfer), overwrite=options.overwrite)
    outputs.add(*files_of_figure(out))
    return outputs


def _curves(pair: "Pair", starts: dict[str, Any], rates: Sequence[float], evaluations: int) -> Iterator[list["Curve"]]:
    """Every solver from every start, each after a run that compiles its programs."""
    from jaxstyle.solvers import Adam, Lbfgs, OptaxLbfgs
    from jaxstyle.studies.compare import Curve, trace, trace_rates

    solvers: dict[str, Lbfgs | OptaxLbfgs] = {  # first, since jaxopt may be missing
        "L-BFGS (jaxopt), backtracking": Lbfgs(),
        "L-BFGS (jaxopt), zoom": Lbfgs(line_search="zoom"),
        "L-BFGS (optax), zoom": OptaxLbfgs(line_search="zoom"),
    }
    clock, warm_up = time.perf_counter, min(WARM_UP, evaluations)
    trace_rates(pair, rates, list(starts.values()), evaluations=1, clock=clock)
    found = trace_rates(pair, rates, list(starts.values()), evaluations=evaluations, clock=clock)
    count = len(rates) * len(starts)
    yield [
        Curve(f"Adam, rate {rate:g}", start, Adam(rate=rate), count, one)
        for start, traces in zip(starts, found, strict=True)
        for rate, one in zip(rates, traces, strict=True)
    ]
    for name, solver in solvers.items():
        trace(pair, solver, starts["noise"], evaluations=warm_up, clock=clock)
        for start, image in starts.items():
            yield [Curve(name, start, solver, 1, trace(pair, solver, image, evaluations=evaluations, clock=clock))]


def _data(record: dict[str, Any], evaluations: int, curves: Sequence["Curve"]) -> dict[str, Any]:
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
            for one in curves
        ],
    }
