"""What paints in one pass: a network trained for some styles, or an encoder with decoders for any style. Both are pytrees."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from jaxstyle.errors import InputError, nearest
from jaxstyle.networks import Network
from jaxstyle.onepass.decoders import LEVELS, decoders
from jaxstyle.onepass.style_network import Statistics, StyleNetwork
from jaxstyle.onepass.transforms import Description, describe, mixed, whiten_and_colour
from jaxstyle.types import Image, Picture

PLAIN = "photograph"  # the style of a network that leaves a picture as it is


@struct.dataclass
class StylePainter:
    """A network trained for some styles.

    Attributes:
      params: its parameters.
      module: the architecture.
      names: of the styles, in order. One of them, `PLAIN`, leaves pictures as they are: others are weakened by mixing
        it in.
    """

    params: Mapping[str, Any]
    module: StyleNetwork = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that there are to choose from."""
        return tuple(name for name in self.names if name != PLAIN)

    def shares(self, styles: Mapping[str, float], strength: float | Array) -> Float[Array, " n"]:
        """Of all styles, for a mix of some by name, whose weights need not sum to one.

        Raises:
          InputError: a name that is none of the styles.
        """
        for name in styles:
            if name not in self.styles:
                known = ", ".join(self.styles)
                raise InputError(f"there is no style {name!r}; there are {known}{nearest(name, self.styles)}")
        given = np.array([styles.get(name, 0.0) for name in self.names], np.float32)
        if not np.isfinite(given).all() or (given < 0).any() or not given.any():
            raise InputError(f"the weights of styles are {dict(styles)}; they are 0 or larger, and one is above 0")
        chosen = jnp.asarray(given / given.sum())
        plain = jax.nn.one_hot(self.names.index(PLAIN), len(self.names))
        return strength * chosen + (1 - strength) * plain

    def paint(
        self, content: Image, shares: Float[Array, " n"], statistics: Statistics | None = None
    ) -> tuple[Image, Statistics]:
        """The picture (h, w, 3) painted, and the statistics of its normalisations; see `StyleNetwork`."""
        return self.module.apply({"params": self.params}, content, shares, statistics)  # type: ignore[return-value]


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

    def paint(self, content: Image, style: dict[str, Description], strength: float | Array = 1.0) -> Image:
        """The picture (h, w, 3) painted, from the coarsest level to the finest (Li et al. 2017)."""
        height, width = content.shape[:2]
        x = jnp.pad(content, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
        for level in LEVELS:
            features = self.encoder.features(x, [level])[level]
            moved = whiten_and_colour(features, style[level])
            x = self.decode(level, strength * moved + (1 - strength) * features)
        return jnp.clip(x[:height, :width], 0.0, 1.0)

    def decode(self, level: str, features: Array) -> Image:
        """The picture of a level's features."""
        return decoders()[level].apply({"params": self.params[level]}, features)  # type: ignore[return-value]
