"""The words of the command line: commands, options, what they may be and what they mean.

Imports nothing slow, so that `jaxstyle --help` and a wrong word are answered at once.
"""

import argparse
import re
from typing import Any, NoReturn

from jaxstyle import __version__, defaults
from jaxstyle.errors import InputError, nearest
from jaxstyle.presets import PRESETS
from jaxstyle.values import SIDES, coloring, fraction, mixes, names, number, numbers, positive, several, table, whole

EXAMPLES = """examples:
  jaxstyle demo
  jaxstyle transfer photo.jpg painting.jpg -o out.png
  jaxstyle sweep photo.jpg painting.jpg -o grid --style-weight 10 30 100 --tv-weight 1 10
  jaxstyle transfer photo.jpg painting.jpg -o out.png --network vgg19 --size 1024 --style-weight 30
"""


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors that name the nearest right word, and no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)
        # What argparse takes for a number and not for an option; its own pattern knows neither -1e5 nor -inf.
        self._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses what is left over here, where the options of the command at hand are known."""
        options, rest = super().parse_known_args(args, namespace)
        if rest and rest[0].startswith("-"):
            name = rest[0].partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            self.error(f"there is no option {name}{nearest(name, known)}")
        if rest:
            self.error(f"{rest[0]!r} is one argument too many, or apart from the others: options come last")
        return options, rest

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing usage and exiting, so that `main` words every error alike."""
        message = message.removeprefix("argument ")
        if match := re.fullmatch(r"(\S+): invalid choice: (.*) \(choose from (.*)\)", message, re.DOTALL):
            given, choices = match[2].strip("'\""), [choice.strip(" '") for choice in match[3].split(",")]
            message = f"{match[1]} is {given!r}; it is one of {', '.join(choices)}{nearest(given, choices)}"
        raise InputError(f"{message} ({self.prog} --help)")


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
                options |= {"type": mixes, "metavar": "X,...", "help": f"{options['help']}; {_MIXES}"}
            elif options.get("nargs") == "+":  # a list for each value, with commas
                options["type"] = numbers if kind is number else names
                options["metavar"] = f"{options['metavar']},..."
            elif kind in (number, positive, fraction) or hasattr(kind, "whole"):
                options["type"] = several(kind)
            options |= {"nargs": "+", "action": Axis}
        self.group.add_argument(name, **options)


