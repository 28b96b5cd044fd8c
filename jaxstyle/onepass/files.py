"""Networks that paint in one pass, from files and to them."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, shown
from jaxstyle.onepass.decoders import AROUND, LEVELS, RANKS, SPACINGS, Decoder
from jaxstyle.onepass.painters import AnyPainter, StylePainter
from jaxstyle.onepass.style_network import StyleNetwork
from jaxstyle.weights.load import load_network
from jaxstyle.weights.parameters import read_parameters, write_parameters
from jaxstyle.weights.registry import shipped

STYLES, DECODERS = "styles 1", "decoders 1"  # kinds of files, and versions
STYLES_FILE, DECODERS_FILE = "styles.h5", "decoders.h5"
MOST_STYLES, MOST_WIDTH, MOST_BLOCKS = 1000, 256, 64
ENCODER, PADDING = "compact", "reflect"
CHANNELS = {"relu4_1": 512, "relu3_1": 256, "relu2_1": 128, "relu1_1": 64}  # of the encoder, a VGG19


def save_styles(path: StrPath, painter: StylePainter, facts: Sequence[Mapping[str, Any]], **trained: Any) -> None:
    """Writes a network of styles.

    Args:
      path: the file (.h5).
      painter: the network.
      facts: of each style, plain values; its name is added.
      trained: what else is to be known: how it was trained.
    """
    styles = [{**fact, "name": name} for name, fact in zip(painter.styles, facts, strict=True)]
    module = {"width": painter.module.width, "blocks": painter.module.blocks}
    write_parameters(path, painter.params, kind=STYLES, facts={"styles": styles, **module, "trained": trained})


def load_styles(path: StrPath | None = None) -> StylePainter:
    """A network trained for some styles, from a file of `jaxstyle train`; None: the one that ships with jaxstyle.

    Raises:
      InputError: no such file, or not one of that kind and version.
    """
    painter, _ = open_styles(path)
    return StylePainter(jax.tree.map(jnp.asarray, painter.params), painter.module, painter.styles)


def open_styles(path: StrPath | None = None) -> tuple[StylePainter, dict[str, Any]]:
    """`load_styles`, with NumPy's arrays, before any device is asked for; and the facts that the file has of it."""
    place = _place(path, STYLES_FILE)

    def shapes(facts: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        return _shapes(_described(facts, place)[1])

    params, facts = read_parameters(place, kind=STYLES, shapes=shapes, trusted=path is None)
    names, module = _described(facts, place)
    return StylePainter(params, module, names), facts


def style_facts(path: StrPath | None = None) -> list[dict[str, Any]]:
    """What a file says of its styles, in order: of each its name and more, which may be anything."""
    return list(open_styles(path)[1]["styles"])


def save_decoders(path: StrPath, decoders: Mapping[str, Decoder], **fitted: Any) -> None:
    """Writes the decoders of all levels, and how they were fitted, plain values."""
    flat = {f"{level}_{name}": x for level, own in decoders.items() for name, x in own._asdict().items()}
    write_parameters(path, flat, kind=DECODERS, facts={"encoder": ENCODER, "fitted": fitted})


def load_any_style(path: StrPath | None = None) -> AnyPainter:
    """What paints in the style of any picture: compact's layers and the decoders that ship with jaxstyle, or those of a
    file.

    Raises:
      InputError: no such file, or not one of that kind and version.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for level in LEVELS:
        rank, side = RANKS[level], 2 * SPACINGS[level]
        own = Decoder((AROUND, AROUND, CHANNELS[level], rank), (rank,), (rank, side, side, 3))  # type: ignore[arg-type]
        shapes |= {f"{level}_{name}": shape for name, shape in own._asdict().items()}
    place = _place(path, DECODERS_FILE)
    params, _ = read_parameters(place, kind=DECODERS, shapes=lambda _: shapes, trusted=path is None)
    decoders = {
        level: Decoder(*(jnp.asarray(params[f"{level}_{name}"]) for name in Decoder._fields)) for level in LEVELS
    }
    return AnyPainter(load_network(ENCODER, padding=PADDING), decoders)


def _place(path: StrPath | None, name: str) -> Path:
    if path is not None:
        return Path(path).expanduser()
    place = shipped(name)
    if place is None:
        raise InputError(f"{name} is missing from this installation of jaxstyle; install it again")
    return place


def _described(facts: Mapping[str, Any], path: Path) -> tuple[tuple[str, ...], StyleNetwork]:
    """The styles' names and the architecture, as a file says them."""
    try:
        names = tuple(style["name"] for style in facts["styles"])
        width, blocks = facts["width"], facts["blocks"]
        sound = all(isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 for name in names)
        sound = sound and 0 < len(set(names)) == len(names) <= MOST_STYLES
        sound = sound and width in range(1, MOST_WIDTH + 1) and blocks in range(MOST_BLOCKS + 1)
    except (KeyError, TypeError) as error:
        raise InputError(f"{shown(path)} is damaged or incomplete (it does not say what its styles are)") from error
    if not sound:
        raise InputError(f"{shown(path)} is damaged or incomplete (what it says of its styles makes no sense)")
    return names, StyleNetwork(len(names), width=width, blocks=blocks)


@functools.cache
def _shapes(module: StyleNetwork) -> dict[str, tuple[int, ...]]:
    variables: Any = jax.eval_shape(
        lambda: module.init(jax.random.key(0), jnp.zeros((16, 16, 3)), jnp.zeros(module.count))
    )
    return {name: leaf.shape for name, leaf in variables["params"].items()}
