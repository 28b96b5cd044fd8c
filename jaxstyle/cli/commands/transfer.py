"""Paint CONTENT in the manner of STYLE."""

import dataclasses
import sys
from typing import Any

from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.settings import check_data
from jaxstyle.cli.sources import read_sources
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import own_size, sha256_of
from jaxstyle.pictures.write import read_record

Options = TransferOptions
ABOUT = {  # what is said of a network that nobody named
    "compact": "(comes with jaxstyle; --network vgg19 is the full one, an 80 MB download)",
    "vgg19": "(--network compact is faster)",
}


def run(options: Options) -> int:
    """Paints, with the settings of an earlier result if one is named."""
    if options.source:
        options = completed(options, options.source)
    if options.content is None or not options.styles:
        missing = "CONTENT, STYLE" if options.content is None else "STYLE"
        raise InputError(f"the following arguments are required: {missing} (jaxstyle transfer --help)")
    return paint(options)


def completed(options: Options, path: str) -> Options:
    """The options with what the record of a picture says, where they do not say otherwise themselves."""
    told, record = f"--from {path}", read_record(path)
    try:
        content, styles = record["content"]["file"], [style["file"] for style in record["styles"]]
        files = [(picture["file"], picture["sha256"]) for picture in (record["content"], *record["styles"])]
        masks: dict[str, Any] = {}
        for name in dataclasses.fields(options.regions):
            if record.get(name.name) and name.name not in options.given:
                masks[name.name] = tuple("all" if mask is None else mask["file"] for mask in record[name.name])
                files += [(mask["file"], mask["sha256"]) for mask in record[name.name] if mask]
        settings = dict(record["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{told}: its record is not one of a transfer") from error
    known = {name: value for name, value in settings.items() if name not in ("size", "min_size", "init")}
    side = max(own_size(path, large=True))
    # The picture itself is where the finer scales begin.
    known = check_data(known, told) | {"init": path, "min_size": min(side, options.chosen("size") or side)}
    options = options.having(**{name: value for name, value in known.items() if name not in options.given})
    if options.content is not None:  # and masks are of another
        return options
    for file, digest in files:
        if sha256_of(file) != digest:
            raise InputError(f"{told}: {file} has changed since; name CONTENT and STYLE to use it nevertheless")
    regions = dataclasses.replace(options.regions, **masks)
    return dataclasses.replace(options, content=content, styles=tuple(styles), regions=regions)


def paint(options: Options) -> int:
    """Checks everything that can be checked, transfers, saves."""
    sources = read_sources(options)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.cli.painting import Painting
    from jaxstyle.cli.resolve import open_for, resolve
    from jaxstyle.cli.startup import start_jax

    start_jax()
    settings = resolve(options, sources.size, short_side=sources.short_side)
    network = open_for(settings, options.quiet)
    painting = Painting(sources, settings, network, options.quiet, options.save_every)
    if not options.given & {"network", "weights"} and not options.quiet:
        print(f"network: {settings.network} {ABOUT.get(settings.network, '')}", file=sys.stderr)
    return painting.run()
