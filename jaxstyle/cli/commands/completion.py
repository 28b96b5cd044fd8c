"""Print what completes the words of a command line in a shell.

bash: jaxstyle completion bash > ~/.local/share/bash-completion/completions/jaxstyle
zsh:  jaxstyle completion zsh > a folder of $fpath/_jaxstyle
fish: jaxstyle completion fish > ~/.config/fish/completions/jaxstyle.fish
"""

import argparse
import importlib.util
from dataclasses import dataclass
from typing import Annotated, Any

from jaxstyle.cli.messages import CommandError
from jaxstyle.cli.parser import Positional, fill, kind_of
from jaxstyle.cli.values import Choice, Listed, Text

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("DIR",)  # metavars of what are names of folders; other text may be a file's name


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `completion` can be told.

    Attributes:
      shell: bash, zsh or fish
    """

    shell: Annotated[str, Positional(Choice(SHELLS, "SHELL"))]


def run(options: Options) -> None:
    """Prints it."""
    if importlib.util.find_spec("shtab") is None:
        raise CommandError("completion needs shtab, which is not installed: pip install shtab")
    import shtab

    print(shtab.complete(whole_parser(), shell=options.shell))


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all commands and options. To make it all of them are imported, which no other command waits for."""
    from jaxstyle.cli.main import command_at, command_names, summary

    whole = argparse.ArgumentParser("jaxstyle")
    whole.add_argument("--version", action="store_true", help="print the version")
    parts = whole.add_subparsers(dest="command")
    for name in command_names():
        command, about = command_at(name), summary(name)
        part = parts.add_parser(name, help=about, description=about)
        if not hasattr(command, "ACTIONS"):
            _fill(part, command.Options)
            continue
        actions = part.add_subparsers(dest="action")
        for action, (options, _) in command.ACTIONS.items():
            told = options.__doc__.partition("\n")[0]
            _fill(actions.add_parser(action, help=told, description=told), options)
    return whole


def _fill(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds a command's options, each with what completes its values."""
    import shtab

    fill(parser, options)
    for action in parser._actions:
        kind: Any = kind_of(action)
        if isinstance(kind, Listed):
            kind = kind.kind
        if isinstance(kind, Choice):
            action.choices = kind.names
        elif isinstance(kind, Text):
            complete = shtab.DIRECTORY if kind.metavar in FOLDERS else shtab.FILE
            action.complete = complete  # type: ignore[attr-defined]
