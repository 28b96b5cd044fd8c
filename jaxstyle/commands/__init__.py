"""The commands of the command line, one file each. Each has `run(options)`, which may return an exit code."""

import argparse
import importlib


def run(options: argparse.Namespace) -> int | None:
    """Runs the command that was asked for; only its own imports are paid for."""
    return importlib.import_module(f"jaxstyle.commands.{options.command}").run(options)
