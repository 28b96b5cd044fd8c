"""The low sun and the far world of the harbour: sky, clouds, hills, and the haze in between."""

import numpy as np

from harbour_rays import column, unit
from noise import fbm, mix, step

SUN = unit(column(-0.60, 0.20, 0.77))
SUNLIGHT = column(4.9, 2.5, 1.0)


def clear_sky(d):
    """Radiance (3, n) of the cloudless evening sky in directions d."""
    up = np.clip(d[1], 0, 1)
    toward = np.clip((d * SUN).sum(0), -1, 1)
    base = mix(column(0.80, 0.60, 0.50), column(0.34, 0.44, 0.62), step(0.0, 0.26, up))
    base = mix(base, column(0.09, 0.17, 0.38), step(0.15, 0.75, up))
    glow = np.exp(-5.0 * (1 - toward)) * (0.35 + 0.65 * np.exp(-6 * up))
    return base + glow * column(1.5, 0.80, 0.28) + np.exp(-60 * (1 - toward)) * column(4, 2.6, 1.2)


def haze(colour, d, t):
    """Aerial perspective over distance t."""
    air = clear_sky(np.stack([d[0], np.full_like(t, 0.03), d[2]])) * 0.8
    return mix(air, colour, np.exp(-t / 800))


def sky(d):
    """Radiance (3, n) of the far world: sky, lit clouds, and hazy hills near the horizon."""
    colour = clear_sky(d)
    up = np.maximum(d[1], 0.0)
    x, z = d[0] / (up + 0.13), d[2] / (up + 0.13)
    warp = 0.7 * fbm(0.8 * x + 4, 0.8 * z, 3)
    density = fbm(0.75 * x + warp + 2, 1.2 * z - warp, 6, 0.55)
    shifted = fbm(0.75 * x + warp + 1.84, 1.2 * z - warp + 0.2, 4, 0.55)
    cover = step(0.42, 0.57, density) * step(0.01, 0.12, up)
    lit = np.clip(0.5 + 7.5 * (density - shifted), 0, 1) * (1 - 0.5 * step(0.55, 0.75, density))
    toward = np.exp(-1.6 * (1 - (d * SUN).sum(0)))
    bright = mix(column(0.92, 0.56, 0.46), column(2.3, 1.30, 0.62), toward)
    shade = mix(column(0.23, 0.25, 0.37), column(0.62, 0.40, 0.36), toward)
    colour = mix(colour, mix(shade, bright, lit), 0.9 * cover)
    azimuth = np.arctan2(d[0], d[2])
    horizon = clear_sky(np.stack([d[0], 0 * up, d[2]]))
    for k, (base, swing, pace) in enumerate(((0.085, 0.10, 3.0), (0.055, 0.07, 5.0), (0.022, 0.05, 9.0))):
        ridge = base + swing * (fbm(azimuth * pace + 11 * k, 0 * azimuth + k, 6) - 0.5)
        woods = fbm(azimuth * 60 + 5 * k, d[1] * 160 + 9 * k, 4) - 0.5
        slope = fbm(azimuth * pace * 2.4 + d[1] * 9, d[1] * 14 + 3 * k, 4) - 0.5
        tint = column(0.10, 0.14, 0.17) * (1 + 0.9 * woods + 1.8 * slope)
        tint = mix(horizon * 0.82, tint, 0.34 + 0.24 * k)
        colour = mix(colour, tint, step(ridge, ridge - 0.004, d[1]))
    return colour
