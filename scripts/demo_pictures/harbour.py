"""The content picture: a harbour town at golden hour, ray traced with a low sun, soft shadows and water."""

import numpy as np

from canvas import blur
from harbour_bough import bough
from harbour_light import shade, water
from harbour_rays import column, trace, unit
from harbour_sky import haze, sky
from harbour_town import town
from noise import SEED, mix

EYE = column(-30.0, 5.6, -10.0)


def camera(rows, columns, width, height):
    """Ray directions (3, n) for pixel coordinates; verticals stay upright, as through a shift lens."""
    yaw, wide = np.radians(25.5), np.tan(np.radians(27.5))
    x = (2 * columns / width - 1) * wide
    y = (0.90 - 2 * rows / height) * wide * height / width + 0.055
    d = np.stack([x * np.cos(yaw) + np.sin(yaw), y, np.cos(yaw) - x * np.sin(yaw)])
    return unit(d.astype(np.float32))


def radiance(scene, o, d, ball, rng):
    """What the eye sees along rays: solids, water or the far world."""
    t, which, face = trace(scene[0], o, d)
    with np.errstate(divide="ignore"):
        sea = np.where(d[1] < -1e-4, -o[1] / d[1], np.inf)
    light = np.zeros_like(d)
    far = np.nonzero((which < 0) & np.isinf(sea))[0]
    light[:, far] = sky(d[:, far])
    wet = np.nonzero(sea < t)[0]
    light[:, wet] = haze(water(scene, o[:, wet] + d[:, wet] * sea[wet], d[:, wet], rng), d[:, wet], sea[wet])
    hit = np.nonzero((which >= 0) & (t <= sea))[0]
    if hit.size:
        p = o[:, hit] + d[:, hit] * t[hit]
        seen = shade(scene, p, d[:, hit], which[hit], face[hit], rng, ball[:, hit])
        light[:, hit] = haze(seen, d[:, hit], t[hit])
    return light


def render(scene, width, height, sub, rng):
    """Linear radiance (height, width, 3), averaged from sub x sub jittered rays a pixel, band by band."""
    count, bands = sub * sub, []
    k = np.arange(count)
    lift = 1 - 2 * (k + 0.5) / count
    spin = k * 2.399963
    for top in range(0, height, 16):
        shape = (16, width, count)
        rows = top + np.arange(16)[:, None, None] + (k // sub + rng.random(shape)) / sub
        columns = np.arange(width)[None, :, None] + (k % sub + rng.random(shape)) / sub
        d = camera(rows.ravel(), columns.ravel(), width, height)
        turn = (spin + 2 * np.pi * rng.random((16, width, 1))).ravel()
        rise = np.broadcast_to(lift, shape).ravel()
        ring = np.sqrt(1 - rise**2)
        ball = np.stack([ring * np.cos(turn), rise, ring * np.sin(turn)]).astype(np.float32)
        light = radiance(scene, np.broadcast_to(EYE, d.shape), d, ball, rng)
        bands.append(light.T.reshape(*shape, 3).clip(0, 8).mean(2))
    return np.concatenate(bands)


def develop(light, rng):
    """Bloom, exposure, a film-like curve, vignette and grain: linear radiance to sRGB in [0, 1]."""
    h, w, _ = light.shape
    bright = np.maximum(light - 0.9, 0)
    light = light + 0.05 * blur(bright, 3) + 0.06 * blur(bright, 14)
    y, x = np.mgrid[0:h, 0:w]
    r2 = ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2)[..., None]
    light = light * 0.62 * (1 - 0.8 * r2)
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    out = np.clip(curve, 0, 1) ** (1 / 2.2)
    out = mix(out, out * out * (3 - 2 * out), 0.30)
    out = mix(out.mean(2, keepdims=True), out, 1.10)
    grain = blur(rng.standard_normal((h, w, 1)).astype(np.float32), 0.55)
    return out + 0.018 * grain * (1 - 0.5 * out)


def harbour_picture(sub=4):
    """The harbour town, (384, 512, 3)."""
    rng = np.random.default_rng(SEED)
    light = render(town(rng), 512, 384, sub, rng)
    leafage, cover = bough(512, 384, np.random.default_rng(SEED + 3))
    return develop(mix(light, leafage, cover), rng)
