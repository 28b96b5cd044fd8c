"""The app's page, of Gradio's parts, and its server."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from jaxstyle import defaults
from jaxstyle.app.masks import COLOURS, legend
from jaxstyle.app.uploads import Limits
from jaxstyle.app.visitors import DEFAULTS, EXPLORED, NONE, SETTINGS, App, Preview
from jaxstyle.cli.startup import files_of_gradio
from jaxstyle.pictures.read import Held

LAYER_OF = "editor => editor && editor.layers && editor.layers.length ? editor.layers[0] : null"
BRUSH = 40  # radius in pixels of what is painted on
EDITED = 3  # MB; what the editor sends has less, whatever the content
NEWS_EVERY = 3.0  # seconds between two looks for new pictures; a page that has gone is noticed after up to 15


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
                with gr.Accordion("Regions", open=False):
                    regions, layer = _editor(
                        show_label=False, placeholder="Drop a content first", sources=(), transforms=(), layers=False,
                        brush=_brush(), height=380, elem_id="regions", **_BARE,
                    )  # fmt: skip
                    colours = gr.Markdown(legend(()), elem_id="colours")
                start = _upload(elem_id="start", label="Start from a picture", sources=["upload"], height=160)
            with gr.Column(scale=2, min_width=320):
                if preview is not None:
                    shown = gr.Image(label="Preview", interactive=False, height=320, **_PLAIN)
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
                masks = gr.File(
                    label="Its masks, to keep beside it", file_count="multiple", interactive=False, visible=False,
                    elem_id="masks",
                )  # fmt: skip
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
        given = [content, styles, start, layer, *inputs]
        one_at_a_time: Any = {"concurrency_limit": 1, "concurrency_id": "device", "show_progress": "minimal"}
        checked = content.upload(app.check_one, content, content, show_progress="hidden")
        start.upload(app.check_one, start, start, show_progress="hidden")
        styles.upload(app.check_several, styles, styles, show_progress="hidden")
        for event in (checked.then, content.clear, regions.clear):
            event(app.canvas, content, regions, show_progress="hidden", **_elsewhere(content))
        styles.change(app.colours, styles, colours, show_progress="hidden")
        parts = [result, line, download, masks, command]
        shown_of_job = [result, line, curve, download, masks, command, history]
        painted = {"fn": None, "js": LAYER_OF, "inputs": regions, "outputs": layer, "show_progress": "hidden"}
        go.click(**painted).then(app.paint, [token, *given], shown_of_job, **one_at_a_time)
        stop.click(app.stop, token, None, concurrency_limit=None, show_progress="hidden")
        one, values, two, others, search, grid, about = grid_parts
        search.click(**painted).then(
            app.explore, [token, one, values, two, others, *given], [grid, about], **one_at_a_time
        )
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
# picture of a gallery whole. At every event on the page it asks each part that a function was given, or shows progress,
# for its value. The editor would send all that it has, time and again: hence `_elsewhere`, and `LAYER_OF`.
_SIX = int(gr.__version__.split(".")[0]) >= 6
_PLAIN: Any = {"buttons": ["download", "fullscreen"]} if _SIX else {"show_share_button": False}
_WHOLE: Any = {"fit_columns": False, "sources": ["upload", "clipboard"]} if _SIX else {}
_BARE: Any = {"buttons": []} if _SIX else {"show_download_button": False, "show_share_button": False}


def _upload(**options: Any) -> gr.Image:
    """A place for a picture, which hands on the uploaded file as it is: what it holds is found out by what jaxstyle
    reads with."""
    part = gr.Image(type="filepath", **options)

    def file_of(payload: Any) -> str | None:
        """The file, which Gradio has found to be one of its uploads."""
        return None if payload is None else payload.path

    part.preprocess = file_of
    return part


def _elsewhere(part: Any) -> dict[str, Any]:
    """Progress is shown on this part, and not on what comes out."""
    return {"show_progress_on": part} if _SIX else {}


def _editor(**options: Any) -> tuple[gr.ImageEditor, gr.File]:
    """What regions are painted in, and what its layer is handed on by, as it is, too. Of the rest nothing is read."""
    editor, layer = gr.ImageEditor(**options), gr.File(visible=False)

    def paint_of(payload: Any) -> Held | None:
        """The layer, which Gradio has found to be one of its uploads; None before anything was painted."""
        if payload is None:
            return None
        return Held(Path(payload.path).read_bytes(), "regions", "what is painted in Regions")

    editor.accept_blobs = None  # keeps bytes in the server's memory, which this page does without
    layer.preprocess = paint_of
    return editor, layer


def _brush() -> gr.Brush:
    """A brush as large as regions are."""
    colours: Any = ["#" + bytes(colour).hex() for colour in COLOURS.values()]
    return gr.Brush(colors=colours, default_color=colours[0], color_mode="fixed", default_size=BRUSH)


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
        init = gr.Dropdown(list(defaults.NAMED_STARTS), value="content", label="Start")
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
                max_file_size=max(limits.megabytes, EDITED) * 10**6, inbrowser=open_browser, show_error=True,
            )  # fmt: skip
            started(address)
            wait()
        finally:
            app.close()
            page.close(verbose=False)
