"""Paint every combination of some settings, small, to choose from.

Runs every combination of the settings that are given several values, and writes the pictures, sheet.png, report.html
and sweep.json to DIR. Ranges: linear:0:1:5, log:1:1000:8, random:0:1:5, log-random:1:1000:8.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.cli.folder import results_folder
from jaxstyle.cli.grid import SweepOptions, axes_of, cells_of, with_grid
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.sources import read_pictures, reader
from jaxstyle.errors import InputError
from jaxstyle.pictures.write import check_writable

Options = SweepOptions


def run(options: Options) -> int:
    """Checks everything that can be checked, runs what is not done yet, and writes the summary."""
    if options.grid:
        options = with_grid(options)
    axes = axes_of(options)
    out, read = Path(options.out), functools.cache(reader(options))
    cells = [
        (index, cell, read_pictures(cell, out / file_name(axes, index), read=read))
        for index, cell in cells_of(options, axes)
    ]
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.cli.cells import SweepJob, identity, tasks_of

    how: Any = {"lanes": options.lanes, "distributed": options.distributed, "quiet": options.quiet}
    tasks, networks = tasks_of(cells, **how)
    with results_folder(out):
        _check_folder(out, identity(axes, tasks))
        job = SweepJob(out, axes, tasks, networks, **how)
    return job.run()


def file_name(axes: Sequence[Axis], index: Sequence[int]) -> str:
    """A cell's file: its place along each axis."""
    places = (f"{i:0{len(str(len(axis.values) - 1))}}" for axis, i in zip(axes, index, strict=True))
    return "_".join(["cell", *places]) + ".png"


def _check_folder(out: Path, identity: Any) -> None:
    """A folder holds nothing, or an earlier run of the same sweep."""
    check_writable(out / "cell.png")
    summary = out / "sweep.json"
    if summary.exists():
        _check_same(summary, identity)
    elif any(out.iterdir()):
        raise InputError(f"{out} is not empty, and holds no sweep; name a folder of its own with -o")


def _check_same(summary: Path, identity: Any) -> None:
    other = "name another folder with -o, or remove this one"
    try:
        earlier = json.loads(summary.read_bytes())["identity"]
        axes = {name: values for name, values in earlier["axes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{summary} cannot be read as that of a sweep; {other}") from error
    if earlier == identity:
        return
    if axes != identity["axes"]:
        then, now = (
            ", ".join(f"{name} {' '.join(values)}" for name, values in x.items()) for x in (axes, identity["axes"])
        )
        raise InputError(
            f"{summary.parent} holds another sweep ({then or 'one cell'}; here {now or 'one cell'}); {other}"
        )
    raise InputError(
        f"{summary.parent} holds a sweep of these axes, but of other pictures, settings or weights; {other}"
    )
