"""Masks as NumPy arrays, and what they are masks of."""

import numpy as np

from jaxstyle.objective import Objective
from tiny import network
from tiny import picture as waves

NET = network()
CONTENT, STYLES = waves(1), [waves(2), waves(3)]  # 32 x 40
SHALLOW_OBJECTIVE = Objective(("relu2_1",), ("relu1_1", "relu2_1"))


def halves(height: int = 32, width: int = 40, soft: int = 0) -> np.ndarray:
    """(2, h, w): left and right, over `soft` pixels into one another; they sum to one."""
    x = np.clip((np.arange(width) + 0.5 - width / 2) / max(soft, 1e-6) + 0.5, 0, 1)
    right = np.broadcast_to(x, (height, width))
    return np.stack([1 - right, right]).astype(np.float32)


def rectangle(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    mask[rows, columns] = 1
    return mask
