"""The command line as its user meets it: what it says, where, with which exit code; and what it answers without JAX."""

import gc
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import jaxstyle
from commandline import QUICK, Said, listing, refused, shell
from jaxstyle import defaults
from jaxstyle.cli import painting, resolve, values
from jaxstyle.cli.main import command_at, command_names
from jaxstyle.engine.starts import Start
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.pictures.read import MAX_SIDE, MIN_SIDE
from jaxstyle.solvers import SOLVERS

pytestmark = pytest.mark.usefixtures("folder")


# Before JAX


def test_help_version_and_wrong_input_do_not_wait_for_jax() -> None:
    program = """
import sys
from jaxstyle.cli.main import main
for number, line in enumerate(sys.stdin.read().splitlines()):
    assert main(line.split()) == (0 if number < 6 else 2), line
    heavy = {"jax", "matplotlib", *(["numpy", "PIL", "h5py", "rich"] if number < 3 else [])}
    assert not heavy & set(sys.modules), (line, heavy & set(sys.modules))
"""
    wrong = ["transfer", "transfer c.png s.png --size big", "transfer no.png s.png", "transfer c.png no.png"]
    wrong += ["transfer c.png s.png --mix 1 2", "transfer c.png s.png -o no/a.png", "demo -o c.png"]
    lines = ["--help", "--version", "", "transfer --help", "weights --help", "sweep --help", *wrong]
    done = subprocess.run([sys.executable, "-c", program], input="\n".join(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == len(wrong)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--help"], "transfer"), (["--version"], jaxstyle.__version__), (["transfer", "--help"], "--size N")],
)
def test_help_and_version_answer(arguments: list[str], word: str) -> None:
    done = shell(*arguments)
    assert done.returncode == 0 and done.stderr == "" and word in done.stdout


@pytest.mark.quick
def test_the_help_names_every_command_and_every_command_has_its_own(call: Callable[..., Said]) -> None:
    said = call("--help")
    assert said.code == 0
    for name in command_names():
        (row,) = [row for row in said.out.splitlines() if row.startswith(f"  {name} ")]
        own = call(name, "--help")
        assert own.code == 0 and own.err == "" and own.out.startswith(f"usage: jaxstyle {name}")
        command = command_at(name)
        first, _, more = inspect.cleandoc(command.__doc__).partition("\n\n")
        assert row.partition(name)[2].strip() == first.rstrip(".")
        assert (more or first) in own.out


@pytest.mark.quick
def test_what_the_help_repeats_is_what_the_package_has() -> None:
    assert list(ARCHITECTURES) == list(defaults.NETWORKS)
    assert tuple(SOLVERS) == defaults.SOLVERS
    assert tuple(STYLE_LOSSES) == tuple(defaults.STYLE_LOSSES)
    assert get_args(Start) == defaults.STARTS
    assert values.SIDES == (MIN_SIDE, MAX_SIDE)


@pytest.mark.quick
def test_no_arguments_show_the_help(call: Callable[..., Said]) -> None:
    assert call() == call("--help")
    assert call("--version") == (0, f"jaxstyle {jaxstyle.__version__}\n", "")


def test_a_ctrl_c_that_hits_the_garbage_collector_is_heard(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what a callback of the collector raises."""
    before, left = listing(folder), [1]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def during_collection(phase: str, _: dict[str, int]) -> None:
        if left[0] and phase == "start":
            left[0] -= 1
            signal.raise_signal(signal.SIGINT)

    def collect(*_: object, **__: object) -> Any:
        gc.callbacks.append(during_collection)
        for _ in range(600):
            gc.collect(0)
            time.sleep(0.1)

    monkeypatch.setattr(painting, "transfer", collect)
    try:
        said = call("transfer", "c.png", "s.png", *QUICK, "--quiet")
    finally:
        gc.callbacks.remove(during_collection)
        signal.signal(signal.SIGINT, handler)
    assert said == (130, "", "jaxstyle: stopped, before the first picture\n")
    assert left == [0] and listing(folder) == before


def test_an_error_of_ours_is_one_line_and_with_debug_a_traceback(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(folder)
    for patched in ("load_network", "check_layers"):
        with monkeypatch.context() as patch:
            patch.setattr(resolve, patched, lambda *_, **__: 1 // 0)
            said = call("transfer", "c.png", "s.png", *QUICK, "--quiet")
            refused(said, 1, "ZeroDivisionError: ", "(--debug shows where)")
            traced = call("transfer", "c.png", "s.png", *QUICK, "--quiet", "--debug")
            assert traced.code == 1 and "Traceback" in traced.err and traced.err.endswith(said.err)
    wrong = call("--debug", "transfer", "no.png", "s.png")
    assert wrong.code == 2 and "Traceback" in wrong.err
    assert listing(folder) == before


def test_a_reader_who_has_left_is_no_error_to_speak_of(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert call("info") == (1, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_delivered(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        refused(call("info"), 1, "the output could not be written: No space left on device")
