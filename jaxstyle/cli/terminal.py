"""Progress on standard error: a bar on a terminal; elsewhere, into a log say, a line for each scale or download."""

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from rich import progress
from rich.console import Console

from jaxstyle.cli import stopping
from jaxstyle.cli.messages import printable, say

if TYPE_CHECKING:
    from jaxstyle.engine.run import Progress


def _bar_console(console: Console) -> Console:
    """The console of a bar. Where nobody watches, a silent one: rich 13 ends even a disabled bar with an empty line."""
    return console if console.is_terminal else Console(quiet=True)


class Bar:
    """A bar that counts steps, with fields to its right. Silent when `quiet`."""

    def __init__(self, quiet: bool, total: float, unit: str = "steps") -> None:
        console = Console(stderr=True)
        self._lines = not quiet and not console.is_terminal
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {unit}"),
            progress.TextColumn("{task.fields[terms]}"),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(compact=True),
            console=_bar_console(console),
            disable=quiet or self._lines,
            transient=True,
        )
        self._task = self._progress.add_task("compiling", total=total, terms="", speed="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _show(self, done: int, what: str, terms: str, **fields: Any) -> None:
        stopping.check()
        task = self._progress.tasks[0]
        speed = f"{task.speed:.1f}/s" if task.speed else ""
        self._progress.update(self._task, completed=done, description=what, terms=terms, speed=speed, **fields)


class StepsBar(Bar):
    """A bar over all scales of a transfer: size, loss terms, speed, time left."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet, 1)

    def update(self, state: "Progress") -> None:
        """Shows where the transfer stands."""
        height, width = state.image.shape[:2]
        total, content, style, _ = (float(term[-1]) for term in state.losses)
        done, all_steps = (state.scale - 1) * state.steps + state.step, state.scales * state.steps
        tiles = f", tiles of {state.tile}" if state.tile else ""
        size, terms = f"{width} x {height}{tiles}", f"loss {total:.3g} (content {content:.3g}, style {style:.3g})"
        if self._lines and state.step == state.steps:
            say(f"{size}: {done}/{all_steps} steps, {terms}")
        self._show(done, size, terms, total=all_steps)


class SweepBar(Bar):
    """A bar over all pictures of a sweep; off a terminal, a line for each batch."""

    def __init__(self, quiet: bool, steps: int, pictures: int) -> None:
        super().__init__(quiet, steps)
        self._before = self._saved = 0
        self._pictures, self._began = pictures, time.time()

    def update(self, state: "Progress") -> None:
        """Shows where the batch in flight stands."""
        lanes, height, width = state.image.shape[:3]
        done = self._before + lanes * ((state.scale - 1) * state.steps + state.step)
        at_once = f"{lanes} pictures side by side" if lanes > 1 else "one picture"
        self._show(done, f"{width} x {height}, {at_once}", f"{self._saved}/{self._pictures} saved")

    def batch_done(self, steps: int, pictures: int) -> None:
        """Some pictures more are saved."""
        self._before, self._saved = self._before + steps, self._saved + pictures
        if self._lines:
            say(f"{self._saved}/{self._pictures} pictures, {time.time() - self._began:.0f} s")


class PartsBar(Bar):
    """A bar over several runs, of so many steps or more each; off a terminal, a line at the end of each."""

    def __init__(self, quiet: bool, parts: int, steps: int) -> None:
        super().__init__(quiet, parts * steps)
        self._before, self._left, self._steps = 0, parts, steps

    def watch(self, name: str) -> "Callable[[Progress], None]":
        """The callback of the next run."""
        self._left -= 1

        def update(state: "Progress") -> None:
            height, width = state.image.shape[:2]
            here, done = state.scales * state.steps, (state.scale - 1) * state.steps + state.step
            total = self._before + here + self._left * self._steps
            terms = f"loss {float(state.losses.total[-1]):.3g}"
            self._show(self._before + done, f"{name}, {width} x {height}", terms, total=total)
            if done == here:
                self._before += here

        return update

    def say(self, line: str) -> None:
        """A line for who has no bar to watch."""
        if self._lines:
            say(line)


class TilesBar(Bar):
    """A bar over the tiles of some pictures, and above it the names of results, on standard output."""

    def __init__(self, quiet: bool, pictures: int) -> None:
        super().__init__(quiet, 1, "tiles")
        self._done, self._pictures = 0, pictures

    def watch(self, name: str) -> Callable[[int, int], None]:
        """The callback of the next picture."""
        self._done += 1
        which = f"{self._done}/{self._pictures}" if self._pictures > 1 else ""

        def update(done: int, tiles: int) -> None:
            self._show(done, name, which, total=tiles)

        return update

    def result(self, line: str) -> None:
        """A result's line, while the bar is out of its way."""
        self._progress.stop()
        print(line, flush=True)
        self._progress.start()


class Downloading(NamedTuple):
    """What tells of a download: how far it is, in (bytes so far, bytes in all), and lines about it."""

    progress: Callable[[int, int], None]
    notice: Callable[[str], None]


@contextlib.contextmanager
def download_bar(quiet: bool = False) -> Iterator[Downloading]:
    """A bar for a download; yields the callbacks that move it, and write lines above it."""
    columns = (
        progress.TextColumn("downloading"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    lines = not quiet and not console.is_terminal
    with progress.Progress(*columns, console=_bar_console(console), disable=quiet or lines, transient=True) as shown:
        task = shown.add_task("", total=None, visible=False)

        def update(done: int, total: int) -> None:
            if lines and shown.tasks[0].total != total:
                say(f"downloading {total / 1e6:.1f} MB")
            shown.update(task, completed=done, total=total or None, visible=True)

        def notice(line: str) -> None:
            if not quiet:
                console.print(printable(line), soft_wrap=True, markup=False, highlight=False)

        yield Downloading(update, notice)
