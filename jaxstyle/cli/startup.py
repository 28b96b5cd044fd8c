"""What a command changes of its process, at its start: JAX's configuration, and the memory allocator. The library
changes nothing."""

import contextlib
import ctypes
import functools
import glob
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from jaxstyle.cli.machine import cores
from jaxstyle.cli.messages import CommandError, plain_line
from jaxstyle.weights import cache_folder

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # from glibc's malloc.h


@functools.cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next call; True where it was told.

    That is worth a seventh of every step on Linux CPUs. XLA allocates a program's buffers afresh on each call; glibc
    hands blocks of that size back to the kernel when they are freed, which then fills them with zeros, page by page, at
    the next call.

    Does nothing on other systems, or when the environment has JAXSTYLE_MALLOC=system. The process's size stays at its
    peak. Blocks from the heap of the main arena can be of any size, hence one arena and no mapped blocks.
    """
    if not sys.platform.startswith("linux") or os.environ.get("JAXSTYLE_MALLOC") == "system":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENA_MAX, 1))
    return all(set_option(option, value) == 1 for option, value in options)


def release_freed_memory() -> None:
    """Hands back to the system what `keep_freed_memory` has kept: between two programs of different sizes."""
    if keep_freed_memory():
        ctypes.CDLL(None).malloc_trim(0)


def start_jax(*, distributed: bool = False, lanes: int = 1) -> None:
    """Keeps compiled programs in the cache folder, so that the next run of the same size need not compile.

    With `distributed`, joins the other hosts: those that JAX finds by itself (TPU pods, Slurm, MPI), or those that
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID name.

    Where up to `lanes` pictures may run side by side, each core of a CPU becomes a device: small convolutions do not
    share their work well among cores.
    """
    if lanes > 1 and not distributed and "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", min(lanes, cores()))
    if distributed:
        with contextlib.suppress(AttributeError):  # versions of JAX that leave SIGTERM alone
            jax.config.update("jax_enable_preemption_service", False)
        count, own = (os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
        try:
            jax.distributed.initialize(
                num_processes=int(count) if count else None, process_id=int(own) if own else None
            )
        except (ValueError, RuntimeError) as error:
            raise CommandError(f"--distributed finds no other hosts: {plain_line(error)}") from error
    keep_freed_memory()
    with contextlib.suppress(OSError):
        folder = cache_folder() / "compiled"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
        mend_compiled(folder)


@contextlib.contextmanager
def files_of_gradio(folder: str) -> Iterator[None]:
    """Within the block Gradio keeps all of its files, uploads among them, in this folder."""
    name = "GRADIO_TEMP_DIR"
    before = os.environ.get(name)
    os.environ[name] = folder
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def mend_compiled(folder: Path) -> None:
    """Removes compiled programs that JAX finds damaged, cut short by a kill say, as soon as it warns of one.

    JAX then compiles, and keeps what it has compiled; as long as the damaged file is there, it would do so at each
    start. The warning names the function: all its programs go.
    """
    told = r"Error reading persistent compilation cache entry for '([^']+)'"
    warnings.filterwarnings("always", told)
    show = warnings.showwarning

    def noticed(message: Warning | str, *about: Any, **more: Any) -> None:
        match = re.match(told, str(message))
        if match is None:
            show(message, *about, **more)
            return
        for path in folder.glob(f"{glob.escape(match[1])}-*"):
            path.unlink(missing_ok=True)

    warnings.showwarning = noticed
