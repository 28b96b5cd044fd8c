"""What the commands share: JAX's set-up, their error, and the progress bars.

Progress goes to stderr: a bar on a terminal; elsewhere, into a log say, a line for each scale or download.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

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


def start_jax(*, distributed: bool = False, lanes: int = 1) -> None:
    """Keeps compiled programs in the cache folder, so that the next run of the same size need not compile.

    With `distributed`, joins the other hosts: those that JAX finds by itself (TPU pods, Slurm, MPI), or those that
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID name.

    Where up to `lanes` pictures may run side by side, each core of a CPU becomes a device: small convolutions do not
    share their work well among cores.
    """
    if lanes > 1 and not distributed and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", min(lanes, _cores()))
    if distributed:
        count, own = (os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
        try:
            jax.distributed.initialize(
                num_processes=int(count) if count else None, process_id=int(own) if own else None
            )
        except (ValueError, RuntimeError) as error:
            raise CommandError(f"--distributed finds no other hosts: {plain_line(error)}") from error
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def usual_precision() -> str:
    """Of convolutions: bfloat16 where the device multiplies matrices of it several times as fast, with which pictures
    differ no more than after one step more; else float32."""
    device = jax.local_devices()[0]
    if device.platform == "gpu":
        with contextlib.suppress(AttributeError, ValueError):  # not NVIDIA's: its number is no number
            return "bfloat16" if float(device.compute_capability) >= 8 else "float32"
    return "bfloat16" if device.platform == "tpu" else "float32"


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bar_console(console: Console) -> Console:
    """The console of a bar. Where nobody watches, a silent one: rich 13 ends even a disabled bar with an empty line."""
    return console if console.is_terminal else Console(quiet=True)


class Bar:
    """A bar that counts steps, with fields to its right. Silent when `quiet`."""

    def __init__(self, quiet: bool, total: float) -> None:
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
        self._task = self._progress.add_task("compiling", total=total, terms="", speed="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _show(self, done: int, what: str, terms: str, **fields: Any) -> None:
        task = self._progress.tasks[0]
        speed = f"{task.speed:.1f}/s" if task.speed else ""
        self._progress.update(self._task, completed=done, description=what, terms=terms, speed=speed, **fields)


class StepsBar(Bar):
    """A bar over all scales of a transfer: size, loss terms, speed, time left."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet, 1)

    def update(self, state: optimise.Progress) -> None:
        """Shows where the transfer stands."""
        height, width = state.image.shape[:2]
        total, content, style, _ = (float(term[-1]) for term in state.losses)
        done, all_steps = (state.scale - 1) * state.steps + state.step, state.scales * state.steps
        size, terms = f"{width} x {height}", f"loss {total:.3g} (content {content:.3g}, style {style:.3g})"
        if self._lines and state.step == state.steps:
            print(f"{size}: {done}/{all_steps} steps, {terms}", file=sys.stderr)
        self._show(done, size, terms, total=all_steps)


class SweepBar(Bar):
    """A bar over all pictures of a sweep; off a terminal, a line for each batch."""

    def __init__(self, quiet: bool, steps: int, pictures: int) -> None:
        super().__init__(quiet, steps)
        self._before = self._saved = 0
        self._pictures, self._began = pictures, time.time()

    def update(self, state: optimise.Progress) -> None:
        """Shows where the batch in flight stands."""
        lanes, height, width = state.image.shape[:3]
        done = self._before + lanes * ((state.scale - 1) * state.steps + state.step)
        at_once = f"{lanes} pictures side by side" if lanes > 1 else "one picture"
        self._show(done, f"{width} x {height}, {at_once}", f"{self._saved}/{self._pictures} saved")

    def batch_done(self, steps: int, pictures: int) -> None:
        """Some pictures more are saved."""
        self._before, self._saved = self._before + steps, self._saved + pictures
        if self._lines:
            print(f"{self._saved}/{self._pictures} pictures, {time.time() - self._began:.0f} s", file=sys.stderr)


class Downloading(NamedTuple):
    """What tells of a download: how far it is, in (bytes so far, bytes in all), and lines about it."""

    progress: Callable[[int, int], None]
    notice: Callable[[str], None]


@contextlib.contextmanager
def download_bar(quiet: bool = False) -> Iterator[Downloading]:
    """A bar for a download; yields the callbacks that move it, and write lines above it."""
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    lines = not quiet and not console.is_terminal
    with Progress(*columns, console=_bar_console(console), disable=quiet or lines, transient=True) as progress:
        task = progress.add_task("", total=None, visible=False)

        def update(done: int, total: int) -> None:
            if lines and progress.tasks[0].total != total:
                print(f"downloading {total / 1e6:.1f} MB", file=sys.stderr)
            progress.update(task, completed=done, total=total or None, visible=True)

        def notice(line: str) -> None:
            if not quiet:
                console.print(line, soft_wrap=True, markup=False, highlight=False)

        yield Downloading(update, notice)
