"""Paint every combination of some settings, small, to choose from.

Runs every combination of the settings that are given several values, and writes the pictures, sheet.png, report.html
and sweep.json to DIR. Ranges: linear:0:1:5, log:1:1000:8, random:0:1:5, log-random:1:1000:8.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.cli.folder import add_results, check_own, check_same, results_folder
from jaxstyle.cli.grid import SweepOptions, axes_of, cells_of, with_grid
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.sources import files_of, read_pictures, reader

Options = SweepOptions


def run(options: Options) -> int:
    """Checks everything that can be checked, runs what is not done yet, and writes the summary."""
    if options.grid is not None:
        options = with_grid(options)
    axes = axes_of(options)
    out, read = Path(options.out), functools.cache(reader(options))
    cells = [
        (index, cell, read_pictures(cell, out / file_name(axes, index), read=read))
        for index, cell in cells_of(options, axes)
    ]
    files = [options.grid, *(path for _, cell, _ in cells for path in files_of(cell))]
    outputs = Outputs(read=dict.fromkeys(files), overwrite=options.overwrite)
    with results_folder(out):
        if not options.overwrite:
            check_own(out)
        add_results(outputs, out, [sources.out for _, _, sources in cells])
        # Only now, since JAX takes a second to load, and wrong input need not wait for it.
        from jaxstyle.cli.cells import SweepJob, digest_of, identity, tasks_of

        how: Any = {"lanes": options.lanes, "distributed": options.distributed, "quiet": options.quiet}
        tasks, networks = tasks_of(cells, **how)
        known = identity(axes, tasks)
        with outputs.claimed(digest_of(known), own_folder=True):
            if not options.overwrite:
                check_same(out, known)
            return SweepJob(outputs, out, axes, tasks, networks, **how).run()


def file_name(axes: Sequence[Axis], index: Sequence[int]) -> str:
    """A cell's file: its place along each axis."""
    places = (f"{i:0{len(str(len(axis.values) - 1))}}" for axis, i in zip(axes, index, strict=True))
    return "_".join(["cell", *places]) + ".png"
