"""What the tests of weights share."""

import pytest

from packages import cache, package, unreachable
from weight_files import SMALL, Layers, random_layers

__all__ = ["cache", "package", "unreachable"]  # fixtures


@pytest.fixture(scope="module")
def small() -> Layers:
    return random_layers(SMALL)
