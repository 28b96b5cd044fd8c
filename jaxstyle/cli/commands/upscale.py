"""Make pictures two, three or four times as large, by a network.

Writes IMAGE_x2.png and so on; OUT is a file for one IMAGE, else a folder. Of a folder, every file that is a picture by
its content is taken. Pictures that cannot be read are named at the end; the exit code is then 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxstyle import defaults
from jaxstyle.cli.contents import contents_of, file_names, named_others
from jaxstyle.cli.folder import results_folder
from jaxstyle.cli.messages import say
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional
from jaxstyle.cli.sources import short_stem
from jaxstyle.cli.values import UPSCALE, Choice, Text
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import own_size
from jaxstyle.pictures.write import WRITE_FORMATS

MOST_OF_A_FORMAT = {"WEBP": 16_383, "JPEG": 65_500}  # pixels a side that files of it can have


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `upscale` can be told.

    Attributes:
      pictures: pictures, or folders of pictures
      scale: times as wide and as high
      sharp: pixel: as near as it can be in each pixel. perceptual: sharper to the eye, texture is made up
      weights: another network, of jaxstyle train-upscale (.h5)
      out: result, or folder for the results (default: IMAGE_xN.png, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      quiet: print only the results' names
    """

    pictures: Annotated[tuple[str, ...], Positional(Text("IMAGE"), "+")]
    scale: Annotated[int, UPSCALE] = defaults.UPSCALE
    sharp: Annotated[str, Choice(defaults.UPSCALERS, "HOW")] = defaults.UPSCALERS[0]
    weights: Annotated[str | None, Text("FILE")] = None
    out: Annotated[str | None, Text("OUT"), Named("-o", "--out")] = None
    overwrite: bool = False
    quiet: bool = False


def run(options: Options) -> int:
    """Checks what can be checked, makes the pictures larger, and names those that could not be made so."""
    files, others = contents_of(options.pictures)
    if files == list(options.pictures) and len(files) == 1 and not is_folder(options.out):
        name = f"{short_stem(files[0])}_x{options.scale}.png"
        return _enlarge(options, files, [Path(options.out or name)])
    folder = Path(options.out or ".")
    if folder.suffix.lower() in WRITE_FORMATS and not folder.is_dir():
        raise InputError(f"{shown(folder)} is the name of one picture; of several, -o names their folder")
    with results_folder(folder):
        names = [f"{Path(name).stem}_x{options.scale}.png" for name in file_names(files)]
        code = _enlarge(options, files, [folder / name for name in names])
    if others:
        say(f"jaxstyle: {named_others(others)}")
    return code


def is_folder(out: str | None) -> bool:
    """Whether a result goes into it, under a name of its own."""
    return out is not None and (out.endswith("/") or Path(out).is_dir())


def _enlarge(options: Options, files: list[str], places: list[Path]) -> int:
    """Checks, makes larger."""
    outputs = Outputs(read=[*files, options.weights], overwrite=options.overwrite)
    outputs.add_pictures(*places)
    todo, refused = [], []
    for file, place in zip(files, places, strict=True):
        try:
            _check_side(file, place, options)
            todo.append((file, place))
        except InputError as error:
            refused.append(str(error))
    if not todo:
        raise InputError(refused[0] if len(files) == 1 else f"none of {len(files)} pictures can be read; {refused[0]}")
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.cli.upscaling import Upscaling

    how = {"scale": options.scale, "sharp": options.sharp, "weights": options.weights}
    with outputs.claimed():
        return Upscaling(how, outputs, large=options.large, quiet=options.quiet).run(todo, refused)


def _check_side(file: str, place: Path, options: Options) -> None:
    """Raises `InputError` for a picture that cannot be read, or whose result its format cannot hold."""
    height, width = (side * options.scale for side in own_size(file, large=options.large))
    kind = WRITE_FORMATS[place.suffix.lower()][0]
    most = MOST_OF_A_FORMAT.get(kind)
    if most and max(height, width) > most:
        raise InputError(f"{shown(place)} would be {width} x {height} pixels; a {kind} has {most} a side at most")
