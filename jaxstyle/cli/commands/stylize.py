"""Paint pictures in one pass, in seconds: in a trained style, or like any painting.

Paints each CONTENT by a network, with no optimisation: a preview of transfer, a start for it (transfer --init stylize),
and a tool for many pictures. jaxstyle styles lists the trained styles; jaxstyle train makes further ones.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.contents import contents_of, file_names, named_others
from jaxstyle.cli.folder import results_folder
from jaxstyle.cli.masks import read_mask
from jaxstyle.cli.messages import name_of, say
from jaxstyle.cli.options import Reading, Telling
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional, Repeated, Several
from jaxstyle.cli.pipes import OUTPUT, PIPE, check_no_pipe, check_one_pipe, check_piped_out, piped_out, tell
from jaxstyle.cli.settings import ColorSettings
from jaxstyle.cli.sources import default_name, read_picture, reader
from jaxstyle.cli.values import NUMBER, SIDE, UNIT, UPSCALE, Text
from jaxstyle.errors import InputError, nearest, one_for_each
from jaxstyle.files import shown
from jaxstyle.pictures.read import Picture, own_size


@dataclass(frozen=True, kw_only=True)
class Options(Telling, Reading):
    """What `stylize` can be told.

    Attributes:
      contents: pictures, or folders of pictures; - for standard input
      styles: a trained style's name or a picture FILE; several, each with a weight, as scream:1 wave:0.5, are mixed
      out: result, of several pictures their folder (default: CONTENT_STYLE.png, here); - for standard output, as PNG
      model: a file of trained styles (default: the one that comes with jaxstyle)
      strength: from 0, the photograph, to 1 (default: 1; like pictures, {PICTURE_STRENGTH:g})
      masks: one for each style: white where it goes, black where not, grey between; elsewhere CONTENT stays
      size: long side in pixels (default: the content's, at most {ONE_PASS_SIZE})
      upscale: makes the result so many times as large in the end, as jaxstyle upscale does: 2, 3 or 4 (default: off)
      overwrite: replace files that are there and not jaxstyle's own, too
      quiet: print only the result's name
    """

    contents: Annotated[tuple[str, ...], Positional(Text("CONTENT"), "+")]
    styles: Annotated[tuple[str, ...], Repeated(Text("STYLE")), Named("--style")]
    out: Annotated[str | None, Text("OUT"), Named("-o", "--out")] = None
    model: Annotated[str | None, Text("FILE")] = None
    strength: Annotated[float | None, UNIT] = None
    masks: Annotated[tuple[str, ...] | None, Several(Text("FILE"))] = None
    size: Annotated[int | None, SIDE] = None
    upscale: Annotated[int | None, UPSCALE] = None
    overwrite: bool = False
    quiet: bool = False
    coloring: ColorSettings = dataclasses.field(default_factory=ColorSettings)


def run(options: Options) -> int:
    """Checks what can be checked, paints one picture after the other, and names those that could not be painted."""
    if options.coloring.color == "match":
        raise InputError("--color match changes a style before it is painted, which a trained one cannot be")
    from jaxstyle.onepass.files import open_styles

    painter, _ = open_styles(options.model)
    styles = _styles_of(options, painter.styles)
    if options.masks is not None and len(options.masks) != len(styles):
        raise InputError(f"--masks has {len(options.masks)} files; it needs {one_for_each(len(styles), 'style')}")
    files, others = contents_of(options.contents)
    read = [*files, *(options.masks or ()), options.model, *(style.path for style in styles)]
    check_one_pipe(read)
    check_no_pipe([options.model], "--model")
    check_piped_out(options.out, facts=options.json)
    outputs = Outputs(read=read, overwrite=options.overwrite)
    if len(files) == 1 and not Path(options.contents[0]).is_dir():
        with _place(options, default_name(files[0], styles[0].name)) as place:
            outputs.add_pictures(place)
            code = _paint(options, _Brush(options, styles, painter), {files[0]: place}, outputs)
    else:
        if options.out in (None, PIPE):
            raise InputError(f"{len(files)} pictures need a folder: -o DIR")
        assert options.out is not None
        folder = Path(options.out)
        with results_folder(folder):
            places = {file: folder / name for file, name in zip(files, file_names(files), strict=True)}
            outputs.add_pictures(*places.values())
            code = _paint(options, _Brush(options, styles, painter), places, outputs)
    if others:
        say(f"jaxstyle: {named_others(others)}")
    return code


def _place(options: Options, usual: str) -> contextlib.AbstractContextManager[Path]:
    """Where the one result goes."""
    if options.out == PIPE:
        return piped_out()
    return contextlib.nullcontext(Path(usual if options.out is None else options.out))


@dataclass(frozen=True)
class _Style:
    """One of the styles that were named: a trained one's name, or a picture's file; and its weight."""

    name: str
    weight: float
    path: str | None = None


def _styles_of(options: Options, known: Sequence[str]) -> list[_Style]:
    """The styles that are named: all of them trained, out of the known ones, or all of them pictures."""
    found: list[_Style] = []
    for word in options.styles:
        name, colon, weight = word.rpartition(":")
        number = _weight(weight) if colon else None
        if number is None or word in known or Path(word).is_file():
            name, number = word, 1.0
        if name not in known and name != PIPE and not Path(name).exists():
            near = nearest(name, known)
            raise InputError(
                f"--style {name!r} is neither a trained style nor a file; there are {', '.join(known)}{near}"
            )
        found.append(_Style(name, number, None if name in known else name))
    pictures = [style for style in found if style.path is not None]
    if pictures and len(pictures) != len(found):
        trained = next(style.name for style in found if style.path is None)
        raise InputError(
            f"--style {trained} is trained, and {shown(pictures[0].name)} a picture; they cannot be mixed: name "
            "pictures only, or trained styles only"
        )
    if options.model is not None and pictures:
        raise InputError(
            f"--model is for trained styles, by name; {shown(pictures[0].name)} is none of {options.model}"
        )
    if not any(style.weight for style in found):
        raise InputError("the weights of all styles are 0; one must be larger")
    return found


def _weight(word: str) -> float | None:
    """A weight, or None for what is none."""
    try:
        return NUMBER.read(word)
    except ValueError:
        return None


def _paint(options: Options, brush: "_Brush", places: dict[str, Path], outputs: Outputs) -> int:
    """Paints all pictures; the exit code."""
    from jaxstyle.cli.upscaling import check_enlarged, enlarged

    with outputs.claimed():
        refused: list[str] = []
        for file, place in places.items():
            began = time.time()
            try:
                content = _content(options, file)
                check_enlarged(content, options.upscale, place)
                masks = [read_mask(mask, content, read=reader(options)) for mask in options.masks or ()]
            except InputError as error:
                refused.append(str(error))
                continue
            painted = enlarged(brush.paint(content, [mask.values for mask in masks]), options.upscale)
            record = {"status": "done", **brush.record(content, masks), "seconds": round(time.time() - began, 2)}
            saved = brush.save(outputs, place, painted, content, record)
            height, width = painted.shape[:2]
            details = f": {width} x {height}, {time.time() - began:.1f} s"
            piped = options.out == PIPE
            line = f"{OUTPUT if piped else name_of(saved)}{'' if options.quiet else details}"
            facts = {"files": [saved, saved.with_suffix(".json")], **record, "width": width, "height": height}
            tell(line, facts, as_json=options.json, piped=piped, quiet=options.quiet)
    if refused and len(places) == 1:
        raise InputError(refused[0])
    if refused:
        say(f"jaxstyle: {len(refused)} of {len(places)} pictures failed: {'; '.join(refused)}")
    return int(bool(refused))


def _content(options: Options, file: str) -> Picture:
    """A content at the size of its result."""
    size = options.size
    if size is None and max(own_size(file, large=options.large)) > defaults.ONE_PASS_SIZE:
        size = defaults.ONE_PASS_SIZE
    return read_picture(file, size, large=options.large)


class _Brush:
    """The network, and what it paints like."""

    def __init__(self, options: Options, styles: list[_Style], trained: Any) -> None:
        self._options, self._styles, self._trained = options, styles, trained
        self._pictures = [] if styles[0].path is None else [self._style(style) for style in styles]
        usual = defaults.PICTURE_STRENGTH if self._pictures else 1.0
        self.strength = usual if options.strength is None else options.strength

    @functools.cached_property
    def _painter(self) -> Any:
        from jaxstyle.cli.startup import start_jax
        from jaxstyle.onepass.files import load_any_style

        start_jax()
        return load_any_style() if self._pictures else self._trained

    @functools.cached_property
    def _described(self) -> list[Any]:
        from jaxstyle.onepass.any_style import described

        return [described(self._painter, style.pixels) for style in self._pictures]

    def _style(self, style: _Style) -> Picture:
        assert style.path is not None
        own = max(own_size(style.path, large=self._options.large))
        return read_picture(style.path, min(own, defaults.SIZE), large=self._options.large)

    def paint(self, content: Picture, masks: list[np.ndarray]) -> np.ndarray:
        """The picture painted; with masks, each style where its mask is, and the content elsewhere."""
        weights = [style.weight for style in self._styles]
        if not masks:
            return self._whole(content, weights)
        layers = np.stack(masks) * np.array(weights, np.float32)[:, None, None]
        layers /= np.maximum(layers.sum(0), 1e-6)[None]
        cover = np.max(np.stack(masks), 0)[..., None]
        alone = np.eye(len(weights))
        painted = sum(
            layer[..., None] * self._whole(content, list(own)) for layer, own in zip(layers, alone, strict=True)
        )
        return cover * painted + (1 - cover) * content.pixels

    def _whole(self, content: Picture, weights: list[float]) -> np.ndarray:
        from jaxstyle.cli.coloring import finished
        from jaxstyle.onepass.any_style import paint_like
        from jaxstyle.onepass.tiles import WHOLE, paint_in_parts, paint_whole

        pixels, strength = content.pixels, self.strength
        if self._pictures:
            painted = paint_like(self._painter, pixels, self._described, weights, strength)
        else:
            named = {style.name: 0.0 for style in self._styles}
            for style, weight in zip(self._styles, weights, strict=True):
                named[style.name] += weight
            shares = self._painter.shares(named)
            large = pixels.shape[0] * pixels.shape[1] > WHOLE
            painted = (paint_in_parts if large else paint_whole)(self._painter, pixels, shares, strength)
        return np.asarray(finished(self._options.coloring.color, painted, content))

    def record(self, content: Picture, masks: list[Any]) -> dict[str, Any]:
        """What the picture is made from."""
        from jaxstyle.cli.records import file_record, made_by

        pictures = iter(self._pictures)
        styles = [{"name": style.name} if style.path is None else file_record(next(pictures)) for style in self._styles]
        settings = {"strength": self.strength, "mix": [style.weight for style in self._styles]}
        settings |= {name: getattr(self._options, name) for name in ("size", "upscale", "model")}
        settings |= {"color": self._options.coloring.color}
        found = {"command": "stylize", "content": file_record(content), "styles": styles, "settings": settings}
        return found | ({"masks": [file_record(mask) for mask in masks]} if masks else {}) | made_by()

    def save(
        self, outputs: Outputs, place: Path, painted: np.ndarray, content: Picture, record: dict[str, Any]
    ) -> Path:
        """Saves a picture with its record, and returns where it is."""
        from jaxstyle.cli.outputs import explained
        from jaxstyle.cli.records import save_result

        free = outputs.free(place)
        with explained(free):
            save_result(free, painted, content.alpha, record, overwrite=outputs.overwrite)
        return free
