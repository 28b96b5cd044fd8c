"""The app's page: Gradio's parts, and what happens when they are used.

A visitor is known by a token that the browser keeps, so that a reload finds the pictures made so far. Of a visitor's
files nothing is kept but in a folder of the app's own, which is gone when it ends.
"""

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
from jaxstyle.app.uploads import Limits, taken
from jaxstyle.cli.parser import Axis
from jaxstyle.cli.settings import FIELDS
from jaxstyle.cli.startup import files_of_gradio
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Held
from jaxstyle.pictures.resample import resize

LOOK_EVERY = 0.5  # seconds between two pictures on the page
NEWS_EVERY = 3.0  # seconds between two looks for new pictures; a page that has gone is noticed after up to 15
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
                gr.Warning(_plain(error))
        return kept

    def _request(self, content: str | None, styles: Any, start: str | None, *chosen: Any) -> Request:
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
            return Request(held, tuple(self._named(path, names) for path, _ in styles), first, settings)
        except (InputError, ValueError, OSError) as error:
            raise gr.Error(_plain(error)) from error

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
        """The button Paint: picture, line, curve, file, command, history."""
        visitor, request = self._visitor(token), self._request(*given)
        job = visitor.job = Job()
        out = visitor.folder / f"{visitor.next_name()}.png"
        work = functools.partial(paint, request=request, out=out, limits=self.limits)
        latest: Any = None
        yield [gr.skip(), "reading the pictures", None, None, "", gr.skip()]
        for _ in job.run(_noted(visitor, work), look_every=LOOK_EVERY):
            if job.latest is latest:
                yield [gr.skip(), told(job), *[gr.skip()] * 4]
                continue
            latest = job.latest
            assert latest is not None
            yield [
                _enlarged(np.asarray(latest.image), request.chosen["size"]),
                told(job),
                _curve(latest),
                *[gr.skip()] * 3,
            ]
        if job.error is not None:
            gr.Warning(_plain(job.error))
        if () not in job.made:
            yield [gr.skip(), "stopped before the first picture" if job.error is None else "failed", *[gr.skip()] * 4]
            return
        shown, about, *rest = _of(job.made[()])
        yield [shown, about, gr.skip() if job.latest is None else _curve(job.latest), *rest, _shown(visitor.made)]

    def explore(self, token: str, one: str, values: str, two: str, others: str, *given: Any) -> Iterator[list[Any]]:
        """The button Explore: grid, line."""
        visitor, request = self._visitor(token), self._request(*given)
        axes = [axis for axis in (_axis(one, values), _axis(two, others)) if axis is not None]
        if len({axis.name for axis in axes}) < len(axes):
            raise gr.Error("The two settings are the same; choose two, or none for one of them.")
        cells = int(np.prod([len(axis.values) for axis in axes]))
        if not 2 <= cells <= MOST_CELLS:
            raise gr.Error(f"These values make {cells} pictures; 2 to {MOST_CELLS} are possible.")
        settings = {**request.chosen, "size": min(request.chosen["size"], defaults.SWEEP_SIZE)}
        request = Request(request.content, request.styles, request.start, settings)
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
            gr.Warning(_plain(job.error))
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
        request = self._request(content, styles, None, *DEFAULTS.values())
        from jaxstyle.cli.sources import read_picture

        first, second = (read_picture(x, defaults.DEMO_SIZE, large=True) for x in (request.content, request.styles[0]))
        return np.rint(np.clip(self._preview(first.pixels, second.pixels, strength), 0, 1) * 255).astype(np.uint8)


