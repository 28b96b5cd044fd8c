"""One picture over several devices, here eight parts of one CPU: the numbers of one device, in less memory."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle.engine.devices import spread
from jaxstyle.engine.memory import bytes_needed
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.steps import Problem, compile_scale, compiled_evaluate, make_runner
from jaxstyle.errors import InputError
from jaxstyle.networks.vgg import VGG
from jaxstyle.objective import Objective
from jaxstyle.ops.rows import kept_apart, positions
from jaxstyle.solvers import Adam, Lbfgs
from marks import slow
from tiny import OBJECTIVE, network, picture
from transfers import WEIGHTS, transfer

HERE = Path(__file__).parent
NET = network()
STYLES = [picture(2, height=40, width=52), picture(3, height=33, width=48)]
MASKS = np.stack([np.tile(np.linspace(0, 1, 48, dtype=np.float32), (64, 1)), np.full((64, 48), 0.5, np.float32)])
EVEN, UNEVEN = picture(1, height=64, width=48), picture(4, height=51, width=40)
SHALLOW = Objective(("relu3_1",), ("relu1_1", "relu3_1"))  # for what has nothing to do with rows of few pixels
CASES = {
    "even": {"content": EVEN},
    "uneven": {"content": UNEVEN, "init": "noise"},
    "scales": {"content": EVEN, "min_size": 45, "steps": 5},
    "masks": {"content": EVEN, "styles": STYLES, "masks": MASKS, "average": 0.5, "margin": 4, "objective": SHALLOW},
    "edge": {"content": UNEVEN, "network": network(padding="edge")},
    "lbfgs": {"content": UNEVEN, "init": "noise", "solver": Lbfgs(history=3), "steps": 3, "objective": SHALLOW},
}


def painted(name, devices, **more):
    """The image and the loss of each step."""
    usual = {"styles": STYLES[0], "steps": 10, "solver": Adam(rate=0.005), "objective": OBJECTIVE}
    options = usual | CASES[name] | more
    result = transfer(options.pop("content"), options.pop("styles"), devices=devices, **options)
    return result.image, result.losses.total


def derived(content, devices):
    """Loss and gradient of a picture of noise, by the program of a step; and bytes of the largest on each device."""
    how = {"network": NET, "objective": OBJECTIVE, "weights": WEIGHTS, "solver": Lbfgs(), "min_size": len(content)}
    plan = spread(make_plan(content, STYLES[0], **how)[0], devices)
    runner = make_runner(plan, compile_scale(plan, 0), None)
    problem = Problem(plan.network, runner.targets, plan.inputs.weights.of_terms)
    image = np.random.default_rng(7).random(content.shape, np.float32)
    (loss, _), gradient = compiled_evaluate(
        problem, jax.device_put(image, runner.first.image.sharding), program=plan.program
    )
    return loss, gradient


def needed(devices):
    """Bytes of a step on each device, of a picture whose features, as many as VGG19's at full size, weigh the most."""
    content = np.full((512, 256, 3), 0.5, np.float32)
    how = {
        "network": network(module=VGG(depths=(1, 1, 1, 1, 1), widths=(64, 16, 16, 16, 16))),
        "objective": OBJECTIVE,
        "solver": Adam(),
        "min_size": 512,
    }
    return bytes_needed(spread(make_plan(content, STYLES[0], **how)[0], devices))


def where_there_are_eight(folder, work):
    """The arrays that some lines leave in `found`, and what they leave in `said`, run where there are eight devices."""
    program = folder / "eight.py"
    program.write_text(
        f"""
import sys, json
sys.path[:0] = {[str(HERE), str(HERE.parent / "helpers")]!r}
import jax, numpy as np
import test_devices as t
found, said = {{}}, []
def paint(names):
    for name in names:
        found[f"{{name}} image"], found[f"{{name}} losses"] = t.painted(name, 8)
        said.append(len(found[f"{{name}} image"].sharding.device_set))
{work}
np.savez({str(folder / "found.npz")!r}, **found)
print(json.dumps(said))
"""
    )
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as found:
        return dict(found), json.loads(done.stdout)


