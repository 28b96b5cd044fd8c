"""The checkpoint of a transfer: where it stands, on disk, so that the same command goes on from there."""

import contextlib
import math
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import __version__
from jaxstyle.cli.claim import claimed
from jaxstyle.cli.earlier import MASKS
from jaxstyle.cli.extras import needs
from jaxstyle.cli.messages import plain_line, say
from jaxstyle.cli.outputs import explained
from jaxstyle.cli.records import origin
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.cli.stopping import held_back
from jaxstyle.engine.run import Stand
from jaxstyle.errors import InputError
from jaxstyle.files import plain_values, shown
from jaxstyle.objective import LossTerms
from jaxstyle.solvers import Info


class Keeper:
    """Keeps where a transfer stands, every so many minutes and when it is stopped.

    Attributes:
      begin: where an earlier run of the same command stood; None where there was none.
      seconds: that it had taken.
    """

    def __init__(self, checkpoints: Any, minutes: float) -> None:
        """`checkpoints`: a `Checkpoints`."""
        self._checkpoints, self._minutes = checkpoints, minutes
        self.begin: Stand | None = None
        self.seconds = 0.0
        if checkpoints.latest:
            found = checkpoints.restore()
            infos = found["infos"]
            terms = LossTerms(*(infos[name] for name in LossTerms._fields))
            state = [value for _, value in sorted(found["state"].items())]
            self.begin = Stand(int(found["scale"]), state, [Info(terms, infos["evaluations"])])
            self.seconds = float(found["seconds"])
        self._held: Stand | None = None
        self._began = self._saved = time.monotonic()

    def hold(self, stand: Stand) -> None:
        """Takes note of where the transfer stands."""
        self._held = stand

    def look(self) -> None:
        """Saves that if it is time."""
        if time.monotonic() - self._saved >= 60 * self._minutes:
            self._save()

    def stopped(self) -> str:
        """Saves that; how the line about the transfer's end ends."""
        self._save()
        done = self._checkpoints.latest
        return f"; the same command goes on after step {done}" if done else ""

    def remove(self) -> None:
        """Removes all checkpoints: the transfer is done."""
        with held_back():
            self._checkpoints.remove()

    def _save(self) -> None:
        """Saves the latest that is known to be good and is not used up. What goes wrong with it is said, and costs no
        picture."""
        if self._held is None:
            return
        scale, state, infos = self._held
        leaves = jax.tree.leaves(state)
        if any(x.is_deleted() for x in leaves):
            return  # a step was just ending; what was saved before stays
        with held_back():
            infos = jax.device_get(infos)
            every = jax.tree.map(lambda *xs: np.concatenate(xs), *infos)
            done = len(every.evaluations)
            if done == self._checkpoints.latest or not math.isfinite(every.terms.total[-1]):
                return
            kept = {
                "scale": np.asarray(scale),
                "state": {f"{number:04d}": np.asarray(x) for number, x in enumerate(leaves)},
                "infos": {**every.terms._asdict(), "evaluations": every.evaluations},
                "seconds": np.asarray(self.seconds + time.monotonic() - self._began),
            }
            try:
                self._checkpoints.save(done, kept)
            except Exception as error:
                say(f"jaxstyle: the checkpoint could not be written: {plain_line(error)}")
            self._saved = time.monotonic()


@contextlib.contextmanager
def kept(place: Path, sources: Sources, settings: Settings, *, minutes: float, quiet: bool) -> Iterator[Keeper]:
    """The keeper of a transfer, whose checkpoints are in a folder.

    Raises:
      InputError: the folder is of another transfer, cannot be written, or is being written by another process.
    """
    with needs("train", "--checkpoint"):
        from jaxstyle.checkpoints import opened
    if place.exists() and not place.is_dir():
        raise InputError(f"--checkpoint {shown(place)} is no folder")
    helps = "name another folder with --checkpoint, or remove this one"
    told: Any = {"what": "a transfer", "keep": 1, "helps": helps}
    with contextlib.ExitStack() as stack:
        with explained(place, reads=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(claimed(place, secrets.token_hex(16), option="--checkpoint"))
            checkpoints = stack.enter_context(opened(shown(place), identity(sources, settings), **told))
            keeper = Keeper(checkpoints, minutes)
        if keeper.begin is not None and not quiet:
            say(f"going on after step {checkpoints.latest}, kept in {shown(place)}")
        yield keeper
    if not checkpoints.latest:
        with contextlib.suppress(OSError):  # of somebody else's files in it
            place.rmdir()


def identity(sources: Sources, settings: Settings) -> dict[str, Any]:
    """What must be the same for a transfer to go on, as plain values."""
    record = origin(sources, settings)
    pictures = {"content": [record["content"]], "style": record["styles"], "start": [record["init"]]}
    pictures |= {name.replace("_", " "): record.get(name, []) for name in MASKS}
    hashes = {name: [x and x["sha256"] for x in found] for name, found in pictures.items()}
    facts = {"weights of": record["weights"]["sha256"], "version": __version__}
    named = {name.replace("_", " "): value for name, value in record["settings"].items() if name != "weights"}
    plain: dict[str, Any] = plain_values({**named, **hashes, **facts})
    return plain
