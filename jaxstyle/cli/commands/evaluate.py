"""Measure how much of CONTENT and STYLE pictures have.

Style and content by layer, structure, SSIM and colours, under one network or several: docs/guide/evaluate.md says what
each number means. A picture with a record knows its content and style. Of a folder, all pictures with records are
measured, and mean and deviation are shown too; with --content and --style given, all its pictures.
"""

from jaxstyle.cli.evaluating import EvaluateOptions, evaluate_all
from jaxstyle.cli.pipes import check_one_pipe
from jaxstyle.cli.settings import check_count
from jaxstyle.errors import InputError

Options = EvaluateOptions


def run(options: Options) -> int:
    """Checks everything that can be checked, measures, prints the table or the facts."""
    check_one_pipe((*options.results, options.content, *(options.styles or ())))
    if options.styles is not None:
        check_count("--mix", options.mix, len(options.styles), "STYLE")
    elif options.mix is not None:
        raise InputError("--mix is for several styles that are given; name them with --style")
    if len(set(options.networks)) < len(options.networks):
        raise InputError(f"--network has one twice: {' '.join(options.networks)}; each once")
    if options.weights is not None and len(options.networks) != 1:
        raise InputError("--weights is a file of one network; name that with --network")
    return evaluate_all(options)
