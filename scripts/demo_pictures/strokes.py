"""The stroke picture: a landscape painted in some ten thousand bristly strokes along a flow, lit as impasto.

First the design (colour, flow and region for each pixel), then the brush that follows it.
"""

import numpy as np

from canvas import blur, shrink
from noise import SEED, fbm, mix, step

VORTICES = ((0.36, 0.245, 0.25, -1.0), (1.30, 0.02, 0.22, 0.9))
SUNSET = (0.93, 0.345)
ORCHARD = (  # x, y and radius of each tree, far to near
    (0.33, 0.60, 0.026), (0.72, 0.60, 0.018), (0.385, 0.605, 0.022), (0.10, 0.62, 0.075), (1.08, 0.635, 0.03),
    (0.215, 0.655, 0.055), (0.50, 0.66, 0.040), (0.585, 0.675, 0.032), (1.17, 0.69, 0.07),
)  # fmt: skip
NIGHT, DEEP, TEAL, MINT = (0.05, 0.09, 0.30), (0.08, 0.20, 0.50), (0.10, 0.46, 0.58), (0.50, 0.76, 0.70)
CREAM, GOLD, ORANGE, RUST = (0.98, 0.92, 0.72), (0.97, 0.74, 0.20), (0.93, 0.47, 0.12), (0.66, 0.22, 0.12)
ROSE, LILAC = (0.92, 0.62, 0.50), (0.52, 0.46, 0.74)
OCHRE, OLIVE, FOREST, VIOLET = (0.80, 0.56, 0.16), (0.42, 0.46, 0.14), (0.06, 0.22, 0.20), (0.30, 0.24, 0.52)


def ramp(x, *colours):
    """Colours (..., 3) along a piecewise linear ramp, x in [0, 1]."""
    x = np.clip(x, 0, 1) * (len(colours) - 1)
    stops = np.array(colours, np.float32)
    return np.stack([np.interp(x, range(len(stops)), stops[:, c]) for c in range(3)], -1).astype(np.float32)


def sky_design(u, v):
    """Colour and flow (..., 2) of the painted sky: bands winding around vortices and a ringed sun."""
    fx, fy = 1.0 + 0 * u, 0.55 * np.cos(3.5 * u + 6 * v) - 0.1
    phase = 15 * v + 1.9 * np.sin(3.5 * u + 6 * v)
    for cx, cy, reach, spin in VORTICES:
        dx, dy = u - cx, v - cy
        r = np.hypot(dx, dy)
        pull = np.exp(-((r / reach) ** 2) * 1.3) * 3.5
        fx = fx - pull * (spin * dy + 0.25 * dx) / (r + 0.01)
        fy = fy + pull * spin * dx / (r + 0.01)
        swirl = np.arctan2(dy, dx) * spin + 34 * r + 2.2
        phase = mix(phase, swirl, np.clip(pull / 2.2, 0, 1))
    tone = 0.5 + 0.5 * np.sin(phase) + 0.9 * (fbm(u * 9, v * 9, 4) - 0.5)
    high = ramp(tone, NIGHT, DEEP, DEEP, TEAL, MINT, CREAM)
    low = ramp(tone, DEEP, TEAL, MINT, ROSE, CREAM, ROSE)
    colour = mix(high, low, step(0.02, 0.46, v + 0.10 * np.sin(4 * u))[..., None])
    dx, dy = u - SUNSET[0], v - SUNSET[1]
    r = np.hypot(dx, dy)
    rings = 0.5 + 0.5 * np.cos(r * 105)
    halo = ramp(r / 0.30, CREAM, GOLD, ORANGE, MINT, TEAL)
    halo = mix(halo, ramp(r / 0.30, GOLD, CREAM, GOLD, TEAL, DEEP), rings[..., None])
    disc = r < 0.058
    colour = mix(colour, halo, step(0.30, 0.14, r)[..., None])
    colour = np.where(disc[..., None], ramp(r / 0.058 + 0.3 * rings, CREAM, CREAM, GOLD), colour)
    turn = np.clip(1.5 - r / 0.16, 0, 1)
    flow = np.stack([mix(fx, -dy / r * 3, turn), mix(fy, dx / r * 3, turn)], -1)
    return colour, flow


