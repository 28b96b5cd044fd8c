"""What the harbour's surfaces look like before light falls on them.

A painter takes a solid and points p and normals n (3, n) on it; it returns albedo, glow and gloss.
"""

import numpy as np

from harbour_rays import column, unit
from noise import cell_hash, fbm, mix, step, value_noise


def plaster(solid, u, v):
    """Albedo (3, n) of a bare wall: stained plaster, or brick on every third house."""
    s = solid.seed * 7.3
    stain = fbm(u * 0.5 + s, v * 0.35, 4) - 0.5 + 0.35 * (fbm(u * 3 + s, v * 0.25, 3) - 0.5)
    albedo = column(*solid.colour) * (1 + 0.8 * stain + 0.25 * (value_noise(u * 9 + s, v * 9) - 0.5))
    if solid.seed % 3 == 2:
        course = np.floor(v * 4)
        tone = cell_hash(np.floor(u * 2.2 + 0.5 * (course % 2)), course, solid.seed)
        albedo = albedo * (0.75 + 0.5 * tone)
    return albedo


def add_windows(solid, albedo, u, v, front):
    """Windows, doors and shutters laid over a bare wall. Returns albedo, glow, gloss."""
    height, width = solid.size[1], np.where(front, solid.size[2], solid.size[0])
    floors, columns = max(2, round(height / 2.9)), np.where(front, max(2, round(solid.size[2] / 2.1)), 3)
    cu, cv = u / width * columns, v / height * floors
    iu, iv = np.floor(cu), np.floor(cv)
    fu, fv, look = cu - iu - 0.5, cv - iv - 0.5, cell_hash(iu, iv, solid.seed)
    ground = iv == 0
    door = ground & (cell_hash(iu, iv, solid.seed + 5) > 0.6)
    tall = np.where(ground, 0.36, 0.33)
    low = np.where(door, -0.5, -tall + 0.02)
    present = (v < height) & (front | (look > 0.45))
    pane = present & (np.abs(fu) < 0.25) & (fv > low) & (fv < tall)
    trim = present & (np.abs(fu) < 0.31) & (fv > low - 0.06) & (fv < tall + 0.07)
    albedo = np.where(trim, mix(albedo, column(0.80, 0.74, 0.64), 0.75), albedo)
    if solid.seed % 4 == 1:
        shutter = front & ~ground & (np.abs(np.abs(fu) - 0.36) < 0.09) & (np.abs(fv) < 0.34) & (v < height)
        slats = 0.75 + 0.5 * (np.sin(v * 40) > 0)
        paint = column(*[(0.10, 0.24, 0.20), (0.14, 0.22, 0.36), (0.42, 0.12, 0.08)][solid.seed % 3])
        albedo = np.where(shutter, paint * slats, albedo)
    bars = (np.abs(fu) < 0.022) | (np.abs(fv - 0.1) < 0.018) | (np.abs(fu) > 0.225) | (fv > tall - 0.03)
    glass = pane & ~bars & ~door
    recess = 0.35 + 0.65 * step(tall, tall - 0.10, fv)
    wood = column(*[(0.22, 0.10, 0.05), (0.07, 0.18, 0.16), (0.30, 0.06, 0.05)][solid.seed % 3])
    albedo = np.where(pane & bars, column(0.72, 0.68, 0.6) * recess, albedo)
    albedo = np.where(pane & door, wood * recess, albedo)
    curtain = 0.012 + 0.05 * (np.abs(fu) > 0.15) * (look > 0.5)
    albedo = np.where(glass, curtain * recess, albedo)
    warm = glass & (look > np.where(front, 0.70, 0.6))
    flicker = 0.45 + 0.7 * value_noise(u * 5 + solid.seed * 7.3, v * 5)
    glow = np.where(warm, column(1.7, 0.66, 0.12) * flicker * recess, 0)
    return albedo, glow, np.where(glass, 0.04 + 0.22 * look**3, 0.0)


