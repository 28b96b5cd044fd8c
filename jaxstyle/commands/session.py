"""What the commands share: JAX's set-up, their error, and the progress bars.

Progress goes to stderr: a bar on a terminal; elsewhere, into a log say, a line for each scale or download.
"""

import contextlib
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from jaxstyle import optimise
from jaxstyle.errors import InputError
from jaxstyle.weights import cache_folder


class CommandError(Exception):
    """A command failed, and not for what the user gave. The message is one plain line."""


def plain_line(error: Exception) -> str:
    """An error of another program as the end of a line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = " ".join(str(error).split())[:400]
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text} (--debug shows where)"


def start_jax() -> None:
    """Keeps compiled programs in the cache folder, so that the next run of the same size need not compile."""
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _bar_console(console: Console) -> Console:
    """The console of a bar. Where nobody watches, a silent one: rich 13 ends even a disabled bar with an empty line."""
    return console if console.is_terminal else Console(quiet=True)


class StepsBar:
    """A bar over all scales of a transfer: size, loss terms, speed, time left. Silent when `quiet`."""

    def __init__(self, quiet: bool) -> None:
        console = Console(stderr=True)
        self._lines = not quiet and not console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TextColumn("{task.fields[terms]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=_bar_console(console),
            disable=quiet or self._lines,
            transient=True,
        )
        self._task = self._progress.add_task("compiling", total=1, terms="", speed="")

    def __enter__(self) -> "StepsBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, state: optimise.Progress) -> None:
        """Shows where the transfer stands."""
        height, width = state.image.shape[:2]
        total, content, style, _ = (float(term[-1]) for term in state.losses)
        done, all_steps = (state.scale - 1) * state.steps + state.step, state.scales * state.steps
        size, terms = f"{width} x {height}", f"loss {total:.3g} (content {content:.3g}, style {style:.3g})"
        if self._lines and state.step == state.steps:
            print(f"{size}: {done}/{all_steps} steps, {terms}", file=sys.stderr)
        task = self._progress.tasks[0]
        speed = f"{task.speed:.1f}/s" if task.speed else ""
        self._progress.update(self._task, total=all_steps, completed=done, description=size, terms=terms, speed=speed)


@contextlib.contextmanager
def download_bar(quiet: bool = False) -> Iterator[Any]:
    """A bar for a download; yields the callback (bytes so far, bytes in all) that moves it."""
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    lines = not quiet and not console.is_terminal
    with Progress(*columns, console=_bar_console(console), disable=quiet or lines, transient=True) as progress:
        task = progress.add_task("", total=None, visible=False)

        def update(done: int, total: int) -> None:
            if lines and not progress.tasks[0].visible:
                print(f"downloading {total / 1e6:.1f} MB", file=sys.stderr)
            progress.update(task, completed=done, total=total or None, visible=True)

        yield update
