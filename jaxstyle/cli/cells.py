"""The cells of a sweep on their way to files: grouped into programs, run in batches, saved, summed up."""

import contextlib
import functools
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxstyle.cli.again import command_of
from jaxstyle.cli.coloring import finished, prepared_content, prepared_style, prepared_styles
from jaxstyle.cli.folder import SUMMARY
from jaxstyle.cli.grid import Cells, label_of, texts_of
from jaxstyle.cli.machine import available_memory
from jaxstyle.cli.messages import CommandError, name_of, plain_line, say
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.records import known_of, made_from, mask_arrays, origin, save_result
from jaxstyle.cli.resolve import LISTS, objective_of, open_for, resolve, solver_of, stacked, weights_of
from jaxstyle.cli.settings import NetworkSettings, Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.cli.starting import start_of
from jaxstyle.cli.startup import start_jax
from jaxstyle.cli.stopping import STOPPED
from jaxstyle.cli.terminal import SweepBar
from jaxstyle.cli.upscaling import check_enlarged, enlarged
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.run import Progress, Result
from jaxstyle.engine.sweep import batches, lanes_at_once
from jaxstyle.errors import InputError
from jaxstyle.files import plain_values, shown, write_files
from jaxstyle.marks import UNSEALED, replace_in_place, sealed
from jaxstyle.networks import Network
from jaxstyle.objective import LossTerms
from jaxstyle.pictures.write import read_record
from jaxstyle.report.contact_sheet import SHEET, contact_sheet
from jaxstyle.report.page import PAGE, write_page
from jaxstyle.report.summary import Axis as ShownAxis
from jaxstyle.report.summary import Cell, Source, Sweep
from jaxstyle.solvers import Adam

# Arrays to a program; all others change it.
LANES = ("content_weight", "style_weight", "tv_weight", "layer_weights", "mix", "mix_layers", "rate", "seed")
DIGITS = 6  # of the losses in records


@dataclass(frozen=True)
class Task:
    """One cell: its place in the grid, what it is made from and where it goes."""

    index: tuple[int, ...]
    sources: Sources
    settings: Settings
    origin: dict[str, Any]

    @property
    def program(self) -> tuple[Any, ...]:
        """What must be equal for two cells to be lanes of one program."""
        fixed = tuple(value for name, value in vars(self.settings).items() if name not in LANES)
        lists = tuple(x is None or len(x) for x in map(vars(self.settings).get, LISTS))
        pictures = (self.sources.content, *self.sources.styles, *filter(None, [self.sources.start]))
        return fixed, lists, tuple(picture.pixels.shape for picture in pictures)

    def finished(self) -> dict[str, Any] | None:
        """Its record, where its picture is there already, made from the same."""
        try:
            record = read_record(self.sources.out)
        except InputError:
            return None
        return record if is_of_cell(record) and made_from(record) == made_from(self.origin) else None


class Group:
    """Cells that are lanes of one program."""

    def __init__(self, tasks: Sequence[Task], network: Network, lanes: int | None) -> None:
        self.tasks, self.network = tasks, network
        first = tasks[0]
        s, solver = first.settings, solver_of(first.settings)
        settings = [task.settings for task in tasks]

        # Of each picture, and each pair of them, one array: what all lanes share is computed once. Masks were read for
        # each cell, and are the same.
        content = functools.cache(functools.partial(prepared_content, s.color))
        styled = functools.cache(prepared_style)
        masks, parts = first.sources.masks, first.sources.style_masks
        sources = [replace(task.sources, masks=masks, style_masks=parts) for task in tasks]
        styles = [prepared_styles(x, s.color, styled) for x in sources]
        # The style weight always has an axis, so that there is one if nothing else varies.
        style = np.asarray([x.style_weight for x in settings], np.float32)
        contents = [content(x.content) for x in sources]
        starting = functools.cache(lambda k: start_of(settings[k], sources[k], contents[k], styles[k]))
        beginnings = [_beginning(task) for task in tasks]
        starts = [starting(beginnings.index(one)) for one in beginnings]  # of one beginning, one array
        self.plan, _ = make_plan(
            _lanes(contents),
            [_lanes(of_one) for of_one in zip(*styles, strict=True)],
            network=network,
            weights=weights_of(*settings)._replace(style=style),
            objective=objective_of(s),
            solver=replace(solver, rate=stacked(settings, "rate")) if isinstance(solver, Adam) else solver,
            steps=s.steps,
            init=starts[0] if isinstance(starts[0], str) else _lanes(starts),  # type: ignore[arg-type]
            min_size=s.min_size,
            average=s.average,
            key=jnp.stack([jax.random.key(x.seed) for x in settings]),
            **mask_arrays(first.sources),
            margin=s.margin,
            batch=True,
        )
        available = available_memory() if self.plan.on_cpu else None  # accelerators know their own
        self.lanes = lanes or lanes_at_once(self.plan, available=available)

    def steps(self, count: int) -> int:
        """Steps of a bar for so many cells."""
        return count * self.plan.steps * len(self.plan.scales)


