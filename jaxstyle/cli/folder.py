"""The folder that the results of a command go into."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jaxstyle.errors import InputError


@contextlib.contextmanager
def results_folder(out: Path) -> Iterator[None]:
    """Makes the folder, which is gone again if the block fails, unless it was there before."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out} ({error.strerror}); name another with -o") from error
    try:
        yield
    except BaseException:
        if new:
            out.rmdir()
        raise
