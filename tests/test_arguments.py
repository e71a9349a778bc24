"""Arguments of a wrong type, or of a kind of number that nothing can be made of: a ValueError names which."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_lesson.learning import data, fingerprints, metrics, training, weights
from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.learning.personalise import rehearse
from diffusion_lesson.networks.classifier import DigitsClassifier, train_classifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import (
    elbo,
    exact,
    forward,
    gaussian,
    losses,
    prediction,
    reverse,
    samplers,
    schedule,
)

pytestmark = pytest.mark.usefixtures("without_type_checks")
X = torch.linspace(-1, 1, 256).reshape(4, 1, 8, 8)
LABELS = torch.arange(4) % 2
SCHEDULE = schedule.cosine(20)
CONFIG = TrainConfig(steps=2, batch_size=2)
NO_FLOATS = [X.numpy(), X.tolist(), X.long(), X > 0, ((X + 1) * 127).to(torch.uint8), X.to(torch.complex64), None]
NO_COUNTS = [2.5, 2.0, "2", True, [2], np.float32(2)]
NO_NUMBERS = ["0.5", None, [0.5, 0.5], True, torch.ones(2), 1j]


def small(**more):
    torch.manual_seed(0)
    return Denoiser(UNet(1, 8, mults=(1, 2), classes=2), SCHEDULE, "eps", 2)


def train(denoiser=None, images=X, labels=LABELS, **more):
    """All that a training yields."""
    return list(training.train(denoiser or small(), images, CONFIG, labels=labels, **more))


def changed(change):
    """The denoiser, with a network to which something was done."""
    denoiser = small()
    return replace(denoiser, network=change(denoiser.network))


def made_in_inference_mode(network):
    with torch.inference_mode():
        return UNet(**network.config)


class Says(torch.nn.Module):
    """A reader's own network, which says the same to everything."""

    def __init__(self, y):
        super().__init__()
        self.scale, self.y = torch.nn.Parameter(torch.ones(1)), y

    def forward(self, x, t, labels):
        return self.y * self.scale if isinstance(self.y, torch.Tensor) else self.y


def ledger(x0, **more):
    return elbo.ledger(SCHEDULE, x0, lambda x, t: x, decoder=lambda p, x: x.flatten(1).sum(1), **more)


def halves(x, t):
    return 0.5 * x


def walk(name, x=X, steps=3, says=halves, **more):
    sampler = getattr(samplers, name)
    return list(sampler(SCHEDULE, x, says, **({} if name == "ddpm" else {"steps": steps}), **more))


def guided_by(scale):
    return draw(small(), X, labels=LABELS, steps=2, guidance_scale=scale)


TAKES_FLOATS = [
    ("images", lambda x: train(images=x)),
    ("noise", lambda x: draw(small(), x, steps=2)),
    ("new", lambda x: next(rehearse(small(), x, 0, X, LABELS, CONFIG))),
    ("old", lambda x: next(rehearse(small(), X, 0, x, LABELS, CONFIG))),
    ("x_prev", lambda x: forward.q_step(SCHEDULE, 3, x)),
    ("x0", lambda x: forward.q_marginal(SCHEDULE, 3, x)),
    ("xt", lambda x: forward.q_posterior(SCHEDULE, 3, xt=x, x0=X)),
    ("x0", lambda x: forward.q_posterior(SCHEDULE, 3, xt=X, x0=x)),
    ("xt", lambda x: reverse.p_step(SCHEDULE, 3, xt=x, eps_hat=X)),
    ("x0", lambda x: losses.eps_loss(SCHEDULE, halves, x)),
    ("x0", ledger),
    ("xT", lambda x: walk("ddpm", x)),
    ("xT", lambda x: walk("ddim", x)),
    ("xT", lambda x: walk("dpm_solver", x)),
    ("like", lambda x: SCHEDULE.at(3, x)),
]
TAKES_COUNTS = [
    ("steps", lambda n: walk("ddim", steps=n)),
    ("steps", lambda n: walk("dpm_solver", steps=n)),
    ("steps", lambda n: ledger(X, steps=n)),
    ("batch_size", lambda n: draw(small(), X, steps=2, batch_size=n)),
    ("checkpoint_every", lambda n: train(checkpoint_every=n)),
    ("checkpoint_every", lambda n: next(rehearse(small(), X, 0, X, LABELS, CONFIG, checkpoint_every=n))),
    ("T", schedule.cosine),
    ("T", schedule.linear),
    ("t", lambda n: forward.q_marginal(SCHEDULE, n, X)),
    ("t", lambda n: losses.eps_loss(SCHEDULE, halves, X, t=n)),
    ("classes", lambda n: Denoiser(torch.nn.Identity(), SCHEDULE, "eps", n)),
    *[(name, lambda n, name=name: replace(CONFIG, **{name: n})) for name in ("steps", "batch_size", "seed")],
]
TAKES_NUMBERS = [
    ("eta", lambda n: walk("ddim", eta=n)),
    ("guidance_scale", guided_by),
    ("beta_1", lambda n: schedule.linear(20, n)),
    ("beta_T", lambda n: schedule.scaled_linear(20, beta_T=n)),
    ("beta_max", lambda n: schedule.cosine(20, beta_max=n)),
    ("offset", lambda n: schedule.cosine(20, offset=n)),
    ("betas", lambda n: schedule.Schedule(n if isinstance(n, torch.Tensor) else [n])),
    ("learning_rate", lambda n: replace(CONFIG, learning_rate=n)),
    ("ema", lambda n: replace(CONFIG, ema=n)),
    ("drop_labels", lambda n: replace(CONFIG, drop_labels=n)),
]


