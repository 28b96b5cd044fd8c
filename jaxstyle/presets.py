"""Presets: settings that belong together, by name. Those of published programs, and some of our own.

A preset is what a user's options replace: whatever is not given comes from it. Nothing here is slow to import, so that
the command line knows a preset before JAX is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxstyle import defaults

if TYPE_CHECKING:
    from jaxstyle.objective import Objective, Weights
    from jaxstyle.solvers import Solver


@dataclass(frozen=True)
class Preset:
    """What is minimised, and how: the defaults, where a preset says nothing else.

    Attributes:
      line: what it is for, in a few words.
      source: program or paper, and what of it is not the same here; for our own, the pictures that it was chosen on.
      formula: of the terms, in `objective.FORMULAE`.
      style_loss: in `losses.STYLE_LOSSES`; None for the formula's own.
      content_layers, style_layers, layer_weights, content_weight, style_weight, tv_weight: of the objective.
      optimizer: "adam", "lbfgs" or "optax-lbfgs".
      rate: Adam's; None for the others.
      history: pairs that L-BFGS keeps.
      steps: at each size.
      init: "content", "noise", "style" or "blur".
      average: decay of the running mean of the images.
      coarse_to_fine: whether smaller sizes come first.
      pooling, padding: of the network; None for its own.
    """

    line: str
    source: str = ""
    formula: str = "relative"
    style_loss: str | None = "gram"
    content_layers: tuple[str, ...] = defaults.CONTENT_LAYERS
    style_layers: tuple[str, ...] = defaults.STYLE_LAYERS
    layer_weights: tuple[float, ...] | None = None
    content_weight: float = defaults.CONTENT_WEIGHT
    style_weight: float = defaults.STYLE_WEIGHT
    tv_weight: float = defaults.VARIATION_WEIGHT
    optimizer: str = defaults.SOLVER
    rate: float | None = None
    history: int = defaults.HISTORY
    steps: int = defaults.STEPS
    init: str = "content"
    average: float = 0.0
    coarse_to_fine: bool = True
    pooling: str | None = None
    padding: str | None = None

    @property
    def objective(self) -> "Objective":
        """Layers and formulae."""
        from jaxstyle.objective import FORMULAE, Objective

        return Objective(self.content_layers, self.style_layers, FORMULAE[self.formula], style_loss=self.style_loss)

    @property
    def weights(self) -> "Weights":
        """Of the terms and of the style layers."""
        import numpy as np

        from jaxstyle.objective import Weights

        layers = None if self.layer_weights is None else np.asarray(self.layer_weights, np.float32)
        return Weights(self.content_weight, self.style_weight, self.tv_weight, layers)

    @property
    def solver(self) -> "Solver":
        """What moves the pixels."""
        from jaxstyle.solvers import SOLVERS

        kind: Any = SOLVERS[self.optimizer]
        return kind(history=self.history) if self.rate is None else kind(rate=self.rate)

    def arguments(self, size: Sequence[int]) -> dict[str, Any]:
        """Keyword arguments of `transfer`, for a content of this (height, width)."""
        return {
            "objective": self.objective,
            "weights": self.weights,
            "solver": self.solver,
            "steps": self.steps,
            "init": self.init,
            "average": self.average,
            "min_size": None if self.coarse_to_fine else max(size),
        }


CHOSEN = (
    "Chosen by eye, with the compact network at 256 pixels, on Tübingen in the manner of The Starry Night and the Taj "
    "Mahal in that of The Night Café."
)

PRESETS: dict[str, Preset] = {
    "default": Preset("relative terms: one setting for any size, network and layer"),
    "strokes": Preset(
        "a painter's strokes, bold and clean; large shapes follow the style",
        CHOSEN,
        style_loss="wasserstein",
        style_weight=60.0,
        layer_weights=(1.0, 1.0, 2.0, 2.0, 1.0),
    ),
    "subtle": Preset(
        "the content with every edge, in the colours and the grain of the style",
        CHOSEN,
        style_layers=("relu1_1", "relu2_1", "relu3_1"),
        style_weight=6.0,
        tv_weight=10.0,
    ),
    "texture": Preset(
        "a picture of the style's own matter, from noise, with hardly more than the content's format",
        CHOSEN,
        style_loss="wasserstein",
        content_weight=0.3,
        style_weight=200.0,
        tv_weight=1.0,
        steps=80,
        init="noise",
    ),
    "poster": Preset(
        "large, soft areas of colour, little grain",
        CHOSEN,
        style_loss="wasserstein",
        style_weight=100.0,
        layer_weights=(1.0, 1.0, 2.0, 4.0, 4.0),
        tv_weight=100.0,
    ),
    "gatys": Preset(
        "Gatys, Ecker and Bethge 2015: sums of squares, average pooling, L-BFGS from noise; for Keras weights",
        "https://arxiv.org/abs/1508.06576 with the 500 steps at 512 pixels of its authors' PyTorch code. Here L-BFGS "
        "has a line search and keeps pixels in [0, 1], and noise is grey with a deviation of 0.15.",
        formula="gatys",
        style_loss=None,
        content_layers=("conv4_2",),
        style_layers=("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        style_weight=1e3,
        tv_weight=0.0,
        history=100,
        steps=500,
        init="noise",
        coarse_to_fine=False,
        pooling="average",
    ),
    "neural-style": Preset(
        "jcjohnson/neural-style and its PyTorch port: means of squares, 1000 steps of L-BFGS from noise; for Keras "
        "weights",
        "The port's terms; neural-style has the gradient of its variation alone. Here L-BFGS has a line search where "
        "these take steps of length 1, keeps pixels in [0, 1], and noise has a deviation of 0.15 where theirs is next "
        "to none.",
        formula="neural-style",
        style_loss=None,
        content_weight=5.0,
        style_weight=100.0,
        tv_weight=1e-3,
        history=100,
        steps=1000,
        init="noise",
        coarse_to_fine=False,
        pooling="max",
    ),
    "pytorch-tutorial": Preset(
        "PyTorch's tutorial: the first five convolutions, L-BFGS from the content; for torchvision weights",
        "Here L-BFGS has a line search where the tutorial takes steps of length 1 and counts evaluations, and knows "
        "that pixels are in [0, 1], where the tutorial's does not see that they are clipped.",
        formula="pytorch-tutorial",
        style_loss=None,
        content_layers=("conv2_2",),
        style_layers=("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"),
        style_weight=1e6,
        tv_weight=0.0,
        history=100,
        steps=300,
        coarse_to_fine=False,
        pooling="max",
    ),
    "crowsonkb": Preset(
        "crowsonkb/style-transfer-pytorch: Wasserstein distance, Adam, running mean, coarse to fine; for torchvision "
        "weights",
        "There the coarsest size has 1000 steps, Adam goes on with its moments from size to size, and the first "
        "convolution alone pads with the edge; here all sizes have 500, Adam begins anew, and padding is the "
        "network's.",
        formula="crowsonkb",
        style_loss=None,
        layer_weights=(256.0, 64.0, 16.0, 4.0, 1.0),
        content_weight=0.015,
        style_weight=1.0,
        tv_weight=2.0,
        optimizer="adam",
        rate=0.02,
        steps=500,
        average=0.99,
        pooling="max",
    ),
}
