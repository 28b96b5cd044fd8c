"""Sizes from coarse to fine."""

import numpy as np
import pytest

from jaxstyle.engine.scales import MIN_SIDE, scale_sizes

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("size", "min_size", "expected"),
    [
        ((512, 512), None, [184, 256, 360, 512]),  # 512 / sqrt(2)^k, to the nearest multiple of 8
        ((512, 512), 128, [128, 184, 256, 360, 512]),
        ((300, 300), None, [152, 216, 300]),  # half of a middling size
        ((192, 192), None, [136, 192]),  # at least 128
        ((512, 512), 256, [256, 360, 512]),
        ((512, 512), 512, [512]),
        ((512, 512), 511, [512]),
        ((256, 256), 182, [184, 256]),  # 181.02 is near enough
        ((100, 100), None, [100]),
        ((1024, 1024), 128, [128, 184, 256, 360, 512, 728, 1024]),
    ],
)
def test_sizes_grow_by_the_root_of_two(size, min_size, expected):
    found = [h for h, _ in scale_sizes(*size, min_size=min_size)]
    assert found == expected


@pytest.mark.parametrize("size", [(384, 512), (512, 384), (97, 300), (1000, 17), (16, 16), (23, 23), (131, 129)])
@pytest.mark.parametrize("min_size", [None, 16, 40])
def test_sizes_keep_the_shape_and_never_shrink(size, min_size):
    sizes = scale_sizes(*size, min_size=min_size)
    assert sizes[-1] == size
    areas = [h * w for h, w in sizes]
    assert areas == sorted(set(areas))
    coarsest = min(max(size), min_size or min(max(max(size) / 2, 128), 180))
    assert max(sizes[0]) >= min(coarsest, max(size)) - 4
    assert max(sizes[0]) < coarsest * np.sqrt(2) + 8
    for k, (h, w) in enumerate(reversed(sizes)):
        assert min(h, w) >= min(MIN_SIDE, *size)
        for found, side in zip((h, w), size, strict=True):
            exact = side * 2 ** (-k / 2)
            assert abs(found - exact) <= 4 or found == MIN_SIDE > exact
            assert k == 0 or found % 8 == 0