def build_parser() -> Parser:
    """The whole grammar."""
    parser = Parser(
        prog="jaxstyle",
        description="Neural style transfer: paints one picture in the manner of another.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jaxstyle {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add_transfer(commands.add_parser("transfer", help="paint CONTENT in the manner of STYLE"))
    _add_sweep(commands.add_parser("sweep", help="paint every combination of some settings, small, to choose from"))
    _add_batch(commands.add_parser("batch", help="paint many pictures in the manner of STYLE"))
    _add_compare(
        commands.add_parser(
            "compare", help="the same loss under every optimizer, or pair by every network, in one figure"
        )
    )
    _add_ablate(commands.add_parser("ablate", help="style layers by style weights, the papers' grid, in one figure"))
    _add_reconstruct(commands.add_parser("reconstruct", help="what each layer keeps of a picture, in one figure"))
    _add_texture(commands.add_parser("texture", help="textures from a picture's statistics, of any size, seamless too"))
    _add_features(commands.add_parser("features", help="a layer's feature maps, filters, and statistics of all layers"))
    demo = commands.add_parser("demo", help="paint the pictures that come with jaxstyle")
    demo.add_argument("-o", "--out", default="jaxstyle-demo", metavar="DIR", help="folder (default: %(default)s)")
    sides = whole(32, SIDES[1])  # the pictures are wider than high
    demo.add_argument("--size", type=sides, default=384, metavar="N", help="long side (default: %(default)s)")
    demo.add_argument("--quiet", action="store_true", help="print only the results' names")
    _add_weights(commands.add_parser("weights", help="list, fetch, convert or show networks' weights"))
    commands.add_parser("presets", help="settings that belong together: of published programs, and of our own")
    commands.add_parser("info", help="versions, devices, networks at hand")
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("content", metavar="CONTENT", nargs="?", help="the picture to paint")
    parser.add_argument("styles", metavar="STYLE", nargs="*", help="the picture, or pictures, to paint like")
    parser.add_argument("-o", "--out", metavar="OUT", help="result (default: CONTENT_STYLE.png, here)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="PNG",
        help="begin with a result of jaxstyle and its settings; options given here replace them",
    )
    _add_program(parser.add_argument_group("network and size"))
    _add_terms(parser.add_argument_group("what is minimised"))
    _add_control(parser.add_argument_group("colour"))
    _add_masks(parser.add_argument_group("regions"))
    _add_solver(parser.add_argument_group("how"))


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Runs every combination of the settings that are given several values, and writes the pictures, sheet.png, "
        "report.html and sweep.json to DIR. Ranges: linear:0:1:5, log:1:1000:8, random:0:1:5, log-random:1:1000:8."
    )
    parser.add_argument("content", metavar="CONTENT", help="the picture to paint")
    parser.add_argument("styles", metavar="STYLE", nargs="+", help="the picture, or pictures, to paint like")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder; of the same sweep, to go on with it")
    parser.add_argument("--contents", nargs="+", metavar="FILE", help="further pictures to paint: an axis of the grid")
    parser.add_argument("--each-style", action="store_true", help="each STYLE by itself, an axis, and not mixed")
    parser.add_argument("--grid", metavar="FILE.toml", help="settings and their values: style_weight = [10, 30]")
    parser.add_argument("--lanes", type=whole(1, 10_000), metavar="N", help="side by side (default: as many as fit)")
    parser.add_argument("--distributed", action="store_true", help="share the work with other hosts (jax.distributed)")
    parser.add_argument("--yes", action="store_true", help=f"run more than {defaults.MOST_CELLS} combinations")
    _add_program(Several(parser.add_argument_group("network and size")))
    _add_terms(Several(parser.add_argument_group("what is minimised")))
    _add_control(Several(parser.add_argument_group("colour")))
    _add_masks(parser.add_argument_group("regions"))
    _add_solver(Several(parser.add_argument_group("how")))
    parser.set_defaults(size=[defaults.SWEEP_SIZE], axes=[])


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Paints each CONTENT into DIR as NAME.png, with a page and a sheet of all. Pictures of one shape share a "
        "program; the short side is rounded to 16 pixels, so that there are few shapes. The same command again goes on "
        "where it was stopped. Files that cannot be read are named at the end; the exit code is then 1."
    )
    parser.add_argument("contents", metavar="CONTENT", nargs="+", help="pictures, or folders of pictures")
    parser.add_argument("--style", dest="styles", metavar="STYLE", nargs="+", required=True, help="what to paint like")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder for the results")
    parser.add_argument("--lanes", type=whole(1, 10_000), metavar="N", help="side by side (default: as many as fit)")
    _add_program(parser.add_argument_group("network and size"))
    _add_terms(parser.add_argument_group("what is minimised"))
    _add_control(parser.add_argument_group("colour"))
    _add_solver(parser.add_argument_group("how"), save_every=False)
    parser.set_defaults(size=defaults.SIZE, masks=None, style_masks=None, distributed=False)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Minimises the same loss by Adam at several learning rates and by three kinds of L-BFGS, from the content and "
        "from noise, at a single size. FIG.png, FIG.pdf and FIG.json: loss against evaluations and against seconds, "
        "and each one's picture at equal cost. With --networks: the pair as each network paints it, by Adam, from "
        "coarse to fine, with the same relative weights."
    )
    _add_pair(parser)
    parser.set_defaults(masks=None, style_masks=None)
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=defaults.NETWORKS,
        metavar="NAME",
        help=f"compare networks, not optimizers: {', '.join(defaults.NETWORKS)}",
    )
    parser.add_argument(
        "--random-weights", action="store_true", help="with --networks, for those that are not on this machine"
    )
    parser.set_defaults(
        mix=None,
        mix_layers=None,
        style_scale=None,
        color=None,
        min_size=None,
        optimizer="adam",
        rate=None,
        init="content",
        average=0.0,
    )
    parser.set_defaults(steps=defaults.STEPS)
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: CONTENT_STYLE_comparison.png, here)")
    _add_size(parser, defaults.COMPARE_SIZE)
    parser.add_argument(
        "--evaluations",
        type=whole(2, 10_000),
        default=defaults.COMPARE_EVALUATIONS,
        metavar="N",
        help="of loss and gradient, for each; with --networks at each size (default: %(default)s)",
    )
    parser.add_argument(
        "--rates",
        nargs="+",
        type=positive,
        metavar="X",
        help=f"Adam's learning rates (default: {' '.join(f'{x:g}' for x in defaults.COMPARE_RATES)})",
    )
    _add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the result's name")
    _add_network(parser.add_argument_group("network"))
    _add_terms(parser.add_argument_group("what is minimised"), mix=False)


