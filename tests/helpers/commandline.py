"""What the tests of the command line share: calls of it, pictures for it, and what every refusal looks like."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxstyle.weights import load_network, registry, save_weights

SHALLOW = ("--content-layers", "relu2_1", "--style-layers", "relu1_1", "relu2_1")  # a third of the compilation


class Said(NamedTuple):
    """How a call ended, and what it wrote."""

    code: int
    out: str
    err: str


class Stream(io.TextIOWrapper):
    """Standard input or output that holds bytes, or is a terminal."""

    def __init__(self, content: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def picture(path: Path, seed: int = 0, channels: int = 3, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture (width, height) of noise and a ramp."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 128, (size[1], size[0], channels)) + np.linspace(0, 127, size[0])[:, None]
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(said: Said, code: int, *words: str) -> None:
    """One plain line on stderr that has the words in it, and nothing on stdout."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("jaxstyle: ") and said.err.count("\n") == 1 and said.err.endswith("\n"), said.err
    assert "Traceback" not in said.err and "usage" not in said.err
    for word in words:
        assert word in said.err


# Whoever runs the tests in the background may have Ctrl-C ignored, which processes inherit.
LISTENING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from jaxstyle.cli.main import main
sys.exit(main())
"""


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """A call in a process of its own, which Ctrl-C reaches."""
    command = [sys.executable, "-c", LISTENING, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def shell(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jaxstyle.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


COMPACT = registry.shipped("compact.h5")
QUICK = ("--size", "64", "--steps", "2", *SHALLOW)
SWEPT = ("--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1")
SWEEP = ("c.png", "s.png", "-o", "out", "--size", "64", "--steps", "2", *SWEPT)
LANES = ("--optimizer", "adam")  # on CPUs L-BFGS runs one by one


def changed(path: Path, factor: float) -> None:
    """Compact's weights with a convolution multiplied."""
    params = {
        name: {key: np.asarray(array) * (factor if name == "conv1_2" else 1) for key, array in layer.items()}
        for name, layer in load_network("compact").params.items()
    }
    save_weights(path, params, network="compact", preprocessing="keras", source="", licence="")


def same_record(path: Path) -> dict[str, Any]:
    """The record of a PNG, which must be the same inside and beside it, without its mark."""
    with Image.open(path) as image:
        inside = json.loads(image.info["jaxstyle"])
    assert inside == json.loads(path.with_suffix(".json").read_text())
    assert inside.pop("mark")
    return inside


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)
