"""The commands of the command line, one file each: `run(options)`, which may return an exit code.

A transfer goes through `inputs` (what it reads, checked without JAX), `settings` (what it does) and `job` (the run, its
files, their record); `session` has what all commands share.
"""

import argparse
import importlib


def run(options: argparse.Namespace) -> int | None:
    """Runs the command that was asked for; only its own imports are paid for."""
    return importlib.import_module(f"jaxstyle.commands.{options.command}").run(options)
