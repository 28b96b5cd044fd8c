"""`jaxstyle sweep`: every combination of some settings, small; a sheet and a page to choose from."""

import argparse
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jaxstyle.commands.folder import results_folder
from jaxstyle.commands.grid import Setting, axes_of, cells_of, words_of_grid
from jaxstyle.commands.inputs import Inputs, check_options, read_picture, read_pictures, with_words
from jaxstyle.errors import InputError
from jaxstyle.pictures.images import check_writable

if TYPE_CHECKING:
    from jaxstyle.commands.cells import Task
    from jaxstyle.networks import Network

Cells: TypeAlias = Sequence[tuple[tuple[int, ...], argparse.Namespace, Inputs]]


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, runs what is not done yet, and writes the summary."""
    if options.grid:
        options = options.parse(with_words(options.arguments, words_of_grid(options.grid)))
    axes = axes_of(options)
    out, read = Path(options.out), functools.cache(read_picture)
    cells = []
    for index, cell in cells_of(options, axes):
        check_options(cell)
        cells.append((index, cell, read_pictures(cell, out / file_name(axes, index), read=read)))
    tasks, networks = tasks_of(options, cells)
    from jaxstyle.commands.cells import Job, identity

    with results_folder(out):
        _check_folder(out, identity(axes, tasks))
        job = Job(options, axes, tasks, networks)
    return job.run()


def tasks_of(options: argparse.Namespace, cells: Cells) -> tuple[list["Task"], dict[tuple[Any, ...], "Network"]]:
    """Cells, each with its options and pictures, made ready to run; and their networks."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.commands.cells import Task, network_key
    from jaxstyle.commands.records import origin
    from jaxstyle.commands.session import start_jax
    from jaxstyle.commands.settings import open_network, resolve
    from jaxstyle.weights import show

    start_jax(distributed=options.distributed, lanes=options.lanes or len(cells))
    settings = [resolve(cell, inputs.size, short_side=inputs.short_side) for _, cell, inputs in cells]
    distinct = {network_key(s): s for s in settings}
    # Made ready for steps here, since cells of several sizes share a network.
    networks = {key: open_network(s, options.quiet).for_steps((s.size, s.size)) for key, s in distinct.items()}
    held = {name: show(name) for name in {s.weights or s.network for s in settings}}
    tasks = [
        Task(index, inputs, s, origin(inputs, s, held=held[s.weights or s.network]))
        for (index, _, inputs), s in zip(cells, settings, strict=True)
    ]
    return tasks, networks


def file_name(axes: Sequence[Setting], index: Sequence[int]) -> str:
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
