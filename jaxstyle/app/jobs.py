"""Jobs: a transfer or a sweep on a thread of its own, which can be looked at and stopped; one at a time.

Jobs are the command line's own: what they write, records and all, is what it would write.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.app.uploads import Limits, sources_of
from jaxstyle.cli.again import command_of
from jaxstyle.cli.cells import SweepJob, Task, tasks_of
from jaxstyle.cli.grid import SweepOptions, cells_of
from jaxstyle.cli.messages import CommandError, plain_line
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.painting import Painting, steps_done
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.resolve import objective_of, open_network, resolve
from jaxstyle.cli.settings import NetworkSettings, Settings
from jaxstyle.cli.sources import Sources, check_options
from jaxstyle.engine.checks import check_layers
from jaxstyle.engine.run import Progress, Result
from jaxstyle.errors import InputError
from jaxstyle.networks import Network
from jaxstyle.pictures.read import Held, own_size
from jaxstyle.pictures.write import save_image

DEVICE = threading.Lock()  # held by the job that runs


@dataclass(frozen=True)
class Made:
    """A picture that a job has made.

    Attributes:
      path: where it is, with its record inside.
      masks: where those are that its record names.
      settings: what was chosen for it; the same and the same pictures make it again.
      command: the command line that does.
      losses: its last terms by name.
      seconds: that it took.
      status: as in its record.
    """

    path: Path
    masks: tuple[Path, ...]
    settings: Mapping[str, Any]
    command: str
    losses: Mapping[str, float]
    seconds: float
    status: str


@dataclass(frozen=True)
class Request:
    """What somebody wants to be painted.

    Attributes:
      content, styles, start: pictures; no start for one of the named ones.
      chosen: settings by name; the others are usual.
      masks: (h, w) in [0, 1], one for each style, or none.
    """

    content: Held
    styles: tuple[Held, ...]
    start: Held | None
    chosen: Mapping[str, Any]
    masks: tuple[np.ndarray, ...] = ()

    def options(self) -> TransferOptions:
        """The same as a command would have it."""
        chosen = dict(self.chosen)
        if self.start is not None:  # which is where the finer scales begin, as with `--from`
            height, width = own_size(self.start, large=True)
            chosen |= {"init": self.start.path, "min_size": min(chosen["size"], max(height, width))}
        names = tuple(style.path for style in self.styles)
        return TransferOptions(content=self.content.path, styles=names, quiet=True).having(**chosen)


class Job:
    """Some work on a thread of its own.

    Attributes:
      latest: where it stands.
      made: pictures that are there, by their place in a sweep's grid; of a transfer () is the only one.
      error: one plain line, if it failed.
    """

    def __init__(self) -> None:
        self.latest: Progress | None = None
        self.made: dict[tuple[int, ...], Made] = {}
        self.error: str | None = None
        self.began = time.time()
        self._stopped, self._ended = threading.Event(), threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Asks it to stop at its next look at the result; what there is stays."""
        self._stopped.set()

    def watch(self, state: Progress) -> None:
        """Notes where it stands; ends it, as Ctrl-C would, once that was asked for."""
        self.latest = state
        if self.stopped:
            raise KeyboardInterrupt

    def ended(self, timeout: float | None = None) -> bool:
        """Whether it has ended, after at most so many seconds."""
        return self._ended.wait(timeout)

    def run(self, work: "Callable[[Job], None]", *, look_every: float) -> Iterator["Job"]:
        """Does the work as soon as no other job is at it; yields itself now and then until it is done."""
        thread = threading.Thread(target=self._work, args=(work,), name="painting", daemon=True)
        thread.start()
        try:
            while not self.ended(look_every):
                yield self
        finally:  # whoever watched may have gone
            if not self.ended(0):
                self.stop()

    def _work(self, work: "Callable[[Job], None]") -> None:
        try:
            with DEVICE:
                self.began = time.time()
                if not self.stopped:
                    work(self)
        except KeyboardInterrupt:
            pass
        except (InputError, CommandError) as error:
            self.error = str(error)
        except Exception as error:
            self.error = plain_line(error).removesuffix(" (--debug shows where)")
        finally:
            self._ended.set()


class _Watched(Painting):
    """A transfer that says nothing, but to its job."""

    note: Callable[[Path, Mapping[str, Any]], None]

    def tell(self, line: str, saved: Path, record: Mapping[str, Any]) -> None:
        """Notes the picture."""
        self.note(saved, record)


class _Grid(SweepJob):
    """A sweep that leaves pictures only, and says nothing, but to its job."""

    note: Callable[[Task, Mapping[str, Any]], None]

    def save(self, task: Task, result: Result, seconds: float) -> None:
        """Saves a cell's picture, and notes it."""
        super().save(task, result, seconds)
        self.note(task, self.records[task.index])

    def announce(self) -> None:
        """Says nothing."""

    def finish(self, status: str) -> None:
        """Leaves no page: uploads have no place of their own that it could show."""


