"""The presets: their objectives against the published formulae, in NumPy and in torch, and their schedules.

The formulae below are written from the papers and programs, in float64, without `jaxstyle.losses`.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.engine.transfer import transfer
from jaxstyle.objective import FORMULAE, Objective, Weights, loss_terms, make_targets
from jaxstyle.presets import PRESETS, Preset
from jaxstyle.solvers import Adam, Lbfgs
from marks import slow
from tiny import fixed_features, network, picture, x64

IMAGE, CONTENT, STYLE = picture(0), picture(1), picture(2)


def wide(net, image, layers):
    return {name: np.asarray(x, np.float64) for name, x in net.features(image, layers).items()}


def flat(x):
    """(positions, channels)."""
    return x.reshape(-1, x.shape[-1])


def gram(x):
    return flat(x).T @ flat(x) / len(flat(x))


def check_terms(terms, expected, weights, rtol):
    np.testing.assert_allclose([terms.content, terms.style, terms.variation], expected, rtol=rtol)
    total = weights.content * expected[0] + weights.style * expected[1] + weights.variation * expected[2]
    np.testing.assert_allclose(terms.total, total, rtol=rtol)
    assert all(x.dtype == jnp.float32 and x.shape == () for x in terms)


# ----------------------------------------------------------------------------------------------------------- in NumPy


def gatys(net, image, content, style, weights):
    """Equations 1, 4, 5 and 7: sums over positions; each of the five layers weighs 1/5."""
    f, p = (wide(net, x, ("conv4_2",))["conv4_2"] for x in (image, content))
    layers = [f"conv{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    errors = []
    for name in layers:
        m, n = flat(g[name]).shape
        difference = flat(g[name]).T @ flat(g[name]) - flat(a[name]).T @ flat(a[name])
        errors.append((difference**2).sum() / (4 * n**2 * m**2))
    return 0.5 * ((f - p) ** 2).sum(), sum(errors) / 5, 0.0


def over_all(x):
    """Gram matrix over channels x height x width, as neural-style and the tutorial take it."""
    return flat(x).T @ flat(x) / x.size


def neural_style(net, image, content, style, weights):
    """Means of squares, layers summed; absolute differences of pixels of 0 to 255, summed."""
    f, p = (wide(net, x, ("relu4_2",))["relu4_2"] for x in (image, content))
    layers = [f"relu{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    pixels = 255 * np.asarray(image, np.float64)
    differences = np.abs(np.diff(pixels, axis=0)).sum() + np.abs(np.diff(pixels, axis=1)).sum()
    return ((f - p) ** 2).mean(), sum(((over_all(g[x]) - over_all(a[x])) ** 2).mean() for x in layers), differences


def pytorch_tutorial(net, image, content, style, weights):
    """conv_4 and conv_1 ... conv_5, counted from the input."""
    layers = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    f, p = (wide(net, x, ("conv2_2",))["conv2_2"] for x in (image, content))
    g, a = (wide(net, x, layers) for x in (image, style))
    return ((f - p) ** 2).mean(), sum(((over_all(g[x]) - over_all(a[x])) ** 2).mean() for x in layers), 0.0


def root(matrix):
    """Twelve Newton-Schulz iterations, coupled."""
    size, identity = np.sqrt((matrix**2).sum()), np.eye(len(matrix))
    y, z = matrix / size, identity
    for _ in range(12):
        t = (3 * identity - z @ y) / 2
        y, z = y @ t, t @ z
    return y * np.sqrt(size)


def crowsonkb(net, image, content, style, weights):
    """Wasserstein-2 of Gaussians, layers weighed 256 : 64 : 16 : 4 : 1, and the nine-point variation."""
    f, p = (wide(net, x, ("relu4_2",))["relu4_2"] for x in (image, content))
    layers = [f"relu{block}_1" for block in range(1, 6)]
    g, a = (wide(net, x, layers) for x in (image, style))
    distances = []
    for name in layers:
        means = [flat(x[name]).mean(0) for x in (g, a)]
        covariances = [
            gram(x[name]) - np.outer(mean, mean) + 1e-4 * np.eye(len(mean))
            for x, mean in zip((g, a), means, strict=True)
        ]
        half = root(covariances[1])
        cross = root(half @ covariances[0] @ half)
        distances.append(
            ((means[0] - means[1]) ** 2).mean() + np.diag(covariances[0] + covariances[1] - 2 * cross).mean()
        )
    shares = np.array([256, 64, 16, 4, 1]) / 341
    x = np.pad(np.asarray(image, np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    straight = ((x[1:-1, 2:] - x[1:-1, 1:-1]) ** 2).mean() + ((x[2:, 1:-1] - x[1:-1, 1:-1]) ** 2).mean()
    diagonal = ((x[1:, 1:] - x[:-1, :-1]) ** 2).mean() + ((x[1:, :-1] - x[:-1, 1:]) ** 2).mean()
    return ((f - p) ** 2).mean(), (shares * distances).sum(), 2 * (straight / 3 + diagonal / 12)


PUBLISHED = {
    "gatys": (gatys, Weights(1.0, 1e3, 0.0)),
    "neural-style": (neural_style, Weights(5.0, 100.0, 1e-3)),
    "pytorch-tutorial": (pytorch_tutorial, Weights(1.0, 1e6, 0.0)),
    "crowsonkb": (crowsonkb, Weights(0.015, 1.0, 2.0)),
}


@pytest.mark.quick
def test_every_formula_is_that_of_a_publication_or_ours():
    assert set(FORMULAE) == {"relative", *PUBLISHED} and PUBLISHED.keys() < PRESETS.keys()
    for name, preset in PRESETS.items():
        assert preset.formula == (name if name in PUBLISHED else "relative")
        assert (preset.style_loss is None) == (name in PUBLISHED)
        assert preset.line and (preset.source or name == "default")
    assert PRESETS["default"] == Preset(PRESETS["default"].line)


@pytest.mark.quick
def test_the_default_is_what_the_package_does_when_nothing_is_given():
    preset, defaults = PRESETS["default"], inspect.signature(transfer).parameters
    assert (preset.objective, preset.weights, preset.solver) == (Objective(), Weights(), Lbfgs())
    given = preset.arguments((30, 40))
    assert all(given[name] == defaults[name].default for name in ("init", "average", "min_size"))
    assert defaults["steps"].default is None and given["steps"] == Lbfgs().usual_steps


@pytest.mark.parametrize("name", [x if x == "neural-style" else slow(x) for x in PUBLISHED])
def test_presets_equal_the_published_formulae(name):
    formula, published = PUBLISHED[name]
    objective, weights = PRESETS[name].objective, PRESETS[name].weights
    assert weights[:3] == published[:3]

    def terms(net, dtype):
        image, content, style = (jnp.asarray(x, dtype) for x in (IMAGE, CONTENT, STYLE))
        targets = make_targets(net, content, [style], objective=objective)
        return loss_terms(image, net, targets, weights, objective=objective)

    net = fixed_features()
    expected = formula(net, IMAGE, CONTENT, STYLE, published)
    # The traces of crowsonkb's term are a hundred times what is left of them: float32 ends at the fourth digit.
    check_terms(jax.jit(lambda: terms(net, jnp.float32))(), expected, published, 2e-4 if name == "crowsonkb" else 1e-5)
    with x64():
        found = jax.jit(lambda: terms(fixed_features(), jnp.float64))()
        expected = formula(fixed_features(), *(jnp.asarray(x, jnp.float64) for x in (IMAGE, CONTENT, STYLE)), published)
        np.testing.assert_allclose([found.content, found.style, found.variation], expected, rtol=1e-9)


# ----------------------------------------------------------------------------------------------------------- in torch


class Programs:
    """What the programs compute, as they compute it: planes (1, c, h, w), torch's own functions, autograd."""

    def __init__(self, torch):
        self.torch, self.mse = torch, torch.nn.functional.mse_loss

    def tensor(self, x):
        """(h, w, c) as (1, c, h, w)."""
        return self.torch.from_numpy(np.array(x, np.float64)).permute(2, 0, 1)[None]

    def features(self, image, layers):
        """What `FixedFeatures` gives."""
        found = {}
        for name in layers:
            rng, stride = np.random.default_rng(list(name.encode())), 2 ** (int(name[4]) - 1)
            kernel = self.torch.from_numpy(rng.normal(size=(3, 4 + stride)))
            x = self.torch.sin(3 * self.torch.einsum("bchw,cd->bdhw", image[..., ::stride, ::stride], kernel))
            found[name] = self.torch.relu(x) if name.startswith("relu") else x
        return found

    def mean_gram(self, x):
        """Over all of channels, height and width."""
        _, c, h, w = x.shape
        return self.torch.bmm(x.view(1, c, h * w), x.view(1, c, h * w).transpose(1, 2)).div(c * h * w)

    def neural_style(self, image, content, style):
        relus = [f"relu{block}_1" for block in range(1, 6)]
        f, p, a = (self.features(x, ["relu4_2", *relus]) for x in (image, content, style))
        styles = sum(100 * self.mse(self.mean_gram(f[x]), self.mean_gram(a[x])) for x in relus)
        x = 255 * image
        tv = (x[..., 1:, :] - x[..., :-1, :]).abs().sum() + (x[..., 1:] - x[..., :-1]).abs().sum()
        return 5 * self.mse(f["relu4_2"], p["relu4_2"]) + styles + 1e-3 * tv

    def pytorch_tutorial(self, image, content, style):
        convolutions = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
        f, p, a = (self.features(x, convolutions) for x in (image, content, style))
        styles = sum(self.mse(self.mean_gram(f[x]), self.mean_gram(a[x])) for x in convolutions)
        return self.mse(f["conv2_2"], p["conv2_2"]) + 1e6 * styles

    def gatys(self, image, content, style):
        convolutions = [f"conv{block}_1" for block in range(1, 6)]
        f, p, a = (self.features(x, ["conv4_2", *convolutions]) for x in (image, content, style))

        def layer(x, y):
            (_, n, h, w), (x, y) = x.shape, (z.flatten(2)[0] for z in (x, y))
            return ((x @ x.T - y @ y.T) ** 2).sum() / (4 * n**2 * (h * w) ** 2)

        styles = sum(0.2 * layer(f[x], a[x]) for x in convolutions)
        return 0.5 * ((f["conv4_2"] - p["conv4_2"]) ** 2).sum() + 1e3 * styles

    def crowsonkb(self, image, content, style):
        relus = [f"relu{block}_1" for block in range(1, 6)]
        f, p, a = (self.features(x, ["relu4_2", *relus]) for x in (image, content, style))
        shares = self.torch.tensor([256, 64, 16, 4, 1]).double() / 341
        styles = sum(share * self.gaussians(f[x], a[x]) for share, x in zip(shares, relus, strict=True))
        x = self.torch.nn.functional.pad(image, (1, 1, 1, 1), "replicate")
        right, down = x[..., 1:-1, 2:] - x[..., 1:-1, 1:-1], x[..., 2:, 1:-1] - x[..., 1:-1, 1:-1]
        falling, rising = x[..., 1:, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, 1:]
        tv = 2 * (right**2).mean() / 3 + 2 * (down**2).mean() / 3 + (falling**2).mean() / 6 + (rising**2).mean() / 6
        return 0.015 * self.mse(f["relu4_2"], p["relu4_2"]) + styles + 2 * tv

    def gaussians(self, x, y):
        """Wasserstein-2, roots by twelve iterations, over the channels."""
        (m, s), (n, t) = (self.moments(z.flatten(2)[0]) for z in (x, y))
        half = self.root(t)
        return self.mse(m, n) + (s + t - 2 * self.root(half @ s @ half)).diagonal().mean()

    def moments(self, x):
        mean = x.mean(1)
        identity = self.torch.eye(len(x), dtype=x.dtype)
        return mean, x @ x.T / x.shape[1] - self.torch.outer(mean, mean) + 1e-4 * identity

    def root(self, matrix):
        size, identity = matrix.norm(), self.torch.eye(len(matrix), dtype=matrix.dtype)
        y, z = matrix / size, identity
        for _ in range(12):
            t = 0.5 * (3 * identity - z @ y)
            y, z = y @ t, t @ z
        return y * size.sqrt()


