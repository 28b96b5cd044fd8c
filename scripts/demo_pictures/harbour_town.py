"""What stands in the harbour town and where: land, houses, church, trees, quay, jetty and boats."""

import numpy as np

from harbour_solids import box, convex, hull, leaves, pillar, prism, rope, sail
from noise import cell_hash

WALLS = [(0.74, 0.33, 0.16), (0.80, 0.62, 0.30), (0.62, 0.20, 0.14), (0.82, 0.76, 0.62), (0.36, 0.47, 0.52)]
WALLS += [(0.78, 0.46, 0.34), (0.52, 0.58, 0.42), (0.85, 0.68, 0.46), (0.45, 0.22, 0.20), (0.70, 0.72, 0.72)]
ROOFS = [(0.44, 0.15, 0.08), (0.36, 0.13, 0.09), (0.50, 0.20, 0.10), (0.16, 0.17, 0.21), (0.30, 0.16, 0.12)]
GROUND, SLOPE = 1.7, 0.46


def house(rng, x, y, z, width, depth, eaves, colour, gable, seed):
    """One town house with its front at x (facing -x), as a list of solids."""
    roof = ROOFS[rng.integers(len(ROOFS))]
    top, x1, z1 = y + eaves, x + depth, z + width
    rise = width * rng.uniform(0.5, 0.65) if gable else depth * rng.uniform(0.36, 0.46)
    look = {"seed": seed, "origin": (x, y, z), "size": (depth, eaves, width)}
    parts = []
    if gable == 2:  # stepped parapet before a roof with its ridge running back
        parts.append(box("wall", colour, (x, y, z), (x1, top, z1), **look))
        for k in range(4):
            inset = width * 0.125 * k
            lo, hi = (x, top - 0.1, z + inset), (x + 0.5, top + rise * (k + 1) / 4 + 0.4, z1 - inset)
            parts.append(box("wall", colour, lo, hi, **look))
        parts.append(prism("roof", roof, (x + 0.2, top - 0.1, z), (x1, top + rise, z1), top, 0, seed=seed))
    elif gable:
        parts.append(prism("wall", colour, (x, y, z), (x1, top + rise, z1), top, 0, **look))
        lo, hi = (x + 0.25, top - 0.35, z - 0.25), (x1, top + rise + 0.3, z1 + 0.25)
        parts.append(prism("roof", roof, lo, hi, top, 0, seed=seed))
    else:
        parts.append(box("wall", colour, (x, y, z), (x1, top, z1), **look))
        lo, hi = (x - 0.5, top - 0.05, z), (x1 + 0.5, top + rise, z1)
        parts.append(prism("roof", roof, lo, hi, top + 0.12, 2, seed=seed))
        for k in range(int(width // 3.2)):
            dz, up = z + 1.1 + 3.2 * k, top + rise * 0.2
            lo, hi = (x + 0.7, up, dz), (x + 3.4, up + 2.5, dz + 1.5)
            parts.append(prism("dormer", colour, lo, hi, up + 1.7, 0, seed=seed))
    cz, cx = z + width * rng.choice([0.2, 0.8]), x + depth * 0.5
    ridge = top + rise * (0.75 if gable else 1.0)
    lo, hi = (cx, ridge - 2, cz - 0.45), (cx + 0.8, ridge + 1.3, cz + 0.45)
    parts.append(box("brick", (0.40, 0.20, 0.14), lo, hi))
    return parts


def church(x, y, z):
    """Nave, tower and spire."""
    stone, slate = (0.62, 0.54, 0.44), (0.15, 0.25, 0.25)
    look = {"seed": 3, "origin": (x, y, z), "size": (7, 24, 7)}
    return [
        box("tower", stone, (x, y, z), (x + 7, y + 24, z + 7), **look),
        box("plain", stone, (x - 0.4, y + 24, z - 0.4), (x + 7.4, y + 24.7, z + 7.4)),
        pillar("plain", slate, (x + 3.5, y + 24.7, z + 3.5), 4.5, 3.6, 2.2),
        pillar("plain", stone, (x + 3.5, y + 29.2, z + 3.5), 2.6, 1.6, 1.6),
        pillar("plain", slate, (x + 3.5, y + 31.8, z + 3.5), 9.5, 1.9, 0.04),
        prism("roof", (0.35, 0.15, 0.10), (x + 1, y, z + 7), (x + 9, y + 16, z + 26), y + 10, 2, seed=9),
    ]


def sailing_boat(colour, x, z, length, yaw, seed, sails=False):
    """Hull, cabin, mast and stays, with sails set or one furled along the boom."""
    c, s = np.cos(yaw), np.sin(yaw)
    wood = (0.36, 0.20, 0.10)

    def at(u, y):
        return np.array([x + s * u * length, y * length, z + c * u * length])

    parts = [hull(colour, np.array([x, 0.0, z]), length, length * 0.3, length * 0.13, yaw, seed)]
    parts.append(pillar("plain", (0.75, 0.70, 0.60), at(-0.08, 0.12), 0.8, 0.9, 0.8, 6))
    parts.append(pillar("plain", wood, at(0.08, 0.05), 1.25 * length, 0.13, 0.07, 6))
    if sails:
        parts.append(sail(at(0.06, 0.2), at(-0.46, 0.2), at(0.07, 1.25)))
        parts.append(sail(at(0.14, 0.18), at(0.47, 0.16), at(0.1, 1.12)))
    else:
        for k in range(7):
            parts.append(pillar("plain", (0.80, 0.74, 0.62), at(-0.06 * k, 0.23), 0.35, 0.2, 0.16, 5))
    return parts + [rope(at(end, 0.13), at(0.08, 1.22)) for end in (0.48, -0.48)]


def boats():
    """Three sailing boats at the quay, one under sail, and a rowing boat."""
    return [
        sailing_boat((0.10, 0.22, 0.34), -3.2, 36, 10.5, 0.05, 1),
        sailing_boat((0.55, 0.10, 0.07), -3.0, 54, 9.0, -0.06, 2),
        sailing_boat((0.75, 0.72, 0.64), -3.4, 83, 11.0, 0.1, 3),
        sailing_boat((0.10, 0.16, 0.14), -21, 58, 9.5, 1.9, 4, sails=True),
        [hull((0.50, 0.24, 0.10), np.array([-17.5, 0.0, 13.2]), 4.2, 1.6, 0.62, 1.1, 5)],
    ]


def quay_things(rng):
    """Lamp posts, bollards and people along the quay."""
    groups = []
    for z in range(22, 160, 13):
        post = [pillar("plain", (0.05, 0.06, 0.06), (1.6, GROUND, z), 4.2, 0.09, 0.06, 6)]
        post.append(pillar("lamp", (1.0, 0.75, 0.4), (1.6, GROUND + 4.2, z), 0.55, 0.16, 0.26, 6))
        post.append(pillar("plain", (0.12, 0.11, 0.1), (0.5, GROUND, z + 5), 0.6, 0.2, 0.25, 6))
        groups.append(post)
    coats = [(0.5, 0.1, 0.08), (0.08, 0.12, 0.25), (0.6, 0.5, 0.35), (0.1, 0.1, 0.1), (0.15, 0.3, 0.25)]
    for k in range(26):
        x, z = rng.uniform(1.2, 5.6), 16 + 5.2 * k + rng.uniform(-2, 2)
        person = [pillar("plain", (0.06, 0.06, 0.08), (x, GROUND, z), 0.85, 0.15, 0.19, 6)]
        person.append(pillar("plain", coats[k % 5], (x, GROUND + 0.8, z), 0.68, 0.28, 0.17, 6))
        person.append(pillar("plain", (0.45, 0.28, 0.2), (x, GROUND + 1.48, z), 0.3, 0.13, 0.14, 6))
        groups.append(person)
    return groups


def jetty(x0, x1, z):
    """A plank jetty on piles."""
    parts = []
    for k in range(int((x1 - x0) / 0.42)):
        x, tone = x0 + 0.42 * k, 0.8 + 0.4 * cell_hash(k, 5)
        lo, hi = (x, 1.0, z - 0.12 * cell_hash(k, 2)), (x + 0.37, 1.12, z + 2.4 + 0.12 * cell_hash(k, 3))
        parts.append(box("wood", tuple(tone * np.array([0.34, 0.25, 0.18])), lo, hi, seed=k))
    for k in range(int((x1 - x0) / 3) + 1):
        for dz in (0.1, 2.3):
            tall = 2.3 + 0.4 * cell_hash(k, dz * 10)
            pile = (x0 + 3 * k, -0.2, z + dz)
            parts.append(pillar("wood", (0.22, 0.15, 0.11), pile, tall, 0.19, 0.17))
    parts.append(box("wood", (0.2, 0.14, 0.1), (x0, 0.75, z + 0.15), (x1, 0.98, z + 0.35)))
    return parts


def land():
    """The hillside, the quay, the breakwater and its lighthouse."""
    planes = [((-SLOPE, 1, 0), (17, GROUND, 0)), ((0, 0.8, 1), (17, GROUND, 185)), ((0, -1, 0), (0, -1, 0))]
    planes += [((1, 0, 0), (150, 0, 0)), ((0, 0, -1), (0, 0, -60)), ((-1, 0.2, 0), (14, 0, 0))]
    x, z = -17, 188
    lighthouse = [
        pillar("lighthouse", (0.86, 0.82, 0.76), (x, 1.3, z), 12, 1.9, 1.3, 10),
        pillar("plain", (0.1, 0.1, 0.1), (x, 13.3, z), 0.4, 1.9, 1.9, 10),
        pillar("lamp", (1.0, 0.8, 0.5), (x, 13.7, z), 1.7, 1.0, 1.0, 8),
        pillar("plain", (0.5, 0.1, 0.06), (x, 15.4, z), 1.5, 1.3, 0.05, 10),
    ]
    return [
        [convex("grass", (0.17, 0.19, 0.07), planes, (14, -1, -60), (150, 80, 260))],
        [box("stone", (0.42, 0.36, 0.30), (0, -1, -60), (60, GROUND, 180))],
        [box("stone", (0.32, 0.29, 0.26), (-20, -1, 186), (14, 1.3, 190))],
        lighthouse,
    ]


def hillside(x):
    """Height of the ground behind the quay at x."""
    return GROUND + SLOPE * (x - 17)


def houses(rng):
    """The row along the quay, and three looser rows up the hill that leave room for the church."""
    groups, z, k = [], -8.0, 0
    while z < 160:
        width, kind = rng.uniform(5.6, 8.6), int(rng.choice([0, 1, 2, 2]))
        colour = WALLS[(3 * k + int(rng.integers(2))) % len(WALLS)]
        x, eaves = 7 + rng.uniform(-0.3, 0.3), rng.uniform(7.5, 12.5)
        groups.append(house(rng, x, GROUND, z, width, 9, eaves, colour, kind, k))
        z, k = z + width + rng.choice([0, 0, 0, 1.2]), k + 1
    for row, x in enumerate((24, 37, 52)):
        z = rng.uniform(0, 8)
        while z < 165 - 12 * row:
            y, width = hillside(x) - 0.3, rng.uniform(6.5, 9.5)
            if not (row == 1 and 72 < z < 118):
                eaves, kind = rng.uniform(5, 8.5), int(rng.choice([0, 0, 1]))
                groups.append(house(rng, x, y, z, width, 8, eaves, WALLS[7 * k % len(WALLS)], kind, k))
            z, k = z + width + rng.uniform(1, 7), k + 1
    return groups


def trees(rng):
    """Crowns over the hill, and four trees with trunks on the quay."""
    groups, green, gold, bark = [], (0.12, 0.17, 0.05), (0.20, 0.19, 0.05), (0.12, 0.08, 0.05)
    for k in range(46):
        x, z, r = rng.uniform(20, 100), rng.uniform(5, 190), rng.uniform(2.2, 3.8)
        groups.append([leaves(green, (x, hillside(x) + r * 0.9, z), (r, r * 1.15, r), k)])
    for k, z in enumerate((29, 47, 72, 104)):
        r = rng.uniform(1.7, 2.1)
        crown = leaves(gold, (4.2, GROUND + 4.4, z), (r, r * 1.1, r), 40 + k)
        groups.append([crown, pillar("plain", bark, (4.2, GROUND, z), 3.4, 0.16, 0.12, 6)])
    return groups


def number_groups(groups):
    """Give every solid its number and every group a bounding sphere."""
    solids, bounded = [], []
    for parts in groups:
        lo = np.min([p.centre - p.radius for p in parts], 0)
        hi = np.max([p.centre + p.radius for p in parts], 0)
        centre = (lo + hi) / 2
        radius = max(float(np.linalg.norm(p.centre - centre)) + p.radius for p in parts)
        bounded.append((centre, radius, [(len(solids) + i, p) for i, p in enumerate(parts)]))
        solids += parts
    return bounded, solids


def town(rng):
    """Everything solid, as groups (centre, radius, [(number, solid), ...]) and the flat list of solids."""
    groups = [*land(), *houses(rng), church(37, GROUND + 8.5, 84), *trees(rng)]
    return number_groups([*groups, *quay_things(rng), jetty(-14.5, 0.2, 14.5), *boats()])