SETTINGS = (
    *("size", "style_weight", "steps", "optimizer", "color", "network", "style_scale", "content_weight"),
    *("tv_weight", "style_loss", "init", "seed"),
)
DEFAULTS: dict[str, Any] = {
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


def _noted(visitor: Visitor, work: Callable[[Job], None]) -> Callable[[Job], None]:
    """The work, whose picture goes into the history whoever still looks at the page."""

    def whole(job: Job) -> None:
        try:
            work(job)
        finally:
            if () in job.made:
                visitor.made.insert(0, job.made[()])

    return whole


def _plain(error: object) -> str:
    """An error as one line that is no markup."""
    return " ".join(str(error).replace("<", "\u2039").replace(">", "\u203a").split())[:300]


def _axis(name: str, values: str) -> Axis | None:
    """A setting with values as the command line has them; None for none."""
    if name == NONE:
        return None
    try:
        found = [x for word in values.split() for x in FIELDS[name].spread(word)]
    except ValueError as error:
        raise gr.Error(_plain(f"{name.replace('_', ' ')}: {error}")) from error
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
    """A picture that is there: itself, a line, its file, its command."""
    how = f"{made.status}, {made.seconds:.0f} s; loss {made.losses['total']:.3g}"
    terms = f"content {made.losses['content']:.3g}, style {made.losses['style']:.3g}"
    return [str(made.path), f"{how} ({terms})", gr.DownloadButton(value=str(made.path), interactive=True), made.command]


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


def build(app: App, *, preview: Preview | None = None) -> gr.Blocks:
    """The page."""
    limits = app.limits
    with gr.Blocks(title="jaxstyle", analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True) as page:
        token = gr.BrowserState(None, storage_key="jaxstyle")
        gr.Markdown("# jaxstyle\nOne picture painted in the manner of another. Drop a content and a style, and paint.")
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                content = _upload(elem_id="content", label="Content", sources=["upload", "clipboard"], height=240)
                styles = gr.Gallery(
                    label="Style, or several", type="filepath", interactive=True, columns=3, height=240,
                    object_fit="contain", file_types=["image"], elem_id="styles", **_WHOLE,
                )  # fmt: skip
                inputs = _settings(app)
                start = _upload(elem_id="start", label="Start from a picture", sources=["upload"], height=160)
            with gr.Column(scale=2, min_width=320):
                if preview is not None:
                    shown = gr.Image(label="Preview", interactive=False, height=320)
                    strength = gr.Slider(0, 1, value=1, label="Strength")
                    for part in (content, styles, strength):
                        part.change(
                            app.preview, [content, styles, strength], shown,
                            trigger_mode="always_last", show_progress="hidden", concurrency_id="preview",
                        )  # fmt: skip
                with gr.Row():
                    go = gr.Button("Paint", variant="primary", elem_id="paint", scale=3)
                    stop = gr.Button("Stop", variant="stop", elem_id="stop", scale=1, min_width=80)
                result = gr.Image(
                    label="Result", interactive=False, height=480, format="png", elem_id="result", **_PLAIN
                )  # fmt: skip
                line = gr.Markdown("", elem_id="line")
                download = gr.DownloadButton("Download, with its record", interactive=False, elem_id="download")
                with gr.Tabs():
                    with gr.Tab("Curve"):
                        curve = gr.LinePlot(
                            x="step", y="loss", y_title="log10 of the loss", height=240, label="Loss", elem_id="curve"
                        )
                    with gr.Tab("Explore"):
                        grid_parts = _explorer()
                    with gr.Tab("History"):
                        history = gr.Gallery(
                            label="Pictures so far", columns=4, height=320, allow_preview=False, interactive=False,
                            object_fit="contain", elem_id="history",
                        )  # fmt: skip
                    with gr.Tab("Command line"):
                        command = gr.Code(
                            label="What makes the same picture", language="shell", interactive=False, wrap_lines=True,
                            elem_id="command",
                        )  # fmt: skip
        gr.Markdown(
            f"Pictures of up to {limits.megabytes} MB and {limits.megapixels} million pixels are taken, and results of "
            f"up to {limits.side} pixels made. One picture is painted at a time."
        )
        given = [content, styles, start, *inputs]
        one_at_a_time: Any = {"concurrency_limit": 1, "concurrency_id": "device", "show_progress": "minimal"}
        content.upload(app.check_one, content, content, show_progress="hidden")
        start.upload(app.check_one, start, start, show_progress="hidden")
        styles.upload(app.check_several, styles, styles, show_progress="hidden")
        parts = [result, line, download, command]
        go.click(app.paint, [token, *given], [result, line, curve, download, command, history], **one_at_a_time)
        stop.click(app.stop, token, None, concurrency_limit=None, show_progress="hidden")
        one, values, two, others, search, grid, about = grid_parts
        search.click(app.explore, [token, one, values, two, others, *given], [grid, about], **one_at_a_time)
        grid.select(app.choose, token, [start, *inputs, *parts], show_progress="hidden")
        history.select(app.look_back, token, [*inputs, *parts], show_progress="hidden")
        known = gr.State(0)
        gr.Timer(NEWS_EVERY).tick(
            app.news, [token, known], [history, known], concurrency_limit=None, show_progress="hidden"
        )
        page.load(app.arrive, token, [token, history], show_progress="hidden")
        page.unload(app.leave)
    return page


# Gradio 6 has other names for what a result's buttons are, none of which is to send it away, and can leave a single
# picture of a gallery whole.
_SIX = int(gr.__version__.split(".")[0]) >= 6
_PLAIN: Any = {"buttons": ["download", "fullscreen"]} if _SIX else {"show_share_button": False}
_WHOLE: Any = {"fit_columns": False, "sources": ["upload", "clipboard"]} if _SIX else {}


def _upload(**options: Any) -> gr.Image:
    """A place for a picture, which hands on the uploaded file as it is: what it holds is found out by what jaxstyle
    reads with."""
    part = gr.Image(type="filepath", **options)

    def file_of(payload: Any) -> str | None:
        """The file, which Gradio has found to be one of its uploads."""
        return None if payload is None else payload.path

    part.preprocess = file_of
    return part


def _settings(app: App) -> list[Any]:
    """The settings, in the order of `SETTINGS`."""
    side = app.limits.side
    size = gr.Slider(64, side, value=min(side, defaults.SIZE), step=16, label="Size, long side in pixels")
    style_weight = gr.Slider(1, 300, value=DEFAULTS["style_weight"], step=1, label="Style weight")
    with gr.Accordion("More settings", open=False):
        steps = gr.Slider(1, 300, value=defaults.STEPS, step=1, label="Steps at each size")
        optimizer = gr.Radio(list(defaults.SOLVERS), value=defaults.SOLVER, label="Optimizer")
        color = gr.Radio(
            [("the style's", "style"), ("the content's", "luminance"), ("content's, lightness painted", "lab"),
             ("style's matched to the content's", "match")],
            value="style", label="Colours",
        )  # fmt: skip
        network = gr.Dropdown(list(app.networks), value=app.networks[0], label="Network")
        style_scale = gr.Slider(0.25, 4, value=1, step=0.05, label="Size of the style's strokes")
        content_weight = gr.Slider(0, 10, value=DEFAULTS["content_weight"], step=0.1, label="Content weight")
        tv_weight = gr.Slider(0, 100, value=DEFAULTS["tv_weight"], step=0.1, label="Smoothness")
        style_loss = gr.Dropdown(list(defaults.STYLE_LOSSES), value="gram", label="Style loss")
        init = gr.Dropdown(list(defaults.STARTS), value="content", label="Start")
        seed = gr.Number(defaults.SEED, precision=0, minimum=0, label="Seed")
    found = locals()
    return [found[name] for name in SETTINGS]


def _explorer() -> tuple[Any, ...]:
    """Two settings with values each, the button, the grid and a line on it."""
    names = [(name.replace("_", " "), name) for name in EXPLORED]
    with gr.Row():
        one = gr.Dropdown(names, value="style_weight", label="Rows")
        values = gr.Textbox(EXPLORED["style_weight"], label="Values")
    with gr.Row():
        two = gr.Dropdown([*names, (NONE, NONE)], value="tv_weight", label="Columns")
        others = gr.Textbox(EXPLORED["tv_weight"], label="Values")
    for axis, box in ((one, values), (two, others)):
        axis.input(lambda name: EXPLORED.get(name, ""), axis, box, show_progress="hidden", queue=False)
    search = gr.Button("Explore", variant="primary", elem_id="explore")
    about = gr.Markdown("", elem_id="about")
    grid = gr.Gallery(
        label="A click takes a picture as the next start, and its settings", columns=3, height=480,
        allow_preview=False, interactive=False, object_fit="contain", elem_id="grid", visible=False,
    )  # fmt: skip
    return one, values, two, others, search, grid, about


def serve(
    *, host: str, port: int | None, limits: Limits, networks: Sequence[str], started: Callable[[str], None],
    wait: Callable[[], None], open_browser: bool = False, preview: Preview | None = None,
) -> None:  # fmt: skip
    """Serves the app until `wait` returns or raises; then its files are gone.

    Args:
      host, port: to listen at; None for the first free port from 7860 on.
      started: is told the address.
      wait: returns, or raises, when it is time to end.
    """
    with tempfile.TemporaryDirectory(prefix="jaxstyle-app-") as folder, files_of_gradio(str(Path(folder, "gradio"))):
        app = App(Path(folder), limits, networks, preview)
        page = build(app, preview=preview)
        page.queue(max_size=32)
        try:
            _, address, _ = page.launch(
                server_name=host, server_port=port, quiet=True, prevent_thread_lock=True, ssr_mode=False, share=False,
                max_file_size=limits.megabytes * 10**6, inbrowser=open_browser, show_error=True,
            )  # fmt: skip
            started(address)
            wait()
        finally:
            app.close()
            page.close(verbose=False)