STANDARD = gaussian.Gaussian(torch.zeros_like(X), torch.ones(()))
PAIRS = [  # what must have the shape of something else
    ("eps", lambda y: prediction.x0_from_eps(SCHEDULE, 3, xt=X, eps=y)),
    ("x0", lambda y: prediction.eps_from_x0(SCHEDULE, 3, xt=X, x0=y)),
    ("eps", lambda y: prediction.v_from_x0_eps(SCHEDULE, 3, x0=X, eps=y)),
    ("eps", lambda y: prediction.v_from_eps(SCHEDULE, 3, xt=X, eps=y)),
    ("v", lambda y: prediction.eps_from_v(SCHEDULE, 3, xt=X, v=y)),
    ("v", lambda y: prediction.x0_from_v(SCHEDULE, 3, xt=X, v=y)),
    ("eps", lambda y: prediction.score_from_eps(SCHEDULE, 3, xt=X, eps=y)),
    ("x0", lambda y: forward.q_posterior(SCHEDULE, 3, xt=X, x0=y)),
    ("eps_hat", lambda y: reverse.p_step(SCHEDULE, 3, xt=X, eps_hat=y)),
    ("eps", lambda y: STANDARD.sample(eps=y)),
    *[
        ("eps", lambda y, loss=loss: getattr(losses, loss)(SCHEDULE, halves, X, eps=y))
        for loss in ("eps_loss", "v_loss", "bound_loss")
    ],
]
SAYS = [  # what a reader's own network may say
    ("eps_model", lambda y: losses.eps_loss(SCHEDULE, lambda x, t: y, X)),
    ("v_model", lambda y: losses.v_loss(SCHEDULE, lambda x, t: y, X)),
    ("x0_model", lambda y: losses.x0_loss(SCHEDULE, lambda x, t: y, X)),
    ("eps_model", lambda y: losses.bound_loss(SCHEDULE, lambda x, t: y, X)),
    ("eps_hat", lambda y: elbo.ledger(SCHEDULE, X, lambda x, t: y)),
    *[
        ("eps_model", lambda y, name=name: samplers.last(walk(name, says=lambda x, t: y)))
        for name in ("ddpm", "ddim", "dpm_solver")
    ],
    ("conditional", lambda y: prediction.guided(lambda x, t: y, halves, 2.0)(X, LABELS + 1)),
    ("unconditional", lambda y: prediction.guided(halves, lambda x, t: y, 2.0)(X, LABELS + 1)),
    *[
        ("model", lambda y, p=p: prediction.as_eps(SCHEDULE, lambda x, t: y, predicts=p)(X, LABELS + 1))
        for p in ("eps", "v", "x0")
    ],
]
OTHER_SHAPES = [X[:1], X[0, 0], X[:, 0], X.expand(4, 2, 8, 8), X[..., :1], X[:3], X.flatten(1)]
NO_FINITE = [X * float("nan"), torch.where(X > 0, torch.inf, X), torch.where(X > 0, -torch.inf, X)]