def apart(actual, expected):
    """Root mean square difference over that of what is expected."""
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def check_pictures(names, found, devices):
    for name, count in zip(names, devices, strict=True):
        image, losses = painted(name, 1)
        assert count == 8
        assert apart(found[f"{name} image"], image) < 1e-5
        np.testing.assert_allclose(found[f"{name} losses"], losses, rtol=1e-5)


@pytest.mark.slow
def test_the_picture_is_that_of_one_device(tmp_path):
    names = [*CASES]
    check_pictures(names, *where_there_are_eight(tmp_path, f"paint({names!r})"))


@pytest.mark.parametrize(("name", "content"), [("even", EVEN), slow("uneven", UNEVEN)])
def test_a_loss_and_its_gradient_are_those_of_one_device(tmp_path, name, content):
    work = f'found["loss"], found["gradient"] = t.derived(t.{name.upper()}, 8)'
    found, _ = where_there_are_eight(tmp_path, work)
    loss, gradient = derived(content, 1)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    assert apart(found["gradient"], gradient) < 1e-5


@pytest.mark.slow
def test_a_transfer_of_one_device_goes_on_on_eight(tmp_path):
    work = """
stands = []
t.painted("even", 1, report_every=1, on_stand=lambda stand: stands.append(jax.device_get(stand)))
found["resumed image"], _ = t.painted("even", 8, begin=stands[4])
"""
    found, _ = where_there_are_eight(tmp_path, work)
    assert apart(found["resumed image"], painted("even", 1)[0]) < 1e-5


@pytest.mark.slow
def test_memory_on_each_device_falls_with_their_number(tmp_path):
    _, said = where_there_are_eight(tmp_path, "said += [t.needed(n) for n in (1, 2, 4, 8)]")
    one, two, four, eighth = said
    assert two < 0.75 * one and four < 0.4 * one and eighth < 0.2 * one  # one needs no rows of others


@pytest.mark.slow
def test_two_hosts_paint_one_picture(tmp_path):
    """Two processes of two devices each, which make the same call."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    program, names = tmp_path / "host.py", ("even", "uneven", "lbfgs")
    program.write_text(
        f"""
import sys
sys.path[:0] = {[str(HERE), str(HERE.parent / "helpers")]!r}
import jax
jax.distributed.initialize({address!r}, 2, int(sys.argv[1]))
import numpy as np
import test_devices as t
found = {{name: t.painted(name, 4) for name in {names!r}}}
images = {{name: image for name, (image, _) in found.items()}}
np.savez(f"{tmp_path}/{{sys.argv[1]}}.npz", **images, losses=found["lbfgs"][1])
"""
    )
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen([sys.executable, program, str(i)], env=environment, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    said = [host.communicate(timeout=500)[1] for host in both]
    assert [host.returncode for host in both] == [0, 0], said
    for i in range(2):
        with np.load(tmp_path / f"{i}.npz") as found:
            for name in names:
                assert apart(found[name], painted(name, 1)[0]) < 1e-5
            np.testing.assert_allclose(found["losses"], painted("lbfgs", 1)[1], rtol=1e-5)


def test_what_there_is_not():
    with pytest.raises(InputError, match=r"devices is 2; there is 1"):
        transfer(devices=2)
    with pytest.raises(InputError, match="devices is 0"):
        transfer(devices=0)
    assert painted("even", None, steps=1)[0].shape == EVEN.shape


def test_positions_are_one_axis_or_two():
    x = jax.numpy.arange(24.0).reshape(2, 3, 4)
    assert positions(x)[0].shape == (6, 4) and positions(x)[1] == (0,)
    with kept_apart(True):
        assert positions(x)[0] is x and positions(x)[1] == (0, 1)
        with kept_apart(False):
            assert positions(x)[1] == (0,)
        assert positions(x)[1] == (0, 1)
    assert positions(x)[1] == (0,)
