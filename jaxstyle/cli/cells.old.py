"""The cells of a sweep on their way to files: grouped into programs, run in batches, saved, summed up."""

import functools
import json
import math
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxstyle.allocator import available_memory
from jaxstyle.commands.coloring import finished, prepared_content, prepared_style, prepared_styles
from jaxstyle.commands.grid import Setting
from jaxstyle.commands.inputs import Inputs
from jaxstyle.commands.records import made_from, mask_arrays, mask_words, save_result
from jaxstyle.commands.session import CommandError, SweepBar, plain_line
from jaxstyle.commands.settings import LISTS, Settings, stacked, term_weights, words
from jaxstyle.errors import InputError
from jaxstyle.files import plain_values, write_files
from jaxstyle.images import read_record
from jaxstyle.networks import Network
from jaxstyle.optimise import Result
from jaxstyle.programs import runs_on_cpu
from jaxstyle.report import Axis, Cell, Source, Sweep, contact_sheet, write_page
from jaxstyle.solvers import Adam
from jaxstyle.sweeps import Plan

# Arrays to a program; all others change it.
LANES = ("content_weight", "style_weight", "tv_weight", "layer_weights", "mix", "mix_layers", "rate", "seed")
DIGITS = 6  # of the losses in records
SUMMARY = "sweep.json"


@dataclass(frozen=True)
class Task:
    """One cell: its place in the grid, what it is made from and where it goes."""

    index: tuple[int, ...]
    inputs: Inputs
    settings: Settings
    origin: dict[str, Any]

    @property
    def program(self) -> tuple[Any, ...]:
        """What must be equal for two cells to be lanes of one program."""
        fixed = tuple(value for name, value in vars(self.settings).items() if name not in LANES)
        lists = tuple(x is None or len(x) for x in map(vars(self.settings).get, LISTS))
        pictures = (self.inputs.content, *self.inputs.styles, *filter(None, [self.inputs.start]))
        return fixed, lists, tuple(picture.pixels.shape for picture in pictures)

    def finished(self) -> dict[str, Any] | None:
        """Its record, where its picture is there already, made from the same."""
        try:
            record = read_record(self.inputs.out)
        except InputError:
            return None
        known = self.inputs.out.exists() and record.get("status") in ("done", "diverged") and "curves" in record
        return record if known and made_from(record) == made_from(self.origin) else None


class Group:
    """Cells that are lanes of one program."""

    def __init__(self, tasks: Sequence[Task], network: Network, lanes: int | None) -> None:
        self.tasks, self.network = tasks, network
        first = tasks[0]
        s = first.settings
        settings = [task.settings for task in tasks]

        # Of each picture, and each pair of them, one array: what all lanes share is computed once. Masks were read for
        # each cell, and are the same.
        content = functools.cache(functools.partial(prepared_content, s.color))
        styled = functools.cache(prepared_style)
        masks, parts = first.inputs.masks, first.inputs.style_masks
        inputs = [replace(task.inputs, masks=masks, style_masks=parts) for task in tasks]
        styles = [prepared_styles(x, s.color, styled) for x in inputs]
        # The style weight always has an axis, so that there is one if nothing else varies.
        style = np.asarray([x.style_weight for x in settings], np.float32)
        self.plan = Plan.of(
            _lanes([content(x.content) for x in inputs]),
            [_lanes(of_one) for of_one in zip(*styles, strict=True)],
            network=network,
            weights=term_weights(*settings)._replace(style=style),
            objective=s.objective,
            solver=replace(s.solver, rate=stacked(settings, "rate")) if isinstance(s.solver, Adam) else s.solver,
            steps=s.steps,
            init=s.init if first.inputs.start is None else first.inputs.start.pixels,  # type: ignore[arg-type]
            min_size=s.min_size,
            average=s.average,
            key=jnp.stack([jax.random.key(x.seed) for x in settings]),
            **mask_arrays(first.inputs),
            margin=s.margin,
        )
        available = available_memory() if runs_on_cpu(network) else None  # accelerators know their own
        self.lanes = lanes or self.plan.lanes_at_once(available=available)

    def steps(self, count: int) -> int:
        """Steps of a bar for so many cells."""
        return count * self.plan.steps * len(self.plan.sizes)


