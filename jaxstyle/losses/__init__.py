"""Losses on features and on pixels: one formula and one reference each.

Features are (h, w, c), images (h, w, 3) in [0, 1]; every loss is a float32 scalar, and zero at its target. Statistics
that are sums over positions are divided by the number of positions, so that a target may come from a picture of
another size. Features may be bfloat16: sums are accumulated in float32 at the highest precision, since the default
of accelerators (bfloat16 passes, TF32) costs a Gram matrix three digits.

A style loss is a pair of functions: a statistic of the style's features, taken once, and the distance of a picture's
features from it, taken at each step. Both take a mask. `STYLE_LOSSES` has them by name.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle import defaults
from jaxstyle.losses.cmd import CentralMoments, central_moments, cmd_loss
from jaxstyle.losses.content import content_loss, half_squared_error, mean_squared_error
from jaxstyle.losses.gaussian import (
    Deviations,
    Moments,
    bures,
    crowsonkb_style,
    deviations,
    deviations_loss,
    mixed_moments,
    moments,
    newton_schulz,
    polar_factor,
    trace_sqrt,
    wasserstein2,
    wasserstein_loss,
)
from jaxstyle.losses.gram import gatys_style, gram_matrix, mean_squared_style, style_loss
from jaxstyle.losses.nearest import nearest_loss
from jaxstyle.losses.reductions import over, relative_error
from jaxstyle.losses.sampling import Points, cells, points
from jaxstyle.losses.sliced import directions, quantiles, sliced_loss
from jaxstyle.losses.variation import (
    absolute_variation_255,
    nine_point_variation,
    no_variation,
    periodic_variation,
    total_variation,
)
from jaxstyle.types import Scalar

__all__ = [
    "STYLE_LOSSES",
    "CentralMoments",
    "Deviations",
    "Moments",
    "Points",
    "StyleLoss",
    "absolute_variation_255",
    "bures",
    "cells",
    "central_moments",
    "cmd_loss",
    "content_loss",
    "crowsonkb_style",
    "deviations",
    "deviations_loss",
    "directions",
    "gatys_style",
    "gram_matrix",
    "half_squared_error",
    "mean_squared_error",
    "mean_squared_style",
    "mixed",
    "mixed_moments",
    "moments",
    "nearest_loss",
    "newton_schulz",
    "nine_point_variation",
    "no_variation",
    "periodic_variation",
    "points",
    "polar_factor",
    "quantiles",
    "relative_error",
    "sliced_loss",
    "style_loss",
    "total_variation",
    "trace_sqrt",
    "wasserstein2",
    "wasserstein_loss",
]


class StyleLoss(NamedTuple):
    """What is kept of a style, and how far from it a picture is.

    Attributes:
      statistic: (features (h, w, c), *, mask=None) -> pytree.
      distance: (features (h, w, c), statistic of the style, *, mask=None) -> scalar; 0 at the target, and 1, or nearly,
        for features of zero (of nearest neighbours 1/4): the same weight means much the same for each loss.

    A mask is (h, w) in [0, 1], of the features' size: the weights of the positions. A rectangle of ones among zeros
    gives what the features cropped to it give (for `cells` of large pictures see there).
    """

    statistic: Callable[..., Any]
    distance: Callable[..., Scalar]


def _in_table(where: str) -> StyleLoss:
    """The loss that a line of `defaults.STYLE_LOSSES` stands for."""
    file, _, names = where.partition(":")
    module = importlib.import_module(f"jaxstyle.losses.{file}")
    statistic, distance = (getattr(module, name) for name in names.split(","))
    return StyleLoss(statistic, distance)


STYLE_LOSSES: dict[str, StyleLoss] = {name: _in_table(where) for name, where in defaults.STYLE_LOSSES.items()}


def mixed(statistics: Sequence[Any], shares: Float[Array, " k"]) -> Any:
    """The statistic of a mix of styles; shares sum to one.

    Gram matrices averaged are those of all positions of the styles together, and so are moments mixed. Deviations,
    central moments and quantiles averaged are a style between them. Of points it is the union: shares are how much of
    the picture each style should turn up in, and a style without a share is out of it.
    """
    if isinstance(statistics[0], Moments):
        return mixed_moments(statistics, shares)
    if isinstance(statistics[0], Points):
        parts = [s * over(x.weights, jnp.sum(x.weights)) for s, x in zip(shares, statistics, strict=True)]
        return Points(jnp.concatenate([x.features for x in statistics]), jnp.concatenate(parts))
    return jax.tree.map(lambda *xs: sum(s * x for s, x in zip(shares, xs, strict=True)), *statistics)
