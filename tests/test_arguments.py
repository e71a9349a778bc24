"""Arguments of a wrong type, or of a kind of number that nothing can be made of: a ValueError names which."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_lesson.learning import fingerprints, training, weights
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.learning.personalise import rehearse
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import elbo, forward, losses, reverse, samplers, schedule

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


def ledger(x0, **more):
    return elbo.ledger(SCHEDULE, x0, lambda x, t: x, decoder=lambda p, x: x.flatten(1).sum(1), **more)


def halves(x, t):
    return 0.5 * x


def walk(name, x=X, steps=3, **more):
    sampler = getattr(samplers, name)
    return list(sampler(SCHEDULE, x, halves, **({} if name == "ddpm" else {"steps": steps}), **more))


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


def cases(table, values):
    return [(name, call, value) for name, call in table for value in values]


@pytest.mark.parametrize(
    ("name", "call", "value"),
    [
        *cases(TAKES_FLOATS, NO_FLOATS),
        *cases(TAKES_COUNTS, NO_COUNTS),
        *cases(TAKES_NUMBERS, NO_NUMBERS),
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
            [lambda n: n.requires_grad_(False)],
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