@pytest.mark.parametrize("name", [slow(name) if name == "crowsonkb" else name for name in PUBLISHED])
def test_totals_and_their_gradients_equal_torch(name):
    torch = pytest.importorskip("torch")
    programs, preset = Programs(torch), PRESETS[name]
    image, content, style = (programs.tensor(x) for x in (IMAGE, CONTENT, STYLE))
    image.requires_grad_()
    expected = getattr(programs, name.replace("-", "_"))(image, content, style)
    expected.backward()

    def total(image, content, style):
        net = fixed_features()
        targets = make_targets(net, content, [style], objective=preset.objective)
        return loss_terms(image, net, targets, preset.weights, objective=preset.objective).total

    with x64():
        pictures = (jnp.asarray(x, jnp.float64) for x in (IMAGE, CONTENT, STYLE))
        found, gradient = jax.jit(jax.value_and_grad(total))(*pictures)
        np.testing.assert_allclose(found, expected.item(), rtol=1e-9)
        wanted = image.grad[0].permute(1, 2, 0).numpy()
        # That of crowsonkb's roots is the exact root's here, and that of the twelve iterations there.
        tolerance = 0.02 if name == "crowsonkb" else 1e-9
        np.testing.assert_allclose(gradient, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())
    # The traces of crowsonkb's term are a hundred times what is left of them: float32 ends at the fourth digit.
    close = 2e-4 if name == "crowsonkb" else 1e-5
    np.testing.assert_allclose(jax.jit(total)(IMAGE, CONTENT, STYLE), expected.item(), rtol=close)