def _beginning(task: Task) -> Any:
    """What is equal for cells that begin with the same picture."""
    content, styles = task.sources.content, task.sources.styles
    return content.sha256, content.pixels.shape, [style.sha256 for style in styles], task.settings.mix


def _lanes(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Each lane's picture, or the one that they share."""
    return pictures[0] if all(pixels is pictures[0] for pixels in pictures) else np.stack(pictures)


class SweepJob:
    """A sweep: what is done, what is to do, and what it leaves in its folder."""

    def __init__(
        self,
        outputs: Outputs,
        out: Path,
        axes: Sequence[Axis],
        tasks: Sequence[Task],
        networks: dict[tuple[Any, ...], Network],
        *,
        lanes: int | None = None,
        distributed: bool = False,
        quiet: bool = False,
        watch: Callable[[Progress], None] | None = None,
    ) -> None:
        """`watch` is shown where a batch stands, too."""
        self.watch = watch
        self.outputs, self.out, self.axes, self.tasks = outputs, out, axes, tasks
        self.distributed, self.quiet, self.began = distributed, quiet, time.time()
        self.records: dict[tuple[int, ...], dict[str, Any]] = {}
        self.look_again()
        groups: dict[tuple[Any, ...], list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.program, []).append(task)
        self.groups = [
            Group(group, networks[network_key(group[0].settings)], lanes)
            for group in groups.values()
            if any(task.index not in self.records for task in group)
        ]

    def look_again(self) -> None:
        """Takes in the pictures that are there and not known of."""
        missing = (task for task in self.tasks if task.index not in self.records)
        self.records |= {task.index: record for task in missing if (record := task.finished())}

    def run(self) -> int:
        """Runs what is not done, and saves; the exit code."""
        todo = [(group, self._share(group)) for group in self.groups]
        count = sum(len(lanes) for _, lanes in todo)
        if self.records and not self.quiet:
            say(f"{len(self.records)} of {len(self.tasks)} pictures are there already")
        self._write_summary("running")
        try:
            with SweepBar(self.quiet, sum(group.steps(len(lanes)) for group, lanes in todo), count) as bar:
                for group, lanes in todo:
                    self._run_group(group, lanes, bar)
            self.finish("done")
        except KeyboardInterrupt:
            self.look_again()  # it may have come between a picture and our note of it
            self._leave("stopped")
            done = f"{len(self.records)} of {len(self.tasks)} pictures are in {shown(self.out)}"
            say(f"jaxstyle: stopped; {done}; the same command goes on")
            return STOPPED
        except InputError:
            raise
        except Exception as error:
            self._leave("failed")
            told = str(error) if isinstance(error, CommandError) else plain_line(error)
            raise CommandError(f"{told}; what is done is in {shown(self.out)}, the same command goes on") from error
        self.announce()
        return 0

    def announce(self) -> None:
        """Says that the page is there."""
        extra = f": {len(self.records)} pictures, {time.time() - self.began:.0f} s"
        print(f"{name_of(self.out / PAGE)}{'' if self.quiet else extra}")

    def _share(self, group: Group) -> list[int]:
        """Lanes that are not done; of several hosts, each takes its part."""
        lanes = [i for i, task in enumerate(group.tasks) if task.index not in self.records]
        return lanes[jax.process_index() :: jax.process_count()] if self.distributed else lanes

    def _run_group(self, group: Group, lanes: list[int], bar: SweepBar) -> None:
        began = time.time()

        def seen(state: Progress) -> None:
            bar.update(state)
            if self.watch:
                self.watch(state)

        for batch in batches(group.plan, lanes=group.lanes, chosen=lanes, on_progress=seen):
            seconds = (time.time() - began) / len(batch.lanes)
            results = jax.device_get(batch.result)
            for i, lane in enumerate(batch.lanes):
                self.save(group.tasks[lane], jax.tree.map(lambda x, i=i: x[i], results), seconds)
            bar.batch_done(group.steps(len(batch.lanes)), len(batch.lanes))
            self._write_summary("running")
            began = time.time()

    def save(self, task: Task, result: Result, seconds: float) -> None:
        """Saves a cell's picture with its record, and notes it."""
        finite = bool(np.isfinite(result.final.total)) and bool(np.isfinite(result.losses.total).all())
        record = {
            "status": "done" if finite else "diverged",
            **task.origin,
            "seconds": round(seconds, 2),
            "losses": _rounded(result.final._asdict()),
            "evaluations": int(result.evaluations),
            "curves": _rounded(result.losses._asdict()),
        }
        content, out = task.sources.content, task.sources.out
        shows = finished(task.settings.color, result.image, content)
        if finite:
            shows = enlarged(shows, task.settings.upscale)
        with self.outputs.writing(out, out.with_suffix(".json")):
            save_result(out, shows, content.alpha, record, overwrite=self.outputs.overwrite)
        self.records[task.index] = plain_values(record)

    def finish(self, status: str) -> None:
        """The summary, the sheet and the page of what there is."""
        if jax.process_count() > 1 and status == "done":  # else they may never come here
            try:
                multihost_utils.sync_global_devices("the cells of all hosts are written")
            except Exception as error:
                raise CommandError(f"another host did not come to the end: {plain_line(error)}") from error
            self.look_again()
        self._write_summary(status)
        if self.records and not jax.process_index():
            sweep = self._sweep()
            with self.outputs.writing(self.out / SHEET):
                contact_sheet(self.out, sweep)
            with self.outputs.writing(self.out / PAGE):
                write_page(self.out, sweep)

    def _leave(self, status: str) -> None:
        """The summary, the sheet and the page of what there is; where there is no room for them, the status."""
        try:
            self.finish(status)
        except CommandError as error:
            if status == "stopped":  # else the reason for this one is told
                say(f"jaxstyle: {error}")
            was = b'"status": "running",'
            with contextlib.suppress(OSError, ValueError):
                replace_in_place(self.out / SUMMARY, was, f'"status": "{status}",'.encode().ljust(len(was)))

    def _write_summary(self, status: str) -> None:
        if jax.process_index():  # the first host writes for all
            return
        cells = [
            {
                "index": task.index,
                "file": task.sources.out.name,
                "command": command_of(task.sources, task.settings, full_size=True),
                "settings": vars(task.settings),
                **{
                    name: self.records.get(task.index, {}).get(name)
                    for name in ("status", "losses", "curves", "seconds")
                },
            }
            for task in self.tasks
        ]
        summary = {
            "mark": {"seal": UNSEALED},
            "status": status,
            "identity": identity(self.axes, self.tasks),
            "cells": cells,
        }
        text = sealed((json.dumps(plain_values(summary), indent=1, allow_nan=False) + "\n").encode())
        target = self.out / SUMMARY
        with self.outputs.writing(target):
            write_files({target: lambda file: file.write(text)})

    def _sweep(self) -> Sweep:
        """What `report` shows."""
        contents: dict[str, int] = {}
        styles: dict[str, int] = {}
        for task in self.tasks:
            contents.setdefault(task.sources.content.path, len(contents))
            for style in task.sources.styles:
                styles.setdefault(style.path, len(styles))
        cells = [
            Cell(
                index=task.index,
                file=task.sources.out.name,
                losses=record["curves"],
                final=record["losses"],
                seconds=record["seconds"],
                command=command_of(task.sources, task.settings, full_size=True),
                settings={name: value for name, value in record["settings"].items() if value is not None},
                content=contents[task.sources.content.path],
                styles=tuple(styles[style.path] for style in task.sources.styles),
            )
            for task in self.tasks
            if (record := self.records.get(task.index))
        ]
        return Sweep(
            title=" and ".join([*map(_stem, contents)][:3])
            + ", in the manner of "
            + ", ".join([*map(_stem, styles)][:3]),
            axes=tuple(ShownAxis(axis.name, label_of(axis), texts_of(axis)) for axis in self.axes),
            cells=tuple(cells),
            contents=tuple(Source(_stem(path), str(Path(path).resolve())) for path in contents),
            styles=tuple(Source(_stem(path), str(Path(path).resolve())) for path in styles),
        )


def tasks_of(
    cells: Cells, *, lanes: int | None, distributed: bool, quiet: bool
) -> tuple[list[Task], dict[tuple[Any, ...], Network]]:
    """Cells, each with its options and pictures, made ready to run; and their networks."""
    start_jax(distributed=distributed, lanes=lanes or len(cells))
    settings = [resolve(cell, sources.size, short_side=sources.short_side) for _, cell, sources in cells]
    for s, (_, _, sources) in zip(settings, cells, strict=True):
        check_enlarged(sources.content, s.upscale, sources.out)
    distinct = {network_key(s): s for s in settings}
    # Made ready for steps here, since cells of several sizes share a network.
    networks = {key: open_for(s, quiet).for_steps((s.size, s.size)) for key, s in distinct.items()}
    held = {s.weights or s.network: known_of(s) for s in distinct.values()}
    tasks = [
        Task(index, sources, s, origin(sources, s, held=held[s.weights or s.network]))
        for (index, _, sources), s in zip(cells, settings, strict=True)
    ]
    return tasks, networks


def network_key(settings: Settings) -> tuple[Any, ...]:
    """What tells networks apart."""
    return tuple(getattr(settings, field.name) for field in fields(NetworkSettings))


def identity(axes: Sequence[Axis], tasks: Sequence[Task]) -> dict[str, Any]:
    """What makes a sweep the one that it is: its axes, and what its cells are made from."""
    named = {axis.name: texts_of(axis) for axis in axes}
    return plain_values({"axes": named, "cells": [made_from(task.origin) for task in tasks]})


def digest_of(identity: Any) -> str:
    """Digits that stand for the identity of a sweep."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def is_of_cell(record: Mapping[str, Any]) -> bool:
    """Whether a record, which may be anybody's, has what the summary and the page show of a cell."""

    def is_number(value: Any) -> bool:
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300)

    def are_numbers(value: Any) -> bool:
        return isinstance(value, list) and all(map(is_number, value))

    losses, curves = record.get("losses"), record.get("curves")
    return (
        record.get("status") in ("done", "diverged")
        and isinstance(losses, dict)
        and isinstance(curves, dict)
        and losses.keys() == curves.keys() == set(LossTerms._fields)
        and all(map(is_number, losses.values()))
        and all(map(are_numbers, curves.values()))
        and record.get("seconds") is not None
        and is_number(record["seconds"])
    )


def _stem(path: str) -> str:
    return Path(path).stem


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    def one(x: float) -> float:
        return x if not math.isfinite(x) else float(f"{x:.{DIGITS}g}")

    return {
        name: [one(x) for x in np.ravel(value).tolist()] if np.ndim(value) else one(float(value))
        for name, value in values.items()
    }
