"""Rays, all (3, n) arrays: small vector arithmetic, and which solid each ray meets first."""

import numpy as np

from noise import fbm


def column(*rgb):
    """A colour or vector as a (3, 1) array, to broadcast against (3, n)."""
    return np.array(rgb, np.float32)[:, None]


def unit(v):
    """Vectors (3, n) scaled to length one."""
    return v / np.sqrt((v * v).sum(0) + 1e-20)


def reflect(d, n):
    """Directions d (3, n) mirrored at surfaces with normals n."""
    return d - 2 * (d * n).sum(0) * n


def hit_convex(solid, origin, direction):
    """Entry distance (inf for a miss) and face of rays (3, n) against a convex solid."""
    slope = solid.normals @ direction
    gap = solid.offsets[:, None] - solid.normals @ origin
    with np.errstate(divide="ignore", invalid="ignore"):
        t = gap / slope
    enter = np.where(slope < 0, t, -np.inf)
    leave = np.where(slope > 0, t, np.inf).min(0)
    face = enter.argmax(0)
    near = np.take_along_axis(enter, face[None], 0)[0]
    return np.where((near < leave) & (near > 1e-3), near, np.inf), face


def leaf_density(solid, p):
    """Leafiness at points (3, n): above zero is inside a leaf clump."""
    q = (p - solid.centre[:, None]) / np.array(solid.size, np.float32)[:, None]
    f, s = 2.6 / min(solid.size) ** 0.6, solid.seed * 3.7
    lumps = fbm(p[0] * f + 0.6 * p[1] * f + s, p[2] * f - 0.8 * p[1] * f, 4, 0.65)
    return 1 - (q * q).sum(0) + 2.6 * (lumps - 0.56)


def hit_leaves(solid, origin, direction):
    """March rays (3, n) through a crown; distance to the first leaf, inf for a miss."""
    along = ((solid.centre[:, None] - origin) * direction).sum(0)
    t = np.full(along.shape, np.inf, np.float32)
    for k in np.linspace(-1, 1, 14).tolist():
        trial = along + k * solid.radius
        dense = (leaf_density(solid, origin + direction * trial) > 0) & (trial > 1e-2)
        t = np.where(dense & (trial < t), trial, t)
    return t, np.zeros(t.shape, np.int64)


def near_sphere(centre, radius, origin, direction, limit):
    """Indices of rays (3, n) that pass a sphere closer than `limit`."""
    away = np.asarray(centre, np.float32)[:, None] - origin
    along = (away * direction).sum(0)
    off = (away * away).sum(0) - along * along
    return np.nonzero((off < radius * radius) & (along > -radius) & (along - radius < limit))[0]


def trace(groups, origin, direction, any_hit=False):
    """First hit of rays (3, n): distance, solid's number (-1 for none), face. Shadow rays stop at any hit."""
    n = direction.shape[1]
    t, which, face = np.full(n, np.inf, np.float32), np.full(n, -1), np.zeros(n, np.int64)
    for centre, radius, members in groups:
        mine = near_sphere(centre, radius, origin, direction, t)
        if not mine.size:
            continue
        o, d, best = origin[:, mine], direction[:, mine], t[mine]
        for number, solid in members:
            pick = near_sphere(solid.centre, solid.radius, o, d, best)
            if not pick.size:
                continue
            meet = hit_leaves if solid.normals is None else hit_convex
            distance, side = meet(solid, o[:, pick], d[:, pick])
            closer = distance < best[pick]
            won = pick[closer]
            best[won] = -1 if any_hit else distance[closer]
            which[mine[won]], face[mine[won]] = number, side[closer]
        t[mine] = best
    return t, which, face
