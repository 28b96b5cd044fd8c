"""Open the app in a browser: drop two pictures, and paint.

Needs Gradio: pip install "jaxstyle[app]". It listens on this machine only, unless --host says otherwise, and ends with
Ctrl-C. Pictures that come in, and those that are made, are gone then, but for those that were downloaded.
"""

import importlib
import importlib.util
import time
from dataclasses import dataclass
from typing import Annotated

from jaxstyle import defaults
from jaxstyle.cli.messages import CommandError, say
from jaxstyle.cli.values import SIDE, Text, Whole
from jaxstyle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the app can be told.

    Attributes:
      host: address to listen at; 0.0.0.0 lets other machines in
      port: (default: the first free one from 7860 on)
      open: open a browser, too
      most_megabytes: of an upload
      most_megapixels: of an upload
      most_side: long side of a result in pixels
    """

    host: Annotated[str, Text("ADDRESS")] = "127.0.0.1"
    port: Annotated[int | None, Whole(1, 65535)] = None
    open: bool = False
    most_megabytes: Annotated[int, Whole(1, 1000)] = 32
    most_megapixels: Annotated[int, Whole(1, defaults.MEGAPIXELS)] = 50
    most_side: Annotated[int, SIDE] = 1024


def run(options: Options) -> int:
    """Serves the app until Ctrl-C."""
    if importlib.util.find_spec("gradio") is None:
        raise CommandError('the app needs Gradio, which is not installed: pip install "jaxstyle[app]"')
    from jaxstyle.cli import starting
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.weights import at_hand

    start_jax()
    # The app is made of the command line's own parts, and so stands above it; it is called from here by its name.
    page = importlib.import_module("jaxstyle.app.page")
    uploads = importlib.import_module("jaxstyle.app.uploads")
    networks = [name for name in (defaults.NETWORK, defaults.FULL_NETWORK, *defaults.NETWORKS) if at_hand(name)]
    limits = uploads.Limits(options.most_megabytes, options.most_megapixels, options.most_side)
    try:
        page.serve(
            host=options.host,
            port=options.port,
            limits=limits,
            networks=list(dict.fromkeys(networks)),
            started=lambda address: print(address, flush=True),
            wait=_until_stopped,
            open_browser=options.open,
            preview=starting.preview,
        )
    except KeyboardInterrupt:
        say("jaxstyle: the app has ended")
    except OSError as error:
        raise InputError(f"cannot listen at {options.host}, port {options.port or 'from 7860 on'}: {error}") from error
    return 0


def _until_stopped() -> None:
    while True:
        time.sleep(0.2)
