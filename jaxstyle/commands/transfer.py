"""`jaxstyle transfer`: pictures and settings in, a picture and its record out."""

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import __version__, defaults
from jaxstyle.commands.session import StepsBar, download_bar, start_jax
from jaxstyle.errors import InputError, nearest
from jaxstyle.images import Picture, check_writable, load_picture, save_image
from jaxstyle.networks import Network
from jaxstyle.objective import PRESETS, Objective, Weights
from jaxstyle.optimise import DivergedError, Progress, transfer
from jaxstyle.solvers import SOLVERS, Adam, Solver
from jaxstyle.weights import load_network, show


@dataclass(frozen=True)
class Settings:
    """The settings of a transfer, as they go into the record: enough, with the pictures, to make it again."""

    network: str
    weights: str | None
    pooling: str | None
    padding: str | None
    precision: str
    size: int
    min_size: int | None
    preset: str
    content_weight: float
    style_weight: float
    tv_weight: float
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    layer_weights: tuple[float, ...] | None
    mix: tuple[float, ...] | None
    optimizer: str
    rate: float
    steps: int
    init: str
    average: float
    seed: int


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, transfers, saves."""
    out = Path(options.out or f"{Path(options.content).stem}_{Path(options.styles[0]).stem}.png")
    check_writable(out)
    content = load_picture(options.content)
    size = options.size or min(defaults.SIZE, max(content.pixels.shape[:2]))
    if options.size or size < max(content.pixels.shape[:2]):
        content = load_picture(options.content, size)
    styles = [load_picture(path, size) for path in options.styles]
    settings = resolve(options, size)
    start = starting_picture(settings.init, size)
    start_jax()
    network = open_network(settings, options.quiet)
    if settings.network == defaults.NETWORK and not options.quiet and options.weights is None:
        print("network: compact, which comes with jaxstyle (--network vgg19 is the full one, an 80 MB download)")
    job = Job(content, styles, settings, network, out, start, options.quiet, options.save_every)
    return job.run()


def resolve(options: argparse.Namespace, size: int) -> Settings:
    """The settings with the defaults of the preset filled in."""
    preset = PRESETS[options.preset]
    given = {name: getattr(options, name) for name in Settings.__dataclass_fields__ if name != "size"}
    layers = preset.weights.layers
    default = {
        "content_weight": float(preset.weights.content),
        "style_weight": float(preset.weights.style),
        "tv_weight": float(preset.weights.variation),
        "content_layers": preset.objective.content_layers,
        "style_layers": preset.objective.style_layers,
    }
    if layers is not None and options.style_layers is None:
        default["layer_weights"] = tuple(float(x) for x in layers)
    filled = {name: default.get(name) if value is None else value for name, value in given.items()}
    filled = {name: tuple(value) if isinstance(value, list) else value for name, value in filled.items()}
    return Settings(size=size, **filled)


def starting_picture(init: str, size: int) -> np.ndarray | None:
    """The picture to start from, when `init` is a file and not one of the named starts."""
    if init in defaults.STARTS:
        return None
    if not Path(init).exists():
        words = ", ".join(defaults.STARTS)
        raise InputError(
            f"--init {init!r} is neither a file nor one of {words}{nearest(init, defaults.STARTS)}"
        )
    return load_picture(init, size).pixels


def open_network(settings: Settings, quiet: bool) -> Network:
    """The network with its options, downloaded if need be."""
    with download_bar(quiet) as progress:
        return load_network(
            settings.network,
            settings.weights,
            pooling=settings.pooling,
            padding=settings.padding,
            dtype=settings.precision,
            progress=progress,
        )


def make_solver(settings: Settings) -> Solver:
    """The solver that the settings name."""
    kind = SOLVERS[settings.optimizer]
    return kind(rate=settings.rate) if kind is Adam else kind()


@dataclass
class Job:
    """One transfer on its way to a file: remembers the picture so far, so that whatever happens it can be saved."""

    content: Picture
    styles: Sequence[Picture]
    settings: Settings
    network: Network
    out: Path
    start: np.ndarray | None = None
    quiet: bool = False
    save_every: int | None = None

    def __post_init__(self) -> None:
        self.latest: Progress | None = None
        self.began = time.time()

    def run(self) -> int:
        """Transfers and saves; the exit code."""
        s = self.settings
        weights = Weights(s.content_weight, s.style_weight, s.tv_weight, _array(s.layer_weights), _array(s.mix))
        objective = replace(
            PRESETS[s.preset].objective, content_layers=s.content_layers, style_layers=s.style_layers
        )
        try:
            with StepsBar(self.quiet) as bar:
                result = transfer(
                    self.content.pixels,
                    [style.pixels for style in self.styles],
                    network=self.network,
                    weights=weights,
                    objective=objective,
                    solver=make_solver(s),
                    steps=s.steps,
                    init=s.init if self.start is None else self.start,
                    min_size=s.min_size,
                    average=s.average,
                    key=jax.random.key(s.seed),
                    report_every=_divisor(self.save_every),
                    on_progress=self._watcher(bar),
                )
        except KeyboardInterrupt:
            return self._rescue("stopped", 130)
        except DivergedError:
            self._rescue("diverged", 1)
            raise
        final = {name: float(value) for name, value in result.final._asdict().items()}
        extra = {"losses": final, "evaluations": result.evaluations}
        save_image(self.out, np.asarray(result.image), self.record("done", **extra), self.content.alpha)
        seconds = time.time() - self.began
        terms = f"content {final['content']:.3g}, style {final['style']:.3g}"
        print(str(self.out) if self.quiet else f"{self.out}: {_size(result.image)}, {terms}, {seconds:.0f} s")
        return 0

    def _watcher(self, bar: StepsBar) -> Callable[[Progress], None]:
        def watch(state: Progress) -> None:
            self.latest = state
            bar.update(state)
            done = (state.scale - 1) * state.steps + state.step
            if self.save_every and done % self.save_every == 0:
                path = self.out.with_stem(f"{self.out.stem}_{done:05d}")
                save_image(path, np.asarray(state.image), self.record("on the way", step=done))

        return watch

    def _rescue(self, status: str, code: int) -> int:
        """Saves the picture so far, if there is one, and says so."""
        if self.latest is None:
            print(f"jaxstyle: {status} before the first picture")
            return code
        state = self.latest
        losses = {name: float(values[-1]) for name, values in state.losses._asdict().items()}
        done = (state.scale - 1) * state.steps + state.step
        save_image(self.out, np.asarray(state.image), self.record(status, step=done, losses=losses))
        print(f"{self.out}: {status} after {done} steps, {_size(state.image)}")
        return code

    def record(self, status: str, **extra: Any) -> dict[str, Any]:
        """Everything needed to make the picture again, and how it ended."""
        held = show(self.settings.weights or self.settings.network)
        names = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy")
        return {
            "status": status,
            "content": {"file": self.content.path, "sha256": self.content.sha256},
            "styles": [{"file": style.path, "sha256": style.sha256} for style in self.styles],
            "settings": dict(vars(self.settings)),
            "weights": {key: held[key] for key in ("sha256", "preprocessing")},
            "versions": {"jaxstyle": __version__, "python": platform.python_version()}
            | {name: version(name) for name in names},
            "device": str(jax.devices()[0].device_kind),
            "seconds": round(time.time() - self.began, 1),
            **extra,
        }


def _array(values: Sequence[float] | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values, np.float32)


def _size(image: Any) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _divisor(every: int | None) -> int | None:
    """The largest chunk of steps, up to 25, that pictures every `every` steps allow."""
    return every and max(n for n in range(1, 26) if every % n == 0)
