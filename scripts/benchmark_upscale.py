"""Super-resolution on pictures that are made smaller first: PSNR and SSIM as the literature has them. Run by
benchmark.py.

Pictures are cut to a multiple of the scale and made smaller by MATLAB's bicubic, to 8 bits. What is compared is the
luminance Y of BT.601 (16 to 235 of 255), of results in 8 bits, without `scale` pixels at each border. A grey picture,
of one channel in its file, is its own luminance, 0 to 255, as MATLAB's programs have it: Set14 has one, and as a colour
picture it would count 1.3 dB higher.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxstyle.defaults import UPSCALERS
from jaxstyle.pictures.metrics import psnr, ssim
from jaxstyle.superres.bicubic import matrix_of
from jaxstyle.superres.files import load_upscaler
from jaxstyle.superres.upscale import upscale_in_tiles

SCALES = (2, 3, 4)
TILE = 40  # pixels: no tile is larger than the smallest picture, so that all pictures share a program
LUMA = np.array([65.481, 128.553, 24.966]) / 255


def luminance(image: np.ndarray, *, grey: bool) -> np.ndarray:
    """Y (h, w), from RGB in [0, 1], which is rounded to 8 bits first."""
    levels = np.rint(np.clip(np.asarray(image, np.float64), 0, 1) * 255) / 255
    return levels[..., 0] if grey else 16 / 255 + levels @ LUMA


def scores(image: np.ndarray, reference: np.ndarray, *, border: int, grey: bool) -> tuple[float, float]:
    """PSNR in dB and SSIM."""
    inside = slice(border, -border)
    planes = [luminance(x, grey=grey)[inside, inside].astype(np.float32) for x in (image, reference)]
    same, other = (jnp.asarray(np.repeat(plane[..., None], 3, 2)) for plane in planes)
    return float(psnr(same, other)), float(ssim(same, other))


def resized(image: np.ndarray, scale: float) -> np.ndarray:
    """The picture resampled bicubically, in float64."""
    down, across = (matrix_of(side, scale) for side in image.shape[:2])
    return np.einsum("xw,ywc->yxc", across, np.einsum("yh,hwc->ywc", down, image))


def degraded(image: np.ndarray, scale: int) -> np.ndarray:
    """The picture (h, w, 3) made smaller, to 8 bits."""
    small = resized(image, 1 / scale)
    return (np.rint(np.clip(small, 0, 1) * 255) / 255).astype(np.float32)


def methods(weights: str | None) -> dict[str, Callable[[np.ndarray, int], np.ndarray]]:
    """By name, what makes a picture larger."""
    networks = {name: load_upscaler(name) for name in UPSCALERS}
    if weights:
        networks[Path(weights).name] = load_upscaler(weights)
    found: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "bicubic": lambda image, scale: resized(image, float(scale))
    }
    for name, network in networks.items():
        found[name] = lambda image, scale, network=network: upscale_in_tiles(image, scale, network=network, tile=TILE)
    return found


def upscaled(options: argparse.Namespace) -> list[dict]:
    """A row for each scale and method: means over the pictures of the folder."""
    if options.pictures is None:
        raise SystemExit("--pictures FOLDER: those that are made smaller and larger again, such as Set14")
    files = sorted(path for path in options.pictures.iterdir() if path.suffix == ".png")
    rows = []
    for scale in SCALES:
        found: dict[str, list[tuple[float, float]]] = {}
        for file in files:
            with Image.open(file) as opened:
                grey = opened.mode in ("L", "1", "I;16")
                whole = np.asarray(opened.convert("RGB"), np.float32) / 255
            height, width = (side // scale * scale for side in whole.shape[:2])
            reference = whole[:height, :width]
            small = degraded(reference, scale)
            for name, method in methods(options.weights).items():
                found.setdefault(name, []).append(
                    scores(np.asarray(method(small, scale)), reference, border=scale, grey=grey)
                )
        for name, values in found.items():
            mean_psnr, mean_ssim = np.mean(values, axis=0)
            row = {"scale": scale, "method": name, "PSNR dB": f"{mean_psnr:.2f}", "SSIM": f"{mean_ssim:.4f}"}
            rows.append({**row, "pictures": len(values)})
    return rows