# ---------------------------------------------------------------------------------------------------------- schedules


@pytest.mark.quick
def test_schedules_are_the_published_ones():
    lbfgs = Lbfgs(history=100)
    for name, steps, init, pooling in (
        ("gatys", 500, "noise", "average"),
        ("neural-style", 1000, "noise", "max"),
        ("pytorch-tutorial", 300, "content", "max"),
    ):
        preset = PRESETS[name]
        given = preset.arguments((384, 512))
        assert (given["solver"], given["steps"], given["init"]) == (lbfgs, steps, init)
        assert given["min_size"] == 512 and given["average"] == 0 and preset.pooling == pooling
    given = PRESETS["crowsonkb"].arguments((384, 512))
    assert given["solver"] == Adam(rate=0.02, b1=0.9, b2=0.99)
    assert (given["steps"], given["init"], given["average"], given["min_size"]) == (500, "content", 0.99, None)
    np.testing.assert_array_equal(given["weights"].layers, [256, 64, 16, 4, 1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["strokes", "neural-style"])
def test_arguments_are_those_of_transfer(name):
    net = network(module=network().module.clone(depths=(2, 2, 2, 2, 1)))
    given = PRESETS[name].arguments(CONTENT.shape[:2]) | {"steps": 1}
    result = transfer(CONTENT, STYLE, network=net, **given)
    assert result.image.shape == CONTENT.shape and np.isfinite(result.final.total)