def _add_ablate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A sweep over sets of style layers (rows: the first of --layers, the first two, and so on) and ratios of "
        "style to content (columns). DIR is a sweep's folder, with ablation.png, .pdf and .json in it; the same "
        "command again goes on where it was stopped."
    )
    _add_pair(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="folder (default: CONTENT_STYLE_ablation, here)")
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME",
        help=f"style layers, shallow to deep (default: {_STYLE_LAYERS})",
    )
    parser.add_argument(
        "--ratios",
        nargs="+",
        type=positive,
        default=list(defaults.ABLATE_RATIOS),
        metavar="X",
        help=f"style weight over content weight (default: {' '.join(f'{x:g}' for x in defaults.ABLATE_RATIOS)})",
    )
    parser.add_argument("--content-layers", nargs="+", metavar="NAME", help=f"(default: {_CONTENT_LAYERS})")
    parser.add_argument("--network", choices=defaults.NETWORKS, default=defaults.NETWORK, help="(default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="weights: .h5, .pth or .safetensors")
    _add_size(parser, defaults.ABLATE_SIZE)
    parser.add_argument(
        "--steps", type=whole(1, 10**6), default=defaults.ABLATE_STEPS, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=positive,
        default=defaults.ABLATE_RATE,
        metavar="X",
        help="Adam's learning rate (default: %(default)s)",
    )
    parser.add_argument(
        "--init",
        default="noise",
        metavar="START",
        help=f"{', '.join(defaults.STARTS)} or a picture FILE (default: %(default)s, as in the paper)",
    )
    _add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the results' names")


def _add_reconstruct(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Finds, from noise, the picture that has a layer's features, for each layer by itself. FIG.png, FIG.pdf and "
        "FIG.json: the reconstructions, their feature errors, and how near they are to the picture."
    )
    parser.add_argument("picture", metavar="IMAGE", help="the picture to look into")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: IMAGE_reconstructions.png, here)")
    _add_study(parser, f"the first one and {_STYLE_LAYERS}", defaults.INVERSION_STEPS, "of each reconstruction")
    parser.add_argument("--size", type=whole(*SIDES), metavar="N", help=_STUDY_SIZE)
    _add_inversion(parser, defaults.INVERSION_VARIATION)


def _add_texture(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Textures with the Gram matrices of STYLE at its first layer, its first two, and so on, at a single size, and "
        "at all of them from coarse to fine. FIG.png, FIG.pdf, FIG.json, and each texture as FIG_*.png."
    )
    parser.add_argument("picture", metavar="STYLE", help="the picture to make textures of")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: STYLE_textures.png, here)")
    _add_study(parser, _STYLE_LAYERS, defaults.TEXTURE_STEPS, "at each size")
    sides = whole(*SIDES)
    parser.add_argument("--source-size", type=sides, metavar="N", help=_STUDY_SIZE)
    parser.add_argument("--size", type=sides, metavar="N", help="long side of the textures (default: the source's)")
    parser.add_argument("--width", type=sides, metavar="N", help="of the textures, in pixels")
    parser.add_argument("--height", type=sides, metavar="N", help="of the textures, in pixels")
    parser.add_argument(
        "--style-loss", choices=defaults.STYLE_LOSSES, default="gram", help="what is compared (default: %(default)s)"
    )
    parser.add_argument("--tile", action="store_true", help="textures that repeat without a seam; sides in 16 pixels")
    _add_inversion(parser, defaults.TEXTURE_VARIATION)


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The feature maps of a layer, the filters of the first one, and mean, root mean square and sparsity of all: "
        "FIG.png, FIG.pdf and FIG.json."
    )
    parser.add_argument("picture", metavar="IMAGE", help="the picture to look at")
    parser.add_argument("--layer", metavar="NAME", help=f"(default: the middle one of {_STYLE_LAYERS})")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: IMAGE_LAYER.png, here)")
    parser.add_argument("--size", type=whole(*SIDES), metavar="N", help=_STUDY_SIZE)
    parser.add_argument(
        "--count", type=whole(1, 512), default=defaults.FEATURES_COUNT, metavar="N", help="maps (default: %(default)s)"
    )
    parser.add_argument("--strongest", action="store_true", help="those of the largest mean square, not the first ones")
    parser.add_argument("--quiet", action="store_true", help="print only the result's name")
    _add_network(parser.add_argument_group("network"))