CLASSIFIER = DigitsClassifier().eval()
FEATURES = torch.linspace(-1, 1, 40).reshape(10, 4).cos()
NO_ROWS = [
    FEATURES[:, 0], FEATURES[None], FEATURES[:1], FEATURES[:, :0], FEATURES.numpy(), FEATURES.tolist(),
    FEATURES + 0j, FEATURES / 0, None,
]  # fmt: skip
MEASURES = [
    ("rows", metrics.moments),
    ("features_a", lambda f: metrics.frechet_distance(f, FEATURES)),
    ("features_b", lambda f: metrics.frechet_distance(FEATURES, f)),
]


def mixture(weights=(0.5, 0.5), means=((0.0,), (1.0,)), vars=(1.0, 1.0)):
    return exact.Mixture(*(x if isinstance(x, torch.Tensor) else torch.tensor(x) for x in (weights, means, vars)))


def classify(x=X, labels=LABELS, **more):
    how = {"epochs": 1, "batch_size": 2, "learning_rate": 1e-3, "seed": 0} | more
    train_classifier(DigitsClassifier(), x, labels, **how)


NO_DENOISERS = [small().network, (small(), "card"), "digits"]
CARD = Card(
    name="small", network="UNet", config=small().network.config, schedule={"kind": "cosine", "T": 20},
    predicts="eps", size=8, levels=17, data="none",
)  # fmt: skip


def cases(table, values):
    return [(name, call, value) for name, call in table for value in values]


