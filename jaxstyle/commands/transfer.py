"""`jaxstyle transfer`: pictures and settings in, a picture and its record out."""

import argparse
import sys

from jaxstyle import defaults
from jaxstyle.commands.inputs import read_inputs


def run(options: argparse.Namespace) -> int:
    """Says what the default network is, and paints."""
    if options.network == defaults.NETWORK and options.weights is None and not options.quiet:
        note = "comes with jaxstyle (--network vgg19 is the full one, an 80 MB download)"
        return paint(options, f"network: {defaults.NETWORK}, which {note}")
    return paint(options)


def paint(options: argparse.Namespace, note: str = "") -> int:
    """Checks everything that can be checked, transfers, saves. `note` is shown once all is in order."""
    inputs = read_inputs(options)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.commands.job import Job
    from jaxstyle.commands.session import start_jax
    from jaxstyle.commands.settings import open_network, resolve

    settings = resolve(options, inputs.size)
    start_jax()
    network = open_network(settings, options.quiet)
    job = Job(inputs, settings, network, options.quiet, options.save_every)
    if note:
        print(note, file=sys.stderr)
    return job.run()
