"""Names of any script in figures: drawn by a font that has them, or written out; never as boxes."""

import io
import string

import numpy as np
import pytest

from jaxstyle.studies import figures, glyphs
from jaxstyle.studies.figures import new_figure, picture_grid, save_figure, show_picture

font_manager = pytest.importorskip("matplotlib.font_manager")
LINEAR_B = "\U00010000\U00010001"  # two of its signs, which none of matplotlib's own fonts has


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    """As on a machine that has no fonts but matplotlib's own."""
    own = [x for x in font_manager.fontManager.ttflist if "mpl-data" in x.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    glyphs.font_of.cache_clear()
    glyphs._fonts.cache_clear()
    yield
    glyphs.font_of.cache_clear()
    glyphs._fonts.cache_clear()


@pytest.fixture
def foreign(tmp_path):
    """A font that has two letters more than matplotlib's own, which look like its A and B."""
    tables = pytest.importorskip("fontTools.ttLib")
    font = tables.TTFont(font_manager.findfont(glyphs.BASE))
    names = font.getBestCmap()
    for table in font["cmap"].tables:
        table.cmap = {ord(letter): names[ord(letter)] for letter in "AB "}
        if table.format == 12:  # of letters beyond 65535
            table.cmap |= {ord(a): names[ord(b)] for a, b in zip(LINEAR_B, "AB", strict=True)}
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = "Foreign Sans"
    font.save(tmp_path / "foreign.ttf")
    font_manager.fontManager.addfont(tmp_path / "foreign.ttf")
    return "Foreign Sans"


def pixels(title):
    figure, (axes,) = picture_grid(1, 1.0)
    show_picture(axes, np.ones((8, 8)), title)
    glyphs.give_fonts(figure)
    data = io.BytesIO()
    figure.savefig(data, format="raw")
    return data.getvalue()


def test_letters_of_the_usual_font_are_left_alone():
    text = string.printable[:95] + "äöüéßЖλ→²"
    assert glyphs.drawable(text) == text
    assert {glyphs.font_of(letter) for letter in text} == {glyphs.BASE}


def test_what_no_font_has_is_written_out():
    assert glyphs.font_of(LINEAR_B[0]) is None
    assert glyphs.drawable(f"a{LINEAR_B[0]}b") == "a\\U00010000b"
    assert glyphs.drawable("a\x1b[31m\u202eb\ud800") == "a\\x1b[31m\\u202eb\\ud800"
    assert glyphs.drawable("two\nlines") == "two\nlines"


def test_a_font_that_has_them_draws_them(foreign):
    """They are there as the A and B of that font, which is matplotlib's own under another name."""
    assert glyphs.font_of(LINEAR_B[0]) == foreign
    assert glyphs.font_of("A") == glyphs.BASE
    assert glyphs.drawable(LINEAR_B) == LINEAR_B
    assert pixels(f"x{LINEAR_B}y") == pixels("xABy")
    assert pixels(f"x{LINEAR_B}y") != pixels("xBAy")


@pytest.mark.filterwarnings("error")
def test_figures_with_such_names_are_saved_without_a_warning(tmp_path):
    """matplotlib warns of each letter that it draws as a box."""
    name = f"漢字 {LINEAR_B[0]} \x1b[31m"
    figure, (axes,) = picture_grid(1, 1.0, title=name, width=4.0)
    show_picture(axes, np.ones((8, 8)), name)
    axes.text(0, 0, name, parse_math=False)
    save_figure(tmp_path / "a.png", figure, {})
    assert sorted(x.suffix for x in tmp_path.iterdir()) == [".json", ".pdf", ".png"]
    assert all(text.get_text().isprintable() or "\n" in text.get_text() for text in figure.texts)


def test_wide_letters_get_shorter_lines(monkeypatch):
    """Where there is a font for them they are as wide as high."""
    monkeypatch.setattr(figures, "drawable", str)
    lines = new_figure(4.0, 2.0, title="漢" * 60)._suptitle.get_text().split("\n")
    assert max(map(len, lines)) == 29  # of 10 points, in 4 inches of 72
