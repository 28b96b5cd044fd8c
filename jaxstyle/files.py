"""Files opened for reading, files put in place whole, what may stand in the JSON ones, and their paths in messages.

A reader finds the old file or the new one, never half of one.
"""

import contextlib
import errno
import itertools
import math
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from jaxstyle.errors import nearest

StrPath = str | os.PathLike[str]


def open_plain(path: StrPath) -> BinaryIO:
    """A plain file, opened for reading.

    Pipes, terminals and other devices are refused at once: opening or reading one may wait for ever.

    Raises:
      OSError: no such file, a folder, or something else that is no plain file.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a plain file", os.fspath(path))
    return file


def write_files(writers: Mapping[Path, Callable[[BinaryIO], object]]) -> None:
    """Write every file under a temporary name in its own directory, and only then rename them all."""
    temporaries = {target: _temporary(target.parent) for target in writers}
    try:
        for target, write in writers.items():
            with open(temporaries[target], "xb") as file:
                write(file)
        for target, temporary in temporaries.items():
            os.replace(temporary, target)
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):  # FileNotFoundError once renamed
                temporary.unlink()


def try_folder(folder: Path) -> None:
    """Raises `OSError` unless a file can be written there now: tried with one that is removed again, as permissions
    alone do not tell of a read-only or a full disk."""
    trial = _temporary(folder)
    try:
        trial.write_bytes(b"x")
    finally:
        trial.unlink(missing_ok=True)


def _temporary(folder: Path) -> Path:
    return folder / f".jaxstyle-{secrets.token_hex(8)}.tmp"


def plain_values(value: Any) -> Any:
    """`value` as strict JSON can hold it, so that no odd number or path in a record loses a picture."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy's and JAX's arrays and numbers
        return plain_values(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def shown(path: StrPath) -> str:
    """The path as it can stand in a one-line message, whatever characters it holds."""
    text = os.fspath(path)
    return text if text and text.isprintable() else ascii(text)


def near(path: Path) -> str:
    """The ending that names the entry beside `path` most like it; a huge directory is not read to its end."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        return nearest(path.name, [entry.name for entry in itertools.islice(entries, 2000)])
    return ""
