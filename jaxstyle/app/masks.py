"""Masks painted on the page: where each style goes, by a colour for each.

Where there is one style, it goes wherever there is paint. Of several each goes where its colour is. One whose colour is
nowhere goes wherever there is no paint; there can be one such. Else what has no paint stays the photograph.
"""

from collections.abc import Sequence

import numpy as np

from jaxstyle.cli.sources import read_picture
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Held, load_picture, own_size

SIDE = 768  # long side of what is painted on, in pixels
COLOURS = {  # of the first style, the second, and so on
    "red": (230, 40, 40),
    "blue": (35, 105, 235),
    "green": (25, 165, 75),
    "yellow": (250, 215, 40),
    "purple": (160, 60, 205),
    "black": (20, 20, 20),
}
SAME = 0.03  # by which each channel of a colour may be off, as the browser hands it on


def legend(styles: Sequence[str]) -> str:
    """Which colour is which style's, and what that means, in a line."""
    if len(styles) < 2:
        return "What is painted takes the style; the rest stays the photograph."
    pairs = ", ".join(f"{colour} for {name}" for colour, name in zip(COLOURS, styles, strict=False))
    return f"Paint {pairs}. A style without paint takes what is left; if all have some, that stays the photograph."


def canvas_size(content: Held) -> tuple[int, int]:
    """(height, width) of what is painted on."""
    own = own_size(content, large=True)
    return round(own[0] * SIDE / max(own)), round(own[1] * SIDE / max(own))


def canvas(content: Held) -> np.ndarray:
    """The content (h, w, 3) as what is painted on, in 8 bits."""
    pixels = read_picture(content, SIDE, large=True).pixels
    return np.rint(pixels * 255).astype(np.uint8)


def masks_of(paint: Held, content: Held, styles: int) -> tuple[np.ndarray, ...]:
    """A mask (h, w) in [0, 1] for each of the styles, from what is painted on a content; none if nothing is.

    Raises:
      InputError: the paint is of another size than the content's; some is of a colour that no style has; or a style has
        no place.
    """
    size, names = canvas_size(content), list(COLOURS)
    if own_size(paint) != size:
        raise InputError("what is painted in Regions is of another content; clear it, and paint again")
    layer = load_picture(paint, hidden=True, smallest=1)
    cover = np.ones(size, np.float32) if layer.alpha is None else layer.alpha
    if not cover.any():
        return ()
    if styles == 1:
        return (cover,)
    if styles > len(names):
        raise InputError(f"{styles} styles are too many for Regions; it can be at most {len(names)}")
    palette = np.asarray(list(COLOURS.values()), np.float32) / 255
    away = np.abs(layer.pixels[..., None, :] - palette).max(-1)  # of each colour
    used = np.flatnonzero(((away < SAME) & (cover == 1)[..., None]).any((0, 1)))
    _check_colours(used, styles)
    nearest = used[away[..., used].argmin(-1)]  # at an edge colours mix
    masks = cover * (nearest == np.arange(styles)[:, None, None])
    for rest in set(range(styles)) - set(used):
        masks[rest] = 1 - cover
        if np.rint(masks[rest] * 255).max() == 0:
            raise InputError(f"everything is painted in Regions; the style of {names[rest]} has no place left")
    return tuple(masks)


def _check_colours(used: np.ndarray, styles: int) -> None:
    """Whether the colours that are used leave a place for each of the styles."""
    names = list(COLOURS)
    given = ", ".join(names[:styles])
    if not used.size:
        raise InputError(f"what is painted in Regions has none of the colours that are styles': {given}")
    if used[-1] >= styles:
        raise InputError(f"Regions has {names[used[-1]]}, of which there is no style; allowed are {given}: erase it")
    if styles - used.size > 1:
        missing = " and ".join(name for k, name in enumerate(names[:styles]) if k not in used)
        raise InputError(f"Regions has no {missing}; only one style can be left without paint")
