"""The command line: commands, exit codes, and one plain line for every error.

Nothing here imports JAX before the arguments are known to be right; the work is done in `commands`.
Exit codes: 0 done, 2 the input is wrong, 1 anything else, 130 after Ctrl-C or another signal to end.
"""

import ast
import contextlib
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jaxstyle import __version__
from jaxstyle.cli import commands
from jaxstyle.cli.messages import plain_line, say
from jaxstyle.cli.parser import parse
from jaxstyle.cli.stopping import STOPPED, Stops
from jaxstyle.cli.streams import lenient_streams, with_names
from jaxstyle.errors import InputError, nearest

FIRST = ("demo", "transfer", "sweep", "batch")  # in the list of commands; the others by their names
EXAMPLES = """examples:
  jaxstyle demo
  jaxstyle transfer photo.jpg painting.jpg -o out.png
  jaxstyle sweep photo.jpg painting.jpg -o grid --style-weight 10 30 100 --tv-weight 1 10
  jaxstyle transfer photo.jpg painting.jpg -o out.png --network vgg19 --size 1024 --style-weight 30

jaxstyle COMMAND --help says what a command can be told; --debug shows the traceback of an error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or "JAXSTYLE_DEBUG" in os.environ
    for stream in (sys.stdout, sys.stderr):
        with_names(stream)
    with lenient_streams(), warnings.catch_warnings():
        warnings.simplefilter("default" if debug else "ignore")
        with Stops(lambda line: say(f"jaxstyle: {line}")).heard():
            code = _guarded(words, debug)
        return _flushed(code)


def _guarded(words: Sequence[str], debug: bool) -> int | None:
    """Runs the command; whatever goes wrong becomes one line and an exit code. None for a command that has done nothing
    but print."""
    try:
        return _dispatched(words)
    except SystemExit as end:  # --help
        return end.code if isinstance(end.code, int) and end.code else None
    except KeyboardInterrupt:
        say("jaxstyle: stopped")
        return STOPPED
    except Exception as error:
        if debug:
            for line in traceback.format_exc().splitlines():
                say(line)
        say(f"jaxstyle: {_line(error)}")
        return 2 if isinstance(error, InputError) else 1


def _dispatched(words: Sequence[str]) -> int | None:
    """Finds the command, reads its options, runs it."""
    names = command_names()
    rest = [word for word in words if word != "--debug"]
    if not rest or rest[0] in ("-h", "--help"):
        print(_help(names))
        return None
    if rest[0] == "--version":
        print(f"jaxstyle {__version__}")
        return None
    name, rest = rest[0], rest[1:]
    if name.startswith("-"):
        near = nearest(name, ("--help", "--version", "--debug"))
        raise InputError(f"there is no option {name} before a COMMAND{near} (jaxstyle --help)")
    if name not in names:
        raise InputError(f"there is no command {name[:40]!r}; there are {', '.join(names)}{nearest(name, names)}")
    command = command_at(name)
    prog, about = f"jaxstyle {name}", command.__doc__
    options: Any = getattr(command, "Options", None)
    run: Any = getattr(command, "run", None)
    if hasattr(command, "ACTIONS"):
        if not rest:
            raise InputError(f"the following arguments are required: ACTION ({prog} --help)")
        if rest[0] in ("-h", "--help"):
            print(_help_of_actions(prog, command))
            return None
        if rest[0] not in command.ACTIONS:
            near = nearest(rest[0], command.ACTIONS)
            raise InputError(f"{prog} has no action {rest[0][:40]!r}; it has {', '.join(command.ACTIONS)}{near}")
        action, rest = rest[0], rest[1:]
        (options, run), prog = command.ACTIONS[action], f"{prog} {action}"
        about = options.__doc__.partition("\n")[0]
    first, _, description = inspect.cleandoc(about or "").partition("\n\n")
    code: int | None = run(parse(options, rest, prog=prog, description=description or first))
    return code


def command_names() -> list[str]:
    """All commands: the files of `commands`."""
    found = sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))
    return [*FIRST, *(name for name in found if name not in FIRST)]


def _file(name: str) -> str:
    """The file of a command, without its ending: a module's name has no hyphens."""
    return name.replace("-", "_")


def command_at(name: str) -> Any:
    """A command's file."""
    return importlib.import_module(f"{commands.__name__}.{_file(name)}")


def summary(name: str) -> str:
    """A command's help in one line, read and not imported: what all commands need together is slow to load."""
    source = files(commands).joinpath(f"{_file(name)}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _help_of_actions(prog: str, command: Any) -> str:
    rows = [
        f"  {name:8}  {inspect.cleandoc(options.__doc__)}".partition("\n")[0]
        for name, (options, _) in command.ACTIONS.items()
    ]
    return "\n".join([f"usage: {prog} [-h] ACTION ...", "", command.__doc__.strip(), "", "actions:", *rows])


def _help(names: Sequence[str]) -> str:
    rows = [f"  {name:{max(map(len, names))}}  {summary(name).rstrip('.')}" for name in names]
    head = "usage: jaxstyle [-h] [--version] [--debug] COMMAND ..."
    what = "Neural style transfer: paints one picture in the manner of another."
    return "\n".join([head, "", what, "", "commands:", *rows, "", EXAMPLES])


def _line(error: Exception) -> str:
    """An error as one plain line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, InputError) or type(error).__module__.startswith("jaxstyle"):
        return text
    return f"{type(error).__name__}: {text[:400]} (--debug shows where)"


def _flushed(code: int | None) -> int:
    """The exit code once all output has gone where it should. 1 if it could not, to a full disk say. Where its reader,
    `head` say, has gone, that matters only to a command that has done nothing but print."""
    out: Any = sys.stdout
    out.flush()
    error = out.error
    if error is None:
        return code or 0
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # so that the interpreter's end is quiet
    if isinstance(error, BrokenPipeError):
        return 1 if code is None else code
    say(f"jaxstyle: the output could not be written: {plain_line(error)}")
    return code or 1
