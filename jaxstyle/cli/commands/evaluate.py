"""Measure how much of CONTENT and STYLE pictures have.

Style and content by layer, structure, SSIM and colours, under one network or several: docs/guide/evaluate.md says what
each number means. A picture with a record knows its content and style. Of a folder, all pictures with records are
measured, and mean and deviation are shown too; with --content and --style given, all its pictures.
"""

from dataclasses import dataclass
from typing import Annotated

from jaxstyle.cli.options import Reading, Telling
from jaxstyle.cli.parser import FIXED, Named, Positional, Several
from jaxstyle.cli.pipes import check_one_pipe
from jaxstyle.cli.settings import check_count
from jaxstyle.cli.values import NETWORK, SHARE, SIDE, STYLE_LOSS, Mix, Text
from jaxstyle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Options(Telling, Reading):
    """What `evaluate` can be told.

    Attributes:
      results: a picture, whoever made it; - for standard input; or a folder of them
      content: what they were made from (default: as their records say)
      styles: the same (default: as their records say)
      mix: one number for each STYLE (default: as their records say, or equal)
      networks: that look at them (default: vgg19 where it is on this machine, else compact)
      style_loss: of the style's distance
      size: long side in pixels at which they are measured (default: their own, at most {SIZE})
      quiet: no progress
    """

    results: Annotated[tuple[str, ...], Positional(Text("RESULT"), "+")]
    content: Annotated[str | None, Text("FILE")] = None
    styles: Annotated[tuple[str, ...] | None, Several(Text("FILE")), Named("--style")] = None
    mix: Annotated[tuple[float, ...] | None, Mix(SHARE)] = None
    networks: Annotated[tuple[str, ...], Several(NETWORK), Named("--network"), FIXED] = ()
    style_loss: Annotated[str, STYLE_LOSS] = "gram"
    size: Annotated[int | None, SIDE] = None
    quiet: bool = False


def run(options: Options) -> int:
    """Checks everything that can be checked, measures, prints the table or the facts."""
    check_one_pipe((*options.results, options.content, *(options.styles or ())))
    if options.styles is not None:
        check_count("--mix", options.mix, len(options.styles), "STYLE")
    elif options.mix is not None:
        raise InputError("--mix is for several styles that are given; name them with --style")
    if len(set(options.networks)) < len(options.networks):
        raise InputError(f"--network has one twice: {' '.join(options.networks)}; each once")
    # Only now: the work needs what is slow to import.
    from jaxstyle.cli.evaluating import evaluate_all

    return evaluate_all(options)
