"""What paints in one pass: a network trained for some styles, or an encoder with decoders for any. Both are pytrees."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from jaxstyle.errors import InputError, nearest
from jaxstyle.networks import Network
from jaxstyle.onepass.decoders import LEVELS, decoders
from jaxstyle.onepass.style_network import MARGIN, STRIDE, Statistics, StyleNetwork
from jaxstyle.onepass.transforms import Description, describe, mixed, whiten_and_colour
from jaxstyle.types import Image, Picture


@struct.dataclass
class StylePainter:
    """A network trained for some styles.

    Attributes:
      params: its parameters.
      module: the architecture.
      styles: their names, in order.
    """

    params: Mapping[str, Any]
    module: StyleNetwork = struct.field(pytree_node=False)
    styles: tuple[str, ...] = struct.field(pytree_node=False)

    def shares(self, styles: str | Mapping[str, float]) -> Float[Array, " n"]:
        """What `paint` takes, for a style by name, or for several with weights, which need not sum to one.

        Raises:
          InputError: a name that is none of the styles, or weights that are none.
        """
        given = {styles: 1.0} if isinstance(styles, str) else dict(styles)
        for name in given:
            if name not in self.styles:
                known = ", ".join(self.styles)
                raise InputError(f"there is no style {name!r}; there are {known}{nearest(name, self.styles)}")
        weights = np.array([given.get(name, 0.0) for name in self.styles], np.float32)
        if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise InputError(f"the weights of styles are {given}; they are 0 or larger, and one is above 0")
        return jnp.asarray(weights / weights.sum())

    def paint(self, content: Picture, shares: Float[Array, " n"], strength: float | Array = 1.0) -> Image:
        """The picture (h, w, 3) painted.

        Args:
          content: (h, w, 3) in [0, 1].
          shares: (styles,), from `shares`, or any that sum to one.
          strength: 0 leaves the content as it is, 1 is the style.
        """
        wide = jnp.pad(jnp.asarray(content), margins(*content.shape[:2]), mode="reflect")
        painted, _ = self.paint_part(wide, shares, strength)
        return within_margins(painted, *content.shape[:2])  # type: ignore[return-value]

    def paint_part(
        self,
        part: Image,
        shares: Float[Array, " n"],
        strength: float | Array = 1.0,
        statistics: Statistics | None = None,
    ) -> tuple[Image, Statistics]:
        """A part of a picture painted, its border too, with these means and deviations of the normalisations in place
        of its own; and those that were taken."""
        return self.module.apply({"params": self.params}, part, shares, strength, statistics)  # type: ignore[return-value]


def margins(height: int, width: int) -> list[tuple[int, int]]:
    """What a picture is continued by in a mirror, rows and columns before and after: what is next to the border is then
    painted as what is not, and sides are multiples of the network's stride."""
    sides = (height, width)
    before = [min(MARGIN, side - 1) // STRIDE * STRIDE for side in sides]
    after = [x - side % STRIDE for x, side in zip(before, sides, strict=True)]
    return [*zip(before, after, strict=True), (0, 0)]


def within_margins(painted: Picture, height: int, width: int) -> Picture:
    """The picture without what `margins` adds."""
    (top, _), (left, _), _ = margins(height, width)
    return painted[top : top + height, left : left + width]


@struct.dataclass
class AnyPainter:
    """An encoder, and a decoder from each of some of its layers, for any style.

    Attributes:
      encoder: a network with the layers in `decoders.LEVELS`.
      params: of the decoders, by layer.
    """

    encoder: Network
    params: Mapping[str, Any]

    def describe(self, style: Picture) -> dict[str, Description]:
        """What is taken of a style picture (h, w, 3): mean and covariance of its features at each level."""
        features = self.encoder.features(jnp.asarray(style), LEVELS)
        return {level: describe(features[level]) for level in LEVELS}

    def mix(self, styles: Sequence[dict[str, Description]], shares: Float[Array, " k"]) -> dict[str, Description]:
        """A style between some; shares sum to one."""
        return {level: mixed([style[level] for style in styles], shares) for level in LEVELS}

    def paint(self, content: Picture, style: dict[str, Description], strength: float | Array = 1.0) -> Image:
        """The picture (h, w, 3) painted, from the coarsest level to the finest (Li et al. 2017)."""
        height, width = content.shape[:2]
        x = jnp.pad(jnp.asarray(content), ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
        for level in LEVELS:
            features = self.encoder.features(x, [level])[level]
            moved = whiten_and_colour(features, style[level])
            x = self.decode(level, strength * moved + (1 - strength) * features)
        return jnp.clip(x[:height, :width], 0.0, 1.0)

    def decode(self, level: str, features: Array) -> Image:
        """The picture of a level's features."""
        return decoders()[level].apply({"params": self.params[level]}, features)  # type: ignore[return-value]


Painter: TypeAlias = StylePainter | AnyPainter
