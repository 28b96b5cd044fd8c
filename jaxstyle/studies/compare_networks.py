"""Networks side by side: the same pair painted through each, and what each makes of the others' pictures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jaxstyle.engine.run import Result
from jaxstyle.objective import LossTerms
from jaxstyle.studies.compare import Pair, terms_of
from jaxstyle.studies.figures import SMALL, picture_grid, show_picture
from jaxstyle.types import Picture


class Painted(NamedTuple):
    """What one network made of the pair.

    Attributes:
      name: of the network.
      random: whether its weights are.
      pair: what it was given.
      result: what it made of it.
      seconds: that it took.
    """

    name: str
    random: bool
    pair: Pair
    result: Result
    seconds: float


def told(terms: LossTerms) -> str:
    """The content and the style term, in a few words."""
    return f"content {float(terms.content):.3g}, style {float(terms.style):.3g}"


def style_seen(content: Picture, painted: Sequence[Painted]) -> Float[np.ndarray, "n k"]:
    """The style term of each network's picture, a row, and last of the content, by each network, a column."""
    images: list[Array | Picture] = [*(one.result.image for one in painted), content]
    return np.array([[float(terms_of(image, one.pair).style) for one in painted] for image in images])


def draw_networks(
    content: Picture, style: Picture, names: Sequence[str], painted: Sequence[Painted], seen: np.ndarray
) -> Any:
    """The figure: content, style, each network's picture, and what each network thinks of the others' style.

    Args:
      content, style: (h, w, 3).
      names: of content and style.
      painted: of each network.
      seen: from `style_seen`.
    """
    height, width = content.shape[:2]
    first = painted[0].pair.weights
    weights = f"content {first.content:g}, style {first.style:g}, variation {first.variation:g}"
    title = f"{names[0]}, in the manner of {names[1]}: the same relative weights ({weights}), {width} x {height} pixels"
    count = len(painted) + 3 if len(painted) > 1 else 3
    figure, axes = picture_grid(count, max(height / width, 0.75), title=title, lines=5)
    show_picture(axes[0], content, f"content\n{names[0]}")
    show_picture(axes[1], style, f"style\n{names[1]}")
    for k, (place, one) in enumerate(zip(axes[2:], painted, strict=False), 1):
        objective = one.pair.objective
        layers = f"content {_brief(objective.content_layers)}; style\n{_brief(objective.style_layers)}"
        heading = f"{k}: {one.name}{', RANDOM WEIGHTS' * one.random}"
        show_picture(place, one.result.image, f"{heading}\n{layers}\n{told(one.result.final)}")
    if len(painted) > 1:
        _table(axes[-1], seen)
    return figure


def _brief(layers: Sequence[str]) -> str:
    return " ".join(layers) if len(layers) <= 4 else f"{layers[0]} ... {layers[-1]}"


def _table(axes: Any, seen: np.ndarray) -> None:
    """Style terms in per cent of those of the content, which has none of the style."""
    shares = 100 * seen[:-1] / np.maximum(seen[-1], np.finfo(np.float32).tiny)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            ink = "white" if share > 60 else "black"
            axes.text(j, i, f"{share:.2g}", ha="center", va="center", fontsize=SMALL - 1, color=ink)
    numbers = range(1, len(shares) + 1)
    axes.set_xticks(range(len(shares)), numbers, fontsize=SMALL - 1)
    axes.set_yticks(range(len(shares)), numbers, fontsize=SMALL - 1)
    axes.set_title(
        "style left in each picture (row),\nas each network (column) sees it,\n% of the content's", fontsize=SMALL
    )
