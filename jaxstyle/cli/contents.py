"""The pictures that a command is given, several or folders of them, and what their results are called."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxstyle import defaults
from jaxstyle.cli.folder import PAGE, SHEET, SUMMARY
from jaxstyle.cli.sources import short_stem
from jaxstyle.errors import InputError
from jaxstyle.files import shown
from jaxstyle.pictures.read import kind_at

MOST_NAMED = 20  # of files that are no pictures
LONGEST = 240  # bytes of a result's name without its ending and number; a file's name has 255


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
            named = f"; {named_others(rest)}" if rest else ""
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


def named_others(others: Sequence[str]) -> str:
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
