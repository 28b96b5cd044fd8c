"""The leafy bough in the foreground of the harbour, drawn flat rather than ray traced."""

import numpy as np
from PIL import Image, ImageDraw

from canvas import blur, shrink


def leaf_blade(paint, mask, base, angle, sub, rng):
    """One pointed leaf in two tones along its rib, some of them lit through by the sun."""
    u = np.linspace(0, 1, 7)
    length, fat = rng.uniform(8, 14), rng.uniform(0.16, 0.26)
    axis, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    rib = base + length * np.outer(u, axis) + 1.5 * np.outer(u * u, [0, 1])
    edge = length * fat * np.outer(np.sin(np.pi * u**0.8), side)
    tone = np.array([58, 68, 26]) * rng.uniform(0.55, 1.1)
    if rng.random() < 0.3:
        tone = np.array([190, 158, 44]) * rng.uniform(0.6, 1.05)
    for sign, gain in ((1, 1.0), (-1, 0.72)):
        shape = [tuple(q) for q in np.concatenate([rib, (rib + sign * edge)[::-1]]) * sub]
        paint.polygon(shape, tuple(int(c * gain) for c in tone))
        mask.polygon(shape, 255)


def bough(width, height, rng):
    """Twigs and leaves over the upper left corner: linear colour (h, w, 3) and cover (h, w, 1)."""
    sub = 4
    colour = Image.new("RGB", (width * sub, height * sub), (30, 34, 16))
    cover = Image.new("L", colour.size)
    paint, mask = ImageDraw.Draw(colour), ImageDraw.Draw(cover)
    twigs = [(np.array([-30.0, -8 + 26 * k]), 0.52 - 0.25 * k, 4.4 - k, 19 - 3 * k, 2) for k in range(3)]
    while twigs:
        at, angle, thick, count, depth = twigs.pop()
        for k in range(count):
            ahead = at + 7 * np.array([np.cos(angle), np.sin(angle)])
            line = [tuple(at * sub), tuple(ahead * sub)]
            bold = max(2, round(thick * sub * (1 - 0.8 * k / count)))
            paint.line(line, (46, 34, 24), bold)
            mask.line(line, 255, bold)
            at, angle = ahead, angle + rng.normal(-0.02, 0.10)
            if depth and rng.random() < 0.42:
                side = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
                twigs.append((at, side, thick * 0.5, int(count * 0.45), depth - 1))
            for _ in range(0 if depth == 2 and k < 3 else 2):
                leaf_blade(paint, mask, at + rng.normal(0, 2, 2), angle + rng.normal(0.3, 0.8), sub, rng)
    rgb = shrink((np.asarray(colour, np.float32) / 255) ** 2.2, sub)
    alpha = shrink(np.asarray(cover, np.float32)[..., None] / 255, sub)
    return blur(rgb, 0.5), blur(alpha, 0.5)
