"""All that a command will write: known, looked at and claimed before it starts.

A file that is there already is replaced if jaxstyle wrote it and it is still as it was written, which the file itself
says: a picture by its record (`pictures.write`), others by their seal (`marks`). Any other file stays, unless the
command has `--overwrite`. What the command reads it never replaces.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxstyle.cli.claim import claimed, is_claim_file
from jaxstyle.cli.messages import CommandError, plain_line
from jaxstyle.errors import InputError
from jaxstyle.files import check_place, is_temporary, key_of, leftovers, real_place, shown, try_folder
from jaxstyle.marks import is_sealed
from jaxstyle.pictures.write import WRITE_FORMATS, check_writable, is_own

STALE = 3600  # seconds; no file is written for so long
WEIGHTS = (".h5", ".hdf5")
FULL = (errno.ENOSPC, errno.EDQUOT)
State = tuple[int, ...] | None  # of a file as it was looked at


class Outputs:
    """The files that a command will write.

    Attributes:
      targets: in the order in which they were given.
      overwrite: whether files that are not jaxstyle's may be replaced.
    """

    def __init__(self, *, read: Iterable[str | None], overwrite: bool) -> None:
        """`read`: the files that the command reads; None among them are none."""
        self.targets: list[Path] = []
        self.overwrite = overwrite
        self._read = [path for path in read if path is not None]
        self._seen: dict[Path, State] = {}
        self._tried: set[Path] = set()
        self._names: set[str] = set()
        self._numbered: tuple[Path, int, int] | None = None

    def add(self, *targets: Path) -> None:
        """Files that will be written, in folders that are there.

        Raises:
          InputError: one that cannot be written, or must not be replaced.
        """
        for target in targets:
            self._add(target)

    def add_pictures(self, *pictures: Path) -> None:
        """Pictures, each with its record beside it."""
        for picture in pictures:
            if picture.suffix.lower() not in WRITE_FORMATS or real_place(picture).parent not in self._tried:
                check_writable(picture)
            self.add(picture, picture.with_suffix(".json"))

    def add_numbered(self, picture: Path, every: int, last: int) -> None:
        """The pictures that `numbered` names, from `every` in steps of it to `last`, each with its record."""
        self._numbered = (picture, every, last)
        longest = numbered(picture, last)
        check_writable(longest)
        self._check_writable(longest.with_suffix(".json"))
        pattern = re.compile(re.escape(picture.stem) + r"_(\d{5,7})\.\w+", re.ASCII)
        with os.scandir(picture.parent) as entries:
            steps = {int(match[1]) for entry in entries if (match := pattern.fullmatch(entry.name))}
        self.add_pictures(
            *(numbered(picture, step) for step in sorted(steps) if step % every == 0 and 0 < step <= last)
        )

    @contextlib.contextmanager
    def claimed(self, identity: str | None = None, *, own_folder: bool = False) -> Iterator[None]:
        """Holds all of it for the block, and removes what a killed process of the same job has left.

        Args:
          identity: hexadecimal digits that stand for the job; others of the same identity may run beside. None: none
            may.
          own_folder: the folder is the job's, with all that is jaxstyle's in it.

        Raises:
          InputError: another process of jaxstyle is writing there.
        """

        def clear() -> None:
            for folder in {target.parent for target in self._resolved()}:
                self._clear(folder, own_folder)

        with claimed(self.targets[0], identity or secrets.token_hex(16), when_alone=clear):
            yield

    def free(self, picture: Path) -> Path:
        """The picture's place; if somebody else's file has come there since the command began, the next free one."""
        number, place = 2, picture
        while not self._allowed(place):
            place, number = picture.with_stem(f"{picture.stem}_{number}"), number + 1
        return place

    @contextlib.contextmanager
    def writing(self, *targets: Path) -> Iterator[None]:
        """Around what writes some of the files: nothing of anybody else's that has come since is replaced, and what
        goes wrong is told with the file's name.

        Raises:
          CommandError: they could not be written.
        """
        for target in targets:
            if not self._allowed(target):
                raise CommandError(
                    f"{shown(target)} has come there since the start, and is not jaxstyle's; it was left"
                )
        with explained(targets[0]):
            yield
        self._seen |= {target: _state(target) for target in targets}

    def _allowed(self, target: Path) -> bool:
        """Whether a file may be written now: it is as it was at the start, or ours."""
        now = _state(target)
        return self.overwrite or now is None or now == self._seen.get(target) or is_ours(target)

    def _add(self, target: Path) -> None:
        self._check_writable(target)
        if _name(target) in self._names:
            raise InputError(f"two results would be {shown(target)}; name another one with -o")
        self._seen[target] = _state(target)
        if self._seen[target] is not None:
            self._check_replaced(target)
        self.targets.append(target)
        self._names.add(_name(target))

    def _check_writable(self, target: Path) -> None:
        """Raises `InputError` unless the file could be written now; a folder is tried once."""
        try:
            place = real_place(target)
            check_place(place)
            if place.parent not in self._tried:
                try_folder(place.parent)
                self._tried.add(place.parent)
        except OSError as error:
            told = f"{shown(target)} cannot be written: {plain_line(error)}"
            raise InputError(f"{told}; name another place with -o") from error

    def _check_replaced(self, target: Path) -> None:
        """Raises `InputError` unless the file that is there may be replaced."""
        for path in self._read:
            if _is_same(target, path):
                told = f"{shown(target)} would replace {shown(path)}, which is read"
                raise InputError(f"{told}; name another place with -o")
        if not self.overwrite and not is_ours(target):
            raise InputError(
                f"{shown(target)} is there already, and no result of jaxstyle, or changed since; name another place "
                "with -o, or --overwrite replaces it"
            )

    def _resolved(self) -> list[Path]:
        """Where the files lie in truth: links lead there."""
        return [Path(os.path.realpath(target)) for target in self.targets]

    def _clear(self, folder: Path, own_folder: bool) -> None:
        """Removes temporary files of these targets. Nobody else writes them now: the claim is ours alone."""
        keys = {key_of(target) for target in self._resolved() if target.parent == folder}
        for path, key in leftovers(folder):
            with contextlib.suppress(OSError):
                about = path.stat(follow_symlinks=False)
                stale = own_folder and time.time() - about.st_mtime > STALE
                if stat.S_ISREG(about.st_mode) and (key in keys or stale or self._of_numbered(key)):
                    path.unlink()

    def _of_numbered(self, key: str | None) -> bool:
        """Whether a key stands for one of the numbered pictures."""
        if self._numbered is None:
            return False
        picture, every, last = self._numbered
        names = (numbered(picture, step) for step in range(every, last + 1, every))
        return any(key in (key_of(name), key_of(name.with_suffix(".json"))) for name in names)


def numbered(picture: Path, step: int) -> Path:
    """The name of a picture on the way."""
    return picture.with_stem(f"{picture.stem}_{step:05d}")


def is_ours(target: Path) -> bool:
    """Whether jaxstyle wrote a file, and it is as it was written."""
    suffix = target.suffix.lower()
    if suffix in WRITE_FORMATS:
        return is_own(target)
    if suffix in WEIGHTS:
        from jaxstyle.weights.formats import own

        return own.read_attributes(target).get("format") in (own.FORMAT, own.WITH_CODEBOOKS)
    return is_sealed(target)


def is_leftover(name: str) -> bool:
    """Whether a file's name is one of those that a killed process may leave in its folder."""
    return is_claim_file(name) or is_temporary(name)


@contextlib.contextmanager
def explained(path: Path, *, reads: bool = False) -> Iterator[None]:
    """Turns the errors of writing a file into one line that names it, and says what helps; where the block `reads`
    what the user gave, too, an `InputError` is about that."""
    try:
        yield
    except (OSError, InputError) as error:  # it was possible when we began
        if reads and isinstance(error, InputError):
            raise
        full = isinstance(error, OSError) and error.errno in FULL
        helps = "; make room there" if full else ""
        raise CommandError(f"{shown(path)} could not be written: {plain_line(error)}{helps}") from error


def _is_same(target: Path, path: str) -> bool:
    """Whether two names are of one file, which is there."""
    try:
        return os.path.samefile(target, path)
    except (OSError, ValueError):  # ValueError: a name that no file has
        return False


def _state(target: Path) -> State:
    """What tells a file from another one in its place; None where there is none."""
    try:
        about = target.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _name(target: Path) -> str:
    """What two names have in common that may be one file, on systems too that do not tell A from a."""
    return os.path.realpath(target).casefold()
