"""Fixed random numbers, the noise made from them, and blends: the arithmetic that every picture shares."""

import numpy as np

SEED = 20
TABLE = np.random.default_rng(SEED).random((256, 256), dtype=np.float32)


def cell_hash(i, j, seed=0):
    """A fixed random number in [0, 1) for integer cell (i, j)."""
    i, j = np.asarray(i).astype(np.int64), np.asarray(j).astype(np.int64)
    return TABLE[(i * 7 + j * 3 + seed * 31) & 255, (j * 11 - i * 5 + seed * 17) & 255]


def value_noise(x, y):
    """Smooth value noise in [0, 1) on the unit lattice, period 256."""
    xi, yi = np.floor(x), np.floor(y)
    fx, fy = x - xi, y - yi
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    i, j = xi.astype(np.int32) & 255, yi.astype(np.int32) & 255
    i1, j1 = (i + 1) & 255, (j + 1) & 255
    low = TABLE[i, j] + (TABLE[i1, j] - TABLE[i, j]) * fx
    high = TABLE[i, j1] + (TABLE[i1, j1] - TABLE[i, j1]) * fx
    return low + (high - low) * fy


def fbm(x, y, octaves=5, gain=0.5):
    """Fractal noise around 0.5 in [0, 1): octaves of `value_noise`, each turned and twice as fine."""
    total, weight, amplitude = 0.0, 0.0, 1.0
    for octave in range(octaves):
        total = total + amplitude * value_noise(x + 17.3 * octave, y - 9.1 * octave)
        weight += amplitude
        amplitude *= gain
        x, y = 1.6 * x + 1.2 * y, 1.6 * y - 1.2 * x
    return total / weight


def mix(a, b, weight):
    """Linear blend from a (weight 0) to b (weight 1)."""
    return a + (b - a) * weight


def step(low, high, x):
    """Smooth step from 0 at `low` to 1 at `high` (low > high gives a falling step)."""
    x = np.clip((x - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)
