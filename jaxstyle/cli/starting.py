"""What a transfer begins with, as `--init` says."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.onepass.any_style import described, paint_like
from jaxstyle.onepass.files import load_any_style
from jaxstyle.onepass.painters import AnyPainter


def start_of(settings: Settings, sources: Sources, content: np.ndarray, styles: Sequence[np.ndarray]) -> Any:
    """The name of a start, or a picture: that of a file, or the content painted in one pass.

    Args:
      settings: of the transfer.
      sources: its pictures as they were read.
      content: as the transfer is given it, (h, w, 3).
      styles: as the transfer is given them.
    """
    if sources.start is not None:
        return sources.start.pixels
    if settings.init != defaults.ONE_PASS_START:
        return settings.init
    painter = _painter()
    weights = settings.mix or [1.0] * len(styles)
    return paint_like(
        painter, content, [described(painter, style) for style in styles], weights, defaults.PICTURE_STRENGTH
    )


def preview(content: np.ndarray, style: np.ndarray, strength: float) -> np.ndarray:
    """The content painted in one pass, like the style."""
    painter = _painter()
    return paint_like(painter, content, [described(painter, style)], [1.0], strength)


@functools.cache
def _painter() -> AnyPainter:
    return load_any_style()
