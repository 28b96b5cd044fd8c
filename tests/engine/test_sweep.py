"""Sweeps: each lane is the transfer with its settings; new values compile nothing; batches and devices are unseen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine import plan as planning
from jaxstyle.engine import steps
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.sweep import batches, bytes_for, lanes_at_once, sweep
from jaxstyle.engine.transfer import transfer
from jaxstyle.errors import InputError
from jaxstyle.objective import Objective, Weights, loss_terms
from jaxstyle.solvers import Adam, Lbfgs
from marks import slow
from tiny import compilations, network, picture
from transfers import OBJECTIVE

HERE = Path(__file__).parent
NET = network()
CONTENT, STYLE = picture(1, 46, 64), picture(2, 30, 40)  # two scales from 40
OPTIONS = {"network": NET, "objective": OBJECTIVE, "steps": 6, "min_size": 40, "solver": Adam()}
STYLES = np.float32([10, 30, 100, 300, 20])


def same(lane, alone, image=1e-4, losses=1e-5):
    """Equal but for rounding."""
    np.testing.assert_allclose(lane.image, alone.image, atol=image)
    for kind in ("losses", "final"):
        for name, expected in getattr(alone, kind)._asdict().items():
            actual = getattr(getattr(lane, kind), name)
            np.testing.assert_allclose(actual, expected, rtol=losses, atol=1e-7, err_msg=f"{kind} {name}")
    np.testing.assert_array_equal(lane.evaluations, alone.evaluations)


def lane(result, *place):
    return jax.tree.map(lambda x: x[place], result)


def plan(content=CONTENT, styles=STYLE, **options):
    return make_plan(content, styles, **(OPTIONS | {"weights": Weights(style=STYLES)} | options), batch=True)[0]


# ----------------------------------------------------------------------------------------------- lanes are transfers


def test_each_lane_is_the_transfer_with_its_weights():
    result = sweep(CONTENT, STYLE, weights=Weights(style=STYLES), **OPTIONS)
    assert result.image.shape == (5, 46, 64, 3) and result.losses.total.shape == (5, 12)
    for i, style in enumerate(STYLES):
        same(lane(result, i), transfer(CONTENT, STYLE, weights=Weights(style=style), **OPTIONS))
    assert np.abs(result.image[0] - result.image[3]).max() > 0.05


LANES = {
    "content weight": {"weights": Weights(content=np.float32([50, 2, 0]))},
    "variation": {"weights": Weights(variation=np.float32([0, 3, 300]))},
    "layers": {"weights": Weights(layers=np.float32([[1, 1, 1, 1, 1], [4, 2, 1, 0, 0], [0, 0, 0, 0, 1]]))},
    "mix": {"styles": [STYLE, picture(5)], "weights": Weights(mix=np.float32([[1, 0], [1, 1], [0, 1]]))},
    "rate": {"solver": Adam(rate=np.float32([0.005, 0.015, 0.05]))},
    "key": {"init": "noise", "key": jax.random.split(jax.random.key(3), 3)},
    "start": {"init": jnp.stack([picture(i, 20, 20) for i in range(3)])},
    "content": {"content": jnp.stack([picture(i, 46, 64) for i in range(3)]), "init": "style"},
    "one style": {"styles": jnp.stack([picture(i, 30, 40) for i in range(4, 7)]), "init": "style"},
    "several styles": {"styles": [jnp.stack([picture(i) for i in range(4, 7)]), STYLE]},
}


def alone(options, i):
    """The options of one lane."""
    picked = dict(options)
    if "weights" in options:
        picked["weights"] = Weights(*(x[i] if np.ndim(x) and x is not None else x for x in options["weights"]))
    if "solver" in options:
        picked["solver"] = Adam(rate=options["solver"].rate[i])
    for name in ("key", "content"):
        if name in options:
            picked[name] = options[name][i]
    if not isinstance(options.get("init", ""), str):
        picked["init"] = options["init"][i]
    if "styles" in options:
        if isinstance(options["styles"], list):
            picked["styles"] = [x if x.ndim == 3 else x[i] for x in options["styles"]]
        else:
            picked["styles"] = options["styles"][i]
    return picked


@pytest.mark.slow
@pytest.mark.parametrize("options", LANES.values(), ids=LANES)
def test_whatever_varies_each_lane_is_the_transfer_with_it(options):
    usual = OPTIONS | {"content": CONTENT, "styles": STYLE, "steps": 3, "min_size": 64}
    result = sweep(**(usual | options))
    assert result.image.shape == (3, 46, 64, 3)
    for i in range(3):
        same(lane(result, i), transfer(**(usual | alone(options, i))))
    assert np.abs(result.image[0] - result.image[2]).max() > 0.005


@pytest.mark.slow
def test_axes_are_broadcast_together():
    weights = Weights(style=STYLES[:3], variation=np.float32([[1], [50]]))
    keys = jax.random.split(jax.random.key(0), 3)
    options = OPTIONS | {"steps": 2, "init": "noise", "min_size": 64}
    result = sweep(CONTENT, STYLE, weights=weights, key=keys, **options)
    assert result.image.shape == (2, 3, 46, 64, 3)
    assert result.losses.style.shape == (2, 3, 2) and result.final.total.shape == result.evaluations.shape == (2, 3)
    for i, j in ((0, 0), (0, 2), (1, 1)):
        one = Weights(style=STYLES[j], variation=float(weights.variation[i, 0]))
        same(lane(result, i, j), transfer(CONTENT, STYLE, weights=one, key=keys[j], **options))


@pytest.mark.slow
def test_keys_of_the_old_kind_are_no_lanes():
    options = OPTIONS | {"steps": 1, "init": "noise", "min_size": 64}
    old = jnp.stack([jax.random.PRNGKey(i) for i in range(2)])
    new = jnp.stack([jax.random.key(i) for i in range(2)])
    a, b = (sweep(CONTENT, STYLE, key=keys, **options) for keys in (old, new))
    assert a.image.shape[0] == 2
    np.testing.assert_array_equal(a.image, b.image)
    assert sweep(CONTENT, STYLE, key=old[0], **options).image.shape == CONTENT.shape


@pytest.mark.slow
def test_without_leading_axes_it_is_the_transfer():
    result = sweep(CONTENT, STYLE, **OPTIONS)
    assert result.image.shape == CONTENT.shape
    same(result, transfer(CONTENT, STYLE, **OPTIONS))


@pytest.mark.slow
def test_the_running_mean_and_lbfgs_go_by_lanes_too():
    weights = Weights(style=STYLES[:2])
    for options in ({"average": 0.5}, {"solver": Lbfgs()}):
        options = OPTIONS | options
        result = sweep(CONTENT, STYLE, weights=weights, **options)
        for i in range(2):
            same(lane(result, i), transfer(CONTENT, STYLE, weights=Weights(style=STYLES[i]), **options))


# ------------------------------------------------------------------------------------------------ compiling, batches


def test_new_values_compile_nothing_and_any_number_of_them_is_traced_once(monkeypatch):
    traces = []

    def counting(*arguments, **options):
        traces.append(1)
        return loss_terms(*arguments, **options)

    monkeypatch.setattr(steps, "loss_terms", counting)
    objective = Objective(("relu2_1",), ("relu1_1", "relu4_1"))  # of this test only: nothing is compiled yet
    options = OPTIONS | {"objective": objective, "min_size": 64, "lanes": 2}
    sweep(CONTENT, STYLE, weights=Weights(style=STYLES), **(options | {"solver": Adam(rate=0.02)}))
    assert len(traces) == 1, "five values in batches of two: one trace"
    with compilations() as counted:
        sweep(CONTENT, STYLE, weights=Weights(style=2 * STYLES), **(options | {"solver": Adam(rate=0.01)}))
    assert counted == [0]
    sweep(CONTENT, STYLE, weights=Weights(style=np.geomspace(1, 100, 12)), **options)
    assert len(traces) == 1


@pytest.mark.parametrize("lanes", [slow(1), slow(2), slow(4), 7])
def test_batches_change_nothing(lanes):
    whole = sweep(CONTENT, STYLE, weights=Weights(style=STYLES), lanes=5, **OPTIONS)
    found = list(batches(plan(), lanes=lanes))
    np.testing.assert_array_equal(np.concatenate([batch.lanes for batch in found]), np.arange(5))
    assert [len(batch.lanes) for batch in found] == [len(batch.result.image) for batch in found]
    assert max(len(batch.lanes) for batch in found) == min(lanes, 5)
    for batch in found:  # of another width, convolutions round differently, and Adam's first steps magnify that
        same(batch.result, lane(whole, batch.lanes), image=1e-3)


@pytest.mark.slow
def test_chosen_lanes_run_alone_and_progress_shows_no_padding():
    seen = []
    whole = sweep(CONTENT, STYLE, weights=Weights(style=STYLES), **OPTIONS)
    found = list(batches(plan(), lanes=2, chosen=[4, 1, 3], on_progress=seen.append))
    assert [batch.lanes.tolist() for batch in found] == [[4, 1], [3]]
    for batch in found:
        same(batch.result, lane(whole, batch.lanes))
    assert [(len(state.image), state.losses.total.shape) for state in seen] == [
        (2, (2, 6)),
        (2, (2, 12)),
        (1, (1, 6)),
        (1, (1, 12)),
    ]
    np.testing.assert_array_equal(seen[-1].image[0], whole.image[3])


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    """Steps go through compiled chunks only."""
    monkeypatch.setattr(planning, "runs_on_cpu", lambda network: False)
    monkeypatch.setattr(steps, "compiled_step", None)


@pytest.mark.slow
def test_on_an_accelerator_lanes_go_through_compiled_chunks(request):
    expected = sweep(CONTENT, STYLE, weights=Weights(style=STYLES[:2]), **OPTIONS)
    request.getfixturevalue("as_on_an_accelerator")
    result = sweep(CONTENT, STYLE, weights=Weights(style=STYLES[:2]), **OPTIONS)
    np.testing.assert_allclose(result.image, expected.image, atol=1e-3)
    np.testing.assert_allclose(result.losses.total, expected.losses.total, rtol=2e-3)


@pytest.mark.slow
def test_on_an_accelerator_the_line_searches_of_lanes_are_in_the_chunk(as_on_an_accelerator):
    searched = sweep(CONTENT, STYLE, weights=Weights(style=STYLES[:2]), **(OPTIONS | {"solver": Lbfgs()}))
    one = transfer(CONTENT, STYLE, weights=Weights(style=STYLES[1]), **(OPTIONS | {"solver": Lbfgs()}))
    np.testing.assert_allclose(searched.final.total[1], one.final.total, rtol=0.05)


@pytest.mark.slow
def test_it_composes_with_jit():
    weights = Weights(style=STYLES[:3])
    expected = sweep(CONTENT, STYLE, weights=weights, **OPTIONS)
    compiled = jax.jit(lambda weights: sweep(CONTENT, STYLE, weights=weights, **OPTIONS))
    result = compiled(weights)
    np.testing.assert_allclose(result.image, expected.image, atol=1e-3)
    np.testing.assert_allclose(result.losses.total, expected.losses.total, rtol=2e-3)
    with compilations() as counted:
        compiled(Weights(style=STYLES[2:]))
    assert counted == [0]
    single = jax.jit(lambda style: transfer(CONTENT, STYLE, weights=Weights(style=style), **OPTIONS).image)
    np.testing.assert_allclose(single(STYLES[0]), expected.image[0], atol=1e-3)


# ----------------------------------------------------------------------------------------------------------- devices


@pytest.mark.slow
def test_lanes_on_eight_devices_equal_lanes_on_one(tmp_path):
    """Five lanes on eight devices: three of them only fill up."""
    program = tmp_path / "devices.py"
    program.write_text(
        "import sys, json\n"
        f"sys.path[:0] = {[str(HERE), str(HERE.parent / 'helpers')]!r}\n"
        "import jax, numpy as np\n"
        "import test_sweep as t\n"
        "batches = list(t.batches(t.plan()))\n"
        "devices = max(len(b.result.image.sharding.device_set) for b in batches)\n"
        "result = t.sweep(t.CONTENT, t.STYLE, weights=t.Weights(style=t.STYLES), **t.OPTIONS)\n"
        "with t.compilations() as again:\n"
        "    t.sweep(t.CONTENT, t.STYLE, weights=t.Weights(style=t.STYLES + 1), **t.OPTIONS)\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, image=result.image, **result.losses._asdict())\n"
        "print(json.dumps([len(jax.devices()), len(batches), again[0]]))\n"
    )
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [8, 1, 0]
    one = sweep(CONTENT, STYLE, weights=Weights(style=STYLES), **OPTIONS)
    with np.load(tmp_path / "out.npz") as eight:
        np.testing.assert_allclose(eight["image"], one.image, atol=1e-3)
        for name, expected in one.losses._asdict().items():
            np.testing.assert_allclose(eight[name], expected, rtol=1e-5, err_msg=name)


# --------------------------------------------------------------------------------------------------- memory, divergence


@pytest.mark.slow
def test_as_many_lanes_run_as_fit_the_memory():
    few = plan(weights=Weights(style=np.geomspace(1, 100, 8)), min_size=64)
    one, four = bytes_for(few, 1), bytes_for(few, 4)
    assert 46 * 64 * 3 * 4 < one < four < 4.5 * one
    assert lanes_at_once(few) == 8 and lanes_at_once(few, available=10**12) == 8
    assert 1 <= lanes_at_once(few, available=int(1.5 * one)) < 3
    with pytest.raises(InputError, match=r"64 x 46 pixels with tiny.*; size \d+"):
        lanes_at_once(few, available=one // 3)


def test_on_a_cpu_large_pictures_run_one_by_one():
    large = plan(np.full((300, 400, 3), 0.5, np.float32), min_size=400)
    assert lanes_at_once(large) == 1
    assert lanes_at_once(plan(solver=Lbfgs())) == 1


@pytest.mark.parametrize("solver", [slow(Adam()), Lbfgs()])
def test_a_lane_that_diverges_leaves_the_others_alone(solver):
    faint = jnp.full((32, 40, 3), 0.45)
    weights = Weights(content=np.float32([1, 3e38]))
    options = OPTIONS | {"min_size": 40, "init": "noise", "solver": solver}
    result = sweep(faint, STYLE, weights=weights, **options)
    same(lane(result, 0), transfer(faint, STYLE, weights=Weights(content=1.0), **options))
    assert np.isnan(result.losses.total[1]).all() and not np.isfinite(result.final.total[1])
    assert np.isfinite(result.image).all() and result.image.min() >= 0 and result.image.max() <= 1


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"weights": Weights(style=STYLES), "solver": Adam(rate=STYLES[:3])},
            ["(5,) of the style weights", "(3,) of the rates"],
        ),
        ({"weights": Weights(style=STYLES[:0])}, ["the style weights", "without values"]),
        ({"weights": Weights(style=np.float32([1, np.nan]))}, ["style weight", "nan"]),
        ({"weights": Weights(layers=np.ones((2, 3), np.float32))}, ["layers weights", "5 style layers"]),
        ({"content": np.zeros((2, 9, 20, 3), np.float32)}, ["the content is 20 x 9"]),
        ({"lanes": 0}, ["lanes is 0"]),
        ({"styles": []}, ["no style picture"]),
    ],
)
def test_what_cannot_be_swept_is_refused_in_one_line(options, words):
    with pytest.raises(InputError) as caught:
        sweep(**(OPTIONS | {"content": CONTENT, "styles": STYLE} | options))
    line = str(caught.value)
    assert line.isprintable() and all(word in line for word in words), line
