"""The grid of the papers: rows are sets of style layers, columns the ratio of style to content (Gatys, Ecker and Bethge
2015, https://arxiv.org/abs/1508.06576, figure 3)."""

from collections.abc import Sequence
from typing import Any

from jaxstyle.studies.figures import SMALL, new_figure, show_picture
from jaxstyle.types import Picture


def draw_ablation(
    content: Picture,
    style: Picture,
    names: Sequence[str],
    layers: Sequence[Sequence[str]],
    ratios: Sequence[float],
    images: Sequence[Sequence[Picture]],
) -> Any:
    """The figure: the grid, and beside it what it is made from.

    Args:
      content, style: (h, w, 3).
      names: of content and style.
      layers: of each row.
      ratios: of style to content, of each column.
      images: rows of pictures.
    """
    height, width = content.shape[:2]
    across, down = len(ratios), len(layers)
    wide = 1.6 if width >= height else 1.6 * width / height
    tall = wide * height / width
    title = f"{names[0]}, in the manner of {names[1]}: style layers by style over content"
    figure = new_figure((across + 1) * (wide + 0.1) + 0.5, max(down, 2) * (tall + 0.06) + 0.75, title=title)
    beside, grid = figure.subfigures(1, 2, width_ratios=[wide + 0.1, across * (wide + 0.1) + 0.5])
    places = beside.subplots(max(down, 2), 1)
    for place in places:
        place.set_axis_off()
    for place, picture, kind, stem in zip(places, (content, style), ("content", "style"), names, strict=False):
        show_picture(place, picture, f"{kind}: {stem}")
    axes = grid.subplots(down, across, squeeze=False)
    for i, (row, line, pictures) in enumerate(zip(layers, axes, images, strict=True)):
        for ratio, place, picture in zip(ratios, line, pictures, strict=True):
            show_picture(place, picture, "" if i else f"style / content {ratio:g}")
        label = row[0] if len(row) == 1 else f"{row[0]}\nto {row[-1]}"
        line[0].text(
            -0.04, 0.5, label, fontsize=SMALL, rotation=90, ha="right", va="center", ma="center",
            transform=line[0].transAxes, parse_math=False,
        )  # fmt: skip
    return figure
