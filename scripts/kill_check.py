"""Stop commands at random moments, and look at what they leave: the table of docs/reliability.md.

    python scripts/kill_check.py --kills 200 --interrupts 100
    python scripts/kill_check.py --kills 20 --interrupts 0 --only 'transfer --checkpoint' --by KILL

A kill is SIGKILL, SIGTERM or SIGHUP at a random moment of `transfer`, `transfer --save-every`, `transfer --checkpoint`,
`sweep`, `batch` or `weights convert`. Afterwards every file at a result's name must be whole, and the same command
again must end well, with the pictures that a run which nobody stopped makes, and with no file of a killed one left. Of
a checkpointed transfer no more than the interval may be lost.

An interrupt is one Ctrl-C, two, or many, at a random moment of a command whose programs are not compiled yet. The
process must end with 130, not by a signal, with no traceback, and with whole files.

Takes some ten seconds for each on two cores with nothing beside it; needs POSIX. Fails, with a line for each thing that
was wrong, if any was.
"""

import argparse
import collections
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxstyle.marks import is_sealed
from jaxstyle.pictures.write import is_own

QUICK = ("--size", "48", "--min-size", "48", "--quiet")
SHALLOW = ("--content-layers", "relu2_1", "--style-layers", "relu1_1", "relu2_1")
COMMANDS: dict[str, Sequence[str]] = {
    "transfer": ("transfer", "c.png", "s.png", "-o", "out/a.png", *QUICK, "--steps", "150"),
    "transfer --save-every": (
        "transfer",
        "c.png",
        "s.png",
        "-o",
        "out/b.png",
        *QUICK,
        "--steps",
        "60",
        "--save-every",
        "3",
    ),
    "sweep": (
        "sweep",
        "c.png",
        "s.png",
        "-o",
        "out",
        *QUICK,
        "--steps",
        "20",
        "--style-weight",
        "1",
        "9",
        "80",
        "--lanes",
        "1",
    ),
    "batch": ("batch", "in", "--style", "s.png", "-o", "out", *QUICK, "--steps", "20", "--lanes", "1"),
    "weights convert": ("weights", "convert", "w.h5", "-o", "out/w.h5"),
}
EVERY = 0.003  # minutes between checkpoints
COMMANDS["transfer --checkpoint"] = (
    *COMMANDS["transfer"][:3],
    "-o",
    "out/b.png",
    *QUICK,
    "--steps",
    "250",
    "--save-every",
    "1",
    *("--checkpoint", "kept", "--checkpoint-minutes", str(EVERY)),
)
SAVING = 2.0  # seconds that a step and the saving of a checkpoint may take
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
# Whoever runs this in the background may have Ctrl-C ignored, which processes inherit.
PROGRAM = """
import signal, sys
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)
from jaxstyle.cli.program import program
program()
"""


