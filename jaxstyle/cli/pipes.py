"""`-` in place of a file: a picture from standard input, a result to standard output; and `--json`, facts there.

Standard output has one of three things: the result's name with a few words for people, the facts as one line of JSON,
or the result itself. All else is said on standard error. Nothing here is slow to import.
"""

import contextlib
import functools
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxstyle.cli.messages import CommandError, plain_line, say
from jaxstyle.errors import InputError
from jaxstyle.files import plain_values
from jaxstyle.pictures.read import Held

PIPE = "-"
INPUT, OUTPUT = "standard input", "standard output"  # in messages


def source(path: str) -> str | Held:
    """What a picture is read from: the file of this name, or all of standard input for `-`.

    Raises:
      InputError: standard input is a terminal, or cannot be read.
    """
    return _all_of(sys.stdin) if path == PIPE else path


@functools.lru_cache(maxsize=1)  # a picture is opened several times, a pipe can be read once
def _all_of(stream: Any) -> Held:
    if stream is not None and stream.isatty():
        raise InputError(f"{PIPE} is {INPUT}, which is a terminal; pipe a picture into it, or name a file")
    try:
        return Held(b"" if stream is None else stream.buffer.read(), PIPE, INPUT)
    except OSError as error:
        raise InputError(f"{INPUT} cannot be read: {plain_line(error)}; give a picture file") from error


def check_one_pipe(paths: Iterable[str | None]) -> None:
    """Raises `InputError` where standard input would be more than one of the pictures."""
    if [*paths].count(PIPE) > 1:
        raise InputError(f"{PIPE} is given twice; {INPUT} holds one picture: name files for the others")


def check_no_pipe(paths: Iterable[str | None], what: str) -> None:
    """Raises `InputError` where a command that goes back to its pictures by name is given standard input."""
    if PIPE in paths:
        raise InputError(f"{PIPE} is {INPUT}, which {what} cannot take: name a file")


def check_piped_out(out: str | None, *, facts: bool) -> None:
    """Raises `InputError` where `-o -` cannot be followed."""
    if out != PIPE:
        return
    if facts:
        raise InputError(f"--json and -o {PIPE} both take {OUTPUT}; name a file with -o")
    if sys.stdout is not None and sys.stdout.isatty():
        raise InputError(f"-o {PIPE} is {OUTPUT}, which is a terminal; redirect it, or name a file with -o")


@contextlib.contextmanager
def piped_out(name: str = "result.png") -> Iterator[Path]:
    """A place for a result that goes to standard output once the block has ended, however it ends; then it is gone.

    Raises:
      CommandError: standard output did not take it.
    """
    with tempfile.TemporaryDirectory(prefix="jaxstyle-") as folder:
        place = Path(folder, name)
        try:
            yield place
        finally:
            if place.exists():
                _put(place.read_bytes())


def _put(content: bytes) -> None:
    """All of the bytes to standard output, past its buffers: what these could not write they would try again."""
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.flush()
        buffer = sys.stdout.buffer
        stream, rest = getattr(buffer, "raw", buffer), memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise CommandError(f"{OUTPUT} could not be written: {plain_line(error)}") from error


def tell(line: str, facts: Mapping[str, Any], *, as_json: bool, piped: bool = False, quiet: bool = False) -> None:
    """Says that a result is there, on standard output: a line for people, or the facts as a line of JSON. Where the
    result itself goes there, the line is for standard error.

    Args:
      line: the result's name and, unless `quiet`, a few words.
      facts: whatever JSON can hold; numbers that are not finite become null.
      as_json: `--json` was given.
      piped: the result goes to standard output.
      quiet: nothing but results is wanted.
    """
    if as_json:
        print(json.dumps(plain_values(facts), allow_nan=False))
    elif not piped:
        print(line)
    elif not quiet:
        say(line)
