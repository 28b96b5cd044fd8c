"""Light in the harbour: what solids and rippled water send back of the sun, the sky and each other."""

import numpy as np

from harbour_rays import column, reflect, trace, unit
from harbour_sky import SUN, SUNLIGHT, clear_sky, haze, sky
from harbour_surfaces import surface
from noise import fbm, mix, step, value_noise


def sky_fill(groups, p, n, ball):
    """Light from sky and surroundings: one cosine-weighted ray a sample, over the directions in `ball`."""
    d = unit(n + 0.999 * ball)
    _, which, _ = trace(groups, p + 0.02 * n, d, any_hit=True)
    bounce = column(0.34, 0.22, 0.14) * mix(0.6, 1.0, step(0.3, -0.5, d[1]))
    beyond = np.where(d[1] > 0, clear_sky(d), column(0.30, 0.27, 0.25))
    return np.where(which >= 0, bounce, 0.9 * beyond)


def shade(scene, p, d, which, face, rng, ball=None):
    """Radiance (3, n) leaving hit points p towards the eye; `ball` switches the sky rays on."""
    groups, solids = scene
    n, albedo, glow, gloss = surface(solids, p, which, face)
    facing = (n * SUN).sum(0)
    leaf = np.array([s.normals is None for s in solids])[which]
    thin = np.array([s.kind == "sail" for s in solids])[which]
    facing = np.where(leaf, 0.35 + 0.65 * facing, np.where(thin & (facing < 0), -0.55 * facing, facing))
    lit = np.nonzero(facing > 0)[0]
    toward = unit(SUN + 0.012 * rng.standard_normal((3, lit.size)).astype(np.float32))
    start = p[:, lit] + 0.02 * n[:, lit] + np.where(leaf[lit] | thin[lit], 0.5, 0) * toward
    _, blocked, _ = trace(groups, start, toward, any_hit=True)
    sun = np.zeros(facing.shape, np.float32)
    sun[lit] = facing[lit] * (blocked < 0)
    if ball is None:
        fill = mix(column(0.34, 0.24, 0.18), clear_sky(n), 0.4 + 0.2 * n[1]) * 0.7
    else:
        fill = sky_fill(groups, p, n, ball)
    shine = np.zeros_like(p)
    shiny = np.nonzero(gloss > 0)[0]
    reflected = reflect(d[:, shiny], n[:, shiny])
    reflected[1] = np.abs(reflected[1])
    shine[:, shiny] = sky(reflected) * gloss[shiny]
    return albedo * (SUNLIGHT * sun + fill) + glow + shine


def swell(x, z):
    """Height of the water: a slow swell, wavelets, and a fine ruffle."""
    wavelets = 0.034 * fbm(x * 1.3 + z * 0.4, z * 1.9, 2) + 0.004 * value_noise(x * 7, z * 8)
    return 0.13 * fbm(x * 0.35 + 3, z * 0.5, 2) + wavelets


def ripples(x, z):
    """Slopes of the water's surface along x and z, calmer in patches."""
    e, h = 0.02, swell(x, z)
    calm = mix(0.35, 1.0, step(0.35, 0.65, fbm(x * 0.05 + 7, z * 0.03, 3)))
    return (swell(x + e, z) - h) / e * calm, (swell(x, z + e) - h) / e * calm


def water(scene, p, d, rng):
    """Radiance (3, n) of the water at p: fresnel mirror of the scene over a deep green."""
    sx, sz = ripples(p[0], p[2])
    n = unit(np.stack([-sx, np.ones_like(sx), -sz]))
    r = reflect(d, n)
    r[1] = np.abs(r[1]) + 0.002
    r = unit(r)
    groups, _ = scene
    start = p + column(0, 0.01, 0)
    t, which, face = trace(groups, start, r)
    colour = sky(r)
    hit = np.nonzero(which >= 0)[0]
    if hit.size:
        points = start[:, hit] + r[:, hit] * t[hit]
        colour[:, hit] = haze(shade(scene, points, r[:, hit], which[hit], face[hit], rng), r[:, hit], t[hit])
    fresnel = 0.10 + 0.90 * (1 - np.clip(-(d * n).sum(0), 0, 1)) ** 3.2
    deep = column(0.018, 0.060, 0.065) * (1 + 0.8 * (fbm(p[0] * 0.3, p[2] * 0.3, 3) - 0.5))
    return mix(deep, colour * column(0.93, 0.95, 0.97), fresnel)
