"""Paint many pictures in the manner of STYLE.

Paints each CONTENT into DIR as NAME.png, with a page and a sheet of all. Pictures of one shape share a program; the
short side is rounded to 16 pixels, so that there are few shapes. The same command again goes on where it was stopped.
Of a folder, every file that is a picture by its content is taken; the others are named at the end. So are pictures that
cannot be read; the exit code is then 1.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.folder import PAGE, SHEET, SUMMARY, add_results, results_folder
from jaxstyle.cli.grid import Cells
from jaxstyle.cli.messages import say
from jaxstyle.cli.options import Reading, TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Axis, Named, Positional, Several
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Read, Sources, check_options, files_of, read_pictures, reader, short_stem
from jaxstyle.cli.values import LANES, Text
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import Picture, kind_at, load_picture

MOST_NAMED = 20  # of files that are no pictures
LONGEST = 240  # bytes of a result's name without its ending and number; a file's name has 255
MULTIPLE = 16  # pixels, of the short side: photos of a few proportions have few shapes


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What a batch can be told.

    Attributes:
      contents: pictures, or folders of pictures
      styles: what to paint like
      out: folder for the results
      overwrite: replace files that are there and not jaxstyle's own, too
      lanes: side by side (default: as many as fit)
      quiet: print only the result's name
    """

    contents: Annotated[tuple[str, ...], Positional(Text("CONTENT"), "+")]
    styles: Annotated[tuple[str, ...], Several(Text("STYLE")), Named("--style")]
    out: Annotated[str, Text("DIR"), Named("-o", "--out")]
    overwrite: bool = False
    lanes: Annotated[int | None, LANES] = None
    quiet: bool = False
    settings: Settings = dataclasses.field(default_factory=Settings)
    given: frozenset[str] = frozenset()

    @property
    def cell(self) -> TransferOptions:
        """The options of each transfer, but for its content."""
        cell = TransferOptions(styles=self.styles, large=self.large, settings=self.settings, given=self.given)
        return cell if "size" in self.given else cell.having(size=defaults.SIZE)


def run(options: Options) -> int:
    """Checks what can be checked, paints what is not done yet, and names the files that could not be painted."""
    check_options(options.cell)
    out = Path(options.out)
    files, others = contents_of(options.contents)
    names = file_names(files)
    read = functools.cache(reader(options))
    outputs = Outputs(read=[*files, *files_of(options.cell)], overwrite=options.overwrite)
    refused: list[str] = []
    painted: list[tuple[TransferOptions, Sources]] = []
    with results_folder(out):
        add_results(outputs, out, [out / name for name in names])
        for path in options.styles:
            read(path, options.cell.settings.size)  # what is wrong with a style is wrong with them all
        for file, name in zip(files, names, strict=True):
            cell = dataclasses.replace(options.cell, content=file)
            try:
                painted.append((cell, read_pictures(cell, out / name, read=_reader(options, file, read))))
            except InputError as error:
                refused.append(str(error))
        if not painted:
            none = "" if len(files) == 1 else f"none of {len(files)} pictures can be read; "
            raise InputError(f"{none}{refused[0]}")
        axes = [Axis("content", tuple(cell.content for cell, _ in painted))]
        cells: Cells = [((i,), cell, sources) for i, (cell, sources) in enumerate(painted)]
        # Only now, since JAX takes a second to load, and wrong input need not wait for it.
        from jaxstyle.cli.cells import SweepJob, digest_of, identity, tasks_of

        how: Any = {"lanes": options.lanes, "distributed": False, "quiet": options.quiet}
        tasks, networks = tasks_of(cells, **how)
        with outputs.claimed(digest_of(identity(axes, tasks)), own_folder=True):
            job = SweepJob(outputs, out, axes, tasks, networks, **how)
            code = job.run()
    diverged = [job.tasks[index[0]] for index, record in job.records.items() if record["status"] == "diverged"]
    refused += [f"{shown(task.sources.content.path)} diverged" for task in diverged]
    if refused and code == 0:
        say(f"jaxstyle: {len(refused)} of {len(files)} pictures failed: {'; '.join(refused)}")
    if others:
        say(f"jaxstyle: {passed_over(others)}")
    return code or int(bool(refused))


def contents_of(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that are named, and of the folders that are named those that are pictures, each once; and the folders'
    other files. Hidden ones are left out."""
    found: list[str] = []
    others: list[str] = []
    for path in given:
        if not Path(path).is_dir():
            found.append(path)
            continue
        inside = sorted(str(x) for x in Path(path).iterdir() if x.is_file() and not x.name.startswith("."))
        pictures = [x for x in inside if _is_picture(x)]
        rest = [x for x in inside if x not in set(pictures)]
        if not pictures:
            named = f"; {passed_over(rest)}" if rest else ""
            raise InputError(f"the folder {shown(path)} has no pictures in it{named}")
        found, others = found + pictures, others + rest
    found, others = list(dict.fromkeys(found)), list(dict.fromkeys(others))
    if len(found) > defaults.MOST_CELLS:
        raise InputError(f"{len(found)} pictures are too many at once; it can be at most {defaults.MOST_CELLS}")
    return found, others


def _is_picture(path: str) -> bool:
    """Whether a file is a picture by its content, be it of a kind that is read or not; or may be one, but is closed."""
    try:
        kind = kind_at(path)
    except InputError:
        return True  # what is wrong with it is said when it is read
    return kind is not None and kind.picture


def passed_over(others: Sequence[str]) -> str:
    """The files that are no pictures, in part of a line."""
    names = ", ".join(shown(path) for path in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"no pictures, and passed over: {names}{more}"


def file_names(files: Sequence[str]) -> list[str]:
    """Of the results: each content's, as a PNG; where two would be the same, or another file of the batch's, with the
    old ending and a number. They are short enough to be names, with a record's ending too."""
    stems = Counter(short_stem(file, LONGEST).casefold() for file in files)
    taken = {Path(name).stem for name in (SUMMARY, PAGE, SHEET)}
    stems.update(dict.fromkeys(taken, 2))
    names: list[str] = []
    for file in files:
        name = short_stem(file, LONGEST)
        if stems[name.casefold()] > 1:
            name = short_stem(Path(file).name.replace(".", "_"), LONGEST)
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.casefold())
        names.append(f"{unique}.png")
    return names


def _reader(options: Options, content: str, read: Read) -> Read:
    """What reads the content resized so that its short side is a multiple of 16, and a style as it is."""

    def read_one(path: str, size: int | None) -> Picture:
        return load_picture(path, size, multiple=MULTIPLE, large=options.large) if path == content else read(path, size)

    return read_one
