"""The options that several commands have, in groups; and how in a sweep each of them takes several values.

Imports nothing slow, as `grammar`, which puts them together.
"""

import argparse
from typing import Any

from jaxstyle import defaults
from jaxstyle.presets import PRESETS
from jaxstyle.values import SIDES, coloring, fraction, mixes, names, number, numbers, positive, several, table, whole

# What helps say.
USUAL_CONTENT = f"the network's; {' '.join(defaults.CONTENT_LAYERS)} of a VGG"
USUAL_STYLE = f"the network's; {' '.join(defaults.STYLE_LAYERS)} of a VGG"
STUDY_SIZE_HELP = f"long side in pixels at which it is read (default: its own, at most {defaults.STUDY_SIZE})"
MIXES_HELP = "0:1:5 goes from one of two to the other, 1,0,0:0,0,1:5 from the first of three to the third"


class Axis(argparse.Action):
    """Stores the values of a setting, ranges among them, and in which order settings were given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """One option with all its values."""
        flat = [value for group in values for value in (group if isinstance(group, list) else [group])]
        setattr(namespace, self.dest, flat)
        namespace.axes = [*(dest for dest in namespace.axes if dest != self.dest), self.dest]


class Several:
    """Stands in for an argument group, and makes every setting take several values."""

    ONE_VALUE = ("--weights", "--quiet", "--from")

    def __init__(self, group: Any) -> None:
        self.group = group

    def add_argument(self, name: str, **options: Any) -> None:
        """The option of `transfer`, as an axis."""
        if name == "--save-every":
            return
        if name not in self.ONE_VALUE:
            kind: Any = options.get("type")
            if name == "--mix":
                options |= {"type": mixes, "metavar": "X,...", "help": f"{options['help']}; {MIXES_HELP}"}
            elif options.get("nargs") == "+":  # a list for each value, with commas
                options["type"] = numbers if kind is number else names
                options["metavar"] = f"{options['metavar']},..."
            elif kind in (number, positive, fraction) or hasattr(kind, "whole"):
                options["type"] = several(kind)
            options |= {"nargs": "+", "action": Axis}
        self.group.add_argument(name, **options)


def add_study(parser: argparse.ArgumentParser, layers: str, steps: int, when: str) -> None:
    """What is looked at, and for how long; `when` says of which steps they are the number."""
    parser.add_argument("--layers", nargs="+", metavar="NAME", help=f"(default: {layers})")
    parser.add_argument(
        "--steps", type=whole(1, 10**6), default=steps, metavar="N", help=f"{when} (default: %(default)s)"
    )


def add_inversion(parser: argparse.ArgumentParser, variation: float) -> None:
    """How a picture is found that has given features or statistics."""
    parser.add_argument(
        "--tv-weight", type=number, default=variation, metavar="X", help="smoothness (default: %(default)s)"
    )
    parser.add_argument("--optimizer", choices=defaults.SOLVERS, default="lbfgs", help="(default: %(default)s)")
    add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the results' names")
    add_network(parser.add_argument_group("network"))


def add_pair(parser: argparse.ArgumentParser) -> None:
    """The two pictures, in order."""
    parser.add_argument("content", metavar="CONTENT", help="the picture to paint")
    parser.add_argument("styles", metavar="STYLE", nargs=1, help="the picture to paint like")


def add_size(parser: argparse.ArgumentParser, size: int) -> None:
    """The size, of a command with a default of its own."""
    parser.add_argument(
        "--size", type=whole(*SIDES), default=size, metavar="N", help="long side in pixels (default: %(default)s)"
    )


def add_seed(group: Any) -> None:
    """The seed."""
    seeds = whole(0, 2**32 - 1)  # more bits than that JAX would drop
    group.add_argument("--seed", type=seeds, default=defaults.SEED, metavar="N", help="(default: %(default)s)")


def add_program(group: Any) -> None:
    """The network and the sizes: what decides which program is compiled."""
    add_network(group)
    group.add_argument(
        "--size",
        type=whole(*SIDES),
        metavar="N",
        help=f"long side in pixels (default: the content's, at most {defaults.SIZE})",
    )
    group.add_argument(
        "--min-size",
        type=whole(*SIDES),
        metavar="N",
        help=f"where coarse-to-fine starts; equal to --size: a single size (default: {defaults.COARSEST})",
    )
    group.add_argument(
        "--margin",
        type=whole(0, SIDES[1]),
        metavar="N",
        help="pixels to paint beyond each border, and cut off "
        f"(default: {defaults.MARGIN} with --mix-layers, which leaves a frame there; else 0)",
    )


def add_network(group: Any) -> None:
    """The network, its weights and its options."""
    group.add_argument("--network", choices=defaults.NETWORKS, default=defaults.NETWORK, help="(default: %(default)s)")
    group.add_argument("--weights", metavar="FILE", help="weights: .h5, .pth, .safetensors or .whl")
    group.add_argument("--pooling", choices=("max", "average"), help="(default: the network's own)")
    group.add_argument("--padding", choices=("zero", "edge", "reflect"), help="(default: the network's own)")
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="of convolutions (default: bfloat16 on TPUs and on GPUs from Ampere on, else float32)",
    )


def add_terms(group: Any, *, mix: bool = True) -> None:
    """What is minimised; `mix` is for commands that take several styles."""
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="default",
        help="settings that belong together, which other options replace; jaxstyle presets says more",
    )
    group.add_argument("--style-loss", choices=defaults.STYLE_LOSSES, help="(default: gram, or the preset's own)")
    group.add_argument(
        "--style-weight",
        type=number,
        metavar="X",
        help=f"30 keeps the content clear, 300 drowns most of it (default: {defaults.STYLE_WEIGHT:g})",
    )
    group.add_argument("--content-weight", type=number, metavar="X", help=f"(default: {defaults.CONTENT_WEIGHT:g})")
    group.add_argument(
        "--tv-weight", type=number, metavar="X", help=f"smoothness (default: {defaults.VARIATION_WEIGHT:g})"
    )
    group.add_argument("--content-layers", nargs="+", metavar="NAME", help=f"(default: {USUAL_CONTENT})")
    group.add_argument("--style-layers", nargs="+", metavar="NAME", help=f"(default: {USUAL_STYLE})")
    group.add_argument(
        "--layer-weights",
        nargs="+",
        type=number,
        metavar="X",
        help="one for each style layer (default: equal)",
    )
    if mix:
        group.add_argument("--mix", nargs="+", type=number, metavar="X", help="one for each STYLE (default: equal)")
        group.add_argument(
            "--mix-layers",
            type=table,
            metavar="X,.../X,...",
            help="for each STYLE one number for each style layer: 1,1,0,0,0/0,0,1,1,1 takes fine strokes from the "
            "first and composition from the second (default: equal)",
        )
        group.add_argument(
            "--style-scale",
            type=positive,
            metavar="X",
            help="size of each STYLE over that of the result: 2 for larger strokes, 0.5 for finer (default: 1)",
        )


def add_control(group: Any) -> None:
    """Whether, and how, the content keeps its colours."""
    group.add_argument(
        "--color",
        type=coloring,
        choices=("style", "content", *defaults.COLORINGS[1:]),
        help="style: the style's colours (default). content: the content's, by the way that suits most pictures, "
        f"{defaults.CONTENT_COLORING}. luminance: paints in grey, and colours the result by the content, in YIQ. lab: "
        "paints in colour, and takes only the lightness of the result, in CIELAB. match: gives the styles the mean "
        "and the covariance of the content's colours first",
    )


def add_masks(group: Any) -> None:
    """Where each style goes, and which part of it is taken."""
    group.add_argument(
        "--masks",
        nargs="+",
        metavar="FILE",
        help="one for each STYLE: white where it goes, black where not, grey between; elsewhere CONTENT stays",
    )
    group.add_argument(
        "--style-masks",
        nargs="+",
        metavar="FILE",
        help="one for each STYLE: white where it is taken from; the word all takes it whole (default: all)",
    )


def add_solver(group: Any, *, save_every: bool = True) -> None:
    """How it is minimised; `save_every` is for commands with a single result."""
    group.add_argument("--optimizer", choices=defaults.SOLVERS, help="(default: adam)")
    group.add_argument(
        "--rate", type=positive, metavar="X", help=f"Adam's learning rate (default: {defaults.ADAM_RATE})"
    )
    group.add_argument(
        "--steps",
        type=whole(1, 10**6),
        metavar="N",
        help=f"at each size (default: {defaults.STEPS})",
    )
    group.add_argument(
        "--init",
        metavar="START",
        help=f"{', '.join(defaults.STARTS)} or a picture FILE (default: content)",
    )
    group.add_argument(
        "--average",
        type=fraction,
        metavar="X",
        help="decay of a running mean of the iterates, such as 0.95 (default: off)",
    )
    add_seed(group)
    if save_every:
        group.add_argument("--save-every", type=whole(1, 10**6), metavar="N", help="write a picture every N steps too")
    group.add_argument("--quiet", action="store_true", help="print only the result's name")
