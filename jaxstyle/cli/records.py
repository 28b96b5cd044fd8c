"""Records of results: what they were made from."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle import __version__
from jaxstyle.cli.earlier import MASKS
from jaxstyle.cli.masks import MaskFile
from jaxstyle.cli.settings import NetworkSettings, Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.files import plain_values
from jaxstyle.pictures.read import Picture
from jaxstyle.pictures.resample import resize
from jaxstyle.pictures.write import save_image
from jaxstyle.weights import show


def origin(sources: Sources, settings: Settings, *, held: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a picture is made from, as its record says it; `held` is what is known of the weights."""
    return {
        "content": file_record(sources.content),
        "styles": [file_record(style) for style in sources.styles],
        "init": sources.start and file_record(sources.start),
        **mask_records(sources),
        "settings": dict(vars(settings)),
        **made_with(settings, held=held),
    }


def known_of(network: NetworkSettings) -> dict[str, Any]:
    """What is known of a network's weights."""
    return show(network.weights or network.network, preprocessing=network.preprocessing)


def made_with(network: NetworkSettings, *, held: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What of a record is neither picture nor setting; `held` is what is known of the weights."""
    held = held or known_of(network)
    return made_by({key: held[key] for key in ("sha256", "preprocessing")})


def made_by(weights: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a record says of weights, if there are any, of the versions of what made the picture, and of the device."""
    names = ("jax", "jaxlib", "flax", "optax", "jaxopt", "numpy")
    return {
        **({} if weights is None else {"weights": dict(weights)}),
        "versions": {"jaxstyle": __version__, "python": platform.python_version()}
        | {name: version(name) for name in names},
        "device": str(jax.devices()[0].device_kind),
    }


def mask_records(sources: Sources) -> dict[str, Any]:
    """The masks, where there are any."""
    found = {name: getattr(sources, name) for name in MASKS}
    return {name: [mask and file_record(mask) for mask in masks] for name, masks in found.items() if masks}


def mask_arrays(sources: Sources) -> dict[str, Any]:
    """The masks as `transfer` and `make_plan` take them."""
    parts = sources.style_masks
    return {
        "masks": sources.masks and np.stack([mask.values for mask in sources.masks]),
        "style_masks": parts and [mask and mask.values for mask in parts],
    }


def file_record(picture: Picture | MaskFile) -> dict[str, str]:
    """A picture that was read, as records have it."""
    return {"file": picture.path, "sha256": picture.sha256}


def made_from(record: Mapping[str, Any]) -> Any:
    """What must be equal for two pictures to be the same, as plain values: all but names, versions and device, and
    settings of None, which an earlier version may not have had. None for a record that is not one of a transfer."""
    try:
        pictures = [record["content"], *record["styles"], record["init"]]
        hashes = [picture and picture["sha256"] for picture in pictures]
        masks = {name: [mask and mask["sha256"] for mask in record[name]] for name in MASKS if record.get(name)}
        settings = {name: value for name, value in record["settings"].items() if value is not None}
        return plain_values([hashes, settings, record["weights"]["sha256"], *([masks] if masks else [])])
    except (AttributeError, KeyError, TypeError):
        return None


def save_result(
    path: Path, image: Any, alpha: np.ndarray | None, record: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Saves a picture with its record; the content's opacity goes with it."""
    pixels = np.asarray(image)
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        alpha = resize(np.repeat(alpha[..., None], 3, 2), *pixels.shape[:2])[..., 0]
    save_image(path, pixels, record, alpha, overwrite=overwrite)
