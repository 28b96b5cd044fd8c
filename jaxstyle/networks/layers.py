"""What a file of weights may hold of a network: convolutions, scalings and normalisations, as NumPy arrays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np


class MisfitError(ValueError):
    """A file's layers are not this network's. The message says how they differ: "it has no conv2"."""


class Convolution(NamedTuple):
    """A convolution: kernel (height, width, in, out), and bias (out,) or None."""

    kernel: np.ndarray
    bias: np.ndarray | None = None


class Scaling(NamedTuple):
    """Features times `scale` plus `offset`, both (channels,): a normalisation by statistics that no longer change."""

    scale: np.ndarray
    offset: np.ndarray


class Normalisation(NamedTuple):
    """Batch normalisation as files keep it, four arrays (channels,): (x - mean) / sqrt(variance + e) * scale + offset.

    Which e was trained with, no file says: the network's own reader knows it.
    """

    scale: np.ndarray
    offset: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def scaling(self, epsilon: float) -> Scaling:
        """The same with its statistics multiplied out."""
        return Scaling(*(array.astype(np.float32) for array in self._multiplied_out(epsilon)))

    def folded_into(self, before: Convolution, epsilon: float) -> Convolution:
        """A convolution and, right after it, this normalisation, as one convolution.

        Raises:
          MisfitError: they have different numbers of channels.
        """
        if self.scale.shape != before.kernel.shape[3:]:
            channels = f"{len(self.scale)} channels after a convolution of {before.kernel.shape[3]}"
            raise MisfitError(f"it has a normalisation of {channels}")
        scale, offset = self._multiplied_out(epsilon)
        bias = offset if before.bias is None else before.bias * scale + offset
        return Convolution((before.kernel * scale).astype(np.float32), bias.astype(np.float32))

    def _multiplied_out(self, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset, in float64."""
        scale, offset, mean, variance = (np.asarray(array, np.float64) for array in self)
        with np.errstate(invalid="ignore", divide="ignore"):  # what is not finite is refused where it is loaded
            scale = scale / np.sqrt(variance + epsilon)
            return scale, offset - mean * scale


Layer: TypeAlias = Convolution | Scaling | Normalisation


def in_order(layers: Mapping[str, Layer], names: Sequence[str]) -> dict[str, Layer]:
    """Layers by these names, one after the other; surplus ones keep theirs. For files in which only the order, not
    the name, says which layer it is."""
    return dict(zip([*names, *[*layers][len(names) :]], layers.values(), strict=False))


def plain_convolutions(layers: Mapping[str, Layer]) -> None:
    """Raises `MisfitError` if there is anything else in a file."""
    for name, layer in layers.items():
        if not isinstance(layer, Convolution):
            raise MisfitError(f"its {name} is a normalisation, which the network has not")
