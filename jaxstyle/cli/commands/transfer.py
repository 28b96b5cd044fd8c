"""`jaxstyle transfer`: pictures and settings in, a picture and its record out."""

import argparse
import sys

from jaxstyle import defaults
from jaxstyle.commands.inputs import read_inputs, with_words
from jaxstyle.errors import InputError
from jaxstyle.pictures.images import load_picture, read_record


def run(options: argparse.Namespace) -> int:
    """Says what the default network is, and paints."""
    if options.source:
        options = options.parse(arguments_of(options))
    elif options.content is None or not options.styles:
        missing = "CONTENT, STYLE" if options.content is None else "STYLE"
        raise InputError(f"the following arguments are required: {missing} (jaxstyle transfer --help)")
    if options.network == defaults.NETWORK and options.weights is None and not options.quiet:
        note = "comes with jaxstyle (--network vgg19 is the full one, an 80 MB download)"
        return paint(options, f"network: {defaults.NETWORK}, which {note}")
    return paint(options)


def arguments_of(options: argparse.Namespace) -> list[str]:
    """The command with what the record of the picture after `--from` says, where it does not say otherwise itself."""
    from jaxstyle.commands.records import MASKS, mask_words
    from jaxstyle.commands.settings import words

    path = options.source
    record = read_record(path)
    try:
        pictures = [record["content"], *record["styles"]]
        files = [(picture["file"], picture["sha256"]) for picture in pictures]
        kept = [mask for name in MASKS if getattr(options, name) is None for mask in record.get(name, ()) if mask]
        files += [(mask["file"], mask["sha256"]) for mask in kept]
        settings = dict(record["settings"])
        known = [word for word in words(settings) if word[0] not in ("--size", "--min-size", "--init")]
    except (KeyError, TypeError) as error:
        raise InputError(f"--from {path}: its record is not one of a transfer") from error
    # The picture itself is where the finer scales begin.
    side = max(load_picture(path).own_size)
    known += [["--init", path], ["--min-size", str(min(side, options.size or side))]]
    if options.content is not None:  # and masks are of another
        return with_words(options.arguments, known)
    rest = with_words(options.arguments, known + mask_words(record))
    for file, digest in files:
        if load_picture(file).sha256 != digest:
            raise InputError(f"--from {path}: {file} has changed since; name CONTENT and STYLE to use it nevertheless")
    at = rest.index("transfer") + 1
    return [*rest[:at], *(picture["file"] for picture in pictures), *rest[at:]]


def paint(options: argparse.Namespace, note: str = "") -> int:
    """Checks everything that can be checked, transfers, saves. `note` is shown once all is in order."""
    inputs = read_inputs(options)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.commands.job import Job
    from jaxstyle.commands.session import start_jax
    from jaxstyle.commands.settings import open_network, resolve

    start_jax()
    settings = resolve(options, inputs.size, short_side=inputs.short_side)
    network = open_network(settings, options.quiet)
    job = Job(inputs, settings, network, options.quiet, options.save_every)
    if note:
        print(note, file=sys.stderr)
    return job.run()
