"""What a transfer reads, and all that can be checked of it without JAX."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxstyle import defaults
from jaxstyle.commands.masks import WHOLE, MaskFile, check_mask_counts, read_mask
from jaxstyle.errors import InputError, nearest, one_for_each
from jaxstyle.images import MAX_SIDE, MIN_SIDE, Picture, check_writable, load_picture
from jaxstyle.presets import PRESETS
from jaxstyle.values import BETWEEN_MIXES

LONGEST_STEM = 100  # bytes of each picture's name in the default name of a result; a file's name has 255


@dataclass(frozen=True)
class Inputs:
    """The pictures of a transfer, where its result goes, and the result's long side."""

    content: Picture
    styles: Sequence[Picture]
    start: Picture | None  # None for one of the named starts
    out: Path
    size: int
    masks: Sequence[MaskFile] | None = None
    style_masks: Sequence[MaskFile | None] | None = None

    @property
    def short_side(self) -> int:
        """The result's."""
        return min(self.content.pixels.shape[:2])


def read_inputs(options: argparse.Namespace) -> Inputs:
    """Checks the options against each other, and reads the pictures."""
    out = Path(default_name(options.content, options.styles[0]) if options.out is None else options.out)
    check_options(options)
    check_writable(out)
    _check_keeps_inputs(out, options)
    return read_pictures(options, out)


def read_pictures(
    options: argparse.Namespace, out: Path, *, read: Callable[[str, int | None], Picture] | None = None
) -> Inputs:
    """Reads the pictures of a transfer, once its options are checked, at the size of its result."""
    read = read or read_picture
    content = read(options.content, options.size)
    size = options.size or min(defaults.SIZE, max(content.pixels.shape[:2]))
    if options.min_size and options.min_size > size:
        raise InputError(f"--min-size is {options.min_size}; it can be at most the size of the result, {size}")
    if size < max(content.pixels.shape[:2]):
        content = read(options.content, size)
    if options.margin and options.margin > (side := min(content.pixels.shape[:2])):
        raise InputError(f"--margin is {options.margin}; it can be at most the short side of {options.content}, {side}")
    styles = [read(path, _style_size(options.style_scale, size)) for path in options.styles]
    init = options.init or PRESETS[options.preset].init
    start = starting_picture(init, size, read=read)
    masks = options.masks and [read_mask(path, content, read=read) for path in options.masks]
    parts = options.style_masks and [
        None if path == WHOLE else read_mask(path, style, read=read)
        for path, style in zip(options.style_masks, styles, strict=True)
    ]
    return Inputs(content, styles, start, out, size, masks, parts)


def _style_size(scale: float | None, size: int) -> int:
    """Long side of the styles, for a result of this one."""
    side = size if scale is None else round(size * scale)
    if not MIN_SIDE <= side <= MAX_SIDE:
        allowed = f"{MIN_SIDE} to {MAX_SIDE}"
        raise InputError(f"--style-scale {scale:g} makes styles of {side} pixels at size {size}; allowed are {allowed}")
    return side


def default_name(content: str, style: str) -> str:
    """CONTENT_STYLE.png, shortened so that it can be a file's name."""
    stems = [Path(path).stem for path in (content, style)]
    for i, stem in enumerate(stems):
        if len(os.fsencode(stem)) > LONGEST_STEM:
            stems[i] = os.fsencode(stem)[:LONGEST_STEM].decode("utf-8", "ignore")
    return "_".join(stems) + ".png"


def check_options(options: argparse.Namespace) -> None:
    """What the command line alone can tell."""
    if options.size and options.min_size and options.min_size > options.size:
        raise InputError(f"--min-size is {options.min_size}; it can be at most --size, {options.size}")
    _check_mix(options)
    lists = len(options.styles if options.mix_layers is None else options.mix_layers)
    if lists != len(options.styles):
        needed = one_for_each(len(options.styles), "STYLE")
        raise InputError(f"--mix-layers has {lists} lists of numbers; it needs {needed}")
    check_mask_counts(options)
    optimizer = options.optimizer or PRESETS[options.preset].optimizer
    if options.rate is not None and optimizer != "adam":
        raise InputError(f"--rate is Adam's; {optimizer} finds the length of its steps itself")


def _check_mix(options: argparse.Namespace) -> None:
    wanted = len(options.styles)
    try:
        check_count("--mix", options.mix, wanted, "STYLE")
    except InputError as error:
        if wanted == 2 or len(options.mix) != 2 or not hasattr(options, "axes"):
            raise
        hint = f"; 0:1:5 is for two, {BETWEEN_MIXES}" if wanted > 2 else ""
        raise InputError(f"{error}{hint}") from None


def check_count(name: str, values: Sequence[float] | None, wanted: int, what: str) -> None:
    """One number for each of what there are, not all of them zero."""
    if values is not None and len(values) != wanted:
        raise InputError(f"{name} has {len(values)} numbers; it needs {one_for_each(wanted, what)}")
    if values is not None and not any(values):
        raise InputError(f"{name} is zero throughout; at least one number must be larger")


def read_picture(path: str, size: int | None) -> Picture:
    """A picture resized. One of a few pixels, which enlarged has nothing to show, is a mistake."""
    picture = load_picture(path, size)
    if min(picture.own_size) < MIN_SIDE:
        height, width = picture.own_size
        raise InputError(f"{path} is {width} x {height} pixels; at least {MIN_SIDE} a side are needed")
    return picture


def starting_picture(init: str, size: int, *, read: Callable[[str, int | None], Picture]) -> Picture | None:
    """The picture to start from, when `init` is a file and not one of the named starts."""
    if init in defaults.STARTS:
        return None
    if not Path(init).exists():
        words = ", ".join(defaults.STARTS)
        raise InputError(f"--init {init!r} is neither a file nor one of {words}{nearest(init, defaults.STARTS)}")
    return read(init, size)


def _check_keeps_inputs(out: Path, options: argparse.Namespace) -> None:
    """The result must not replace what it is made from."""
    for path in _files(options):
        if out.exists() and os.path.exists(path) and os.path.samefile(out, path):
            raise InputError(f"--out {out} would replace {path}, which is read; name another file")


def _files(options: argparse.Namespace) -> Iterator[str]:
    yield from (options.content, *options.styles, *(options.masks or ()), *(options.style_masks or ()))
    if options.init and options.init not in defaults.STARTS:
        yield options.init
    if options.weights:
        yield options.weights


def with_words(arguments: Sequence[str], words: Sequence[Sequence[str]]) -> list[str]:
    """The command's words, and after them each option of `words` that is not among them already."""
    given = {word.partition("=")[0] for word in arguments}
    return [*arguments, *(word for option in words if option[0] not in given for word in option)]
