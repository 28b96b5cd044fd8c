"""The folder that the results of a command go into, and what a sweep or a batch leaves there."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxstyle.cli.outputs import Outputs, is_leftover
from jaxstyle.errors import InputError
from jaxstyle.files import parsed, shown
from jaxstyle.report.contact_sheet import SHEET
from jaxstyle.report.page import PAGE

SUMMARY = "sweep.json"
OTHER = "name another folder with -o, or remove this one"


@contextlib.contextmanager
def results_folder(out: Path) -> Iterator[None]:
    """Makes the folder, which is gone again if the block fails, unless it was there before or holds anything."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {shown(out)} ({error.strerror}); name another with -o") from error
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def add_results(outputs: Outputs, out: Path, pictures: Sequence[Path]) -> None:
    """All that a sweep, or a batch, writes to its folder."""
    outputs.add(out / SUMMARY, out / PAGE, out / SHEET)
    outputs.add_pictures(*pictures)


def check_own(out: Path) -> None:
    """Raises `InputError` unless a folder holds nothing, or an earlier run of a sweep."""
    if (out / SUMMARY).is_file():
        _identity(out)
    elif any(not is_leftover(path.name) for path in out.iterdir()):
        raise InputError(f"{shown(out)} is not empty, and holds no sweep; name a folder of its own with -o")


def check_same(out: Path, identity: Any) -> None:
    """Raises `InputError` unless a folder holds no sweep, or one of this identity."""
    earlier = _identity(out) if (out / SUMMARY).is_file() else identity
    if earlier == identity:
        return
    then, now = (
        ", ".join(f"{name} {' '.join(values)}" for name, values in x["axes"].items()) or "one cell"
        for x in (earlier, identity)
    )
    if then != now:
        raise InputError(f"{shown(out)} holds another sweep ({then}; here {now}); {OTHER}")
    raise InputError(f"{shown(out)} holds a sweep of these axes, but of other pictures, settings or weights; {OTHER}")


def _identity(out: Path) -> Any:
    """That of the sweep in a folder; its summary may be anybody's."""
    summary = out / SUMMARY
    try:
        identity = parsed(summary.read_bytes())["identity"]
        if all(isinstance(x, str) for values in identity["axes"].values() for x in values):
            return identity
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f"{shown(summary)} cannot be read as that of a sweep; {OTHER}")
