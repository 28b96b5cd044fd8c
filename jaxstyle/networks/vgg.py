"""The VGG family (Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556) as one Linen module.

Five blocks of 3x3 convolutions, each convolution followed by a ReLU and each block by a 2x2 pooling. VGG16 and
VGG19 differ in the number of convolutions of the last three blocks; `compact` is VGG19 up to conv5_1 with a quarter
of the channels. Layers are named as in the literature: `conv1_1 relu1_1 conv1_2 ... pool1 conv2_1 ... pool5`.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxstyle.types import FeatureMaps, Features, Image

Pooling: TypeAlias = Literal["max", "average"]
Padding: TypeAlias = Literal["zero", "edge", "reflect", "periodic"]


def pool(x: Features, pooling: Pooling) -> Float[Array, "h//2 w//2 c"]:
    """2x2 pooling with stride 2; an odd last row or column is dropped, as VGG does.

    Written as three operations on four strided slices: the gradient of `reduce_window` is several times slower
    on CPU than that of these slices.
    """
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    a, b, c, d = (x[i:h:2, j:w:2] for i in (0, 1) for j in (0, 1))
    if pooling == "max":
        return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))
    return (a + b + c + d) * 0.25


def add_border(x: Features, padding: Padding) -> Float[Array, "h+2 w+2 c"]:
    """One more row and column on each side, equal to the outermost ("edge"), to the next but one ("reflect"), or to
    the outermost of the other side ("periodic").

    Written as slices put together: the gradient of `jnp.pad` takes longer, to compile and to run.
    """
    for axis in (0, 1):
        inner = 1 if padding == "reflect" and x.shape[axis] > 1 else 0
        first = jax.lax.slice_in_dim(x, inner, inner + 1, axis=axis)
        last = jax.lax.slice_in_dim(x, x.shape[axis] - inner - 1, x.shape[axis] - inner, axis=axis)
        if padding == "periodic":
            first, last = last, first
        x = jnp.concatenate([first, x, last], axis)
    return x


class VGG(nn.Module):
    """A convolutional network of the VGG layout, as a function from a preprocessed image to named features.

    Attributes:
      depths: convolutions of each block.
      widths: channels of each block.
      pooling: "max" as trained, or "average" as Gatys, Ecker and Bethge (2015) preferred for synthesis.
      padding: what 3x3 convolutions see beyond the picture: "zero" as trained, "edge", "reflect", or "periodic", the
        picture itself, as if it tiled the plane. The last wants sides that all poolings halve.
      dtype: type of the convolutions, float32 or bfloat16; parameters stay float32.
    """

    depths: Sequence[int]
    widths: Sequence[int]
    pooling: Pooling = "max"
    padding: Padding = "zero"
    dtype: Any = jnp.float32

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers, in the order in which they are computed."""
        names: list[str] = []
        for block, depth in enumerate(self.depths, 1):
            for i in range(1, depth + 1):
                names += [f"conv{block}_{i}", f"relu{block}_{i}"]
            names.append(f"pool{block}")
        return tuple(names)

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """Shape (height, width, in, out) of each convolution's kernel, in the order of the layers."""
        shapes, channels = {}, 3
        for block, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            for i in range(1, depth + 1):
                shapes[f"conv{block}_{i}"] = (3, 3, channels, width)
                channels = width
        return shapes

    @nn.compact
    def __call__(self, x: Image, layers: Sequence[str]) -> FeatureMaps:
        """The features of `layers`. Nothing past the deepest of them is computed.

        Args:
          x: a preprocessed image, (h, w, 3).
          layers: names out of `layer_names`.

        Returns:
          name -> features (h', w', c), in the order asked for. Block b's features are h / 2^(b-1) high.
        """
        wanted = set(layers)
        found: dict[str, Features] = {}
        x = x.astype(self.dtype)
        for name in self.layer_names:
            if wanted <= found.keys():
                break
            kind, block = name[:4], int(name[4])
            if kind == "conv":
                x = self._convolution(x, name, self.widths[block - 1])
            elif kind == "relu":
                x = jax.nn.relu(x)
            else:
                x = pool(x, self.pooling)
            if name in wanted:
                found[name] = x
        return {name: found[name] for name in layers}

    def _convolution(self, x: Features, name: str, width: int) -> Float[Array, "h w {width}"]:
        if self.padding != "zero":
            x = add_border(x, self.padding)
        padding = "SAME" if self.padding == "zero" else "VALID"
        return nn.Conv(width, (3, 3), padding=padding, dtype=self.dtype, name=name)(x)


VGG16 = VGG(depths=(2, 2, 3, 3, 3), widths=(64, 128, 256, 512, 512))
VGG19 = VGG(depths=(2, 2, 4, 4, 4), widths=(64, 128, 256, 512, 512))
# With zero padding its pictures get a coloured frame some pixels wide.
COMPACT = VGG(depths=(2, 2, 4, 4, 1), widths=(16, 32, 64, 128, 128), padding="edge")
