"""Who uses the app, and what happens when they use a part of its page.

A visitor is known by a token that the browser keeps, so that a reload finds the pictures made so far. Of a visitor's
files nothing is kept but in a folder of the app's own, which is gone when it ends.
"""

import dataclasses
import functools
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd

from jaxstyle import defaults
from jaxstyle.app.jobs import Job, Made, Request, explore, paint, told
from jaxstyle.app.masks import canvas, legend, masks_of
from jaxstyle.app.uploads import Limits, safe_name, taken
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.settings import FIELDS
from jaxstyle.cli.sources import read_picture
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Held
from jaxstyle.pictures.resample import resize

LOOK_EVERY = 0.5  # seconds between two pictures on the page
LEAST_SIDE = 384  # pixels, of a picture on the way
HISTORY = 40  # pictures of a visitor that are shown again
MOST_CELLS = 25  # of a grid
EXPLORED = {  # settings that may vary, and the values that are proposed
    "style_weight": "10 30 100",
    "tv_weight": "0.3 3 30",
    "content_weight": "0.3 1 3",
    "style_scale": "0.5 1 2",
    "color": "style luminance match",
    "style_loss": "gram wasserstein mean-std",
    "seed": "0 1 2",
}
NONE = "none"
Preview = Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # content, style, strength in [0, 1] -> picture


@dataclass
class Visitor:
    """What is known of somebody who uses the app.

    Attributes:
      folder: of the pictures that were made.
      made: the pictures, the latest first.
      grid: those of the latest grid, in its order.
      job: the latest one.
    """

    folder: Path
    made: list[Made] = field(default_factory=list)
    grid: list[Made] = field(default_factory=list)
    job: Job | None = None
    count: int = 0

    def next_name(self) -> str:
        """A name that no picture of theirs has yet."""
        self.count += 1
        return f"jaxstyle_{self.count:03d}"