def land_design(u, v):
    """Regions (sky 0), colour and flow of hills, ploughed fields and a river."""
    colour, flow = sky_design(u, v)
    region = np.zeros(u.shape, np.int64)
    far = 0.50 + 0.050 * np.sin(6.1 * u + 0.4) + 0.022 * np.sin(15 * u)
    hills = [  # ridge, palette, where the furrows meet, how many, how much they wind
        (far, (VIOLET, VIOLET, DEEP, LILAC, LILAC), 0.25, 0.5, 20),
        (0.565 + 0.045 * np.sin(4.3 * u + 2.5), (FOREST, TEAL, OLIVE, MINT), 0.9, 1.2, 12),
        (0.645 + 0.040 * np.sin(3.1 * u - 0.8), (RUST, ORANGE, OCHRE, GOLD, OLIVE), 0.35, 2.2, 3),
        (0.765 + 0.075 * np.sin(2.3 * u + 1.9), (FOREST, OLIVE, GOLD, OCHRE, TEAL), 1.05, 1.7, 2),
    ]
    for k, (ridge, palette, meet, furrows, wind) in enumerate(hills):
        below, depth = v > ridge, v - ridge
        bend = np.gradient(ridge, axis=1) / np.gradient(u, axis=1)
        across = (u - meet) / (0.10 + 1.4 * depth)
        furrow = across * furrows + wind * depth
        tone = 0.5 + 0.42 * np.sin(2 * np.pi * furrow) + 0.9 * (fbm(u * 14 + k, v * 22, 3) - 0.5)
        # The nearer furrows meet at a point behind the ridge.
        across_field, along_field = (
            np.stack([bend + across * 1.4, 0 * u + 1.0], -1),
            np.stack([0 * u + 1, bend - 0.4], -1),
        )
        slant = across_field if k > 1 else along_field
        shaded = ramp(tone, *palette) * (1 - 0.25 * step(0.02, 0.0, depth))[..., None]
        colour = np.where(below[..., None], shaded, colour)
        flow = np.where(below[..., None], slant, flow)
        region = np.where(below, k + 1, region)
    down = np.clip((v - 0.60) / 0.40, 0, 1)
    middle = 0.86 + 0.13 * np.sin(7.5 * down**0.7 + 0.3) * (0.3 + down) - 0.18 * down
    wet = (np.abs(u - middle) < 0.012 + 0.13 * down**1.5) & (v > 0.60)
    glint = 0.5 + 0.5 * np.sin(v * 190 + 4 * fbm(u * 10, v * 10, 3)) * np.exp(-2 * np.abs(u - middle))
    glint = glint + 0.9 * (fbm(u * 12, v * 70, 3) - 0.5)
    colour = np.where(wet[..., None], ramp(glint, DEEP, TEAL, TEAL, MINT, CREAM, GOLD), colour)
    flow = np.where(wet[..., None], np.stack([1 + 0 * u, 0.12 * np.sin(20 * u)], -1), flow)
    return np.where(wet, 9, region), colour, flow


def painting_design(width, height):
    """Maps of region, colour (h, w, 3) and unit flow (h, w, 2) of the whole composition, trees included."""
    v, u = (np.mgrid[0:height, 0:width].astype(np.float32) + 0.5) / height
    region, colour, flow = land_design(u, v)
    for k, (cx, cy, r) in enumerate(ORCHARD):
        dx, dy = (u - cx) / r, (v - cy) / (1.12 * r)
        crown = dx * dx + dy * dy < (1 + 0.125 * np.sin(5 * np.arctan2(dy, dx) + k)) ** 2
        trunk = (np.abs(u - cx) < 0.1 * r) & (v > cy) & (v < cy + 2.0 * r)
        sx, sy = (u - cx + 0.6 * r) / (1.15 * r), (v - cy - 2.0 * r - 0.3 * (cx - u)) / (0.24 * r)
        gust = 3.0 * (fbm(u * 16, v * 16 + k, 2) - 0.5)
        light = 0.52 + 0.34 * dx - 0.34 * dy + 0.5 * (fbm(u * 30, v * 30, 3) - 0.5)
        foliage = ramp(light, NIGHT, FOREST, TEAL, OLIVE, GOLD)
        windy = np.stack([-dy - 0.3 * dx + gust, dx + 0.9 - gust], -1)
        shadow = sx * sx + sy * sy < 1
        for mask, paint, way in ((shadow, VIOLET, (1, 0)), (trunk, NIGHT, (0, 1)), (crown, foliage, windy)):
            colour = np.where(mask[..., None], np.float32(paint), colour)
            flow = np.where(mask[..., None], np.float32(way), flow)
            region = np.where(mask, 20 + 3 * k, region)
    return region, colour, flow / (np.linalg.norm(flow, axis=-1, keepdims=True) + 1e-6)


