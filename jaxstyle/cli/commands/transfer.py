"""Paint CONTENT in the manner of STYLE."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from jaxstyle.cli.earlier import MASKS, Earlier, read_earlier
from jaxstyle.cli.messages import say
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.pipes import PIPE, piped_out
from jaxstyle.cli.sources import check_options, files_of, read_pictures, result_name
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import own_size

Options = TransferOptions
ABOUT = {  # what is said of a network that nobody named
    "compact": "(comes with jaxstyle; --network vgg19 is the full one, an 80 MB download)",
    "vgg19": "(--network compact is faster)",
}


def run(options: Options) -> int:
    """Paints, with the settings of an earlier result if one is named."""
    if options.source is not None:
        options = completed(options, options.source)
    if options.content is None or not options.styles:
        missing = "CONTENT, STYLE" if options.content is None else "STYLE"
        raise InputError(f"the following arguments are required: {missing} (jaxstyle transfer --help)")
    return paint(options)


def completed(options: Options, path: str) -> Options:
    """The options with what the record of a picture says, where they do not say otherwise themselves."""
    earlier = read_earlier(path)
    side = max(own_size(path, large=True))
    # The picture itself is where the finer scales begin.
    known = {**earlier.settings, "init": path, "min_size": min(side, options.chosen("size") or side)}
    if not options.given & {"network", "weights"}:
        _check_weights(earlier)
    options = options.having(**{name: value for name, value in known.items() if name not in options.given})
    if options.content is not None:  # and masks are of another
        return options
    content, styles = earlier.pictures()
    masks: dict[str, Any] = {name: earlier.mask_files(name) for name in MASKS if name not in options.given}
    if not options.quiet:
        used = [content, *styles, *(mask for files in masks.values() for mask in files or ())]
        say(f"reading {', '.join(map(shown, used))}, as the record of {shown(path)} says")
    regions = dataclasses.replace(options.regions, **masks)
    return dataclasses.replace(options, content=content, styles=styles, regions=regions)


def _check_weights(earlier: Earlier) -> None:
    """Raises `InputError` unless the weights are those of a network at hand: a record can name no other file, nor have
    anything downloaded."""
    told, network = f"--from {shown(earlier.path)}", earlier.settings.get("network")
    if earlier.weights is not None:
        raise InputError(
            f"{told} was made with weights of {shown(earlier.weights)}; a record's file is not opened: name it with "
            "--weights, or a network with --network"
        )
    if network is None:
        return
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.weights import at_hand
    from jaxstyle.weights.registry import digest

    held = at_hand(network)
    if held is None:
        raise InputError(
            f"{told} was made with {network}, which is not on this machine: jaxstyle weights fetch {network}"
        )
    if earlier.weights_sha256 not in ("", digest(held, "sha256")):
        raise InputError(f"{told} was made with other weights of {network}; --network {network} takes those at hand")


def paint(options: Options) -> int:
    """Checks everything that can be checked, transfers, saves."""
    check_options(options)
    if options.out == PIPE:
        with piped_out() as out:
            return _paint(options, out)
    return _paint(options, result_name(options))


def _paint(options: Options, out: Path) -> int:
    """Transfers, saves."""
    outputs = Outputs(read=files_of(options), overwrite=options.overwrite)
    outputs.add_pictures(out)
    sources = read_pictures(options, out)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.cli.keeping import kept
    from jaxstyle.cli.painting import Painting
    from jaxstyle.cli.resolve import open_for, resolve
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.engine.scales import scale_sizes

    start_jax()
    settings = resolve(options, sources.size, short_side=sources.short_side)
    if options.save_every:
        scales = scale_sizes(*sources.content.pixels.shape[:2], min_size=settings.min_size)
        outputs.add_numbered(out, options.save_every, settings.steps * len(scales))
    with outputs.claimed(), contextlib.ExitStack() as stack:
        network = open_for(settings, options.quiet)
        how: Any = {"quiet": options.quiet, "json": options.json, "piped": options.out == PIPE}
        how |= {"tile": options.tile, "devices": options.devices}
        if options.checkpoint is not None:
            place, minutes = Path(options.checkpoint), options.checkpoint_minutes
            keeping = kept(place, sources, settings, minutes=minutes, quiet=options.quiet)
            how["keeper"] = stack.enter_context(keeping)
        painting = Painting(sources, settings, network, outputs, save_every=options.save_every, **how)
        if not options.given & {"network", "weights"} and not options.quiet:
            say(f"network: {settings.network} {ABOUT.get(settings.network, '')}")
        height, width = sources.content.own_size
        if max(height, width) < sources.size and not options.quiet:
            say(f"{shown(sources.content.path)} is {width} x {height} pixels; size {sources.size} enlarges it")
        return painting.run()
