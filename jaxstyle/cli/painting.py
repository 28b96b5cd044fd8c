"""A transfer on its way to a file. Whatever happens to it, the picture so far is kept."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle.cli.coloring import finished, prepared_content, prepared_styles
from jaxstyle.cli.keeping import Keeper
from jaxstyle.cli.machine import available_memory
from jaxstyle.cli.messages import CommandError, name_of, plain_line, say
from jaxstyle.cli.outputs import Outputs, explained, numbered
from jaxstyle.cli.pipes import OUTPUT, tell
from jaxstyle.cli.records import mask_arrays, origin, save_result
from jaxstyle.cli.resolve import objective_of, solver_of, weights_of
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.cli.starting import start_of
from jaxstyle.cli.startup import release_freed_memory
from jaxstyle.cli.stopping import STOPPED
from jaxstyle.cli.terminal import StepsBar
from jaxstyle.cli.upscaling import check_enlarged, enlarged
from jaxstyle.engine.plan import runs_on_cpu
from jaxstyle.engine.run import DivergedError, Progress, Result
from jaxstyle.engine.transfer import transfer
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.networks import Network


@dataclass
class Painting:
    """One transfer: its run, its results on disk, and their record."""

    sources: Sources
    settings: Settings
    network: Network
    outputs: Outputs
    quiet: bool = False
    save_every: int | None = None
    tile: int | None = None
    devices: int | None = None
    json: bool = False  # facts for standard output, and no name
    piped: bool = False  # the picture goes there
    watch: Callable[[Progress], None] | None = None  # is shown where it stands, too
    keeper: Keeper | None = None

    def __post_init__(self) -> None:
        self.latest: Progress | None = None
        self.began = time.time() - (self.keeper.seconds if self.keeper else 0)
        check_enlarged(self.sources.content, self.settings.upscale, self.sources.out)
        self.origin = origin(self.sources, self.settings)  # now, while all the files are there

    def run(self) -> int:
        """Transfers and saves; the exit code."""
        try:
            with StepsBar(self.quiet) as bar:
                result = self._transfer(bar)
            if not np.isfinite(result.final.total):
                raise DivergedError(0, result.image, result.losses)  # 0: of a scale that would come next
            losses = {name: float(value) for name, value in result.final._asdict().items()}
            extra = {"losses": losses, "evaluations": result.evaluations}
            saved, record = self._save(self.sources.out, result.image, "done", **extra)
            if self.keeper:
                self.keeper.remove()
        except KeyboardInterrupt:
            done = f" after {steps_done(self.latest)} steps" if self.latest else ""
            goes_on = self.keeper.stopped() if self.keeper else ""
            say(f"jaxstyle: stopped{done}{self._keep('stopped')}{goes_on}")
            return STOPPED
        except (InputError, CommandError):
            raise
        except Exception as error:
            raise CommandError(self._explain(error)) from error
        self._announce(saved, record, result)
        return 0

    def _transfer(self, bar: StepsBar) -> Result:
        s = self.settings
        content, styles = prepared_content(s.color, self.sources.content), prepared_styles(self.sources, s.color)
        return transfer(
            content,
            styles,
            network=self.network,
            weights=weights_of(s),
            objective=objective_of(s),
            solver=solver_of(s),
            steps=s.steps,
            init=start_of(s, self.sources, content, styles),
            min_size=s.min_size,
            average=s.average,
            key=jax.random.key(s.seed),
            **mask_arrays(self.sources),
            margin=s.margin,
            memory=available_memory() if runs_on_cpu(self.network) else None,  # accelerators know their own
            tile=self.tile,
            devices=self.devices,
            report_every=self._report_every(),
            on_progress=self._watcher(bar),
            begin=None if self.keeper is None else self.keeper.begin,
            on_stand=None if self.keeper is None else self.keeper.hold,
        )

    def _report_every(self) -> int | None:
        """Steps between two looks; None for the usual. With a checkpoint it may be due after each, where looks cost
        nothing."""
        if self.keeper and runs_on_cpu(self.network):
            return 1
        return self.save_every and chunk(self.save_every, self.settings.steps)

    def _watcher(self, bar: StepsBar) -> Callable[[Progress], None]:
        def watch(state: Progress) -> None:
            self.latest = state
            bar.update(state)
            if self.watch:
                self.watch(state)
            if self.keeper:
                self.keeper.look()
            if state.step == state.steps:
                release_freed_memory()  # the next scale's buffers are of other sizes
            done = steps_done(state)
            if self.save_every and done % self.save_every == 0:
                self._save(numbered(self.sources.out, done), state.image, "on the way", step=done, losses=_last(state))

        return watch

    def _announce(self, saved: Path, record: Mapping[str, Any], result: Result) -> None:
        final, seconds = result.final, time.time() - self.began
        terms = f"content {float(final.content):.3g}, style {float(final.style):.3g}"
        height, width = (side * (self.settings.upscale or 1) for side in result.image.shape[:2])
        details = f": {width} x {height}, {terms}, {seconds:.0f} s"
        name = OUTPUT if self.piped else name_of(saved)
        self.tell(f"{name}{'' if self.quiet else details}", saved, record)

    def tell(self, line: str, saved: Path, record: Mapping[str, Any]) -> None:
        """Says that the picture is there."""
        facts = {"command": "transfer", "files": [saved, saved.with_suffix(".json")], **record}
        tell(line, facts, as_json=self.json, piped=self.piped, quiet=self.quiet)

    def _keep(self, status: str, image: Any = None, step: int | None = None) -> str:
        """Saves the picture so far, the latest or rather `image`, if there is one; how the line on it ends."""
        if self.latest is None:
            return ", before the first picture"
        image = self.latest.image if image is None else image
        step = steps_done(self.latest) if step is None else step
        try:
            saved, record = self._save(self.sources.out, image, status, step=step, losses=_last(self.latest))
        except CommandError as error:
            return f"; {error}"
        if self.json:
            self.tell("", saved, record)
        return f"; {OUTPUT if self.piped else shown(saved)} is the last picture before that, {_size(image)}"

    def _explain(self, error: Exception) -> str:
        """One line on what went wrong, and on the picture so far, which is saved."""
        if isinstance(error, DivergedError):
            rate = "a smaller --rate or " if self.settings.rate else ""
            step = self._total(error.step)
            kept = self._keep("diverged", image=error.image, step=step)
            return f"the loss is no longer a finite number at step {step}{kept}; {rate}smaller weights help"
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            size = _size(self.sources.content.pixels)
            what = f"not enough memory for {size} pixels with {self.settings.network}"
            return f"{what}{self._keep('out of memory')}; a smaller --size or --precision bfloat16 helps"
        return f"{plain_line(error)}{self._keep('failed')}"

    def _total(self, step: int) -> int:
        """Steps over all scales, given those of the scale at hand."""
        if self.latest is None:
            return step
        begun = self.latest.scale - (self.latest.step < self.latest.steps)  # scales that are complete
        return begun * self.latest.steps + step

    def _save(self, path: Path, image: Any, status: str, **extra: Any) -> tuple[Path, dict[str, Any]]:
        """Saves a picture with its record, and returns where it is, and the record."""
        tile = {"tile": self.latest.tile} if self.latest and self.latest.tile else {}
        record = {"status": status, **self.origin, **tile, "seconds": round(time.time() - self.began, 1), **extra}
        content, place = self.sources.content, self.outputs.free(path)
        shows = finished(self.settings.color, image, content)
        if status == "done":
            shows = enlarged(shows, self.settings.upscale)
        with explained(place):
            save_result(place, shows, content.alpha, record, overwrite=self.outputs.overwrite)
        height, width = shows.shape[:2]
        return place, record | {"width": width, "height": height}


def chunk(every: int, steps: int) -> int:
    """How many steps to take between two looks, at most 25.

    Each picture, after every `every` steps, must fall on a look, and so must the end of a scale of `steps`,
    since the count goes on over all scales.
    """
    return max(n for n in range(1, 26) if math.gcd(every, steps) % n == 0)


def steps_done(state: Progress) -> int:
    """Steps over all scales."""
    return (state.scale - 1) * state.steps + state.step


def _last(state: Progress) -> dict[str, float]:
    """The terms at the image that the latest step started from."""
    return {name: float(values[-1]) for name, values in state.losses._asdict().items()}


def _size(image: Any) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
