"""Transfers and results as a notebook shows them."""

import io
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxstyle
from jaxstyle.engine.run import Progress, Result
from jaxstyle.objective import LossTerms
from jaxstyle.studies.notebook import drawn, show
from tiny import OBJECTIVE, network, picture


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def progress(step: int, *, batch: int | None = None, color: tuple[float, float, float] = (1, 0, 0)) -> Progress:
    axes = () if batch is None else (batch,)
    image = jnp.broadcast_to(jnp.asarray(color, jnp.float32), (*axes, 16, 24, 3))
    losses = LossTerms(*(np.full((*axes, step), x) for x in (3.0, 1.0, 0.1, 0.01)))
    return Progress(step, 10, 1, 2, image, losses, np.ones((*axes, step), int))


@pytest.mark.parametrize("batch", [None, 3])
def test_a_look_has_the_picture_and_three_curves(batch: int | None) -> None:
    pixels = opened(drawn(progress(5, batch=batch))).reshape(-1, 3).astype(int)

    def area(color: tuple[int, int, int], apart: int) -> int:
        return int((np.abs(pixels - color).max(1) < apart).sum())

    assert area((255, 0, 0), 8) > 0.2 * len(pixels)
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert area(color, 40) > 50, color  # thin lines are smoothed


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What a notebook would have shown, in order: how, and the PNG."""
    seen: list[tuple[str, bytes]] = []

    class Handle:
        def update(self, picture: Any) -> None:
            seen.append(("again", picture.data))

    def display(picture: Any, *, display_id: bool) -> Handle:
        assert display_id
        seen.append(("first", picture.data))
        return Handle()

    module: Any = types.ModuleType("IPython.display")
    module.display = display
    module.Image = lambda *, data, format, width: types.SimpleNamespace(data=data)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return seen


@pytest.mark.slow
def test_a_transfer_is_shown_in_one_place(notebook: list[tuple[str, bytes]]) -> None:
    jaxstyle.transfer(
        picture(1),
        picture(2),
        network=network(),
        objective=OBJECTIVE,
        steps=4,
        report_every=1,
        on_progress=show(every=0.0),
    )
    assert [how for how, _ in notebook] == ["first", "again", "again", "again"]
    assert len({data for _, data in notebook}) == 4 and all(opened(data).std() > 0 for _, data in notebook)


def test_not_every_look_is_drawn_but_the_last_one_is(notebook: list[tuple[str, bytes]]) -> None:
    update = show(every=1000.0)
    for step in (1, 2, 3, 10):
        update(progress(step))
    assert len(notebook) == 2 and notebook[1][1] == drawn(progress(10))


def test_elsewhere_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(jaxstyle.InputError, match="IPython"):
        show()


def test_a_result_is_its_picture() -> None:
    image, terms = picture(3), LossTerms(*(jnp.zeros(()) for _ in range(4)))
    result = Result(image, terms, terms, 1)
    np.testing.assert_array_equal(opened(result._repr_png_() or b""), np.rint(np.asarray(image) * 255))
    assert jax.tree.map(lambda x: x, result)._repr_png_() == result._repr_png_()
    assert Result(image[None], terms, terms, jnp.ones(1, int))._repr_png_() is None
