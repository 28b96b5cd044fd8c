"""Folders for what is not yet finished. The living hold theirs locked, so that those of the dead can be removed."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has other locks, and keeps what is left there
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"\.jaxstyle-weights-[0-9a-f]{16}")


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder there of this process's own, removed at the end with all that is in it.

    First, others like it go whose processes have ended without removing them, as when they were killed. Whether one
    lives its lock says, which the system takes away with the process; where there are no locks, nothing is removed.

    Raises:
      OSError: the folder cannot be made.
    """
    _remove_dead(parent)
    folder, lock = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    """A new folder and its lock; None where the system has no locks."""
    while True:
        folder = parent / f".jaxstyle-weights-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            return folder, _lock(folder)
        except (BlockingIOError, FileNotFoundError):  # between these lines another process took it for a dead one's
            continue
        except OSError:
            return folder, None


def _lock(folder: Path) -> int:
    """Takes a folder's lock; closing what is returned gives it back.

    Raises:
      BlockingIOError: another process holds it.
      FileNotFoundError: there is no such folder any more.
      OSError: the system has no locks there.
    """
    if fcntl is None:
        raise OSError("no locks")
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()  # whoever held it before may have removed it
    except BaseException:
        os.close(lock)
        raise
    return lock


def _remove_dead(parent: Path) -> None:
    """Removes folders of this kind that nobody holds."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for folder in [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                lock = _lock(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
