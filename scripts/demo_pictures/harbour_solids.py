"""The solids the harbour town is built from: planes that bound a convex shape, and crowns of leaves."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Solid:
    """Where all `normals @ p <= offsets` (convex), or, without normals, a leaf volume in an ellipsoid."""

    kind: str
    colour: tuple
    centre: np.ndarray
    radius: float
    normals: np.ndarray | None = None
    offsets: np.ndarray | None = None
    origin: tuple = (0.0, 0.0, 0.0)
    size: tuple = (1.0, 1.0, 1.0)
    seed: int = 0


def convex(kind, colour, planes, lo, hi, **more):
    """A convex solid from (normal, point on the plane) pairs inside the box lo..hi."""
    lo, hi = np.array(lo, np.float32), np.array(hi, np.float32)
    normals = np.array([n for n, _ in planes], np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    offsets = (normals * np.array([p for _, p in planes], np.float32)).sum(1)
    more = {"origin": lo.tolist(), "size": (hi - lo).tolist()} | more
    return Solid(kind, colour, (lo + hi) / 2, float(np.linalg.norm(hi - lo) / 2), normals, offsets, **more)


def box(kind, colour, lo, hi, **more):
    """An axis-aligned box."""
    axes = np.eye(3)
    planes = [(-a, lo) for a in axes] + [(a, hi) for a in axes]
    return convex(kind, colour, planes, lo, hi, **more)


def prism(kind, colour, lo, hi, eaves, along, **more):
    """A box whose top, from height `eaves` up, is a pitched roof with its ridge along axis 0 or 2."""
    across = 2 - along
    rise, run = hi[1] - eaves, (hi[across] - lo[across]) / 2
    planes = [(-a, lo) for a in np.eye(3)] + [(np.eye(3)[i], hi) for i in (0, 2)]
    for sign, corner in ((-1, lo), (1, hi)):
        normal, point = np.zeros(3), np.array(corner, float)
        normal[across], normal[1], point[1] = sign * rise, run, eaves
        planes.append((normal, point))
    return convex(kind, colour, planes, lo, hi, **more)


def pillar(kind, colour, base, height, bottom, top, sides=8, **more):
    """An upright n-sided pillar or cone with the given radii at bottom and top."""
    base = np.array(base, float)
    tip = base + np.array((0, height, 0))
    planes = [((0, -1, 0), base), ((0, 1, 0), tip)]
    for angle in 2 * np.pi * (np.arange(sides) + 0.5) / sides:
        out = np.array([np.cos(angle), 0, np.sin(angle)])
        planes.append((out + np.array((0, (bottom - top) / height, 0)), base + out * bottom))
    wide = max(bottom, top) * np.array((1, 0, 1))
    return convex(kind, colour, planes, base - wide, tip + wide, **more)


def hull(colour, centre, length, beam, height, yaw, seed):
    """A boat's hull: sides tangent to a lens shape, flaring upwards."""
    c, s = np.cos(yaw), np.sin(yaw)
    planes = [((0, 1, 0), (0, height, 0)), ((0, -1, 0), (0, -0.3, 0))]
    for u in np.linspace(-1, 1, 9):
        for side in (-1, 1):
            point = np.array([side * beam / 2 * (1 - u * u), height, u * length / 2])
            normal = np.array([side, -0.35, 2 * u * beam / length])
            planes.append((normal, point))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    planes = [(turn @ np.array(n, float), turn @ np.array(p, float) + centre) for n, p in planes]
    reach = np.array([length / 2, height, length / 2])
    return convex("hull", colour, planes, centre - reach, centre + reach, seed=seed, size=(beam, height, length))


def sail(a, b, c):
    """A thin triangle of canvas."""
    face = np.cross(b - a, c - a)
    face /= np.linalg.norm(face)
    planes = [(face, a + 0.04 * face), (-face, a - 0.04 * face)]
    for p, q, other in ((a, b, c), (b, c, a), (c, a, b)):
        out = np.cross(q - p, face)
        planes.append((out * -np.sign(out @ (other - p)), p))
    corners = np.stack([a, b, c])
    return convex("sail", (0.80, 0.70, 0.54), planes, corners.min(0) - 0.1, corners.max(0) + 0.1)


def rope(a, b):
    """A thin square bar from a to b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    axis = (b - a) / np.linalg.norm(b - a)
    side = np.cross(axis, [0.3, 0.1, 0.9])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    planes = [(axis, b), (-axis, a)]
    planes += [(sign * v, a + sign * 0.03 * v) for v in (side, other) for sign in (-1, 1)]
    return convex("plain", (0.10, 0.08, 0.07), planes, np.minimum(a, b) - 0.1, np.maximum(a, b) + 0.1)


def leaves(colour, centre, radii, seed):
    """A crown of leaves: a noisy volume in an ellipsoid."""
    centre, radii = np.array(centre, np.float32), np.array(radii, np.float32)
    return Solid("leaf", colour, centre, float(radii.max() * 1.25), size=tuple(radii), seed=seed)