_CONTENT_LAYERS = f"the network's; {' '.join(defaults.CONTENT_LAYERS)} of a VGG"
_STYLE_LAYERS = f"the network's; {' '.join(defaults.STYLE_LAYERS)} of a VGG"
_MIXES = "0:1:5 goes from one of two to the other, 1,0,0:0,0,1:5 from the first of three to the third"
_STUDY_SIZE = f"long side in pixels at which it is read (default: its own, at most {defaults.STUDY_SIZE})"


def _add_study(parser: argparse.ArgumentParser, layers: str, steps: int, when: str) -> None:
    parser.add_argument("--layers", nargs="+", metavar="NAME", help=f"(default: {layers})")
    parser.add_argument(
        "--steps", type=whole(1, 10**6), default=steps, metavar="N", help=f"{when} (default: %(default)s)"
    )


def _add_inversion(parser: argparse.ArgumentParser, variation: float) -> None:
    parser.add_argument(
        "--tv-weight", type=number, default=variation, metavar="X", help="smoothness (default: %(default)s)"
    )
    parser.add_argument("--optimizer", choices=defaults.SOLVERS, default="lbfgs", help="(default: %(default)s)")
    _add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the results' names")
    _add_network(parser.add_argument_group("network"))


def _add_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("content", metavar="CONTENT", help="the picture to paint")
    parser.add_argument("styles", metavar="STYLE", nargs=1, help="the picture to paint like")


def _add_size(parser: argparse.ArgumentParser, size: int) -> None:
    parser.add_argument(
        "--size", type=whole(*SIDES), default=size, metavar="N", help="long side in pixels (default: %(default)s)"
    )


def _add_seed(group: Any) -> None:
    seeds = whole(0, 2**32 - 1)  # more bits than that JAX would drop
    group.add_argument("--seed", type=seeds, default=defaults.SEED, metavar="N", help="(default: %(default)s)")


def _add_program(group: Any) -> None:
    _add_network(group)
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


def _add_network(group: Any) -> None:
    group.add_argument("--network", choices=defaults.NETWORKS, default=defaults.NETWORK, help="(default: %(default)s)")
    group.add_argument("--weights", metavar="FILE", help="weights: .h5, .pth or .safetensors")
    group.add_argument("--pooling", choices=("max", "average"), help="(default: the network's own)")
    group.add_argument("--padding", choices=("zero", "edge", "reflect"), help="(default: the network's own)")
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="of convolutions (default: bfloat16 on TPUs and on GPUs from Ampere on, else float32)",
    )


def _add_terms(group: Any, *, mix: bool = True) -> None:
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
    group.add_argument("--content-layers", nargs="+", metavar="NAME", help=f"(default: {_CONTENT_LAYERS})")
    group.add_argument("--style-layers", nargs="+", metavar="NAME", help=f"(default: {_STYLE_LAYERS})")
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


def _add_control(group: Any) -> None:
    group.add_argument(
        "--color",
        type=coloring,
        choices=("style", "content", *defaults.COLORINGS[1:]),
        help="style: the style's colours (default). content: the content's, by the way that suits most pictures, "
        f"{defaults.CONTENT_COLORING}. luminance: paints in grey, and colours the result by the content, in YIQ. lab: "
        "paints in colour, and takes only the lightness of the result, in CIELAB. match: gives the styles the mean "
        "and the covariance of the content's colours first",
    )


def _add_masks(group: Any) -> None:
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


def _add_solver(group: Any, *, save_every: bool = True) -> None:
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
    _add_seed(group)
    if save_every:
        group.add_argument("--save-every", type=whole(1, 10**6), metavar="N", help="write a picture every N steps too")
    group.add_argument("--quiet", action="store_true", help="print only the result's name")


def _add_weights(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser, required=True)
    actions.add_parser("list", help="networks, sources, sizes, licences, and what is at hand")
    fetch = actions.add_parser("fetch", help="download weights into the cache")
    fetch.add_argument("name", metavar="NETWORK")
    fetch.add_argument("--source", help="keras or torchvision (default: the first that has it)")
    convert = actions.add_parser("convert", help="convert a .h5, .pth or .safetensors file")
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("-o", "--out", metavar="OUT", help="(default: the cache, where --network finds it)")
    convert.add_argument("--network", metavar="NAME", help="(default: found by the shapes)")
    show = actions.add_parser("show", help="what a file, or a network at hand, holds")
    show.add_argument("name", metavar="FILE|NETWORK")