def _lanes(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Each lane's picture, or the one that they share."""
    return pictures[0] if all(pixels is pictures[0] for pixels in pictures) else np.stack(pictures)


class Job:
    """A sweep: what is done, what is to do, and what it leaves in its folder."""

    def __init__(
        self,
        options: Any,
        axes: Sequence[Setting],
        tasks: Sequence[Task],
        networks: dict[tuple[Any, ...], Network],
    ) -> None:
        self.options, self.axes, self.tasks = options, axes, tasks
        self.out, self.began = Path(options.out), time.time()
        self.records: dict[tuple[int, ...], dict[str, Any]] = {}
        self._look_again()
        groups: dict[tuple[Any, ...], list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.program, []).append(task)
        self.groups = [
            Group(group, networks[network_key(group[0].settings)], options.lanes)
            for group in groups.values()
            if any(task.index not in self.records for task in group)
        ]

    def _look_again(self) -> None:
        """Takes in the pictures that are there and not known of."""
        missing = (task for task in self.tasks if task.index not in self.records)
        self.records |= {task.index: record for task in missing if (record := task.finished())}

    def run(self) -> int:
        """Runs what is not done, and saves; the exit code."""
        todo = [(group, self._share(group)) for group in self.groups]
        count = sum(len(lanes) for _, lanes in todo)
        if self.records and not self.options.quiet:
            print(f"{len(self.records)} of {len(self.tasks)} pictures are there already", file=sys.stderr)
        self._write_summary("running")
        try:
            with SweepBar(self.options.quiet, sum(group.steps(len(lanes)) for group, lanes in todo), count) as bar:
                for group, lanes in todo:
                    self._run_group(group, lanes, bar)
        except KeyboardInterrupt:
            self._look_again()  # it may have come between a picture and our note of it
            self._finish("stopped")
            done = f"{len(self.records)} of {len(self.tasks)} pictures are in {self.out}"
            print(f"jaxstyle: stopped; {done}; the same command goes on", file=sys.stderr)
            return 130
        except (InputError, CommandError):
            raise
        except Exception as error:
            self._finish("failed")
            raise CommandError(
                f"{plain_line(error)}; what is done is in {self.out}, the same command goes on"
            ) from error
        self._finish("done")
        extra = f": {len(self.records)} pictures, {time.time() - self.began:.0f} s"
        print(f"{self.out / 'report.html'}{'' if self.options.quiet else extra}")
        return 0

    def _share(self, group: Group) -> list[int]:
        """Lanes that are not done; of several hosts, each takes its part."""
        lanes = [i for i, task in enumerate(group.tasks) if task.index not in self.records]
        return lanes[jax.process_index() :: jax.process_count()] if self.options.distributed else lanes

    def _run_group(self, group: Group, lanes: list[int], bar: SweepBar) -> None:
        began = time.time()

        for batch in group.plan.batches(lanes=group.lanes, chosen=lanes, on_progress=bar.update):
            seconds = (time.time() - began) / len(batch.lanes)
            results = jax.device_get(batch.result)
            for i, lane in enumerate(batch.lanes):
                self._save(group.tasks[lane], jax.tree.map(lambda x, i=i: x[i], results), seconds)
            bar.batch_done(group.steps(len(batch.lanes)), len(batch.lanes))
            self._write_summary("running")
            began = time.time()

    def _save(self, task: Task, result: Result, seconds: float) -> None:
        finite = bool(np.isfinite(result.final.total)) and bool(np.isfinite(result.losses.total).all())
        record = {
            "status": "done" if finite else "diverged",
            **task.origin,
            "seconds": round(seconds, 2),
            "losses": _rounded(result.final._asdict()),
            "evaluations": int(result.evaluations),
            "curves": _rounded(result.losses._asdict()),
        }
        content = task.inputs.content
        save_result(task.inputs.out, finished(task.settings.color, result.image, content), content.alpha, record)
        self.records[task.index] = plain_values(record)

    def _finish(self, status: str) -> None:
        """The summary, the sheet and the page of what there is."""
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("the cells of all hosts are written")
            self._look_again()
        self._write_summary(status)
        if self.records and not jax.process_index():
            sweep = self._sweep()
            contact_sheet(self.out, sweep)
            write_page(self.out, sweep)

    def _write_summary(self, status: str) -> None:
        if jax.process_index():  # the first host writes for all
            return
        cells = [
            {
                "index": task.index,
                "file": task.inputs.out.name,
                "command": self._command(task),
                "settings": vars(task.settings),
                **{
                    name: self.records.get(task.index, {}).get(name)
                    for name in ("status", "losses", "curves", "seconds")
                },
            }
            for task in self.tasks
        ]
        summary = {
            "status": status,
            "identity": identity(self.axes, self.tasks),
            "cells": cells,
        }
        text = json.dumps(plain_values(summary), indent=1, allow_nan=False) + "\n"
        write_files({self.out / SUMMARY: lambda file: file.write(text.encode())})

    def _command(self, task: Task) -> str:
        """What makes the cell alone, at full size."""
        settings = {name: value for name, value in vars(task.settings).items() if name not in ("size", "min_size")}
        content, styles = task.inputs.content.path, [style.path for style in task.inputs.styles]
        options = [word for option in [*words(settings), *mask_words(task.origin)] for word in option]
        return shlex.join(["jaxstyle", "transfer", content, *styles, "-o", task.inputs.out.name, *options])

    def _sweep(self) -> Sweep:
        """What `report` shows."""
        contents: dict[str, int] = {}
        styles: dict[str, int] = {}
        for task in self.tasks:
            contents.setdefault(task.inputs.content.path, len(contents))
            for style in task.inputs.styles:
                styles.setdefault(style.path, len(styles))
        cells = [
            Cell(
                index=task.index,
                file=task.inputs.out.name,
                losses=record["curves"],
                final=record["losses"],
                seconds=record["seconds"],
                command=self._command(task),
                settings={name: value for name, value in record["settings"].items() if value is not None},
                content=contents[task.inputs.content.path],
                styles=tuple(styles[style.path] for style in task.inputs.styles),
            )
            for task in self.tasks
            if (record := self.records.get(task.index))
        ]
        return Sweep(
            title=" and ".join([*map(_stem, contents)][:3])
            + ", in the manner of "
            + ", ".join([*map(_stem, styles)][:3]),
            axes=tuple(Axis(axis.name, axis.label, axis.texts) for axis in self.axes),
            cells=tuple(cells),
            contents=tuple(Source(_stem(path), str(Path(path).resolve())) for path in contents),
            styles=tuple(Source(_stem(path), str(Path(path).resolve())) for path in styles),
        )


def network_key(settings: Settings) -> tuple[Any, ...]:
    """What tells networks apart."""
    return tuple(getattr(settings, name) for name in ("network", "weights", "pooling", "padding", "precision"))


def identity(axes: Sequence[Setting], tasks: Sequence[Task]) -> dict[str, Any]:
    """What makes a sweep the one that it is: its axes, and what its cells are made from."""
    named = {axis.name: axis.texts for axis in axes}
    return plain_values({"axes": named, "cells": [made_from(task.origin) for task in tasks]})


def _stem(path: str) -> str:
    return Path(path).stem


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    def one(x: float) -> float:
        return x if not math.isfinite(x) else float(f"{x:.{DIGITS}g}")

    return {
        name: [one(x) for x in np.ravel(value).tolist()] if np.ndim(value) else one(float(value))
        for name, value in values.items()
    }
