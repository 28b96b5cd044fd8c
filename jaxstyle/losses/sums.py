"""Style losses as functions of sums over positions, which may be taken part by part.

A picture that is too large to be seen at once is seen in parts. `Sums` of the parts are put together, in float64, and
give the statistic of the whole; the gradient of the loss with respect to them is what each part needs to know of the
others (Galerne et al. 2024, "Scaling Painting Style Transfer", https://arxiv.org/abs/2212.13459).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxstyle.losses.cmd import ORDERS, CentralMoments, cmd_loss, moments_distance, squashed
from jaxstyle.losses.gaussian import (
    Deviations,
    Moments,
    crowsonkb_style,
    deviations_distance,
    deviations_loss,
    gaussian_distance,
    wasserstein2,
    wasserstein_loss,
)
from jaxstyle.losses.gram import (
    gatys_distance,
    gatys_style,
    mean_squared_distance,
    mean_squared_style,
    products_with_itself,
    style_loss,
)
from jaxstyle.losses.reductions import float32, mean_over_positions, over, relative_error, root
from jaxstyle.types import Features, Mask, Scalar


class Sums(NamedTuple):
    """Weighted sums over positions of values x (c,), less a pivot p; arrays of JAX, or NumPy's on the host.

    Attributes:
      weight: of all positions.
      pivot: p.
      first: of x - p.
      higher: (c, c), of the products of each pair of channels of x - p; or (n, c), of its powers from 2 on.
    """

    weight: Any
    pivot: Any
    first: Any
    higher: Any


class Additive(NamedTuple):
    """A style loss that is a function of sums.

    Attributes:
      statistic: (mean of x, mean of x - mean, of its products or powers, what was known before) -> statistic.
      distance: (statistic, that of the style) -> loss.
      powers: highest power of a channel; None for products of pairs.
      centred: whether their mean is taken away from the values first; else they are summed as they are.
      before: what must be known of a picture before anything is summed; None for nothing.
      known: the same, out of the statistic of a style.
      values: (features, what was known) -> x.
    """

    statistic: Callable[..., Any]
    distance: Callable[[Any, Any], Scalar]
    powers: int | None = None
    centred: bool = True
    before: "Additive | None" = None
    known: Callable[[Any], Any] = lambda _: None
    values: Callable[[Features, Any], Features] = lambda features, _: float32(features)


def sums_of(form: Additive, values: Features, weights: Mask, *, pivot: Float[Array, " c"] | None = None) -> Sums:
    """The sums over the positions of a part, with these weights.

    Without a pivot it is the part's own mean, about which sums keep most digits; of values that are not centred, 0.
    """
    weights = weights.astype(values.dtype)
    if pivot is None:
        mean = mean_over_positions(values, mask=weights)
        pivot = jax.lax.stop_gradient(mean) if form.centred else jnp.zeros_like(mean)
    x = values - pivot[None, None]
    first = jnp.sum(weights[..., None] * x, (0, 1))
    if form.powers is None:
        higher = products_with_itself(jnp.sqrt(weights)[..., None] * x)
    else:
        higher = jnp.stack([jnp.sum(weights[..., None] * x**k, (0, 1)) for k in range(2, form.powers + 1)])
    return Sums(jnp.sum(weights), pivot, first, higher)


def together(form: Additive, parts: Sequence[Sums]) -> Sums:
    """The sums of all parts, about the mean of all positions; float64, on the host."""
    parts = [Sums(*(np.asarray(x, np.float64) for x in part)) for part in parts]
    weight = np.sum([part.weight for part in parts])
    pivot = parts[0].pivot
    if form.centred and weight > 0:
        pivot = np.sum([part.weight * part.pivot + part.first for part in parts], 0) / weight
    moved = [_moved(form, part, pivot) for part in parts]
    return Sums(weight, pivot, np.sum([part.first for part in moved], 0), np.sum([part.higher for part in moved], 0))


def _moved(form: Additive, part: Sums, pivot: np.ndarray) -> Sums:
    """The sums about another pivot."""
    apart = part.pivot - pivot
    if form.powers is None:
        cross = np.outer(part.first, apart)
        higher = part.higher + cross + cross.T + part.weight * np.outer(apart, apart)
    else:
        powers = [np.full_like(part.first, part.weight), part.first, *part.higher]
        higher = np.stack([_shifted(powers, apart, k) for k in range(2, form.powers + 1)])
    return Sums(part.weight, pivot, part.first + part.weight * apart, higher)


def _shifted(powers: Sequence[Any], apart: Any, k: int) -> Any:
    """The mean, or sum, of (x + apart)^k, from those of x^0, x^1 ... x^k."""
    return sum(math.comb(k, j) * powers[j] * apart ** (k - j) for j in range(k + 1))


def statistic_of(form: Additive, sums: Sums, *, known: Any = None) -> Any:
    """The statistic of a style, or picture, with these sums."""
    apart = over(sums.first, sums.weight)
    return form.statistic(sums.pivot + apart, apart, over(sums.higher, sums.weight), known)


def loss_of(form: Additive, sums: Sums, target: Any) -> Scalar:
    """The loss of a layer with these sums, for a style with this statistic."""
    return form.distance(statistic_of(form, sums, known=form.known(target)), target)


def _gram(mean: Array, apart: Array, products: Array, known: None) -> Array:
    return products


def _moments(mean: Array, apart: Array, products: Array, known: None) -> Moments:
    return Moments(mean, products - apart[:, None] * apart[None])


def _deviations(mean: Array, apart: Array, powers: Array, known: None) -> Deviations:
    return Deviations(mean, root(powers[0] - apart**2))


def _root_mean_square(mean: Array, apart: Array, powers: Array, known: None) -> Scalar:
    return root(jnp.mean(powers[0]))


def _central_moments(mean: Array, apart: Array, powers: Array, known: Scalar) -> CentralMoments:
    raw = [jnp.ones_like(apart), apart, *powers]
    central = [_shifted(raw, -apart, k) for k in range(2, ORDERS + 1)]
    return CentralMoments(known, jnp.stack([mean, *central]))


def _cmd_distance(found: CentralMoments, target: CentralMoments) -> Scalar:
    return moments_distance(found.moments, target)


_SCALE = Additive(_root_mean_square, relative_error, powers=2, centred=False)
ADDITIVE: dict[Callable[..., Scalar], Additive] = {
    style_loss: Additive(_gram, relative_error, centred=False),
    gatys_style: Additive(_gram, gatys_distance, centred=False),
    mean_squared_style: Additive(_gram, mean_squared_distance, centred=False),
    wasserstein_loss: Additive(_moments, gaussian_distance),
    crowsonkb_style: Additive(_moments, wasserstein2),
    deviations_loss: Additive(_deviations, deviations_distance, powers=2),
    cmd_loss: Additive(
        _central_moments,
        _cmd_distance,
        powers=ORDERS,
        before=_SCALE,
        known=lambda target: target.scale,
        values=squashed,
    ),
}
