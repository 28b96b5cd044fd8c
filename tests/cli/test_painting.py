"""A transfer on its way to a file: whatever happens to it, the picture so far is kept."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commandline import LANES, QUICK, SHALLOW, Said, changed, listing, pixels, refused, same_record, start
from jaxstyle.cli import records, resolve
from jaxstyle.cli.painting import chunk as chunk_length
from jaxstyle.cli.terminal import StepsBar
from jaxstyle.pictures.write import save_image
from jaxstyle.solvers import SOLVERS, Adam


def test_pictures_on_the_way_have_exact_steps(call: Callable[..., Said], folder: Path) -> None:
    options = ("--min-size", "45", "--steps", "4", "--save-every", "3", *SHALLOW)
    said = call("transfer", "c.png", "s.png", *options)
    assert said.code == 0
    made = {name for name in listing(folder) if name.startswith("c_s") and name.endswith(".png")}
    assert made == {"c_s.png", "c_s_00003.png", "c_s_00006.png"}
    first, second = (same_record(folder / f"c_s_0000{step}.png") for step in (3, 6))
    assert (first["step"], second["step"]) == (3, 6)
    assert first["status"] == second["status"] == "on the way"
    assert max(pixels(folder / "c_s_00003.png").shape) < max(pixels(folder / "c_s_00006.png").shape) == 64
    scales = [line for line in said.err.splitlines() if " steps, loss " in line]
    assert [line.split(": ")[1].split()[0] for line in scales] == ["4/8", "8/8"]


@pytest.mark.parametrize(("every", "steps"), [(1, 80), (7, 80), (30, 80), (50, 100), (29, 58), (100, 80), (6, 1)])
def test_looks_fall_on_pictures_and_on_ends_of_scales(every: int, steps: int) -> None:
    chunk = chunk_length(every, steps)
    looks = {scale * steps + step for scale in range(4) for step in range(chunk, steps + 1, chunk)}
    assert set(range(every, 4 * steps + 1, every)) <= looks
    assert 1 <= chunk <= 25


# When something happens on the way


@dataclass(frozen=True)
class Exploding(Adam):
    """Multiplies the image by 1e5 at each step: the loss overflows after three or four."""

    def step(self, value_and_grad: Any, image: Any, state: Any) -> Any:
        _, state, info = super().step(value_and_grad, image, state)
        return image * 1e5, state, info


def test_a_run_that_diverges_keeps_the_last_good_picture(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOLVERS, "adam", Exploding)
    monkeypatch.setattr(resolve, "Adam", Exploding)
    options = (*QUICK, *LANES, "--steps", "9", "--save-every", "1", "--quiet")
    said = call("transfer", "c.png", "s.png", *options)
    refused(said, 1, "finite number at step", "c_s.png is the last picture", "a smaller --rate")
    record = same_record(folder / "c_s.png")
    assert record["status"] == "diverged" and 1 < record["step"] < 9
    assert f"at step {record['step']};" in said.err
    assert np.isfinite(record["losses"]["total"])
    kept = {int(name[4:9]) for name in listing(folder) if name.startswith("c_s_") and name.endswith(".png")}
    assert kept == set(range(1, record["step"] + 1))
    good = folder / f"c_s_{record['step'] - 1:05d}.png"  # the last whose loss was a number
    np.testing.assert_array_equal(pixels(folder / "c_s.png"), pixels(good))


def test_a_run_that_diverges_at_once_leaves_nothing(call: Callable[..., Said], folder: Path) -> None:
    changed(folder / "w.h5", 1e30)
    before = listing(folder)
    said = call("transfer", "c.png", "s.png", *QUICK, "--weights", "w.h5", "--quiet")
    refused(said, 1, "finite number at step 0, before the first picture", "smaller weights")
    assert listing(folder) == before


def interrupt(monkeypatch: pytest.MonkeyPatch, error: BaseException, at: int) -> None:
    """Raises the error out of the look at the result that comes after `at` others."""
    update, looks = StepsBar.update, []

    def failing(bar: StepsBar, state: Any) -> None:
        looks.append(state)
        if len(looks) > at:
            raise error
        update(bar, state)

    monkeypatch.setattr(StepsBar, "update", failing)


def test_what_stops_a_run_costs_no_picture(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = {
        "stopped": (KeyboardInterrupt(), 130, "stopped after 3 steps"),
        "out of memory": (RuntimeError("RESOURCE_EXHAUSTED: 9 GB\nof it"), 1, "not enough memory for 64 x 48"),
        "failed": (ValueError("a line\nand another"), 1, "ValueError: a line and another (--debug"),
    }
    before = listing(folder)
    for status, (error, code, words) in stops.items():
        with monkeypatch.context() as patch:
            interrupt(patch, error, at=2)
            options = (*QUICK, "--steps", "4", "--save-every", "1", "--quiet", "-o", f"{status}.png")
            refused(call("transfer", "c.png", "s.png", *options), code, words, f"{status}.png is the last")
        record = same_record(folder / f"{status}.png")
        assert record["status"] == status and record["step"] == 3 and record["losses"]["total"] > 0
        assert pixels(folder / f"{status}.png").shape == (48, 64, 3)
    assert not [name for name in listing(folder) - before if "tmp" in name]


def test_ctrl_c_during_the_saving(call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that hits the last picture's saving, nor another while the picture so far is saved, costs it."""
    saved: list[str] = []

    def save(path: Path, image: np.ndarray, record: dict[str, Any], alpha: object, **options: Any) -> None:
        saved.append(record["status"])
        signal.raise_signal(signal.SIGINT)
        save_image(path, image, record, alpha, **options)

    monkeypatch.setattr(records, "save_image", save)
    said = call("transfer", "c.png", "s.png", *QUICK, "--quiet")
    assert said.code == 130 and said.out == ""
    assert sorted(said.err.splitlines()) == [  # another thread answers the second one
        "jaxstyle: saving what there is; once more ends at once, without it",
        "jaxstyle: stopped after 2 steps; c_s.png is the last picture before that, 64 x 48",
    ]
    assert saved == ["done", "stopped"] == ["done", same_record(folder / "c_s.png")["status"]]
    with pytest.raises(KeyboardInterrupt):  # from now on it interrupts again
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_full_disk_leaves_no_partial_file(suffix: str, call: Callable[..., Said], folder: Path) -> None:
    before = listing(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        said = call("transfer", "c.png", "s.png", "-o", f"out{suffix}", *QUICK, "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(said, 1, f"out{suffix} could not be written", "too large")
    assert listing(folder) == before


def start_quick(folder: Path, *options: str) -> subprocess.Popen[str]:
    return start("transfer", "c.png", "s.png", *QUICK, *options, cwd=folder, stdout=subprocess.PIPE)


def test_ctrl_c_keeps_the_picture_so_far(folder: Path) -> None:
    with start_quick(folder, "--steps", "100000", "--save-every", "10") as process:
        while not (folder / "c_s_00010.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    line = err.splitlines()[-1]
    record = same_record(folder / "c_s.png")
    assert line.startswith(f"jaxstyle: stopped after {record['step']} steps; c_s.png")
    assert record["status"] == "stopped" and record["step"] % 10 == 0 and record["step"] >= 10
    assert (Path(os.environ["JAXSTYLE_CACHE"]) / "compiled").is_dir()
    assert not [name for name in listing(folder) if "tmp" in name]


def test_ctrl_c_before_the_first_picture_leaves_nothing(folder: Path) -> None:
    before = listing(folder)
    with start_quick(folder, "--steps", "100000") as process:
        assert process.stderr is not None
        assert "compact" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err in ("jaxstyle: stopped, before the first picture\n", "jaxstyle: stopped\n")
    assert listing(folder) == before
