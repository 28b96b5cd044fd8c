"""Letters of figures: which of the fonts at hand draws them, and what stands for those that none does.

matplotlib comes with one font, which has Latin, Greek, Cyrillic and some more; names of files have any.
"""

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = "DejaVu Sans"  # comes with matplotlib
LIKED = (
    "Noto Sans",
    "Source Han Sans",
    "PingFang",
    "Hiragino",
    "Microsoft",
    "Yu Gothic",
    "Malgun",
    "Apple",
    "WenQuanYi",
)
# Fonts that have a box for everything, and those of formulae, whose letters are not where they should be.
UNFIT = ("lastresort", "adobeblank", "notdef", "cmb", "cmex", "cmmi", "cmr", "cmss", "cmsy", "cmtt", "stix")


def drawable(text: str) -> str:
    """The text with letters that no font at hand has, and such as are no letters, as Python would escape them."""
    return "".join(
        letter if letter == "\n" or (letter.isprintable() and font_of(letter)) else _escaped(letter) for letter in text
    )


def give_fonts(figure: "Figure") -> None:
    """Gives every text of a figure the fonts that draw it."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        shown: Any = text
        told = drawable(shown.get_text())
        fonts = dict.fromkeys(font for letter in told if (font := font_of(letter)))
        if set(fonts) - {BASE}:
            shown.set_fontfamily([BASE, *(font for font in fonts if font != BASE)])
        if told != shown.get_text():
            shown.set_text(told)


def widest(text: str, usual: float) -> float:
    """Width of the text's characters in ems: `usual`, or 1 where some are as wide as high."""
    return 1.0 if any(unicodedata.east_asian_width(letter) in "WF" for letter in text) else usual


@functools.cache
def font_of(letter: str) -> str | None:
    """The family of a font that has a letter; None where there is none."""
    if letter.isspace():
        return BASE
    return next((name for name, path in _fonts() if _has(path, letter)), None)


@functools.cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """Families and files of upright fonts of usual weight: matplotlib's own, then those that look like it, then all."""
    from matplotlib.font_manager import fontManager

    found = {
        entry.fname: entry.name
        for entry in fontManager.ttflist
        if entry.style == "normal" and not entry.name.replace(" ", "").lower().startswith(UNFIT)
    }

    def order(item: tuple[str, str]) -> tuple[int, str]:
        name = item[1]
        liked = next((i for i, start in enumerate(LIKED) if name.startswith(start)), len(LIKED))
        return (-1 if name == BASE else liked, name)

    return tuple((name, path) for path, name in sorted(found.items(), key=order))


def _has(path: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    try:
        return get_font(path).get_char_index(ord(letter)) != 0
    except Exception:  # a font that is damaged, or has gone
        return False


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode() if ord(letter) > 126 else repr(letter)[1:-1]
