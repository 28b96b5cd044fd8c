"""Files of weights: where they come from, what they hold, and networks made from them."""

from jaxstyle.weights.codebooks import Codebook
from jaxstyle.weights.convert import convert, save_weights
from jaxstyle.weights.describe import describe, show
from jaxstyle.weights.fetch import fetch
from jaxstyle.weights.identify import network_in
from jaxstyle.weights.load import load_network, module_options
from jaxstyle.weights.registry import DownloadError, WeightsInfo, at_hand, cache_folder

__all__ = [
    "Codebook",
    "DownloadError",
    "WeightsInfo",
    "at_hand",
    "cache_folder",
    "convert",
    "describe",
    "fetch",
    "load_network",
    "module_options",
    "network_in",
    "save_weights",
    "show",
]
