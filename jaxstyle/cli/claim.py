"""A claim on what a command will write, so that another one started meanwhile does not write there too.

It is a lock on a hidden file beside the results, which the system takes back when its process ends, however that ends.
Where a file system has no such locks, nothing is claimed.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxstyle.errors import InputError
from jaxstyle.files import key_of, real_place, shown

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]

PATIENCE = 10.0  # seconds for another one, which has just come, to say who it is


def claim_file(target: Path) -> Path:
    """The hidden file, by a name that stands for the target's; of a link, beside what it leads to."""
    target = real_place(target)
    return target.with_name(f".jaxstyle-{key_of(target)}.lock")


def is_claim_file(name: str) -> bool:
    """Whether a file of this name is one of them."""
    return re.fullmatch(r"\.jaxstyle-[0-9a-f]{16}\.lock", name) is not None


@contextlib.contextmanager
def claimed(
    target: Path, identity: str, *, when_alone: Callable[[], None] = lambda: None, option: str = "-o"
) -> Iterator[None]:
    """Holds the claim on a target for the block.

    Args:
      target: the first of the files that will be written.
      identity: hexadecimal digits. Several processes of the same identity may share the claim.
      when_alone: called first, if no other process holds the claim.
      option: of the command line, that names the target.

    Raises:
      InputError: a process of another identity holds it.
    """
    path = claim_file(target)
    descriptor = _taken(path, identity, when_alone)
    if descriptor is None:
        told = target.parent if target.name == "sweep.json" else target
        raise InputError(
            f"another run of jaxstyle is writing {shown(told)} now; wait until it has ended, or name another place "
            f"with {option}"
        )
    try:
        yield
    finally:
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # BlockingIOError while others share it
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_there(path, descriptor):
                    path.unlink()
            os.close(descriptor)


def _taken(path: Path, identity: str, when_alone: Callable[[], None]) -> int | None:
    """The descriptor of the file whose lock is held; -1 where there are no locks; None where another one holds it."""
    if fcntl is None:
        return -1
    until = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError:
            return -1
        held: bool | None = None
        try:
            held = _locked(descriptor, path, identity, when_alone)
        except OSError:  # this file system has no locks
            with contextlib.suppress(OSError):
                if not os.fstat(descriptor).st_size:
                    path.unlink()
            return -1
        finally:
            if not held:
                os.close(descriptor)
        if held:
            return descriptor
        if held is False or time.monotonic() > until:
            return None
        time.sleep(0.02)


def _locked(descriptor: int, path: Path, identity: str, when_alone: Callable[[], None]) -> bool | None:
    """Whether the lock is held and the claim is ours; None to try again."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None  # someone is just writing who they are
    else:
        if not _is_there(path, descriptor):
            return None
        if not re.fullmatch(rb"[0-9a-f]*", os.pread(descriptor, 4096, 0)):
            raise OSError(f"{path} is somebody else's")
        when_alone()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, identity.encode(), 0)
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # in between another one may have come, and written who it is
    if not _is_there(path, descriptor):
        return None
    return os.pread(descriptor, 4096, 0) == identity.encode()


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one of that name: whoever ends last removes it."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False
