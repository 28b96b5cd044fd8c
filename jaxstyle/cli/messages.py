"""What is said to the user: a command's error, lines on standard error, names on standard output."""

import os
import sys

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, quoted


class CommandError(Exception):
    """A command failed, and not for what the user gave. The message is one plain line."""


def say(line: str) -> None:
    """A line to the user, on standard error. What it quotes of names and files of strangers reaches no terminal as it
    is: there it could be a command."""
    print(printable(line), file=sys.stderr)


def printable(text: str) -> str:
    """The text with escapes for the characters that are none to read."""
    return text if text.isprintable() else "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)


def name_of(path: StrPath) -> str:
    """A result's name for standard output: as it is, for programs; on a terminal as a shell takes it back."""
    text = os.fspath(path)
    return quoted(text) if not text.isprintable() and sys.stdout is not None and sys.stdout.isatty() else text


def plain_line(error: Exception) -> str:
    """An error of another program as the end of a line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = " ".join(str(error).split())[:400]
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text} (--debug shows where)"