def paint_wall(solid, p, n):
    """A house front or side: plaster or brick, windows, and a cornice that shades the wall below it."""
    front = np.abs(n[0]) > 0.5
    u = np.where(front, p[2] - solid.origin[2], p[0] - solid.origin[0])
    v, height = p[1] - solid.origin[1], solid.size[1]
    albedo, glow, gloss = add_windows(solid, plaster(solid, u, v), u, v, front)
    cornice = (v > height - 0.35) & (v < height)
    albedo = np.where(cornice, column(0.78, 0.70, 0.58), albedo)
    under = step(height - 0.9, height - 0.35, v) * (v < height - 0.35)
    return albedo * (1 - 0.35 * under) * mix(0.62, 1.0, step(0, 1.6, v)), glow, gloss


def paint_roof(solid, p, n):
    """Rows of tiles, each its own tone, mossy in patches."""
    across = np.where(np.abs(n[0]) > np.abs(n[2]), p[2], p[0])
    row = p[1] * 3.2
    course = np.floor(row)
    tile = np.floor(across * 2.6 + 0.5 * (course % 2))
    patches = fbm(across * 0.5 + solid.seed, p[1] * 0.5, 4) - 0.5
    tone = 0.68 + 0.5 * cell_hash(tile, course, solid.seed) + 0.5 * patches
    lap = 0.62 + 0.38 * step(0.0, 0.35, row - course)
    moss = step(0.55, 0.75, fbm(across * 0.9, p[1] * 0.9 + solid.seed, 5))
    albedo = mix(column(*solid.colour), column(0.16, 0.15, 0.07), 0.5 * moss) * tone * lap
    return np.where(np.abs(n[1]) < 0.1, column(0.5, 0.42, 0.34), albedo), 0, 0


def paint_stone(solid, p, n):
    """Ashlar blocks on upright faces, paving on top, dark and weedy at the waterline."""
    flat = n[1] > 0.5
    u, v = np.where(np.abs(n[0]) > 0.5, p[2], p[0]), np.where(flat, p[2], p[1])
    row = v * np.where(flat, 1.0, 2.2)
    course = np.floor(row)
    block = u * np.where(flat, 0.9, 0.85) + 0.5 * (course % 2) + 0.3 * cell_hash(course, 3)
    edge = np.minimum(np.abs(block - np.round(block)) * 1.1, np.abs(row - np.round(row)) / 2)
    tone = 0.7 + 0.55 * cell_hash(np.floor(block), course, 4) + 0.7 * (fbm(u * 1.5, v * 1.5, 4) - 0.5)
    albedo = column(*solid.colour) * tone * mix(0.45, 1, step(0.0, 0.05, edge))
    wet = np.where(flat, 0, step(0.75, 0.35, p[1] + 0.5 * (fbm(u * 1.2, 0 * u, 3) - 0.5)))
    return mix(albedo, column(0.05, 0.06, 0.03) * tone, 0.85 * wet), 0, 0


def grain(solid, p):
    """Fine mottling around zero, each solid's own."""
    return fbm(p[0] * 2 + solid.seed * 5.1, p[2] * 2 + p[1] * 1.7, 4) - 0.5


def paint_plain(solid, p, n):
    """One mottled colour."""
    return column(*solid.colour) * (1 + 0.5 * grain(solid, p)), 0, 0


def paint_grass(solid, p, n):
    """Green and dry fields."""
    field = step(0.42, 0.62, fbm(p[0] * 0.09 + 3, p[2] * 0.06, 5))
    return mix(column(*solid.colour), column(0.36, 0.28, 0.10), field) * (1 + 1.2 * grain(solid, p)), 0, 0


def paint_leaf(solid, p, n):
    """Leaves, lighter where they face up."""
    return column(*solid.colour) * (1 + 1.8 * grain(solid, p)) * (1.0 + 0.5 * n[1]), 0, 0


def paint_hull(solid, p, n):
    """Red below the waterline, a pale rail, and a planked deck."""
    part = p[1] / solid.size[1]
    paint = np.where(part < 0.2, column(0.30, 0.06, 0.04), column(*solid.colour))
    paint = np.where(part > 0.84, column(0.82, 0.76, 0.64), paint)
    deck = column(0.42, 0.27, 0.14) * (0.8 + 0.4 * (np.sin(p[0] * 18) > 0))
    if solid.seed == 5:  # an open boat: dark inside, with thwarts
        along = (p[0] - solid.centre[0]) * 0.89 + (p[2] - solid.centre[2]) * 0.45
        deck = np.where(np.abs(along % 1.2 - 0.6) < 0.17, deck, column(0.06, 0.035, 0.02))
    return np.where(n[1] > 0.9, deck, paint * (1 + 0.5 * grain(solid, p))), 0, 0.04


