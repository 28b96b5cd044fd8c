"""What suits the machine."""

import types

import jax
import pytest

from jaxstyle.cli.machine import usual_precision

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("platform", "capability", "precision"),
    [
        ("cpu", None, "float32"),
        ("tpu", None, "bfloat16"),
        ("gpu", "9.0", "bfloat16"),
        ("gpu", "7.5", "float32"),
        ("gpu", "gfx90a", "float32"),
        ("gpu", None, "float32"),
    ],
)
def test_the_precision_is_the_devices(platform, capability, precision, monkeypatch):
    device = types.SimpleNamespace(platform=platform)
    if capability:
        device.compute_capability = capability
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert usual_precision() == precision
