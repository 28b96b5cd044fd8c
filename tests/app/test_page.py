"""The app's page as far as it needs no browser: its parts, what it asks for, and its words."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import picture

gr = pytest.importorskip("gradio")

from jaxstyle.app import page, visitors  # noqa: E402
from jaxstyle.app.masks import COLOURS  # noqa: E402
from jaxstyle.app.uploads import Limits  # noqa: E402
from jaxstyle.cli.parser import Axis  # noqa: E402
from jaxstyle.pictures.read import Held  # noqa: E402

pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]
CHOSEN = tuple(visitors.DEFAULTS[name] for name in visitors.SETTINGS)


@pytest.fixture(autouse=True)
def _gradios_loops() -> Iterator[None]:
    """Gradio leaves event loops to the garbage collector."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def app(tmp_path: Path) -> visitors.App:
    return visitors.App(
        tmp_path, Limits(side=256), ["compact"], preview=lambda content, style, x: x * (0 * content + 1)
    )


def labels(blocks: Any) -> list[str]:
    return [str(getattr(block, "label", "")) for block in blocks.blocks.values()]


def test_the_preview_is_there_where_there_is_one(app: visitors.App) -> None:
    assert "Preview" not in labels(page.build(app))
    with_it = page.build(app, preview=app._preview)
    assert {"Preview", "Strength"} <= {*labels(with_it)}


def test_every_setting_has_its_place_and_default(app: visitors.App) -> None:
    with gr.Blocks():
        parts = dict(zip(visitors.SETTINGS, page._settings(app), strict=True))
    for name, part in parts.items():
        assert part.value == (256 if name == "size" else visitors.DEFAULTS[name])
    for name, values in visitors.EXPLORED.items():
        axis = visitors.axis_of(name, values)
        assert axis is not None and len(axis.values) == 3


def test_a_preview_is_of_what_was_given(app: visitors.App, tmp_path: Path) -> None:
    content, style = (str(picture(tmp_path / f"{name}.png", 1)) for name in "cs")
    shown = app.preview(content, [(style, None)], 0.5)
    assert shown is not None and shown.dtype == np.uint8 and (shown == 128).all()
    assert shown.shape[0] / shown.shape[1] == 48 / 64
    assert app.preview(None, [(style, None)], 0.5) is None is app.preview(content, None, 0.5)
    (tmp_path / "text.png").write_text("no picture")  # which is said where it is taken, and not twice
    assert app.preview(str(tmp_path / "text.png"), [(style, None)], 0.5) is None


def test_what_is_asked_for(app: visitors.App, tmp_path: Path) -> None:
    content, style = (str(picture(tmp_path / f"{name}.png", 1)) for name in "cs")
    request = app._request(content, [(style, None), (style, "caption"), (content, None)], None, None, *CHOSEN)
    assert [held.path for held in (request.content, *request.styles)] == ["c.png", "s.png", "s_2.png", "c_2.png"]
    assert request.chosen["size"] == 256  # no larger than the app makes
    wrong = dict(zip(visitors.SETTINGS, CHOSEN, strict=True)) | {"style_weight": "<b>"}
    with pytest.raises(gr.Error, match="not a number") as error:
        app._request(content, [(style, None)], None, None, *wrong.values())
    assert "<" not in str(error.value)
    with pytest.raises(gr.Error, match="at least one style"):
        app._request(content, [], None, None, *CHOSEN)
    with pytest.raises(gr.Error, match="load the page again"):
        app._visitor("nobody")


def test_values_are_read_as_on_the_command_line() -> None:
    assert visitors.axis_of("style_weight", "log:1:100:3") == Axis("style_weight", (1.0, 10.0, 100.0))
    assert visitors.axis_of("color", "style lab style") == Axis("color", ("style", "lab"))
    assert visitors.axis_of(visitors.NONE, "1 2") is None
    for name, values in (("seed", "-1"), ("color", "blue"), ("tv_weight", " ")):
        with pytest.raises(gr.Error):
            visitors.axis_of(name, values)
    for name, values in (("style_weight", "1 2"), ("tv_weight", " ".join(map(str, range(20))))):
        assert len(visitors.axis_of(name, values).values) in (2, 20)  # type: ignore[union-attr]


def test_a_line_holds_no_markup() -> None:
    assert visitors.plain("a <script>\n alert </script>" + "x" * 400).startswith("a \u2039script\u203a alert")
    assert not {"<", ">", "\n"} & {*visitors.plain("<a>\n<b>")} and len(visitors.plain("x" * 400)) == 300


def test_a_picture_on_the_way_does_not_grow_on_the_page() -> None:
    small = np.full((24, 32, 3), 0.25, np.float32)
    assert visitors._enlarged(small, 64).shape == (288, 384, 3) and (visitors._enlarged(small, 64) == 64).all()
    assert visitors._enlarged(small, 512).shape == (384, 512, 3)


def test_what_regions_are_painted_on_and_with(app: visitors.App, tmp_path: Path) -> None:
    content, style = (str(picture(tmp_path / f"{name}.png", 1)) for name in "cs")
    shown = app.canvas(content)
    assert shown is not None and shown["background"].shape == (576, 768, 3) and shown["layers"] == []
    (tmp_path / "text.png").write_text("no picture")
    assert app.canvas(None) is None is app.canvas(str(tmp_path / "text.png"))
    assert app.colours([(style, None), (content, None)]).startswith("Paint red for s.png, blue for c.png. ")
    brush = page._brush()
    assert [tuple(bytes.fromhex(colour[1:])) for colour in brush.colors] == list(COLOURS.values())  # type: ignore[index, union-attr]
    assert brush.default_color == brush.colors[0] and brush.color_mode == "fixed"  # type: ignore[index]


def test_the_editor_hands_on_its_layer_and_no_more(app: visitors.App, tmp_path: Path) -> None:
    with gr.Blocks():
        editor, layer = page._editor(layers=False)
    assert editor.accept_blobs is None is layer.preprocess(None)  # type: ignore[comparison-overlap]
    path = picture(tmp_path / "layer.png", 1, channels=4)
    held: Any = layer.preprocess(gr.FileData(path=str(path)))  # type: ignore[arg-type]
    assert held.content == path.read_bytes() and str(tmp_path) not in held.path + held.name


def test_paint_is_a_mask_of_the_request(app: visitors.App, tmp_path: Path) -> None:
    content, style = (str(picture(tmp_path / f"{name}.png", 1)) for name in "cs")
    layer = np.zeros((576, 768, 4), np.uint8)
    Image.fromarray(layer).save(tmp_path / "layer.png")

    def request() -> Any:
        paint = Held((tmp_path / "layer.png").read_bytes(), "regions", "paint")
        return app._request(content, [(style, None)], None, paint, *CHOSEN)

    assert request().masks == ()
    layer[:288] = (230, 40, 40, 255)
    Image.fromarray(layer).save(tmp_path / "layer.png")
    (mask,) = request().masks
    np.testing.assert_array_equal(mask, np.repeat([1.0, 0.0], 288)[:, None] * np.ones(768))
    Image.fromarray(layer[1:]).save(tmp_path / "layer.png")
    with pytest.raises(gr.Error, match="of another content"):
        request()
