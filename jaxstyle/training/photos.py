"""Photographs to train on, and random crops of them: the same ones in the same order, wherever a run is taken up again.

Grain reads, crops and batches on threads beside the training, and its iterators can be saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath
from jaxstyle.pictures.read import load_picture

LONG_SIDE = 768  # pixels: photographs are kept no larger
FEWEST = 2
FINEST = 1.0  # pixels of a photograph that one of a crop is made of, at least
STRETCH = 0.08  # standard deviation of the logarithm of a crop's proportions

Photo = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, eq=False)
class Photos:
    """Photographs in memory, and the files that could not be read, each with the reason."""

    pictures: tuple[Photo, ...]
    refused: tuple[str, ...]


def read_photos(places: Sequence[StrPath], *, smallest: int) -> Photos:
    """The pictures in some files and folders, in 8 bits, no side longer than 768 pixels.

    Args:
      places: files, or folders, whose files are read by what they hold and not by their names.
      smallest: pixels that the short side must have.

    Raises:
      InputError: fewer than two can be read.
    """
    files = [file for place in map(Path, places) for file in (sorted(place.iterdir()) if place.is_dir() else [place])]
    pictures, refused = [], []
    for file in files:
        if file.is_dir() or file.name.startswith(".") or file.suffix in (".csv", ".txt", ".json", ".md"):
            continue
        try:
            picture = load_picture(file)
            if max(picture.own_size) > LONG_SIDE:
                picture = load_picture(file, LONG_SIDE)
        except InputError as error:
            refused.append(str(error))
            continue
        if min(picture.pixels.shape[:2]) < smallest:
            height, width = picture.pixels.shape[:2]
            refused.append(f"{file} is {width} x {height} pixels; at least {smallest} a side are needed")
            continue
        pictures.append(np.rint(picture.pixels * 255).astype(np.uint8))
    if len(pictures) < FEWEST:
        why = f" ({refused[0]})" if refused else ""
        told = ", ".join(map(str, places))
        raise InputError(f"{len(pictures)} photographs in {told} can be used{why}; at least {FEWEST} are needed")
    return Photos(tuple(pictures), tuple(refused))


@dataclass(frozen=True)
class RandomCrop(grain.transforms.RandomMap):
    """A square part of a picture at a random scale, up to the whole short side, at times mirrored."""

    side: int

    def random_map(self, element: Photo, rng: np.random.Generator) -> UInt8[np.ndarray, "{self.side} {self.side} 3"]:
        """The crop."""
        height, width = element.shape[:2]
        largest = min(height, width)
        smallest = min(largest, round(self.side * FINEST))
        length = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        stretch = np.exp(STRETCH * rng.standard_normal())
        tall, wide = (min(length * x, side) for x, side in ((stretch, height), (1 / stretch, width)))
        top, left = rng.uniform(0, height - tall), rng.uniform(0, width - wide)
        box = (left, top, left + wide, top + tall)
        crop = Image.fromarray(element).resize((self.side, self.side), Image.Resampling.BICUBIC, box=box)
        pixels = np.asarray(crop)
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def crops(photos: Photos, *, side: int, batch: int, seed: int) -> Any:
    """An endless, saveable iterator of batches (batch, side, side, 3), uint8."""
    source: Any = grain.MapDataset.source(photos.pictures).seed(seed).shuffle().repeat()
    whole = source.random_map(RandomCrop(side)).batch(batch, drop_remainder=True)  # what is endless has no last batch
    return iter(whole.to_iter_dataset())