def main() -> int:
    """Runs both parts, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--interrupts", type=int, default=10)
    parser.add_argument("--only", choices=COMMANDS, nargs="+", default=list(COMMANDS))
    parser.add_argument("--by", choices=[how.name[3:] for how in KILLS], nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, found = random.Random(options.seed), Counts()
    with tempfile.TemporaryDirectory(prefix="kill-check-") as folder:
        here = Path(folder)
        make_sources(here)
        expected, seconds = measure(here, options.only)
        kills = [how for how in KILLS if options.by is None or how.name[3:] in options.by]
        try:
            for number in range(options.kills):
                kind, how = draw.choice(options.only), kills[number % len(kills)]
                moment = Moment(draw.random() < 0.3, draw.random())
                kill(here, kind, how, moment, seconds[kind], expected[kind], found)
            for _ in range(options.interrupts):
                interrupt(here, draw, found)
        finally:  # what was seen until then, if it is stopped itself
            print(found, flush=True)
    return int(bool(found.wrong))


class Moment(NamedTuple):
    """When to stop a command.

    Attributes:
      any_time: from its very start on; else from when it has begun to write, as it does little else before; one that
        writes pictures on the way, from the first of them.
      part: of the time from then to the end that it usually takes.
    """

    any_time: bool
    part: float

    def wait(self, here: Path, kind: str, process: subprocess.Popen[str], seconds: float) -> None:
        """Waits for it."""
        if self.any_time:
            time.sleep(self.part * seconds)
            return
        first = "*_*.png" if kind.startswith("transfer --") else "*"
        while not any((here / "out").glob(first)) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(self.part * seconds / 2)


class Counts:
    """What was done, how it ended, and what was wrong."""

    def __init__(self) -> None:
        self.ends: collections.Counter[tuple[str, str, str]] = collections.Counter()
        self.wrong: list[str] = []
        self.lost: list[float] = []

    def check(self, fine: bool, what: str) -> None:
        """Notes what is wrong, and says it at once."""
        if not fine:
            self.wrong.append(what)
            print("WRONG:", what, file=sys.stderr, flush=True)

    def __str__(self) -> str:
        rows = [f"| {kind} | {how} | {end} | {count} |" for (kind, how, end), count in sorted(self.ends.items())]
        head = ["| command | stopped by | ended | times |", "|---|---|---|---|"]
        told = f"{sum(self.ends.values())} stops, {len(self.wrong)} things wrong"
        if self.lost:
            told += f"; {len(self.lost)} times there was a checkpoint, at most {max(self.lost):.1f} s old"
        return "\n".join([*head, *rows, "", told])


def make_sources(here: Path) -> None:
    """Pictures, and a file of weights."""
    draw = np.random.default_rng(0)
    (here / "in").mkdir()
    for name in ("c.png", "s.png", "in/0.png", "in/1.png", "in/2.png"):
        Image.fromarray(draw.integers(0, 256, (36, 48, 3), dtype=np.uint8)).save(here / name)
    from jaxstyle.weights import at_hand

    shutil.copy(str(at_hand("compact")), here / "w.h5")


def start(here: Path, command: Sequence[str], cache: str = "cache") -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    environment = os.environ | {"JAXSTYLE_CACHE": str(here / cache)}
    line = [sys.executable, "-c", PROGRAM, *command]
    return subprocess.Popen(line, cwd=here, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def measure(here: Path, kinds: Sequence[str]) -> tuple[dict[str, dict[str, str]], dict[str, float]]:
    """What each command leaves when nobody stops it, and the seconds that it takes once its programs are compiled."""
    expected, seconds = {}, {}
    for kind in kinds:
        for _ in range(2):
            fresh(here)
            began = time.time()
            with start(here, COMMANDS[kind]) as process:
                said = process.communicate()[1]
            if process.returncode:
                raise SystemExit(f"{kind} fails by itself: {said}")
            seconds[kind] = time.time() - began
        expected[kind] = contents(here)
    return expected, seconds


def fresh(here: Path) -> None:
    """An empty folder for results, and no checkpoint."""
    for name in ("out", "kept"):
        shutil.rmtree(here / name, ignore_errors=True)
    (here / "out").mkdir()


def contents(here: Path) -> dict[str, str]:
    """The results: pictures by the hash of their pixels, other files by their names only, as seconds are in them."""
    found = {}
    for path in sorted((here / "out").iterdir()):
        found[path.name] = ""
        if path.suffix == ".png" and path.name != "sheet.png":
            with Image.open(path) as image:
                found[path.name] = hashlib.sha256(image.tobytes()).hexdigest()
    return found


def whole(path: Path) -> bool:
    """Whether a result is as jaxstyle wrote it."""
    if path.suffix == ".png":
        return is_own(path)
    if path.suffix == ".h5":
        from jaxstyle.weights import show

        return show(path)["network"] == "compact"
    return is_sealed(path)


def check_results(here: Path, told: str, found: Counts) -> None:
    """Every file is whole; others than results have hidden names."""
    for path in (here / "out").iterdir():
        if not path.name.startswith("."):
            found.check(whole(path), f"{told}: {path.name} is not whole")


def kill(
    here: Path,
    kind: str,
    how: signal.Signals,
    moment: Moment,
    seconds: float,
    expected: dict[str, str],
    found: Counts,
) -> None:
    """One kill, a look, and the same command again."""
    fresh(here)
    told = f"{kind} by {how.name}, {moment}"
    with start(here, COMMANDS[kind]) as process:
        moment.wait(here, kind, process, seconds)
        process.send_signal(how)
        said = process.communicate()[1]
    found.ends[kind, how.name, end_of(process, said)] += 1
    found.check("Traceback" not in said, f"{told}: {said}")
    found.check(process.returncode in ((0, -how) if how == signal.SIGKILL else (0, 130)) or early(process, said), told)
    check_results(here, told, found)
    if kind == "transfer --checkpoint" and how == signal.SIGKILL and process.returncode == -how:
        check_age(here, told, found)
    with start(here, COMMANDS[kind]) as process:
        again = process.communicate()[1]
    found.check(process.returncode == 0, f"{told}: again: {process.returncode} {again}")
    found.check(contents(here) == expected, f"{told}: again: {set(contents(here).items()) ^ set(expected.items())}")


def check_age(here: Path, told: str, found: Counts) -> None:
    """The last picture is not later than the checkpoint, or the first picture, by more than the interval."""
    kept = [path for path in (here / "kept").glob("*") if path.name.isdigit()]
    pictures = [path.stat().st_mtime for path in (here / "out").glob("b_*.png")]
    if not pictures:
        return
    since = max(path.stat().st_ctime for path in kept) if kept else min(pictures)  # ctime: when it got its name
    lost = max(0.0, max(pictures) - since)
    found.check(lost <= 60 * EVERY + SAVING, f"{told}: {lost:.1f} s are lost")
    if kept:
        found.lost.append(lost)


def early(process: subprocess.Popen[str], said: str) -> bool:
    """Whether the signal came before Python had begun."""
    return process.returncode < 0 and said == ""


def end_of(process: subprocess.Popen[str], said: str) -> str:
    """How a process ended, in a word."""
    if process.returncode == 130:
        return "130, picture so far" if "last picture" in said or "pictures are in" in said else "130"
    if process.returncode >= 0:
        return "done" if process.returncode == 0 else str(process.returncode)
    return "killed" if process.returncode == -signal.SIGKILL else f"signal {-process.returncode}"


def interrupt(here: Path, draw: random.Random, found: Counts) -> None:
    """Ctrl-C, once or several times, while everything is still to be compiled."""
    fresh(here)
    shutil.rmtree(here / "empty", ignore_errors=True)
    kind, times = draw.choice(["transfer", "transfer --save-every", "sweep", "batch"]), draw.choice([1, 1, 1, 2, 8])
    after, pause = draw.uniform(0.3, 12), draw.choice([0.01, 0.05, 0.3])
    told = f"{kind} after {after:.2f} s by {times} Ctrl-C every {pause} s"
    with start(here, COMMANDS[kind], cache="empty") as process:
        time.sleep(after)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        said = process.communicate()[1]
    found.ends[kind, f"Ctrl-C x {times}", end_of(process, said)] += 1
    found.check(process.returncode in (0, 130) or early(process, said), f"{told}: {process.returncode} {said}")
    found.check(not any(word in said for word in ("Traceback", "Exception ignored", "Fatal")), f"{told}: {said}")
    check_results(here, told, found)


if __name__ == "__main__":
    sys.exit(main())