def stroke_paths(start, flow, region, length, points=24):
    """Walk both ways along the flow from pixels (n, 2), up to region borders: (n, points + 1, 2)."""
    h, w = region.shape
    home = region[start[:, 1].astype(int), start[:, 0].astype(int)]
    halves = []
    for sign in (-1, 1):
        at, walk, alive = start.copy(), [], np.ones(len(start), bool)
        for _ in range(points // 2):
            x, y = np.clip(at[:, 0], 0, w - 1).astype(int), np.clip(at[:, 1], 0, h - 1).astype(int)
            alive &= region[y, x] == home
            at = at + sign * flow[y, x] * (length / points) * alive[:, None]
            walk.append(at)
        halves.append(walk)
    return np.stack(halves[0][::-1] + [start] + halves[1], 1)


def lay_stroke(canvas, relief, path, width, colour, second, rng):
    """Draw one bristly stroke along `path` (m, 2) into the colour canvas and the height relief, in place."""
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if run[-1] < 0.8 * width:
        return
    n, m = int(run[-1] * 1.5) + 2, int(width * 1.6) + 3
    s, t = np.linspace(0, 1, n), np.linspace(-1, 1, m)
    x, y = np.interp(s * run[-1], run, path[:, 0]), np.interp(s * run[-1], run, path[:, 1])
    dx, dy = np.gradient(x), np.gradient(y)
    scale = 0.5 * width / np.sqrt(dx * dx + dy * dy + 1e-9)
    taper = (1 - 0.25 * s) * np.minimum(1, 0.45 + 4 * s)
    px = x[:, None] - (dy * scale * taper)[:, None] * t
    py = y[:, None] + (dx * scale * taper)[:, None] * t
    coarse = np.interp(t, np.linspace(-1, 1, m // 3 + 2), rng.standard_normal(m // 3 + 2))
    bristle = 0.6 * coarse + 0.5 * rng.standard_normal(m)
    first, last = 0.10 * rng.random(m) + 0.10 * t * t, 1 - 0.22 * rng.random(m) - 0.12 * t * t
    keep = (s[:, None] > first) & (s[:, None] < last) & (bristle - 2.4 * (1 - s[:, None]) < 0.4)
    keep &= (px >= 0) & (px < canvas.shape[1]) & (py >= 0) & (py < canvas.shape[0])
    i, j = py[keep].astype(int), px[keep].astype(int)
    load = np.clip(0.5 + 0.9 * (t - 0.4) + 0.25 * bristle, 0, 1) * (1 - 0.5 * s[:, None])
    tone = 1 + 0.075 * bristle + 0.05 * np.sin(3 * s[:, None] + bristle)
    canvas[i, j] = (mix(colour, second, load[..., None]) * tone[..., None])[keep]
    body = (1 - 0.35 * t * t) + 0.28 * bristle + 0.35 * (np.abs(t) > 0.8) + 0.5 * np.exp(-8 * (1 - s[:, None]))
    relief[i, j] = (body * (1 - 0.3 * s[:, None]) * min(1, 0.35 + 0.05 * width))[keep] + 0.25 * relief[i, j]


def paint_layer(canvas, relief, design, count, length, width, rng):
    """Scatter `count` strokes of one brush over the design, in random order."""
    region, colour, flow = design
    h, w = region.shape
    start = np.stack([rng.uniform(0, w - 1, count), rng.uniform(0, h - 1, count)], 1)
    paths = stroke_paths(start, flow, region, length * rng.uniform(0.7, 1.25, (count, 1)))
    for path, (x, y) in zip(paths, start.astype(int), strict=True):
        hue = colour[y, x] * (1 + 0.10 * rng.standard_normal()) + 0.045 * rng.standard_normal(3)
        if rng.random() < 0.05:
            hue = mix(hue, np.float32((ORANGE, GOLD, VIOLET, TEAL, MINT)[rng.integers(5)]), 0.6)
        tail = path[rng.integers(len(path))].astype(int).clip(0, (w - 1, h - 1))
        second = mix(colour[tail[1], tail[0]], np.float32((CREAM, NIGHT)[int(rng.random() < 0.4)]), rng.uniform(0, 0.4))
        lay_stroke(canvas, relief, path, width * rng.uniform(0.75, 1.25), hue, second, rng)


def impasto(canvas, relief):
    """Light the paint's relief from the upper left: diffuse shading and a soft gloss."""
    relief = blur(relief, 0.8)
    gy, gx = np.gradient(relief)
    slope = -(gx + gy)
    shade = 1 + np.clip(slope, -0.45, 0.5)
    gloss = np.clip(slope - 0.28, 0, 1) * 0.5
    return np.clip(canvas, 0, 1) * shade[..., None] + gloss[..., None] * np.float32((1, 0.98, 0.9))


def strokes_picture(sub=3):
    """The painting, (400, 512, 3)."""
    rng = np.random.default_rng(SEED + 1)
    design = painting_design(512 * sub, 400 * sub)
    canvas = np.broadcast_to(np.float32((0.55, 0.30, 0.16)), design[1].shape).copy()
    relief = np.zeros(canvas.shape[:2], np.float32)
    for count, length, width in ((700, 100, 20), (1800, 70, 13), (4600, 50, 8.5), (2600, 26, 4.6)):
        paint_layer(canvas, relief, design, count, length * sub, width * sub, rng)
    return shrink(impasto(canvas, relief), sub)