@pytest.mark.parametrize(
    ("name", "call", "value"),
    [
        *cases(TAKES_FLOATS, NO_FLOATS),
        *cases(TAKES_COUNTS, NO_COUNTS),
        *cases(TAKES_NUMBERS, NO_NUMBERS),
        *cases(PAIRS, [*OTHER_SHAPES, *NO_FLOATS[:-1], 0.5]),
        *cases(SAYS, [*OTHER_SHAPES, *NO_FLOATS, 0.5]),
        *cases(SAYS[5:8], NO_FINITE),
        *cases([("xT", lambda x, name=name: walk(name, x)) for name in ("ddpm", "ddim", "dpm_solver")], NO_FINITE),
        *cases([("mean", lambda m: gaussian.Gaussian(m, torch.ones(())))], NO_FLOATS),
        *cases([("var", lambda v: gaussian.Gaussian(X, v))], [*NO_FLOATS, 0.5]),
        *cases([("x", STANDARD.log_prob), ("x", lambda x: gaussian.discretized_log_prob(STANDARD, x))], NO_FLOATS),
        *cases([("levels", lambda n: gaussian.discretized_log_prob(STANDARD, X, n))], NO_COUNTS),
        *cases(MEASURES, NO_ROWS),
        *cases(
            [
                ("a", lambda m: metrics.moments_distance(m, metrics.moments(FEATURES))),
                ("b", lambda m: metrics.moments_distance(metrics.moments(FEATURES), m)),
            ],
            [FEATURES, None, (FEATURES[0], FEATURES.T @ FEATURES)],
        ),
        *cases([("x", lambda x: metrics.features(CLASSIFIER, x))], NO_FLOATS),
        *cases(
            [("classifier", lambda c: metrics.features(c, X))], [small().network, small(), (CLASSIFIER, "card")]
        ),
        *cases([("batch_size", lambda n: metrics.features(CLASSIFIER, X, n))], [*NO_COUNTS, 0, -1]),
        *cases(
            [
                ("x", lambda x: metrics.nearest_neighbours(x, X)),
                ("images", lambda x: metrics.nearest_neighbours(X, x)),
            ],
            NO_FLOATS,
        ),
        *cases(
            [("images", lambda x: metrics.nearest_neighbours(X, x))], [X[:0], X[..., :7], X.expand(4, 3, 8, 8)]
        ),
        *cases([("x", data.to_uint8)], NO_FLOATS),
        *cases([("images", data.to_signed)], [X, X.numpy(), X.tolist(), None]),
        *cases([("mean", lambda m: exact.gaussian(m, 0.5))], NO_FLOATS),
        *cases([("var", lambda v: exact.gaussian(X[0], v))], NO_NUMBERS),
        *cases([("vars", lambda v: exact.gaussian(X[0], v))], [-1, float("nan")]),
        *cases([("images", exact.data_set)], [*NO_FLOATS, X[:0]]),
        *cases([("weights", mixture)], [(1, 0), (0.5, float("nan")), (0.5, 0.6), (1.5, -0.5)]),
        *cases([("means", lambda m: mixture(means=m))], [((0.0,),) * 3, ((0.0,),)]),
        *cases([("means", lambda v: mixture(vars=v))], [(1.0,), (1.0,) * 3]),
        *cases([("x", lambda x: mixture().log_prob(x))], [X, torch.zeros(2), *NO_FLOATS]),
        *cases([("count", mixture().sample)], [*NO_COUNTS, -1]),
        *cases([("x", classify)], NO_FLOATS),
        *cases(
            [("labels", lambda y: classify(labels=y))], [LABELS.float(), LABELS[:2], LABELS.tolist(), LABELS > 0]
        ),
        *cases([(n, lambda v, n=n: classify(**{n: v})) for n in ("epochs", "batch_size")], [*NO_COUNTS, 0, -1]),
        *cases([("seed", lambda n: classify(seed=n))], NO_COUNTS),
        *cases([("denoiser", lambda d: train(d)), ("denoiser", lambda d: draw(d, X))], NO_DENOISERS),
        *cases([("denoiser", lambda d: next(rehearse(d, X, 0, X, LABELS, CONFIG)))], [*NO_DENOISERS, None]),
        *cases(
            [
                ("config", lambda c: list(training.train(small(), X, c))),
                ("config", lambda c: next(rehearse(small(), X, 0, X, LABELS, c))),
            ],
            [None, {"steps": 2}, 2],
        ),
        *cases([("checkpoint", lambda c: train(checkpoint=c))], ["", b"run", 3]),
        *cases(
            [("path", lambda p: weights.save(p, small(), CARD)), ("path", weights.load)],
            ["", ".", "..", "/", None, 3, b"run"],
        ),
        *cases([("card", lambda c: weights.save("never", small(), c))], [None, {}, "card"]),
        *cases(
            [("model", lambda m: weights.save("never", m, CARD))],
            [None, small().network.state_dict(), (small(), CARD)],
        ),
        *cases(
            [
                ("generator", lambda g: draw(small(), X, steps=2, generator=g)),
                ("generator", lambda g: losses.eps_loss(SCHEDULE, halves, X, g, t=3)),
                ("generator", STANDARD.sample),
            ],
            [0, "cpu", np.random.default_rng(0)],
        ),
        *cases([("step", SCHEDULE.shares)], [*NO_COUNTS, LABELS, -1, 21]),
        *cases([("t", lambda t: small().network(X, t))], [3, 3.0, None, LABELS.numpy(), [1, 2, 3, 4]]),
        *cases(
            [
                ("t", lambda t: small().network(X, t)),
                ("labels", lambda y: small().network(X, LABELS + 1, y)),
                ("t", lambda t: forward.q_marginal(SCHEDULE, t, X)),
                ("t", lambda t: losses.eps_loss(SCHEDULE, halves, X, t=t)),
            ],
            [torch.ones(4, dtype=torch.int64, device="meta")],
        ),
        *cases(
            [("labels", lambda y: train(labels=y))], [[0, 1, 0, 1], (0, 1), b"0101", 1, LABELS.numpy(), LABELS > 0]
        ),
        *cases([("labels", lambda y: draw(small(), X, labels=y, steps=2))], [[0, 1, 0, 1], 1, LABELS.numpy()]),
        *cases([("guidance_scale", guided_by)], [float("nan"), float("inf")]),
        *cases([("offset", lambda n: schedule.cosine(20, n))], [float("nan"), float("inf"), -1, -0.008]),
        *cases([("beta_max", lambda n: schedule.cosine(20, beta_max=n))], [0, 1, 2, float("nan")]),
        *cases([("kind", schedule.named)], [["cosine"], None, 3, "sine"]),
        *cases(
            [("schedule", lambda s: Denoiser(torch.nn.Identity(), s, "eps"))], ["cosine", None, SCHEDULE.betas]
        ),
        *cases([("classes", lambda n: Denoiser(torch.nn.Identity(), SCHEDULE, "eps", n))], [-1]),
        *cases([("steps", lambda n: replace(CONFIG, steps=n))], [0, -1, 2**31]),
        *cases([("batch_size", lambda n: replace(CONFIG, batch_size=n))], [0, -1, 2**31]),
        *cases([("device", lambda d: train(device=d))], ["abacus", "", "meta", "cuda:99", None, 1.5]),
        *cases([("device", lambda d: weights.load_shipped("digits", d))], ["abacus", "meta", None]),
        *cases([("images", lambda x: train(images=x))], [X[:0], X[..., :0], X[..., :7], X[:, 0]]),
        *cases([("x0", ledger)], [X[:0], X[..., :0]]),
        *cases([("x", lambda x: draw(small(), x, steps=2))], [X.double(), X.half(), X.bfloat16()]),
        *cases(
            [("denoiser", lambda change: train(changed(change)))],
            [lambda n: n.requires_grad_(False), made_in_inference_mode],
        ),
        *cases(
            [("denoiser", lambda y: train(Denoiser(Says(y), SCHEDULE, "eps", 2)))], [*OTHER_SHAPES, None, (X,)]
        ),
        *cases(
            [("denoiser", lambda n: train(Denoiser(n, SCHEDULE, "eps"), labels=None))],
            [halves, torch.nn.Identity()],
        ),
    ],
)
def test_it_is_named(name, call, value):
    with pytest.raises(ValueError, match=rf"^{name}: (expected|got)"):
        call(value)


