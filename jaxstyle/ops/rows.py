"""Sums over positions where a picture's rows lie on several devices."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from jaxtyping import Array, Float

from jaxstyle.types import Features

_apart: ContextVar[bool] = ContextVar("rows_apart", default=False)


@contextlib.contextmanager
def kept_apart(apart: bool) -> Iterator[None]:
    """What is traced within the block leaves rows an axis of their own, if `apart`: where they do not divide evenly
    among devices, XLA gathers features before it takes rows and columns as one axis."""
    before = _apart.set(apart)
    try:
        yield
    finally:
        _apart.reset(before)


def positions(x: Features) -> tuple[Float[Array, "*positions c"], tuple[int, ...]]:
    """Features (h, w, c) with their positions as one axis, with which CPUs are faster, or two; and which these are."""
    return (x, (0, 1)) if _apart.get() else (x.reshape(-1, x.shape[2]), (0,))