class App:
    """What happens on the page.

    Attributes:
      limits: what is taken, and made.
      networks: at hand, the usual one first.
    """

    def __init__(self, folder: Path, limits: Limits, networks: Sequence[str], preview: Preview | None = None) -> None:
        self.limits, self.networks, self._preview = limits, tuple(networks), preview
        self._folder, self._visitors = folder, dict[str, Visitor]()
        self._sessions: dict[str, str] = {}  # which visitor a page is of

    # Visitors.

    def arrive(self, token: str | None, request: gr.Request) -> tuple[str, list[tuple[str, str]]]:
        """A page is opened, or opened again: its token, and the pictures so far."""
        if token not in self._visitors:
            token = secrets.token_hex(16)
            self._visitors[token] = Visitor(Path(tempfile.mkdtemp(dir=self._folder)))
        self._sessions[str(request.session_hash)] = token
        return token, _shown(self._visitors[token].made)

    def news(self, token: str | None, known: int) -> tuple[Any, int]:
        """Pictures that have come since so many were known: of a job that another page, or this one before a reload,
        has begun."""
        made = self._visitors[token].made if token in self._visitors else []
        return (gr.skip() if len(made) == known else _shown(made)), len(made)

    def leave(self, request: gr.Request) -> None:
        """A page is closed: its job stops."""
        token = self._sessions.pop(str(request.session_hash), None)
        if token is not None:
            self._stop(self._visitors[token])

    def close(self) -> None:
        """All jobs stop, and have ended."""
        for visitor in list(self._visitors.values()):
            self._stop(visitor)
        for visitor in list(self._visitors.values()):
            if visitor.job is not None:
                visitor.job.ended(60)

    def _stop(self, visitor: Visitor) -> bool:
        running = visitor.job is not None and not visitor.job.ended(0)
        if visitor.job is not None:
            visitor.job.stop()
        return running

    def stop(self, token: str) -> None:
        """The button Stop."""
        if not self._stop(self._visitor(token)):
            gr.Info("Nothing is running.")

    def _visitor(self, token: str | None) -> Visitor:
        if token not in self._visitors:
            raise gr.Error("The app has been started anew; load the page again.")
        return self._visitors[token]

    # Pictures that come in.

    def check_one(self, path: str | None) -> str | None:
        """An upload is kept if it is a picture; else a message says why not."""
        return path if path is None or self._taken([path]) else None

    def check_several(self, given: list[tuple[str, Any]] | None) -> list[str] | None:
        """Of several uploads those are kept that are pictures."""
        return self._taken([path for path, _ in given or ()]) or None

    def _taken(self, paths: Sequence[str]) -> list[str]:
        kept = []
        for path in paths:
            try:
                taken(path, self.limits)
                kept.append(path)
            except (InputError, OSError) as error:
                gr.Warning(plain(error))
        return kept

    # Regions.

    def canvas(self, content: str | None) -> dict[str, Any] | None:
        """A content, or none, is what regions are painted on."""
        try:
            shown = None if content is None else canvas(taken(content, self.limits))
        except (InputError, OSError):  # which is told where it is taken
            shown = None
        return None if shown is None else {"background": shown, "layers": [], "composite": None}

    def colours(self, styles: Any) -> str:
        """A line on the colours to paint in."""
        return legend([safe_name(path) for path, _ in styles or ()])

    def _request(
        self, content: str | None, styles: Any, start: str | None, paint: Held | None, *chosen: Any
    ) -> Request:
        """What the settings on the page ask for."""
        if content is None or not styles:
            raise gr.Error("Give a content and at least one style.")
        settings = dict(zip(SETTINGS, chosen, strict=True))
        try:
            for name in SETTINGS:
                settings[name] = FIELDS[name].check(settings[name])
            settings["size"] = min(settings["size"], self.limits.side)
            held = taken(content, self.limits)
            first = None if start is None else taken(start, self.limits)
            names = {held.path, *(() if first is None else (first.path,))}
            masks = () if paint is None else masks_of(paint, held, len(styles))
            return Request(held, tuple(self._named(path, names) for path, _ in styles), first, settings, masks)
        except (InputError, ValueError, OSError) as error:
            raise gr.Error(plain(error)) from error

    def _named(self, path: str, names: set[str]) -> Held:
        """A style under a name that no other picture has."""
        held = taken(path, self.limits)
        name, number = Path(held.path), 2
        while str(name) in names:
            name, number = Path(held.path).with_stem(f"{Path(held.path).stem}_{number}"), number + 1
        names.add(str(name))
        return Held(held.content, str(name), str(name))

    # Painting.

    def paint(self, token: str, *given: Any) -> Iterator[list[Any]]:
        """The button Paint: picture, line, curve, file, masks, command, history."""
        visitor, request = self._visitor(token), self._request(*given)
        job = visitor.job = Job()
        out = visitor.folder / f"{visitor.next_name()}.png"
        work = functools.partial(paint, request=request, out=out, limits=self.limits)
        latest: Any = None
        yield [gr.skip(), "reading the pictures", None, None, _masks(()), "", gr.skip()]
        for _ in job.run(_noted(visitor, work), look_every=LOOK_EVERY):
            if job.latest is latest:
                yield [gr.skip(), told(job), *[gr.skip()] * 5]
                continue
            latest = job.latest
            assert latest is not None
            yield [
                _enlarged(np.asarray(latest.image), request.chosen["size"]),
                told(job),
                _curve(latest),
                *[gr.skip()] * 4,
            ]
        if job.error is not None:
            gr.Warning(plain(job.error))
        if () not in job.made:
            yield [gr.skip(), "stopped before the first picture" if job.error is None else "failed", *[gr.skip()] * 5]
            return
        shown, about, *rest = _of(job.made[()])
        yield [shown, about, gr.skip() if job.latest is None else _curve(job.latest), *rest, _shown(visitor.made)]

    def explore(self, token: str, one: str, values: str, two: str, others: str, *given: Any) -> Iterator[list[Any]]:
        """The button Explore: grid, line."""
        visitor, request = self._visitor(token), self._request(*given)
        axes = [axis for axis in (axis_of(one, values), axis_of(two, others)) if axis is not None]
        if len({axis.name for axis in axes}) < len(axes):
            raise gr.Error("The two settings are the same; choose two, or none for one of them.")
        cells = int(np.prod([len(axis.values) for axis in axes]))
        if not 2 <= cells <= MOST_CELLS:
            raise gr.Error(f"These values make {cells} pictures; 2 to {MOST_CELLS} are possible.")
        settings = {**request.chosen, "size": min(request.chosen["size"], defaults.SWEEP_SIZE)}
        request = dataclasses.replace(request, chosen=settings)
        job = visitor.job = Job()
        folder = visitor.folder / visitor.next_name()
        folder.mkdir()
        work = functools.partial(explore, request=request, axes=axes, folder=folder, limits=self.limits)
        visitor.grid, count = [], -1
        yield [gr.Gallery(value=[], columns=len(axes[-1].values), visible=True), "reading the pictures"]
        for _ in job.run(work, look_every=LOOK_EVERY):
            line = f"{len(job.made)} of {cells} pictures; {told(job)}"
            yield [gr.skip() if len(job.made) == count else _cells(visitor, job, axes), line]
            count = len(job.made)
        if job.error is not None:
            gr.Warning(plain(job.error))
        line = f"{len(job.made)} of {cells} pictures, {time.time() - job.began:.0f} s; choose one to go on with it"
        yield [_cells(visitor, job, axes), line]

    def choose(self, token: str, event: gr.SelectData) -> list[Any]:
        """A cell of the grid is chosen: its picture is the next start, its settings are the page's."""
        cell = self._visitor(token).grid[event.index]
        return [str(cell.path), *_settings_of(cell, but=("size",)), *_of(cell)]

    def look_back(self, token: str, event: gr.SelectData) -> list[Any]:
        """A picture of the history is chosen: it is shown, with its settings."""
        made = self._visitor(token).made[event.index]
        return [*_settings_of(made), *_of(made)]

    def preview(self, content: str | None, styles: Any, strength: float) -> np.ndarray | None:
        """What one pass makes of it, for every change."""
        if self._preview is None or content is None or not styles:
            return None
        try:
            request = self._request(content, styles, None, None, *DEFAULTS.values())
        except gr.Error:  # which is told where the picture is taken
            return None
        first, second = (read_picture(x, defaults.DEMO_SIZE, large=True) for x in (request.content, request.styles[0]))
        return np.rint(np.clip(self._preview(first.pixels, second.pixels, strength), 0, 1) * 255).astype(np.uint8)