def paint_wood(solid, p, n):
    """Weathered planks and piles, dark near the water."""
    lines = fbm(p[0] * 12 + solid.seed * 5.1, p[2] * 1.2 + p[1] * 2, 4) - 0.5
    return column(*solid.colour) * (1 + 1.2 * lines) * mix(0.4, 1, step(0.1, 0.7, p[1])), 0, 0


def paint_brick(solid, p, n):
    """Chimney bricks."""
    tone = cell_hash(np.floor((p[0] + p[2]) * 3), np.floor(p[1] * 5))
    return column(*solid.colour) * (0.7 + 0.6 * tone), 0, 0


def paint_lamp(solid, p, n):
    """A lit lantern."""
    base = column(*solid.colour)
    return base * 0.4, base * 3.0, 0


def paint_lighthouse(solid, p, n):
    """Red and white bands."""
    banded = np.where((p[1] % 4.8) < 2.2, column(0.55, 0.08, 0.05), column(*solid.colour))
    return banded * (1 + 0.4 * grain(solid, p)), 0, 0


def paint_tower(solid, p, n):
    """The church tower: string courses, quoins and dark openings."""
    x, v, z = p - np.array(solid.origin, np.float32)[:, None]
    aside = np.abs(np.where(np.abs(n[0]) > 0.5, z, x) - 3.5)
    opening = (aside < 1.0) & (v > 17) & (v < 21 - 1.5 * aside**2) | (aside < 0.6) & (v > 8) & (v < 11)
    band = (np.abs(v - 15.6) < 0.3) | (np.abs(v - 23.4) < 0.4) | (aside > 2.9)
    stone = column(*solid.colour) * np.where(band, 1.15, 0.95) * (1 + 0.9 * grain(solid, p))
    return np.where(opening, 0.04, stone), 0, 0


def paint_dormer(solid, p, n):
    """A dormer: a tiled top, and in front a window of two panes."""
    fu, v = (p[2] - solid.origin[2]) / 1.5 - 0.5, p[1] - solid.origin[1]
    pane = (n[0] < -0.5) & (np.abs(fu) < 0.3) & (v > 0.5) & (v < 1.5) & (np.abs(fu) > 0.03)
    tiles = np.where(n[1] > 0.2, column(0.22, 0.12, 0.09), column(0.7, 0.64, 0.54))
    return np.where(pane, 0.04, tiles), 0, np.where(pane, 0.5, 0.0)


PAINTERS = {
    "brick": paint_brick,
    "dormer": paint_dormer,
    "grass": paint_grass,
    "hull": paint_hull,
    "lamp": paint_lamp,
    "leaf": paint_leaf,
    "lighthouse": paint_lighthouse,
    "plain": paint_plain,
    "roof": paint_roof,
    "sail": paint_plain,
    "stone": paint_stone,
    "tower": paint_tower,
    "wall": paint_wall,
    "wood": paint_wood,
}


def surface(solids, p, which, face):
    """Normals, albedo, glow (3, n each) and gloss (n) at hit points."""
    normal, albedo, glow = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    gloss = np.zeros(p.shape[1], np.float32)
    for number in np.unique(which):
        mine = np.nonzero(which == number)[0]
        solid, q = solids[number], p[:, mine]
        if solid.normals is None:
            out = (q - solid.centre[:, None]) / np.array(solid.size, np.float32)[:, None]
            wobble = [value_noise(q[i] * 3 + i, q[(i + 1) % 3] * 3 + q[(i + 2) % 3] * 2) - 0.5 for i in range(3)]
            n = unit(unit(out) + 1.3 * np.stack(wobble))
        else:
            n = solid.normals[face[mine]].T
        normal[:, mine] = n
        albedo[:, mine], glow[:, mine], gloss[mine] = PAINTERS[solid.kind](solid, q, n)
    return normal, np.clip(albedo, 0.005, 0.95), glow, gloss
