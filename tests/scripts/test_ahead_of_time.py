"""Programs compiled for absent TPUs and GPUs: the count of traffic, and, where compilers are, that ours compile."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAM = """HloModule jit_f

%fused (p.0: f32[8,128]) -> f32[8,128] {
  %p.0 = f32[8,128]{1,0:T(8,128)} parameter(0)
  ROOT %n = f32[8,128]{1,0:T(8,128)} negate(%p.0)
}

%body.1 (p: (s32[], bf16[3,8,64])) -> (s32[], bf16[3,8,64]) {
  %p = (s32[]{:T(128)}, bf16[3,8,64]{2,1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  %x = bf16[3,8,64]{2,1,0:T(8,128)(2,1)} get-tuple-element(%p), index=1
  %y = bf16[3,8,64]{2,1,0:T(8,128)(2,1)S(1)} fusion(%x), kind=kLoop, calls=%other
  %z = bf16[3,8,64]{2,1,0:T(8,128)(2,1)} negate(%y)
  ROOT %t = (s32[]{:T(128)}, bf16[3,8,64]{2,1,0:T(8,128)(2,1)}) tuple(%i, %z)
}

ENTRY %main (a: f32[8,128], b: (s32[], bf16[3,8,64])) -> f32[8,128] {
  %a = f32[8,128]{1,0:T(8,128)} parameter(0)
  %b = (s32[]{:T(128)}, bf16[3,8,64]{2,1,0:T(8,128)(2,1)}) parameter(1)
  %w = (s32[]{:T(128)}, bf16[3,8,64]{2,1,0:T(8,128)(2,1)}) while(%b), condition=%cond.1, body=%body.1
  %m = (SIX) fusion(%a), kind=kLoop, calls=%six
  ROOT %c = f32[8,128]{1,0:T(8,128)} fusion(%a), kind=kLoop, calls=%fused
}
""".replace("SIX", 5 * "f32[8,128]{1,0:T(8,128)}, " + "/*index=5*/f32[8,128]{1,0:T(8,128)}")


def run(module: str, code: str) -> str:
    """The output of a program in a process of its own, since the scripts set the environment up for other devices."""
    line = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import {module} as script; {code}"
    return subprocess.run([sys.executable, "-c", line], check=True, capture_output=True, text=True).stdout.strip()


def rows(module: str, chip: str) -> list[dict[str, Any]]:
    """The script's table for a chip, every program compiled."""
    code = f"""
import json, types
from ahead_of_time import CASES, row
options = types.SimpleNamespace(network='vgg19', size=512, precision=None, steps=25)
found = [row(name, {chip!r}, script.CHIPS[{chip!r}], script.devices({chip!r}), options) for name in CASES]
print(json.dumps(found))
"""
    return json.loads(run(module, f"exec({code!r})").splitlines()[-1])


@pytest.mark.slow
def test_traffic_counts_padded_tiles_in_main_memory_within_loops_too():
    block = 3 * 8 * 128 * 2  # 64 channels fill a tile of 128
    moved = 2 * block + (2 + 7) * 8 * 128 * 4
    assert run("ahead_of_time", f"print(script.traffic({PROGRAM!r}))") == str(moved)


@pytest.mark.slow
@pytest.mark.parametrize("chip", ["v2", "v5e", "v6e"])
def test_programs_compile_for_tpus_and_fit(chip):
    if not importlib.util.find_spec("libtpu"):
        pytest.skip("libtpu is not installed")
    for row in rows("tpu_check", chip):
        assert row["memory GiB"] < row["of GiB"]
        if row["program"] == "sweep":
            assert row["GB a step"] <= 13.4  # where a v5e becomes bound by arithmetic


@pytest.mark.slow
@pytest.mark.parametrize("chip", ["t4", "l4", "a100", "h100"])
def test_programs_compile_for_gpus_and_fit(chip):
    if not (importlib.util.find_spec("jax_plugins") and importlib.util.find_spec("jax_plugins.xla_cuda13")):
        pytest.skip("JAX's package for CUDA is not installed")
    table = rows("gpu_check", chip)
    assert {row["precision"] for row in table} == {"float32" if chip == "t4" else "bfloat16"}
    assert all(row["memory GiB"] < 0.5 * row["of GiB"] for row in table)
