"""A transfer shown in a notebook while it runs: its picture and the curve of its loss, in place."""

import io
import time
from collections.abc import Callable

import numpy as np

from jaxstyle.engine.run import Progress
from jaxstyle.errors import InputError
from jaxstyle.studies.figures import COLOURS, new_figure

WIDTH, HEIGHT = 7.5, 3.2  # inches


def show(*, every: float = 1.0) -> Callable[[Progress], None]:
    """What `transfer(..., on_progress=jaxstyle.show())` takes to show itself in a notebook, in its own cell.

    Args:
      every: seconds at least between two pictures; the last of a scale is always shown.

    Raises:
      InputError: this is no notebook: IPython is not installed.
    """
    try:
        from IPython.display import Image, display
    except ImportError as error:
        raise InputError("show() is for notebooks, which IPython runs; it is not installed here") from error
    handle, shown = None, -every

    def update(state: Progress) -> None:
        nonlocal handle, shown
        now = time.monotonic()
        if now - shown < every and state.step < state.steps:
            return
        shown, picture = now, Image(data=drawn(state), format="png", width=round(96 * WIDTH))
        if handle is None:
            handle = display(picture, display_id=True)
        else:
            handle.update(picture)

    return update


def drawn(state: Progress) -> bytes:
    """Where a transfer stands, as a PNG: its picture, and its loss and terms by step.

    Of a batch the first picture is shown.
    """
    batched = np.ndim(state.image) == 4
    image, losses = (state.image[0], [x[0] for x in state.losses]) if batched else (state.image, state.losses)
    figure = new_figure(WIDTH, HEIGHT)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    height, width = image.shape[:2]
    left.imshow(np.clip(np.asarray(image), 0, 1), interpolation="nearest")
    left.set_axis_off()
    done = (state.scale - 1) * state.steps + state.step
    left.set_title(f"{width} x {height}, step {done} of {state.scales * state.steps}")
    for name, values, colour in zip(state.losses._fields[:3], losses, COLOURS, strict=False):
        right.semilogy(np.arange(1, len(values) + 1), np.asarray(values), color=colour, label=name, linewidth=1.5)
    right.set_xlabel("step")
    right.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