def _opened(settings: Settings) -> Network:
    """The network, which stays in memory for the next job."""
    network = _kept(NetworkSettings(**{x.name: getattr(settings, x.name) for x in dataclasses.fields(NetworkSettings)}))
    check_layers(network, objective_of(settings))
    return network


@functools.lru_cache(maxsize=1)
def _kept(settings: NetworkSettings) -> Network:
    return open_network(settings, True)


def paint(job: Job, request: Request, out: Path, limits: Limits) -> None:
    """Paints one picture to a file."""
    options = request.options()
    check_options(options)
    draft = dataclasses.replace(options.settings, size=request.chosen["size"])
    masks = _saved_masks(request, out.with_suffix(""))
    sources = _sources(request, out, draft, limits, masks)
    settings = resolve(options, sources.size, short_side=sources.short_side)
    outputs = Outputs(read=(), overwrite=False)
    outputs.add_pictures(out)

    def note(path: Path, record: Mapping[str, Any]) -> None:
        command = command_of(sources, settings)
        job.made[()] = _made(path, masks, record, request, command)

    how: Any = {"quiet": True, "json": True, "watch": job.watch}
    painting = _Watched(sources, settings, _opened(settings), outputs, **how)
    painting.note = note
    painting.run()


def explore(job: Job, request: Request, axes: Sequence[Axis], folder: Path, limits: Limits) -> None:
    """Paints a grid of small pictures to a folder."""
    options = request.options()
    sweep = SweepOptions(
        content=request.content.path,
        styles=options.styles,
        out=str(folder),
        quiet=True,
        settings=options.settings,
        given=options.given | {axis.name for axis in axes},
        axes=tuple(axes),
    )
    masks = _saved_masks(request, folder / folder.name)
    cells = []
    read: dict[Any, Any] = {}
    for index, cell in cells_of(sweep, axes):
        out = folder / f"{'_'.join(map(str, ('cell', *index)))}.png"
        scale = cell.settings.style_scale
        if scale not in read:
            found = _sources(request, out, cell.settings, limits, masks)
            if read:  # one array for all that is the same, which is then computed once
                first = next(iter(read.values()))
                found = dataclasses.replace(found, content=first.content, start=first.start)
            read[scale] = found
        cells.append((index, cell, dataclasses.replace(read[scale], out=out)))
    outputs = Outputs(read=(), overwrite=False)
    outputs.add_pictures(*(sources.out for _, _, sources in cells))
    tasks, networks = tasks_of(cells, lanes=1, distributed=False, quiet=True)

    def note(task: Task, record: Mapping[str, Any]) -> None:
        varied = {axis.name: getattr(task.settings, axis.name) for axis in axes}
        one = dataclasses.replace(request, chosen={**request.chosen, **varied})
        job.made[task.index] = _made(task.sources.out, masks, record, one, command_of(task.sources, task.settings))

    grid = _Grid(outputs, folder, axes, tasks, networks, quiet=True, watch=job.watch)
    grid.note = note
    grid.run()


def _saved_masks(request: Request, stem: Path) -> tuple[Path, ...]:
    """The masks as files, whose names begin so: what a command line needs."""
    places = tuple(stem.with_name(f"{stem.name}_mask_{number}.png") for number, _ in enumerate(request.masks, 1))
    for place, mask in zip(places, request.masks, strict=True):
        save_image(place, np.repeat(mask[..., None], 3, 2))
    return places


def _sources(request: Request, out: Path, settings: Settings, limits: Limits, masks: Sequence[Path]) -> Sources:
    held = [Held(mask.read_bytes(), mask.name, mask.name) for mask in masks]
    return sources_of(request.content, request.styles, request.start, out, settings, limits, masks=held)


def _made(path: Path, masks: tuple[Path, ...], record: Mapping[str, Any], request: Request, command: str) -> Made:
    losses = {name: float("nan") if x is None else float(x) for name, x in record["losses"].items()}
    return Made(path, masks, dict(request.chosen), command, losses, float(record["seconds"]), record["status"])


def told(job: Job) -> str:
    """Where a job stands, in a line."""
    state = job.latest
    if state is None:
        return "compiling"
    height, width = state.image.shape[-3:-1]
    done, steps = steps_done(state), state.steps * state.scales
    seconds = time.time() - job.began
    left = seconds * (steps - done) / done
    return f"{width} x {height}, step {done} of {steps}, {done / seconds:.1f} steps/s, about {left:.0f} s left"
