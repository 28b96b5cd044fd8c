"""Paint many pictures in the manner of STYLE.

Paints each CONTENT into DIR as NAME.png, with a page and a sheet of all. Pictures of one shape share a program; the
short side is rounded to 16 pixels, so that there are few shapes. The same command again goes on where it was stopped.
Files that cannot be read are named at the end; the exit code is then 1.
"""

import dataclasses
import functools
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.folder import results_folder
from jaxstyle.cli.grid import Cells
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.parser import Axis, Named, Positional, Several
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources, check_options, read_picture, read_pictures
from jaxstyle.cli.values import LANES, Text
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Picture, load_picture
from jaxstyle.pictures.write import check_writable, read_record

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".avif", ".jp2")
MULTIPLE = 16  # pixels, of the short side: photos of a few proportions have few shapes


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a batch can be told.

    Attributes:
      contents: pictures, or folders of pictures
      styles: what to paint like
      out: folder for the results
      lanes: side by side (default: as many as fit)
      quiet: print only the result's name
    """

    contents: Annotated[tuple[str, ...], Positional(Text("CONTENT"), "+")]
    styles: Annotated[tuple[str, ...], Several(Text("STYLE")), Named("--style")]
    out: Annotated[str, Text("DIR"), Named("-o", "--out")]
    lanes: Annotated[int | None, LANES] = None
    quiet: bool = False
    settings: Settings = dataclasses.field(default_factory=Settings)
    given: frozenset[str] = frozenset()

    @property
    def cell(self) -> TransferOptions:
        """The options of each transfer, but for its content."""
        cell = TransferOptions(styles=self.styles, settings=self.settings, given=self.given)
        return cell if "size" in self.given else cell.having(size=defaults.SIZE)


def run(options: Options) -> int:
    """Checks what can be checked, paints what is not done yet, and names the files that could not be painted."""
    check_options(options.cell)
    out, files = Path(options.out), contents_of(options.contents)
    names = file_names(files)
    read = functools.cache(read_picture)
    refused: list[str] = []
    painted: list[tuple[TransferOptions, Sources]] = []
    with results_folder(out):
        for path in options.styles:
            read(path, options.cell.settings.size)  # what is wrong with a style is wrong with them all
        for file, name in zip(files, names, strict=True):
            cell = dataclasses.replace(options.cell, content=file)
            _check_place(out / name, [*files, *options.styles])
            try:
                painted.append((cell, read_pictures(cell, out / name, read=functools.partial(_read, file, read))))
            except InputError as error:
                refused.append(str(error))
        if not painted:
            none = "" if len(files) == 1 else f"none of {len(files)} pictures can be read; "
            raise InputError(f"{none}{refused[0]}")
        axes = [Axis("content", tuple(cell.content for cell, _ in painted))]
        cells: Cells = [((i,), cell, sources) for i, (cell, sources) in enumerate(painted)]
        # Only now, since JAX takes a second to load, and wrong input need not wait for it.
        from jaxstyle.cli.cells import SweepJob, tasks_of

        how: Any = {"lanes": options.lanes, "distributed": False, "quiet": options.quiet}
        tasks, networks = tasks_of(cells, **how)
        job = SweepJob(out, axes, tasks, networks, **how)
    code = job.run()
    diverged = [job.tasks[index[0]] for index, record in job.records.items() if record["status"] == "diverged"]
    refused += [f"{task.sources.content.path} diverged" for task in diverged]
    if refused and code == 0:
        print(f"jaxstyle: {len(refused)} of {len(files)} pictures failed: {'; '.join(refused)}", file=sys.stderr)
    return code or int(bool(refused))


def contents_of(given: Sequence[str]) -> list[str]:
    """The files that are named, and those of the folders that are named, each once."""
    found: list[str] = []
    for path in given:
        if not Path(path).is_dir():
            found.append(path)
            continue
        inside = sorted(str(x) for x in Path(path).iterdir() if x.is_file() and x.suffix.lower() in SUFFIXES)
        inside = [x for x in inside if not Path(x).name.startswith(".")]
        if not inside:
            raise InputError(f"the folder {path} has no pictures in it; they end in {', '.join(SUFFIXES)}")
        found += inside
    found = list(dict.fromkeys(found))
    if len(found) > defaults.MOST_CELLS:
        raise InputError(f"{len(found)} pictures are too many at once; it can be at most {defaults.MOST_CELLS}")
    return found


def file_names(files: Sequence[str]) -> list[str]:
    """Of the results: each content's, as a PNG; where two would be the same, with the old ending and a number."""
    stems = Counter(Path(file).stem.casefold() for file in files)
    names: list[str] = []
    for file in files:
        path = Path(file)
        name = path.stem if stems[path.stem.casefold()] == 1 else path.name.replace(".", "_")
        taken, number = {x.casefold() for x in names}, 2
        unique = name
        while f"{unique}.png".casefold() in taken:
            unique, number = f"{name}_{number}", number + 1
        names.append(f"{unique}.png")
    return names


def _check_place(out: Path, read: Sequence[str]) -> None:
    """A result replaces none but an earlier one."""
    check_writable(out)
    if not out.exists():
        return
    for path in read:
        if Path(path).exists() and out.samefile(path):
            raise InputError(f"{out} would be replaced, and it is read; name another folder with -o")
    try:
        read_record(out)
    except InputError as error:
        raise InputError(f"{out} is there already, and no result of jaxstyle; name another folder with -o") from error


def _read(content: str, read: Callable[[str, int | None], Picture], path: str, size: int | None) -> Picture:
    """The content resized so that its short side is a multiple of 16; a style as it is."""
    return load_picture(path, size, multiple=MULTIPLE) if path == content else read(path, size)
