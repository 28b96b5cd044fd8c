"""Jobs of the app: one at a time, stopped where they stand, and nothing of theirs lost."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commandline import picture, pixels, same_record
from jaxstyle.app.jobs import DEVICE, Job, Request, explore, paint, told
from jaxstyle.app.uploads import Limits, taken
from jaxstyle.cli.main import main
from jaxstyle.cli.parser import Axis
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import sha256_of

CHOSEN: dict[str, Any] = {
    "size": 64,
    "steps": 2,
    "content_layers": ("relu2_1",),
    "style_layers": ("relu1_1", "relu2_1"),
    "network": "compact",
    "style_weight": 20.0,
}


@pytest.fixture
def request_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr("jaxstyle.cli.cells.start_jax", lambda **_: None)
    content, style = (taken(name, Limits()) for name in ("c.png", "s.png"))
    return Request(content, (style,), None, CHOSEN)


def follow(job: Job, work: Any) -> list[str]:
    return [told(one) for one in job.run(work, look_every=0.01)]


def test_a_picture_is_the_command_lines(request_of: Request, folder: Path) -> None:
    job = Job()
    follow(job, lambda job: paint(job, request_of, folder / "app.png", Limits()))
    assert job.error is None
    made = job.made[()]
    assert made.status == "done" and made.path == folder / "app.png" and made.settings == CHOSEN
    words = made.command.split()
    assert words[:4] == ["jaxstyle", "transfer", "c.png", "s.png"] and "--style-weight" in words
    assert main([*words[1:], "-o", "again.png", "--quiet"]) == 0
    np.testing.assert_array_equal(pixels(folder / "again.png"), pixels(folder / "app.png"))
    ours, theirs = (same_record(folder / name) for name in ("app.png", "again.png"))
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    assert made.losses == ours["losses"]


def test_a_stop_keeps_the_picture(request_of: Request, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, seen = Job(), []
    watch = Job.watch

    def stop_at_once(self: Job, state: Any) -> None:
        seen.append(state.step)
        self.stop()
        watch(self, state)

    monkeypatch.setattr(Job, "watch", stop_at_once)
    long = Request(request_of.content, request_of.styles, None, {**CHOSEN, "steps": 60})
    follow(job, lambda job: paint(job, long, folder / "app.png", Limits()))
    made, record = job.made[()], same_record(folder / "app.png")
    assert job.error is None and made.status == record["status"] == "stopped" and len(seen) == 1
    assert record["step"] == seen[0] < 60
    assert told(job).startswith(f"64 x 48, step {seen[0]} of 60, ")


def test_a_grid(request_of: Request, folder: Path) -> None:
    (folder / "grid").mkdir()
    axes = [Axis("style_weight", (5.0, 50.0)), Axis("color", ("style", "lab"))]
    job = Job()
    follow(job, lambda job: explore(job, request_of, axes, folder / "grid", Limits()))
    assert job.error is None and sorted(job.made) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (i, j), made in job.made.items():
        assert made.settings == {**CHOSEN, "style_weight": axes[0].values[i], "color": axes[1].values[j]}
        settings = same_record(made.path)["settings"]
        assert {name: settings[name] for name in ("style_weight", "color")} == {
            "style_weight": axes[0].values[i],
            "color": axes[1].values[j],
        }
    kept = {path.name for path in (folder / "grid").iterdir() if path.suffix == ".png"}
    assert kept == {made.path.name for made in job.made.values()}


def test_jobs_take_turns_and_one_that_waits_can_be_stopped(folder: Path) -> None:
    at_work, most, order = 0, 0, []

    def work(job: Job) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        order.append(job)
        time.sleep(0.05)
        at_work -= 1

    jobs = [Job() for _ in range(4)]
    with DEVICE:  # as if another one were at work
        threads = [threading.Thread(target=follow, args=(job, work)) for job in jobs]
        for thread in threads:
            thread.start()
        jobs[2].stop()
    for thread in threads:
        thread.join()
    assert most == 1 and set(order) == {jobs[0], jobs[1], jobs[3]} and all(job.ended(0) for job in jobs)


def test_who_goes_away_stops_the_job(folder: Path) -> None:
    job = Job()

    def work(job: Job) -> None:
        while True:
            time.sleep(0.01)
            job.watch(None)  # type: ignore[arg-type]

    looks = job.run(work, look_every=0.01)
    next(looks)
    looks.close()
    assert job.ended(10) and job.stopped and job.error is None


@pytest.mark.parametrize("error", [InputError("a plain line"), ValueError("a\nb")])
def test_what_goes_wrong_is_one_line(error: Exception) -> None:
    def work(job: Job) -> None:
        raise error

    job = Job()
    follow(job, work)
    assert job.error == ("a plain line" if isinstance(error, InputError) else "ValueError: a b")


def test_a_start_is_where_finer_scales_begin(request_of: Request, folder: Path) -> None:
    picture(folder / "start.png", 7, size=(64, 48))
    start = taken("start.png", Limits())
    options = Request(request_of.content, request_of.styles, start, {**CHOSEN, "size": 128}).options()
    assert (options.settings.init, options.settings.min_size) == ("start.png", 64)
    job = Job()
    from_it = Request(request_of.content, request_of.styles, start, CHOSEN)
    follow(job, lambda job: paint(job, from_it, folder / "app.png", Limits()))
    assert job.error is None and same_record(folder / "app.png")["init"]["file"] == "start.png"
    with Image.open(folder / "app.png") as image:
        assert image.size == (64, 48)


def halves() -> tuple[np.ndarray, ...]:
    """Left, but for its edge, and a strip on the right, of a content of 64 x 48."""
    left, right = np.zeros((2, 48, 64), np.float32)
    left[:, :30], left[:, 30:32], right[:, 56:] = 1, 0.5, 1
    return left, right


@pytest.mark.slow
def test_painted_regions_are_the_command_lines_masks(request_of: Request, folder: Path) -> None:
    picture(folder / "t.png", 3)
    styles = (*request_of.styles, taken("t.png", Limits()))
    request, job = Request(request_of.content, styles, None, CHOSEN, halves()), Job()
    follow(job, lambda job: paint(job, request, folder / "app.png", Limits()))
    assert job.error is None
    made, record = job.made[()], same_record(folder / "app.png")
    assert made.masks == tuple(folder / f"app_mask_{k}.png" for k in (1, 2))
    assert [mask["file"] for mask in record["masks"]] == ["app_mask_1.png", "app_mask_2.png"]
    assert [mask["sha256"] for mask in record["masks"]] == [sha256_of(place) for place in made.masks]
    for place, mask in zip(made.masks, request.masks, strict=True):
        np.testing.assert_array_equal(pixels(place), np.rint(255 * mask)[..., None] * np.ones(3, int))
    after, before = pixels(folder / "app.png"), pixels("c.png")
    np.testing.assert_array_equal(after[:, 32:56], before[:, 32:56])  # what has no paint is the content's
    assert np.abs(after - before)[:, :30].mean() > 1 < np.abs(after - before)[:, 56:].mean()
    words = made.command.split()
    assert words[words.index("--masks") :][:3] == ["--masks", "app_mask_1.png", "app_mask_2.png"]
    assert main([*words[1:], "-o", "again.png", "--quiet"]) == 0
    np.testing.assert_array_equal(pixels("again.png"), after)
    assert main(["transfer", "--from", "app.png", "-o", "from.png", "--init", "content", "--quiet"]) == 0
    np.testing.assert_array_equal(pixels("from.png"), after)


@pytest.mark.slow
def test_a_grid_has_one_set_of_masks(request_of: Request, folder: Path) -> None:
    (folder / "grid").mkdir()
    request, job = Request(request_of.content, request_of.styles, None, CHOSEN, halves()[:1]), Job()
    axes = [Axis("style_weight", (5.0, 50.0)), Axis("style_scale", (0.5, 1.0))]
    follow(job, lambda job: explore(job, request, axes, folder / "grid", Limits()))
    assert job.error is None and len(job.made) == 4
    before = pixels("c.png")
    for made in job.made.values():
        assert made.masks == (folder / "grid" / "grid_mask_1.png",) and "--masks grid_mask_1.png" in made.command
        assert same_record(made.path)["masks"] == [{"file": "grid_mask_1.png", "sha256": sha256_of(made.masks[0])}]
        np.testing.assert_array_equal(pixels(made.path)[:, 32:], before[:, 32:])
