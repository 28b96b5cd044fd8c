"""What lies beyond the border of features."""

from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.types import FeatureMap, Features

Padding: TypeAlias = Literal["zero", "edge", "reflect", "periodic"]


def add_border(x: Features, padding: Padding, before: int, after: int) -> FeatureMap:
    """Features (h, w, c) with so many more rows and columns before and after.

    They are zeros, the outermost one ("edge"), the next ones in reverse ("reflect"), or those of the other side
    ("periodic"). Written as slices put together: the gradient of `jnp.pad` takes longer, to compile and to run.
    """
    if padding == "zero":
        return jnp.pad(x, ((before, after), (before, after), (0, 0))) if before or after else x
    mode: Any = {"edge": "edge", "reflect": "reflect", "periodic": "wrap"}[padding]
    for axis in (0, 1):
        side = x.shape[axis]
        if side and (before or after):  # of an empty one, all that comes from it is empty, and refused
            places = np.pad(np.arange(side), (before, after), mode=mode).tolist()
            rows = [
                [jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in part]
                for part in (places[:before], places[before + side :])
            ]
            x = jnp.concatenate([*rows[0], x, *rows[1]], axis)
    return x
