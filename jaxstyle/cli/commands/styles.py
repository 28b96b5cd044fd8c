"""List the styles that are painted in one pass, or show them all on a sheet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle.cli.messages import name_of, say
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional
from jaxstyle.cli.sources import read_picture
from jaxstyle.cli.values import Text, Whole
from jaxstyle.errors import InputError

COLUMNS = 4
GAP = 8  # pixels between pictures


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `styles` can be told.

    Attributes:
      picture: a picture to paint in all of them, for the sheet (default: the one that comes with jaxstyle)
      model: a file of trained styles (default: the one that comes with jaxstyle)
      out: a sheet of all styles
      size: long side in pixels of each picture of the sheet
      overwrite: replace files that are there and not jaxstyle's own, too
      quiet: print only the styles' names, or the sheet's
    """

    picture: Annotated[str | None, Positional(Text("CONTENT"), "?")] = None
    model: Annotated[str | None, Text("FILE")] = None
    out: Annotated[str | None, Text("SHEET.png"), Named("-o", "--out")] = None
    size: Annotated[int, Whole(64, 1024)] = 256
    overwrite: bool = False
    quiet: bool = False


def run(options: Options) -> int:
    """Prints a line for each style; paints the sheet if one is asked for."""
    from jaxstyle.onepass.files import style_facts

    facts = style_facts(options.model)
    if options.out is not None:
        return _sheet(options, Path(options.out))
    if options.picture is not None:
        raise InputError(f"where is the sheet of {options.picture} to go? -o SHEET.png")
    width = max(len(fact["name"]) for fact in facts)
    for fact in facts:
        print(fact["name"] if options.quiet else f"{fact['name']:{width}}  {_about(fact)}".rstrip())
    return 0


def _about(fact: dict[str, Any]) -> str:
    """What is said of a style."""
    title = str(fact.get("title", "") or fact.get("file", ""))
    return title if title.isprintable() else ""


def _sheet(options: Options, out: Path) -> int:
    """Paints all styles on one sheet, the picture itself first."""
    from importlib.resources import as_file, files

    outputs = Outputs(read=[options.picture, options.model], overwrite=options.overwrite)
    outputs.add_pictures(out)
    with as_file(files("jaxstyle") / "demo" / "content.jpg") as usual:
        content = read_picture(options.picture or str(usual), options.size, large=options.large)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    import numpy as np

    from jaxstyle.cli.outputs import explained
    from jaxstyle.cli.records import file_record, made_by, save_result
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.onepass.files import load_styles
    from jaxstyle.onepass.tiles import paint_whole
    from jaxstyle.report.contact_sheet import captioned

    start_jax()
    painter = load_styles(options.model)
    pictures = {"the picture itself": content.pixels}
    for name in painter.styles:
        pictures[name] = paint_whole(painter, content.pixels, painter.shares(name), 1.0)
    sheet = np.asarray(captioned(pictures, columns=COLUMNS, gap=GAP), np.float32) / 255
    record = {"command": "styles", "content": file_record(content), "styles": list(painter.styles), **made_by()}
    with outputs.claimed(), explained(out):
        save_result(out, sheet, None, record, overwrite=options.overwrite)
    print(name_of(out))
    if not options.quiet:
        say(f"{len(painter.styles)} styles: {', '.join(painter.styles)}")
    return 0
