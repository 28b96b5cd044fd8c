"""The command line: exit codes, and one plain line for every error.

Nothing here imports JAX before the arguments are known to be right; the work is done in `commands`.
Exit codes: 0 done, 2 the input is wrong, 1 anything else, 130 after Ctrl-C.
"""

import _thread
import contextlib
import importlib
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from jaxstyle.errors import InputError
from jaxstyle.grammar import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or "JAXSTYLE_DEBUG" in os.environ
    if hasattr(sys.stdout, "reconfigure"):  # file names need be no text; they come out as they went in
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("default" if debug else "ignore")
        with _interrupts_heard():
            code = _guarded(arguments, debug)
        return _flushed(code)


def _guarded(arguments: Sequence[str], debug: bool) -> int:
    """Runs the command; whatever goes wrong becomes one line and an exit code."""
    try:
        parser = build_parser()
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.print_help()
            return 0
        # For commands that complete their options from a file, or stand for another command.
        options.arguments, options.parse = arguments, parser.parse_args
        return int(importlib.import_module("jaxstyle.commands").run(options) or 0)
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        print("jaxstyle: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has gone
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"jaxstyle: {_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1


@contextlib.contextmanager
def _interrupts_heard() -> Iterator[None]:
    """A Ctrl-C that hits a finalizer or a callback of the garbage collector, JAX's for one, would be dropped there with
    a note: here it comes again a moment later, when the main thread is out of it."""
    before = sys.unraisablehook
    again: list[threading.Timer] = []

    def hook(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        again.append(threading.Timer(0.02, _thread.interrupt_main))
        again[-1].daemon = True
        again[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


def _line(error: Exception) -> str:
    """An error as one plain line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, InputError) or type(error).__module__.startswith("jaxstyle"):
        return text
    return f"{type(error).__name__}: {text[:400]} (--debug shows where)"


def _flushed(code: int) -> int:
    """The exit code once all output has gone where it should; 1 if it cannot, for a full disk say."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the interpreter's end is quiet
        if not isinstance(error, BrokenPipeError):
            print(f"jaxstyle: the output could not be written: {error.strerror}", file=sys.stderr)
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main())
