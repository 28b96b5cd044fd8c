"""What paints in one pass: a network trained for some styles, or an encoder with decoders for any. Both are pytrees."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from jaxstyle.errors import InputError, nearest
from jaxstyle.losses import Moments, moments
from jaxstyle.networks import Network
from jaxstyle.onepass.decoders import LEVELS, SPACINGS, Decoder, decode
from jaxstyle.onepass.style_network import MARGIN, STRIDE, Statistics, StyleNetwork
from jaxstyle.onepass.transforms import mixed, whiten_and_colour
from jaxstyle.types import Image, Picture

Descriptions: TypeAlias = dict[str, Moments]  # by layer
WIDEST = max(SPACINGS.values())


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
        height, width = content.shape[:2]
        pads = margins(height, width)
        painted, _ = self.paint_part(jnp.pad(jnp.asarray(content), pads, mode="reflect"), shares, strength)
        return painted[pads[0][0] : pads[0][0] + height, pads[1][0] : pads[1][0] + width]

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


@struct.dataclass
class AnyPainter:
    """An encoder, and a decoder from each of some of its layers, for any style.

    Attributes:
      encoder: a network with the layers in `decoders.LEVELS`.
      decoders: by layer.
    """

    encoder: Network
    decoders: Mapping[str, Decoder]

    def describe(self, style: Picture) -> Descriptions:
        """What is taken of a style picture (h, w, 3): mean and covariance of its features at each level."""
        features = self.encoder.features(jnp.asarray(style), LEVELS)
        return {level: moments(features[level]) for level in LEVELS}

    def mix(self, styles: Sequence[Descriptions], shares: Float[Array, " k"]) -> Descriptions:
        """A style between some; shares sum to one."""
        return {level: mixed([style[level] for style in styles], shares) for level in LEVELS}

    def paint(self, content: Picture, style: Descriptions, strength: float | Array = 1.0) -> Image:
        """The picture (h, w, 3) painted, from the coarsest level to the finest (Li et al. 2017)."""
        height, width = content.shape[:2]
        wide = jnp.pad(jnp.asarray(content), filling(height, width), mode="reflect")
        return self.paint_part(wide, style, strength)[0][:height, :width]

    def paint_part(
        self, part: Image, style: Descriptions, strength: float | Array = 1.0, own: Descriptions | None = None
    ) -> tuple[Image, Descriptions]:
        """A part of a picture, sides multiples of 8, painted, with these means and covariances of the picture's
        features in place of its own; and those that were taken."""
        taken: Descriptions = {}
        x = part
        for level in LEVELS:
            features = self.encoder.features(x, [level])[level]
            taken[level] = moments(features) if own is None else own[level]
            moved = whiten_and_colour(features, style[level], own=taken[level])
            x = jnp.clip(decode(self.decoders[level], strength * moved + (1 - strength) * features), 0.0, 1.0)
        return x, taken


def filling(height: int, width: int) -> list[tuple[int, int]]:
    """What a picture is continued by in a mirror, so that its sides are multiples of 8."""
    return [(0, -side % WIDEST) for side in (height, width)] + [(0, 0)]


Painter: TypeAlias = StylePainter | AnyPainter