DEFAULTS: dict[str, Any] = {  # of the settings on the page
    "size": defaults.SIZE,
    "style_weight": defaults.STYLE_WEIGHT,
    "steps": defaults.STEPS,
    "optimizer": defaults.SOLVER,
    "color": "style",
    "network": defaults.NETWORK,
    "style_scale": 1.0,
    "content_weight": defaults.CONTENT_WEIGHT,
    "tv_weight": defaults.VARIATION_WEIGHT,
    "style_loss": "gram",
    "init": "content",
    "seed": defaults.SEED,
}
SETTINGS = tuple(DEFAULTS)  # in the order in which the page hands them on


def _noted(visitor: Visitor, work: Callable[[Job], None]) -> Callable[[Job], None]:
    """The work, whose picture goes into the history whoever still looks at the page."""

    def whole(job: Job) -> None:
        try:
            work(job)
        finally:
            if () in job.made:
                visitor.made.insert(0, job.made[()])

    return whole


def plain(error: object) -> str:
    """An error as one line that is no markup."""
    return " ".join(str(error).replace("<", "\u2039").replace(">", "\u203a").split())[:300]


def axis_of(name: str, values: str) -> Axis | None:
    """A setting with values as the command line has them; None for none."""
    if name == NONE:
        return None
    try:
        found = [x for word in values.split() for x in FIELDS[name].spread(word)]
    except ValueError as error:
        raise gr.Error(plain(f"{name.replace('_', ' ')}: {error}")) from error
    if not found:
        raise gr.Error(f"{name.replace('_', ' ')} has no values; give some, with blanks between.")
    return Axis(name, tuple(dict.fromkeys(found)))


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """A picture on the way in 8 bits, at the size of the last scale, so that it does not grow on the page."""
    factor = max(side, LEAST_SIDE) / max(image.shape[:2])
    height, width = (round(x * factor) for x in image.shape[:2])
    return np.rint(np.clip(resize(image, height, width), 0, 1) * 255).astype(np.uint8)


def _curve(state: Any) -> pd.DataFrame:
    """The loss by step, as its logarithm."""
    losses = np.maximum(np.asarray(state.losses.total, np.float64), 1e-12)
    every = max(1, len(losses) // 300)
    steps = np.arange(1, len(losses) + 1)[::every]
    return pd.DataFrame({"step": steps, "loss": np.log10(losses[::every])})


def _of(made: Made) -> list[Any]:
    """A picture that is there: itself, a line, its file, its masks, its command."""
    how = f"{made.status}, {made.seconds:.0f} s; loss {made.losses['total']:.3g}"
    terms = f"content {made.losses['content']:.3g}, style {made.losses['style']:.3g}"
    file = gr.DownloadButton(value=str(made.path), interactive=True)
    return [str(made.path), f"{how} ({terms})", file, _masks(made.masks), made.command]


def _masks(places: Sequence[Path]) -> gr.File:
    """Masks to download, where there are any."""
    return gr.File(value=[str(place) for place in places] or None, visible=bool(places))


def _settings_of(made: Made, *, but: Sequence[str] = ()) -> list[Any]:
    """Its settings, in the page's order."""
    return [gr.skip() if name in but else made.settings[name] for name in SETTINGS]


def _shown(made: Sequence[Made]) -> list[tuple[str, str]]:
    """Pictures with captions."""
    return [
        (str(one.path), f"style {one.settings['style_weight']:g}, {one.settings['color']}, {one.seconds:.0f} s")
        for one in made[:HISTORY]
    ]


def _cells(visitor: Visitor, job: Job, axes: Sequence[Axis]) -> list[tuple[str, str]]:
    """The pictures of a grid, rows first, each with its values."""
    places = sorted(job.made)
    visitor.grid = [job.made[place] for place in places]
    return [(str(one.path), ", ".join(_value(one, axis.name) for axis in axes)) for one in visitor.grid]


def _value(one: Made, name: str) -> str:
    value = one.settings[name]
    return f"{name.replace('_', ' ')} {value:g}" if isinstance(value, int | float) else f"{value}"
