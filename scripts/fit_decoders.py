"""Fits the decoders that paint in any style, weights/decoders.h5, to pictures: two minutes on two cores.

    python scripts/fit_decoders.py photos style textures --unseen content --out weights/decoders.h5

Prints the peak signal-to-noise ratio of what they make of pictures that nothing was fitted to, by layer.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle import load_image, load_network, psnr
from jaxstyle.onepass.decoders import LEVELS, decode
from jaxstyle.onepass.files import ENCODER, PADDING, save_decoders
from jaxstyle.onepass.fit_decoders import fit_decoders
from jaxstyle.training.photos import read_photos

SIDE = 192  # pixels of a crop


def main() -> None:
    """Reads, fits, writes, measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures, or folders of them")
    parser.add_argument("--unseen", type=Path, help="a folder of pictures to measure on")
    parser.add_argument("--crops", type=int, default=260)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    photos = read_photos(options.pictures, smallest=SIDE)
    encoder = load_network(ENCODER, padding=PADDING)
    features = jax.jit(lambda image: encoder.features(image, LEVELS))
    rng = np.random.default_rng(0)

    def crops():
        for _ in range(options.crops):
            picture = photos.pictures[rng.integers(len(photos.pictures))]
            top, left = (rng.integers(side - SIDE + 1) for side in picture.shape[:2])
            yield picture[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255

    decoders = fit_decoders(lambda crop: features(jnp.asarray(crop)), crops())
    save_decoders(options.out, decoders, pictures=len(photos.pictures), crops=options.crops, side=SIDE)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, {len(photos.pictures)} pictures")
    for path in sorted(options.unseen.glob("*.[jp][pn]*g")) if options.unseen else ():
        image = load_image(path, 384)
        image = jnp.asarray(image[: image.shape[0] // 8 * 8, : image.shape[1] // 8 * 8])
        found = features(image)
        rows = [
            f"{level} {float(psnr(jnp.clip(decode(decoders[level], found[level]), 0, 1), image)):.1f}"
            for level in LEVELS
        ]
        print(f"{path.stem}: {', '.join(rows)} dB")


if __name__ == "__main__":
    main()
