"""`--checkpoint`: stopped or killed, the same command goes on, and ends with the picture of one that nobody stopped."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

pytest.importorskip("orbax.checkpoint")

from commandline import SHALLOW, picture, pixels, refused, start
from jaxstyle.cli import keeping, painting
from jaxstyle.cli.claim import claimed
from marks import slow

COMMAND = ("transfer", "c.png", "s.png", "--size", "64", "--min-size", "44", "--steps", "3", *SHALLOW)  # two scales
ALWAYS = ("--checkpoint", "kept", "--checkpoint-minutes", "1e-9")
SOLVERS = {"adam": ("--optimizer", "adam"), "lbfgs": (), "optax-lbfgs": ("--optimizer", "optax-lbfgs")}


class Killed(BaseException):
    """What nothing in the package catches."""


def stop_after(monkeypatch, steps, error=KeyboardInterrupt):
    """The transfer ends so, as soon as so many steps are done."""
    update = painting.StepsBar.update

    def stopping(bar, state):
        update(bar, state)
        if (state.scale - 1) * state.steps + state.step == steps:
            raise error

    monkeypatch.setattr(painting.StepsBar, "update", stopping)


def ended(folder, name):
    record = json.loads((folder / f"{name}.json").read_text())
    return pixels(folder / f"{name}.png"), record["losses"], record["evaluations"], record["status"]


def same_end(folder, *names):
    first, *others = (ended(folder, name) for name in names)
    for other in others:
        np.testing.assert_array_equal(other[0], first[0])
        assert other[1:] == first[1:] and other[3] == "done"


@pytest.mark.parametrize("solver", ["adam", slow("lbfgs"), slow("optax-lbfgs")])
def test_stopped_it_goes_on_to_the_same_picture(call, folder, monkeypatch, solver):
    assert call(*COMMAND, *SOLVERS[solver], "-o", "whole.png").code == 0
    for after in (2, 4):
        with monkeypatch.context() as patched:
            stop_after(patched, after)
            said = call(*COMMAND, *SOLVERS[solver], "-o", "o.png", *ALWAYS[:2])
        assert said.code == 130 and f"stopped after {after} steps; o.png is" in said.err
        assert said.err.endswith(f"; the same command goes on after step {after}\n")
        assert [int(path.name) for path in (folder / "kept").iterdir()] == [after]
    said = call(*COMMAND, *SOLVERS[solver], "-o", "o.png", *ALWAYS[:2])
    assert said.code == 0 and "going on after step 4, kept in kept" in said.err
    same_end(folder, "whole", "o")
    assert not (folder / "kept").exists()


@pytest.mark.slow
def test_killed_it_goes_on_from_what_was_saved_on_the_way(call, folder, monkeypatch):
    assert call(*COMMAND, "-o", "whole.png").code == 0
    for after, saved in ((3, 2), (6, 5)):
        with monkeypatch.context() as patched:
            stop_after(patched, after, Killed)
            with pytest.raises(Killed):
                call(*COMMAND, "-o", "o.png", *ALWAYS)
        assert [int(path.name) for path in (folder / "kept").iterdir()] == [saved]
    assert call(*COMMAND, "-o", "o.png", *ALWAYS).code == 0
    same_end(folder, "whole", "o")


def test_a_picture_on_the_way_is_not_missing_where_the_checkpoint_was_the_last_thing_written(call, folder, monkeypatch):
    every = (*COMMAND, *SOLVERS["adam"], "-o", "o.png", *ALWAYS, "--save-every", "1", "--quiet")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(painting, "numbered", killed)
        with pytest.raises(Killed):
            call(*every)
    assert [path.name for path in (folder / "kept").iterdir()] == ["1"]
    assert call(*every).code == 0
    assert sorted(path.name for path in folder.glob("o_*.png")) == [f"o_{step:05d}.png" for step in range(1, 7)]


@pytest.mark.slow  # tests/engine/test_going_on.py has the same without the command line
def test_in_tiles(call, folder, monkeypatch):
    picture(folder / "c.png", 3, size=(160, 129))
    command = (*COMMAND[:3], "--size", "160", "--min-size", "160", "--steps", "3", *SHALLOW, "--tile", "64")
    assert call(*command, "-o", "whole.png").code == 0
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        assert call(*command, "-o", "o.png", *ALWAYS[:2]).code == 130
    said = call(*command, "-o", "o.png", *ALWAYS[:2])
    assert said.code == 0 and "going on after step 2" in said.err
    same_end(folder, "whole", "o")


def test_of_another_transfer_or_in_use_it_is_refused(call, folder, monkeypatch):
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        call(*COMMAND, "-o", "o.png", *ALWAYS[:2])
    said = call(*COMMAND, "-o", "o.png", *ALWAYS[:2], "--style-weight", "7", "--quiet")
    refused(said, 2, "kept holds a transfer with style weight", "and this one has 7.0; name another folder")
    picture(folder / "c.png", 9)
    refused(call(*COMMAND, "-o", "o.png", *ALWAYS[:2], "--quiet"), 2, "kept holds a transfer with content [")
    with claimed(folder / "kept", "ab"):
        said = call(*COMMAND, "-o", "o.png", *ALWAYS[:2], "--quiet")
        refused(said, 2, "another run of jaxstyle is writing kept now", "another place with --checkpoint")
    refused(call(*COMMAND, "-o", "o.png", "--checkpoint", "c.png", "--quiet"), 2, "--checkpoint c.png is no folder")


def test_a_checkpoint_that_cannot_be_written_costs_no_picture(call, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxstyle.checkpoints.Checkpoints.save", full)
    said = call(*COMMAND, "-o", "o.png", *ALWAYS)
    assert said.code == 0 and (folder / "o.png").exists()
    assert said.err.count("the checkpoint could not be written: No space left on device\n") == 6


def test_without_orbax_one_line_says_so(call, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxstyle.checkpoints", None)
    monkeypatch.setitem(sys.modules, "orbax", None)
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    monkeypatch.delitem(sys.modules, "jaxstyle.checkpoints")
    refused(call(*COMMAND, *ALWAYS, "--quiet"), 2, "--checkpoint needs orbax", "pip install 'jaxstyle[train]'")


def test_a_state_that_is_used_up_is_not_saved(call, folder, monkeypatch):
    """As where Ctrl-C comes between the end of a step and the start of the next."""
    hold = keeping.Keeper.hold
    held = []

    def used_up(keeper, stand):
        hold(keeper, stand)
        held.append(stand)
        if len(held) == 2:
            stand.state.image.delete()
            raise KeyboardInterrupt

    monkeypatch.setattr(keeping.Keeper, "hold", used_up)
    said = call(*COMMAND, *SOLVERS["adam"], "-o", "o.png", *ALWAYS)
    assert said.code == 130 and said.err.endswith("; the same command goes on after step 1\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_process_that_is_stopped_at_any_moment_goes_on(call, folder, number):
    command = (*COMMAND, "-o", "o.png", *ALWAYS[:3], "0.001", "--steps", "20", "--save-every", "1")
    assert call(*COMMAND, "--steps", "20", "-o", "whole.png").code == 0
    for _ in range(3):
        before = len(list(folder.glob("o_*.png")))
        process = start(*command, cwd=folder, env=os.environ)
        while len(list(folder.glob("o_*.png"))) < before + 5 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate()
        assert process.returncode == (130 if number == signal.SIGTERM else -number)
    said = call(*command)
    assert said.code == 0 and "going on after step" in said.err
    same_end(folder, "whole", "o")
