"""What the commands share: JAX's set-up, and the progress bar."""

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol

import jax
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from jaxstyle.weights import cache_folder


def start_jax() -> None:
    """Keeps compiled programs in the cache folder, so that the second run of the same size need not compile."""
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


class State(Protocol):
    """The part of `optimise.Progress` that a bar shows."""

    step: int
    steps: int
    scale: int
    scales: int
    image: Any
    losses: Any


class StepsBar:
    """A bar over all scales of a transfer: size, loss terms, steps a second, time left. Silent when `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
            TextColumn("{task.fields[terms]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            disable=quiet,
            transient=not quiet,
        )
        self._task = self._progress.add_task("compiling", total=1, terms="", speed="")

    def __enter__(self) -> "StepsBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, state: State) -> None:
        """Shows where the transfer stands."""
        height, width = state.image.shape[:2]
        total, content, style, _ = (float(term[-1]) for term in state.losses)
        done = (state.scale - 1) * state.steps + state.step
        task = self._progress.tasks[0]
        speed = f"{task.speed:.1f}/s" if task.speed else ""
        self._progress.update(
            self._task,
            total=state.scales * state.steps,
            completed=done,
            description=f"{width} x {height}",
            terms=f"loss {total:.3g} (content {content:.3g}, style {style:.3g})",
            speed=speed,
        )


@contextlib.contextmanager
def download_bar(quiet: bool = False) -> Iterator[Any]:
    """A bar for a download; yields the callback (bytes so far, bytes in all) that moves it."""
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("", total=None, visible=False)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None, visible=True)

        yield update
