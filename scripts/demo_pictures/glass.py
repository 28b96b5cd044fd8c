"""The pattern picture: a stained-glass window of leaded cells, rings and scales at three sizes.

First the panes (a region and a hue for each pixel), then their glass, then the leads between them.
"""

import numpy as np

from canvas import blur, shrink
from noise import SEED, cell_hash, fbm, mix, step

GLASS = {  # base, light and dark of each hue; elsewhere a hue is its place in this list
    "ruby": ((0.66, 0.03, 0.07), (0.93, 0.20, 0.10), (0.45, 0.02, 0.12)),
    "amber": ((0.96, 0.62, 0.08), (0.99, 0.80, 0.28), (0.90, 0.42, 0.05)),
    "cobalt": ((0.04, 0.12, 0.50), (0.08, 0.28, 0.72), (0.05, 0.06, 0.34)),
    "sky": ((0.22, 0.56, 0.84), (0.48, 0.76, 0.90), (0.12, 0.40, 0.72)),
    "green": ((0.03, 0.40, 0.24), (0.20, 0.60, 0.22), (0.02, 0.28, 0.26)),
    "pearl": ((0.94, 0.92, 0.80), (0.98, 0.96, 0.90), (0.86, 0.84, 0.66)),
    "violet": ((0.34, 0.10, 0.46), (0.55, 0.22, 0.62), (0.22, 0.06, 0.36)),
}
ROSETTE = (0.60, 0.37)  # the middle of the rose window


