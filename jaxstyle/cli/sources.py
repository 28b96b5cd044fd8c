"""What a transfer reads, and all that can be checked of it without JAX."""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxstyle import defaults
from jaxstyle.cli.masks import WHOLE, MaskFile, check_mask_counts, read_mask
from jaxstyle.cli.options import Reading, TransferOptions
from jaxstyle.cli.pipes import PIPE, check_one_pipe, check_piped_out, source
from jaxstyle.cli.settings import check_count
from jaxstyle.errors import InputError, nearest, one_for_each
from jaxstyle.pictures.read import MAX_SIDE, MIN_SIDE, Held, Picture, load_picture, own_size
from jaxstyle.presets import PRESETS

LARGE = 6000  # long side in pixels above which the room for a result is asked after before pictures are read
LONGEST_STEM = 100  # bytes of each picture's name in the default name of a result; a file's name has 255

Read = Callable[[str, int | None], Picture]


@dataclass(frozen=True)
class Sources:
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


def result_name(options: TransferOptions) -> Path:
    """Where the result goes: the name given, or the content's and the first style's."""
    assert options.content is not None
    return Path(default_name(options.content, options.styles[0]) if options.out is None else options.out)


def files_of(options: TransferOptions) -> list[str | None]:
    """The files that a transfer reads; None for those of which there are none."""
    regions, init = options.regions, options.settings.init
    masks = (*(regions.masks or ()), *(regions.style_masks or ()))
    start = None if init in defaults.NAMED_STARTS else init
    return [options.content, *options.styles, *masks, start, options.settings.weights, options.source]


def _check_room(options: TransferOptions, size: int) -> None:
    """Raises `InputError` where a result with this long side cannot fit the main memory: before pictures of that size
    are read, which takes minutes."""
    # Only now, since JAX takes a second to load.
    import jax

    from jaxstyle.cli.machine import available_memory
    from jaxstyle.cli.resolve import resolve, solver_of
    from jaxstyle.engine.memory import check_least
    from jaxstyle.engine.scales import scaled_size

    available = available_memory()
    if available is None or jax.default_backend() != "cpu":  # accelerators have a memory of their own
        return
    assert options.content is not None
    own = own_size(source(options.content), large=True)
    check_least(scaled_size(own, size / max(own), smallest=1), solver_of(resolve(options, size)), available)


def read_pictures(options: TransferOptions, out: Path, *, read: Read | None = None) -> Sources:
    """Reads the pictures of a transfer, once its options are checked, at the size of its result."""
    assert options.content is not None
    read, settings = read or reader(options), options.settings
    chosen = options.chosen("size")
    own = 0 if chosen else max(own_size(source(options.content), large=options.large))
    size = chosen or min(defaults.SIZE, own)
    if (coarsest := options.chosen("min_size")) and coarsest > size:
        raise InputError(f"--min-size is {coarsest}; it can be at most the size of the result, {size}")
    if size > LARGE:
        _check_room(options, size)
    content = read(options.content, size if chosen or size < own else None)
    if settings.margin > (side := min(content.pixels.shape[:2])):
        raise InputError(
            f"--margin is {settings.margin}; it can be at most the short side of {options.content}, {side}"
        )
    styles = [read(path, _style_size(settings.style_scale, size)) for path in options.styles]
    start = starting_picture(options.chosen("init") or PRESETS[settings.preset].init, size, read=read)
    masks: list[MaskFile] | None = None
    parts: list[MaskFile | None] | None = None
    if options.regions.masks:
        masks = [read_mask(path, content, read=read) for path in options.regions.masks]
    if options.regions.style_masks:
        pairs = zip(options.regions.style_masks, styles, strict=True)
        parts = [None if path == WHOLE else read_mask(path, style, read=read) for path, style in pairs]
    return Sources(content, styles, start, out, size, masks, parts)


def _style_size(scale: float, size: int) -> int:
    """Long side of the styles, for a result of this one."""
    side = round(size * scale)
    if not MIN_SIDE <= side <= MAX_SIDE:
        allowed = f"{MIN_SIDE} to {MAX_SIDE}"
        raise InputError(f"--style-scale {scale:g} makes styles of {side} pixels at size {size}; allowed are {allowed}")
    return side


def default_name(content: str, style: str) -> str:
    """CONTENT_STYLE.png, shortened so that it can be a file's name."""
    return f"{short_stem(content)}_{short_stem(style)}.png"


def short_stem(path: str, longest: int = LONGEST_STEM) -> str:
    """A picture's name without its ending, of no more than so many bytes."""
    stem = "stdin" if path == PIPE else Path(path).stem
    while len(os.fsencode(stem)) > longest:
        stem = stem[:-1]
    return stem


def check_options(options: TransferOptions) -> None:
    """What the command line alone can tell."""
    settings, styles = options.settings, len(options.styles)
    check_one_pipe(files_of(options))
    check_piped_out(options.out, facts=options.json)
    if options.out == PIPE and options.save_every:
        raise InputError(f"--save-every writes pictures beside the result; -o {PIPE} has no place: name a file with -o")
    size, coarsest = options.chosen("size"), options.chosen("min_size")
    if size and coarsest and coarsest > size:
        raise InputError(f"--min-size is {coarsest}; it can be at most --size, {size}")
    check_count("--mix", settings.mix, styles, "STYLE")
    if settings.mix_layers is not None and len(settings.mix_layers) != styles:
        needed = one_for_each(styles, "STYLE")
        raise InputError(f"--mix-layers has {len(settings.mix_layers)} lists of numbers; it needs {needed}")
    check_mask_counts(options)
    optimizer = options.chosen("optimizer") or PRESETS[settings.preset].optimizer
    if options.chosen("rate") is not None and optimizer != "adam":
        raise InputError(f"--rate is Adam's; {optimizer} finds the length of its steps itself (--optimizer adam)")


def reader(options: Reading) -> Read:
    """`read_picture` as the options have it."""
    return functools.partial(read_picture, large=options.large)


def read_picture(path: str | Held, size: int | None, *, large: bool = False) -> Picture:
    """A picture resized. One of a few pixels, which enlarged has nothing to show, is a mistake."""
    place = source(path) if isinstance(path, str) else path
    picture = load_picture(place, size, large=large)
    if min(picture.own_size) < MIN_SIDE:
        height, width = picture.own_size
        name = place.name if isinstance(place, Held) else place
        raise InputError(f"{name} is {width} x {height} pixels; at least {MIN_SIDE} a side are needed")
    return picture


def starting_picture(init: str, size: int, *, read: Read) -> Picture | None:
    """The picture to start from, when `init` is a file and not one of the named starts."""
    if init in defaults.NAMED_STARTS:
        return None
    if init != PIPE and not Path(init).exists():
        words = ", ".join(defaults.NAMED_STARTS)
        raise InputError(f"--init {init!r} is neither a file nor one of {words}{nearest(init, defaults.NAMED_STARTS)}")
    return read(init, size)
