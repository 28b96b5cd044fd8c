"""Paint the pictures that come with jaxstyle, in one pass and by optimisation, with no download."""

import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.commands import stylize
from jaxstyle.cli.commands.transfer import paint
from jaxstyle.cli.folder import results_folder
from jaxstyle.cli.messages import say
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named
from jaxstyle.cli.values import SIDES, Text, Whole
from jaxstyle.files import shown

FIRST, FIRST_STYLE = "harbour_one_pass.png", "strokes"
RESULTS = {"style_strokes": "harbour_strokes.png", "style_pattern": "harbour_pattern.png"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the demo can be told.

    Attributes:
      out: folder
      overwrite: replace files that are there and not jaxstyle's own, too
      size: long side
      quiet: print only the results' names
    """

    out: Annotated[str, Text("DIR"), Named("-o", "--out")] = "jaxstyle-demo"
    overwrite: bool = False
    size: Annotated[int, Whole(32, SIDES[1])] = defaults.DEMO_SIZE  # the pictures are wider than high
    quiet: bool = False


def run(options: Options) -> int:
    """Paints the harbour in one pass, and then twice by optimisation."""
    began, out = time.time(), Path(options.out)
    with results_folder(out):
        names = (FIRST, *RESULTS.values())
        Outputs(read=(), overwrite=options.overwrite).add_pictures(*(out / name for name in names))
    pictures = files("jaxstyle") / "demo"
    content = str(pictures / "content.jpg")
    how: Any = {"overwrite": options.overwrite, "quiet": options.quiet}
    if not options.quiet:
        say(f"painting a harbour, {options.size} pixels wide, in one pass")
    code = stylize.run(
        stylize.Options(contents=(content,), styles=(FIRST_STYLE,), out=str(out / FIRST), size=options.size, **how)
    )
    if code:
        return code
    if not options.quiet:
        say(f"painting it by optimisation in two styles, with the {defaults.NETWORK} network")
    for style, name in RESULTS.items():
        transfer = TransferOptions(
            content=content,
            styles=(str(pictures / f"{style}.jpg"),),
            out=str(out / name),
            **how,
        )
        code = paint(transfer.having(size=options.size))
        if code:
            return code
    if not options.quiet:
        best = out / RESULTS["style_strokes"]
        say(f"done in {time.time() - began:.0f} s; open {shown(best)}")
    return 0