def nearest(points, sites):
    """Index of the nearest site for each point."""
    owner = [((p[:, None] - sites) ** 2).sum(2).argmin(1) for p in np.array_split(points, len(points) // 20000 + 1)]
    return np.concatenate(owner)


def relaxed_cells(inside, count, rng, rounds=12):
    """Number (h, w) of the nearest of `count` Lloyd-relaxed sites, for pixels of the mask `inside`."""
    y, x = np.nonzero(inside)
    points = np.stack([x, y], 1).astype(np.float32)
    sample = points[rng.permutation(len(points))[:12000]]
    sites = sample[:count].copy()
    for _ in range(rounds):
        owner = nearest(sample, sites)
        total = np.bincount(owner, minlength=count)[:, None] + 1e-9
        moved = np.stack([np.bincount(owner, sample[:, c], count) for c in (0, 1)], 1) / total
        sites = np.where(total > 0.5, moved, sites).astype(np.float32)
    cells = np.full(inside.shape, -1)
    cells[inside] = nearest(points, sites)
    return cells


def rose(x, y, cx, cy, radius):
    """A rose window: regions (-1 outside), and the hue of each region, from rings of petals."""
    r, angle = np.hypot(x - cx, y - cy) / radius, np.arctan2(y - cy, x - cx)
    region, hue = np.full(x.shape, -1), np.zeros(x.shape, np.int64)
    rings = [  # outer radius, petals, half-turn offset, scalloped edge, hues in turn
        (1.00, 36, 0.0, 0.00, (2, 3)),
        (0.90, 18, 0.5, 0.00, (0, 6)),
        (0.72, 18, 0.0, 0.10, (1, 0, 1)),
        (0.50, 9, 0.5, 0.08, (3, 2, 5)),
        (0.28, 9, 0.0, 0.05, (0, 0, 1)),
        (0.13, 1, 0.0, 0.00, (1,)),
    ]
    for k, (outer, petals, offset, scallop, hues) in enumerate(rings):
        turn = (angle / (2 * np.pi) * petals + offset) % petals
        edge = outer + scallop * (np.abs(np.cos(np.pi * (turn % 1 - 0.5))) - 0.6)
        mine = r < edge
        petal = np.floor(turn).astype(np.int64)
        region = np.where(mine, 1000 * (k + 1) + petal, region)
        hue = np.where(mine, np.array(hues)[petal % len(hues)], hue)
    return region, hue


def scales(x, y, size):
    """Overlapping fans of concentric arcs, like waves: regions, hues, and which fan each pixel is in."""
    region, hue, fan = np.full(x.shape, -1), np.zeros(x.shape, np.int64), np.zeros(x.shape, np.int64)
    fan_hues = np.array([[1, 5, 3, 2], [5, 3, 4, 2], [1, 0, 3, 2]])  # by kind of fan, from the middle out
    top, bottom = int(y.min() / (0.5 * size)) - 2, int(y.max() / (0.5 * size)) + 3
    for row in range(top, bottom):
        cy = row * 0.5 * size
        column_number = np.round(x / size - 0.5 * (row % 2))
        r = np.hypot(x - (column_number + 0.5 * (row % 2)) * size, y - cy) / (0.56 * size)
        mine = (r < 1.0) & (y < cy + 0.6 * size)
        ring = np.digitize(r, (0.24, 0.50, 0.75))
        number = (row * 97 + column_number.astype(np.int64) * 13) % 900
        region = np.where(mine, 20000 + number * 8 + ring, region)
        hue = np.where(mine, fan_hues[number % 3, ring], hue)
        fan = np.where(mine, number + 1, fan)
    return region, hue, fan


def pattern_design(size, rng):
    """Regions and hues of the window at three scales, and the regions of the bold leads only."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    rose_region, rose_hue = rose(x, y, *ROSETTE, 0.32)
    sea = y > 0.76 + 0.06 * np.sin(5.5 * x + 0.6)
    wave_region, wave_hue, fan = scales(x, y, 0.155)
    ribbons = np.floor(6.0 * (y + 0.55 * x + 0.10 * np.sin(7 * x - 4 * y)))
    bold = np.where(sea, 50 + fan, np.where(rose_region >= 0, 2, 1000 + ribbons.astype(np.int64)))
    region, hue = np.where(sea, wave_region, rose_region), np.where(sea, wave_hue, rose_hue)
    open_field = ~sea & (rose_region < 0)
    for k in np.unique(bold[open_field]):
        band = (bold == k) & open_field
        if band.sum() < 200:
            continue
        cells = relaxed_cells(band, max(3, int(band.sum() / size**2 * (130 if k % 2 else 420))), rng)
        palette = np.array([(2, 2, 3, 6), (1, 5, 1, 0), (4, 4, 3, 5), (2, 6, 2, 3)][int(k) % 4])
        region = np.where(band, 100000 + int(k) * 1000 + cells, region)
        hue = np.where(band, palette[(cell_hash(cells, k) * 3.999).astype(np.int64)], hue)
    return x, y, region, hue, bold


def bubbles(x, y, pitch=0.022):
    """Round seeds in the glass: at most one in each square of side `pitch`."""
    i, j = np.floor(x / pitch), np.floor(y / pitch)
    dx = x / pitch - i - 0.3 - 0.4 * cell_hash(i, j, 1)
    dy = y / pitch - j - 0.3 - 0.4 * cell_hash(i, j, 2)
    size = 0.24 * np.clip(cell_hash(i, j, 3) - 0.6, 0, 1)
    return step(size + 0.04, size, np.hypot(dx, dy)) * (size > 0)


def painted_lines(region, x, y, look):
    """Fine dark brushwork fired on some panes: rings around the pane's middle, or a hatch. Factor (h, w)."""
    _, pane = np.unique(region, return_inverse=True)
    pane = pane.reshape(region.shape)
    area = np.bincount(pane.ravel())
    cx = (np.bincount(pane.ravel(), x.ravel()) / area)[pane]
    cy = (np.bincount(pane.ravel(), y.ravel()) / area)[pane]
    wobble = 0.004 * (fbm(x * 22, y * 22, 2) - 0.5)
    rings = np.abs(np.sin(np.pi * (np.hypot(x - cx, y - cy) + wobble) / 0.0105))
    in_rose = region < 20000
    slant = np.where(in_rose, np.arctan2(cy - ROSETTE[1], cx - ROSETTE[0]) + np.pi / 2, 9 * look)
    hatch = np.abs(np.sin(np.pi * ((x - cx) * np.cos(slant) + (y - cy) * np.sin(slant) + wobble) / 0.0095))
    line = np.where(look < 0.27, rings, np.where(look > 0.76, hatch, 1.0))
    line = np.where(in_rose, np.where(region < 2000, 1.0, np.where(region < 6000, hatch, rings)), line)
    line = np.where((region >= 20000) & (region < 100000), 1.0, line)
    return 0.45 + 0.55 * step(0.10, 0.50, line)


def glass_colour(region, hue, x, y):
    """Each pane its own shade: two-tone streaks along its own direction, seeds (bubbles), a soft gradient."""
    look, other = cell_hash(region, region // 7), cell_hash(region // 3, region, 9)
    angle = 2 * np.pi * look
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    shift = 40 * other
    streak = fbm(along * 5 + shift, across * 26 + shift, 5, 0.6)
    wave = fbm(x * 12 + shift, y * 12, 4)
    table = np.array(list(GLASS.values()), np.float32)
    base, light, dark = table[hue, 0], table[hue, 1], table[hue, 2]
    weight = np.clip((streak - 0.5) * 4.5 + (wave - 0.5) * 2.0 + 1.2 * (look - 0.5), -1, 1)[..., None]
    colour = base + (light - base) * np.maximum(weight, 0) + (dark - base) * np.maximum(-weight, 0)
    colour = colour * (0.78 + 0.44 * other)[..., None]
    ripple = fbm(along * 60, across * 20, 3) - 0.5
    clear = (1 + 0.45 * ripple) * painted_lines(region, x, y, look)
    return colour * clear[..., None] + 0.10 * bubbles(x, y)[..., None]


def leading(region, thickness):
    """How much lead there is near the borders of regions (0 for none), thicker at the joints."""
    border = np.zeros(region.shape, np.float32)
    border[:, 1:] = region[:, 1:] != region[:, :-1]
    border[1:] = np.maximum(border[1:], region[1:] != region[:-1])
    border[[0, -1]], border[:, [0, -1]] = 1, 1
    return blur(border, thickness * 0.55) * thickness * 1.4


def glass_picture(sub=3):
    """The stained glass, (512, 512, 3)."""
    rng = np.random.default_rng(SEED + 2)
    size = 512 * sub
    x, y, region, hue, bold = pattern_design(size, rng)
    colour = glass_colour(region, hue, x, y)
    field = np.maximum(leading(region, 2.6 * sub), leading(bold, 5.2 * sub))
    lead = step(0.42, 0.62, field)
    rim = blur(lead, 3.5 * sub)
    colour = colour * (1 - 0.55 * rim)[..., None] + 0.10 * (1 - rim)[..., None] * colour
    glow = blur(colour, 6 * sub)
    gy, gx = np.gradient(blur(np.minimum(field, 1.4), 0.5 * sub))
    sheen = np.clip(-(gx + gy) * 2.2 * sub, -0.3, 1)
    grey = 0.055 + 0.16 * sheen + 0.05 * (fbm(x * 140, y * 140, 3) - 0.5)
    metal = grey[..., None] * np.float32((1, 0.98, 0.95))
    out = mix(np.clip(colour, 0, 1), np.clip(metal, 0, 1) + 0.10 * glow, lead[..., None])
    return shrink(out, sub)
