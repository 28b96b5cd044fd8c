"""What the command line changes of its process, before it works: in processes of their own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jaxstyle.cli import startup
from jaxstyle.cli.messages import CommandError

ASK = """
import jax
from jaxstyle.cli.startup import keep_freed_memory, release_freed_memory, start_jax
start_jax(lanes={lanes})
print(jax.config.jax_compilation_cache_dir, len(jax.devices()), keep_freed_memory())
release_freed_memory()
"""


def started(folder: Path, lanes: int = 1, **environment: str) -> list[str]:
    """The folder of compiled programs, how many devices there are, and whether freed memory is kept."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("XLA", "JAX_C", "JAX_P"))}
    own = known | {"JAX_PLATFORMS": "cpu", "JAXSTYLE_CACHE": str(folder / "cache")} | environment
    command = [sys.executable, "-c", ASK.format(lanes=lanes)]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a process without further settings, and what it found."""
    folder = tmp_path_factory.mktemp("plain")
    return folder, started(folder)


def test_compiled_programs_are_kept_in_the_cache(plain: tuple[Path, list[str]]) -> None:
    folder, found = plain
    assert found[:2] == [str(folder / "cache/compiled"), "1"]
    assert (folder / "cache/compiled").stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert started(tmp_path)[0] == "None"


@pytest.mark.slow
def test_each_core_is_a_device_where_lanes_run_side_by_side_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert started(tmp_path, lanes=100)[1] == str(min(100, cores or 1))
    assert started(tmp_path, lanes=100, XLA_FLAGS="--xla_force_host_platform_device_count=3")[1] == "3"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is glibc's")
def test_freed_memory_is_kept_unless_the_user_wants_the_systems_way(
    tmp_path: Path, plain: tuple[Path, list[str]]
) -> None:
    assert started(tmp_path, JAXSTYLE_MALLOC="system")[2] == "False"
    assert plain[1][2] == str(platform.libc_ver()[0] == "glibc")


def test_hosts_that_are_not_there_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_NUM_PROCESSES", "many")
    with pytest.raises(CommandError, match="--distributed finds no other hosts") as caught:
        startup.start_jax(distributed=True)
    assert str(caught.value).isprintable()
