"""Files opened for reading, files put in place whole, what may stand in the JSON ones, and their paths in messages and
on command lines.

A reader finds the old file or the new one, never half of one.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import re
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from jaxstyle.errors import nearest

StrPath = str | os.PathLike[str]
DEEPEST = 32  # lists and tables within one another, in what is read from JSON or TOML
_TEMPORARY = re.compile(r"\.jaxstyle-(?:([0-9a-f]{16})-)?[0-9a-f]{16}\.tmp")  # those of version 0.1 had no key


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
    """Write every file under a temporary name in its own directory, and only then rename them all.

    Where a target is a link, the file that it leads to is written. Permissions and owner of one that is there stay.
    Raises `OSError`, before any is written, for one that `try_file` refuses.
    """
    places = {target: real_place(target) for target in writers}
    for place in places.values():
        check_place(place)
    temporaries = {target: temporary_for(place) for target, place in places.items()}
    try:
        for target, write in writers.items():
            with open(temporaries[target], "xb") as file:
                make_alike(temporaries[target], places[target])  # first, so that what was private stays so
                write(file)
        for target, temporary in temporaries.items():
            os.replace(temporary, places[target])
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):  # FileNotFoundError once renamed
                temporary.unlink()


def real_place(target: Path) -> Path:
    """The file that is written for a name: where a link leads to, be there a file or not; else the name itself."""
    return Path(os.path.realpath(target)) if os.path.islink(target) else target


def try_file(target: Path) -> None:
    """Raises `OSError` unless `write_files` could write the file now."""
    place = real_place(target)
    check_place(place)
    try_folder(place.parent)


def check_place(place: Path) -> None:
    """Raises `OSError` for a name that no file can have, and for what is there and may not be written, since a rename
    asks for the folder's permission only.

    A file that nobody may write is kept from root too, whom the system would let.
    """
    try:
        found = place.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):  # still, after all links were followed
        raise OSError(errno.ELOOP, "it is a link that leads back to itself", str(place))
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", str(place))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a plain file", str(place))
    if not found.st_mode & 0o222:
        raise PermissionError(errno.EACCES, "it is write-protected", str(place))
    os.close(os.open(place, os.O_WRONLY))


def make_alike(temporary: Path, place: Path) -> None:
    """Gives a file the permissions, and as far as that is allowed the owner, of the one that it is to replace."""
    with contextlib.suppress(FileNotFoundError):
        found = place.stat()
        with contextlib.suppress(OSError, AttributeError):  # another's file; a system without owners
            os.chown(temporary, found.st_uid, found.st_gid)
        os.chmod(temporary, stat.S_IMODE(found.st_mode))


def try_folder(folder: Path) -> None:
    """Raises `OSError` unless a file can be written there now: tried with one that is removed again, as permissions
    alone do not tell of a read-only or a full disk."""
    trial = temporary_for(folder / "trial")
    try:
        trial.write_bytes(b"x")
    finally:
        trial.unlink(missing_ok=True)


def temporary_for(target: Path) -> Path:
    """A name beside `target` for what is to become it, another one at each call."""
    return target.with_name(f".jaxstyle-{key_of(target)}-{secrets.token_hex(8)}.tmp")


def key_of(target: Path) -> str:
    """What stands for the target in the names of files about it: 16 digits, however long its own name is."""
    return hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of `temporary_for`."""
    return _TEMPORARY.fullmatch(name) is not None


def leftovers(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Files under temporary names in a folder, each with the key of its target. They belong to a process that is at
    work, or were left by one that was killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := _TEMPORARY.fullmatch(entry.name):
                yield folder / entry.name, match[1]


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


def parsed(text: str | bytes) -> Any:
    """What JSON from a stranger holds.

    Raises:
      ValueError: it is no JSON, or goes deeper than `DEEPEST`.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("lists within lists without end") from error
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raises `ValueError` for lists and tables within one another deeper than `DEEPEST`, which recursion could not
    follow."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for part in level if isinstance(part, Mapping | list)]
        if not level:
            return
        level = [x for part in level for x in (part.values() if isinstance(part, Mapping) else part)]
    raise ValueError(f"lists within lists, deeper than {DEEPEST}")


def shown(path: StrPath) -> str:
    """The path as it can stand in a one-line message, whatever characters it holds; a shell takes it back."""
    text = os.fspath(path)
    return text if text and text.isprintable() else quoted(text)


def as_word(path: StrPath) -> str:
    """The path as a word of a command line that is no option, whatever it begins with."""
    text = os.fspath(path)
    return f"./{text}" if text.startswith("-") else text


def quoted(word: str) -> str:
    """The word as a shell reads it, in printable characters: $'...' of bash and zsh where it has others."""
    if word.isprintable():
        return shlex.quote(word)

    def piece(char: str) -> str:
        if char in "\\'":
            return "\\" + char
        # A digit that comes after is none of its: bash and zsh take two at most.
        return char if char.isprintable() else "".join(f"\\x{x:02x}" for x in os.fsencode(char))

    return f"$'{''.join(map(piece, word))}'"


def near(path: Path) -> str:
    """The ending that names the entry beside `path` most like it; a huge directory is not read to its end."""
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        return nearest(path.name, [entry.name for entry in itertools.islice(entries, 2000)])
    return ""