@pytest.mark.parametrize("count", [np.int64(12), np.array(12), torch.tensor(12), torch.tensor([12])])
def test_a_count_may_be_anyone_s_whole_number(count):
    assert schedule.cosine(count).T == schedule.linear(count).T == 12
    assert len(walk("ddim", steps=count)) == len(walk("dpm_solver", steps=count)) == 12
    assert len(ledger(X, steps=count).steps) == 12
    assert torch.equal(draw(small(), X, steps=count, batch_size=count), draw(small(), X, steps=12))


def test_no_draws_of_a_world_are_none():
    assert mixture().sample(0).shape == (0, 1)


def test_a_classifier_learns_whatever_the_mode_around_it():
    with torch.no_grad():
        classify()


def test_pictures_from_0_on_are_noticed_where_they_are_scored_too():
    with pytest.warns(UserWarning, match="^x: no value is below 0"):
        metrics.features(CLASSIFIER, (X + 1) / 2)


def test_neighbours_are_found_in_every_precision():
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        assert metrics.nearest_neighbours(X.to(dtype), X)[1].tolist() == [0, 1, 2, 3]


def rehearsed(images=X):
    return list(rehearse(small(), images, 0, images, LABELS, CONFIG))


@pytest.mark.parametrize("learn", [train, rehearsed])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_learns_whatever_the_mode_around_it_and_leaves_that_mode_as_it_is(learn, mode, monkeypatch):
    made = small()
    expected = [p.loss for p in learn()]
    monkeypatch.setitem(globals(), "small", lambda: made)  # its weights are not the mode's
    with mode():
        assert [p.loss for p in learn()] == expected
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == (
            False,
            mode is torch.inference_mode,
        )
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("learn", [train, rehearsed])
def test_pictures_that_ask_for_a_gradient_get_none(learn):
    images = X.clone().requires_grad_()
    learn(images=images)
    assert images.grad is None


@pytest.mark.parametrize("strided", [torch.stack([X, -X], -1)[..., 0], torch._neg_view(-X)])
def test_pictures_may_lie_in_memory_as_they_like(strided):
    assert [p.loss for p in train(images=strided)] == [p.loss for p in train()]


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpm_solver"])
def test_no_half_of_a_gradient_leads_through_a_sampler(name):
    assert not any(x.requires_grad for x in walk(name, X.clone().requires_grad_()))


def test_a_schedule_keeps_no_gradient_of_its_betas():
    learned = schedule.Schedule(torch.full((3,), 0.5, requires_grad=True))
    assert not learned.at(2, X).alpha_bar.requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_pictures_in_another_precision_are_learned_in_that_of_the_weights(tmp_path, dtype):
    coarse = (X * 8).round() / 8  # the same numbers in every precision
    first, second = (train(images=x, checkpoint=tmp_path / str(x.dtype)) for x in (coarse, coarse.to(dtype)))
    assert [p.loss for p in first] == [p.loss for p in second]


def test_bits_of_every_precision_have_a_fingerprint():
    found = {fingerprints.of_bits(X.to(dtype)) for dtype in (torch.float32, torch.float16, torch.bfloat16)}
    assert len(found) == 3


def test_numpy_s_numbers_become_python_s_which_a_note_can_hold(tmp_path):
    config = TrainConfig(
        steps=np.int64(2), batch_size=np.int32(2), seed=np.uint8(3),
        learning_rate=np.float32(0.5), ema=np.float64(0.5),
    )  # fmt: skip
    assert config == TrainConfig(steps=2, batch_size=2, seed=3, learning_rate=0.5, ema=0.5)
    assert {type(value) for value in (config.steps, config.batch_size, config.seed)} == {int}
    assert len(list(training.train(small(), X, config, checkpoint=tmp_path))) == 2
