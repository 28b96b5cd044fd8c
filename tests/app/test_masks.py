"""Masks out of what is painted on the page, pixel by pixel, and what is said of paint that leaves a style no place."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commandline import picture
from jaxstyle.app.masks import COLOURS, SIDE, canvas, canvas_size, legend, masks_of
from jaxstyle.app.uploads import Limits, taken
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Held

pytestmark = pytest.mark.quick
RED, BLUE, GREEN = list(COLOURS.values())[:3]
SIZE = (192, 768)  # of what is painted on, for a content of 16 x 64


@pytest.fixture
def content(tmp_path: Path) -> Held:
    return taken(str(picture(tmp_path / "c.png", 1, size=(64, 16))), Limits())


def held(layer: np.ndarray) -> Held:
    file = io.BytesIO()
    Image.fromarray(layer).save(file, "PNG")
    return Held(file.getvalue(), "regions", "what is painted")


def blank() -> np.ndarray:
    return np.zeros((*SIZE, 4), np.uint8)


def levels(mask: np.ndarray) -> np.ndarray:
    return np.rint(mask * 255).astype(int)


def test_the_canvas_is_the_content_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    pixels = np.zeros((300, 900, 3), np.uint8)
    pixels[:, :450] = 200
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    content = taken(str(tmp_path / "turned.png"), Limits())
    shown = canvas(content)
    assert shown.shape == (768, 256, 3) == (*canvas_size(content), 3) and shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[:370], 200)
    np.testing.assert_array_equal(shown[-370:], 0)


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (3000, 17), (768, 768), (400, 1000)])
def test_the_canvas_has_the_size_that_is_told(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "c.png")
    content = taken(str(tmp_path / "c.png"), Limits())
    height, width = canvas_size(content)
    assert max(height, width) == SIDE and abs(height / width / (size[1] / size[0]) - 1) < 0.5 / min(height, width)
    if min(height, width) >= 16:
        assert canvas(content).shape == (height, width, 3)


def test_one_style_goes_where_there_is_paint(content: Held) -> None:
    layer = blank()
    layer[50:100, 50:300] = (*RED, 255)
    layer[100:103, 50:300] = [[[*RED, 192]], [[*RED, 128]], [[*RED, 1]]]  # a soft edge
    (mask,) = masks_of(held(layer), content, 1)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(levels(mask), layer[..., 3])


def test_a_style_without_paint_has_the_rest(content: Held) -> None:
    layer = blank()
    layer[:50] = (*BLUE, 255)
    layer[50] = (*BLUE, 100)
    layer[90:100] = (*RED, 255)
    red, blue, rest = masks_of(held(layer), content, 3)
    np.testing.assert_array_equal(levels(red)[:, 0], np.r_[np.zeros(90), np.full(10, 255), np.zeros(92)])
    np.testing.assert_array_equal(levels(blue)[:, 7], np.r_[np.full(50, 255), 100, np.zeros(141)])
    np.testing.assert_allclose(red + blue + rest, 1, atol=1e-6)
    first, second = masks_of(held(layer), content, 2)  # both have paint: what has none stays the photograph
    np.testing.assert_array_equal(first, red)
    np.testing.assert_array_equal(second, blue)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_where_two_colours_mix_one_of_them_has_it(content: Held, pair: tuple[int, int]) -> None:
    one, other = (np.asarray((RED, BLUE, GREEN)[k]) for k in pair)
    layer = np.full((*SIZE, 4), 255, np.uint8)
    share = np.linspace(0, 1, SIZE[1])[:, None]
    layer[..., :3] = np.rint((1 - share) * one + share * other)
    layer[:100, ..., 3] = 0
    masks = np.stack(masks_of(held(layer), content, 3))
    first, second = pair
    np.testing.assert_array_equal(masks[first] + masks[second], layer[..., 3] / 255)
    assert masks[first, 100, 0] == masks[second, 100, -1] == 1
    assert set(np.unique(masks)) == {0, 1}


def test_nothing_painted_is_no_mask(content: Held) -> None:
    assert masks_of(held(blank()), content, 1) == masks_of(held(blank()), content, 9) == ()
    clear = blank()
    clear[..., 0] = 255  # colour that nobody sees
    assert masks_of(held(clear), content, 2) == ()


@pytest.mark.parametrize(
    "colours, styles, words",
    [
        ([(255, 255, 255)], 2, "none of the colours that are styles': red, blue"),
        ([RED, GREEN], 2, "has green, of which there is no style; allowed are red, blue"),
        ([RED], 3, "has no blue and green; only one style can be left"),
        ([BLUE], 7, "7 styles are too many for Regions; it can be at most 6"),
    ],
)
def test_paint_that_leaves_a_style_no_place(
    content: Held, colours: list[tuple[int, int, int]], styles: int, words: str
) -> None:
    layer = blank()
    for number, colour in enumerate(colours):
        layer[10 * number : 10 * number + 10] = (*colour, 255)
    with pytest.raises(InputError, match=words):
        masks_of(held(layer), content, styles)


def test_paint_all_over_leaves_no_rest(content: Held) -> None:
    layer = np.full((*SIZE, 3), BLUE, np.uint8)  # of a browser that found no use for opacity
    with pytest.raises(InputError, match="everything is painted in Regions; the style of red has no place left"):
        masks_of(held(layer), content, 2)
    (mask,) = masks_of(held(layer), content, 1)  # one style has paint of every colour
    np.testing.assert_array_equal(mask, 1)


def test_paint_of_another_picture_or_no_picture(content: Held) -> None:
    with pytest.raises(InputError, match="of another content"):
        masks_of(held(np.zeros((768, 192, 4), np.uint8)), content, 1)
    with pytest.raises(InputError, match="what is painted is not a picture"):
        masks_of(Held(b"text " * 100, "regions", "what is painted"), content, 1)


def test_a_line_says_which_colour_is_whose() -> None:
    assert legend([]) == legend(["a.png"]) != legend(["a.png", "b.png"])
    assert legend(["a.png", "b.png"]).startswith("Paint red for a.png, blue for b.png. ")
