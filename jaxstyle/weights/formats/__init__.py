"""Formats of files of weights: others', and our own.

`any_format` reads a file of whichever of them; `stored` says what a reader of one of them returns.
"""

from jaxstyle.weights.formats.any_format import WeightsFile, declared, read
from jaxstyle.weights.formats.own import arrays_of, kernel_of, layer_from, read_attributes, write
from jaxstyle.weights.formats.stored import called

__all__ = [
    "WeightsFile",
    "arrays_of",
    "called",
    "declared",
    "kernel_of",
    "layer_from",
    "read",
    "read_attributes",
    "write",
]
