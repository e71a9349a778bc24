"""A denoiser is what it says: the same pictures, whatever its network predicts; and nothing passes for another."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.process import exact, prediction, samplers, schedule

S = schedule.cosine(30)
MEANS = torch.tensor([[0.8, -0.6], [-0.5, 0.9]])


class World(nn.Module):
    """The best network for two clouds, one a class: label 2 is "no label". It says ε, v or x_0."""

    classes = 2

    def __init__(self, predicts: str) -> None:
        super().__init__()
        self.predicts, self.asked = predicts, []
        both = exact.Mixture(torch.tensor([0.5, 0.5]), MEANS, torch.full((2,), 0.01))
        one = [exact.gaussian(mean, 0.01) for mean in MEANS]
        self.models = [world.eps_model(S) for world in (*one, both)]

    def forward(self, x, t, labels=None):
        labels = torch.full_like(t, 2) if labels is None else labels
        self.asked.append(labels)
        answers = torch.stack([model(x, t) for model in self.models])
        eps = answers[labels, torch.arange(len(x))]
        if self.predicts == "eps":
            return eps
        if self.predicts == "v":
            return prediction.v_from_eps(S, t, xt=x, eps=eps)
        return prediction.x0_from_eps(S, t, xt=x, eps=eps)


def world(predicts="v") -> Denoiser:
    return Denoiser(World(predicts), S, predicts, classes=2)


NOISE = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 2


@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
def test_it_draws_what_it_was_told_whatever_its_network_predicts(predicts):
    x0 = draw(world(predicts), NOISE, labels=LABELS, generator=torch.Generator().manual_seed(1))
    for label in (0, 1):
        assert_close(x0[label == LABELS].mean(0), MEANS[label], atol=0.08, rtol=0)


def test_a_network_taken_for_another_draws_something_else():
    # What the value exists for: said to predict ε, the v-network draws other pictures without an error.
    right = draw(world("v"), NOISE, labels=LABELS, eta=0.0)
    wrong = draw(Denoiser(World("v"), S, "eps", classes=2), NOISE, labels=LABELS, eta=0.0)
    assert (right - wrong).abs().mean() > 0.05


def test_without_labels_both_clouds_are_drawn():
    x0 = draw(world(), NOISE, generator=torch.Generator().manual_seed(1))
    share = (x0[:, 0] > 0).double().mean().item()
    assert 0.3 < share < 0.7


@pytest.mark.parametrize(("scale", "asked"), [(0.0, {2}), (1.0, {0, 1}), (2.0, {0, 1, 2})])
def test_scale_0_and_1_ask_once_and_any_other_twice(scale, asked):
    denoiser = world()
    eps_hat = denoiser.eps_model(LABELS, guidance_scale=scale, clip=False)(NOISE, torch.full((64,), 9))
    assert {int(label) for labels in denoiser.network.asked for label in labels} == asked
    conditional, unconditional = (prediction.as_eps(S, World("v"), predicts="v", labels=y) for y in (LABELS, None))
    expected = prediction.guided(conditional, unconditional, scale)(NOISE, torch.full((64,), 9))
    assert_close(eps_hat, expected)


def test_clip_keeps_the_picture_within_its_range_and_its_absence_does_not():
    far, t = 3 * NOISE, torch.full((64,), 3)
    most = [
        prediction.x0_from_eps(S, t, xt=far, eps=world().eps_model(clip=clip)(far, t)).abs().max().item()
        for clip in (True, False)
    ]
    assert most[0] <= 1 + 1e-5 < most[1]


def test_draw_is_the_sampler_by_hand():
    g = torch.Generator().manual_seed(4)
    by_hand = samplers.ddim(S, NOISE, world().eps_model(LABELS, guidance_scale=1.5), steps=7, eta=0.5, generator=g)
    drawn = draw(
        world(), NOISE, labels=LABELS, guidance_scale=1.5, steps=7, eta=0.5,
        generator=torch.Generator().manual_seed(4),
    )  # fmt: skip
    assert torch.equal(drawn, samplers.last(by_hand).clamp(-1, 1))


@pytest.mark.parametrize("batch_size", [1, 7, 16, 1000])
def test_the_batch_size_changes_nothing_where_no_noise_is_drawn(batch_size):
    noise, labels = NOISE[:16], LABELS[:16]
    parts = draw(world(), noise, labels=labels, eta=0.0, batch_size=batch_size)
    assert_close(parts, draw(world(), noise, labels=labels, eta=0.0))


def test_a_label_is_heard_and_guidance_heeds_it_more():
    drawn = {
        scale: draw(world(), NOISE, labels=LABELS, guidance_scale=scale, eta=0.0) for scale in (0.0, 1.0, 2.5)
    }
    assert (drawn[1.0] - drawn[0.0]).abs().max() > 1e-2
    assert (drawn[2.5] - drawn[1.0]).abs().max() > 1e-2


def test_no_noise_is_no_picture():
    assert draw(world(), NOISE[:0]).shape == (0, 2)


def test_a_walk_can_be_watched():
    seen = []

    def watch(walk, steps):
        for x in walk:
            seen.append((steps, len(x)))
            yield x

    draw(world(), NOISE, steps=3, batch_size=40, watch=watch)
    assert seen == [(3, 40)] * 3 + [(3, 24)] * 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Denoiser(World("v"), S, "velocity", classes=2),
            r"^predicts: expected one of eps, v, x0, got 'vel",
        ),
        (lambda: Denoiser(World("v"), S, "v"), r"^classes: expected 2, as the network has, got 0"),
        (lambda: Denoiser(World("v"), S, "v", classes=3), r"^classes: expected 2"),
        (lambda: world().eps_model(guidance_scale=2.0), r"^guidance_scale: 2 needs labels"),
        (lambda: world().eps_model(torch.tensor([0, 3])), r"^labels: expected 0\.\.1, or 2 for none, got 0\.\.3"),
        (lambda: world().eps_model(torch.tensor([-1])), r"^labels: expected 0\.\.1"),
        (lambda: Denoiser(nn.Identity(), S, "v").eps_model(LABELS), r"^labels: .* trained without labels"),
        (
            lambda: draw(world(), NOISE, labels=LABELS[:3]),
            r"^labels: expected one for each of 64 noises, got \(3,\)",
        ),
        (lambda: draw(world(), NOISE, batch_size=0), r"^batch_size: expected 1 or more, got 0"),
        (lambda: draw(world(), NOISE, steps=31), r"^steps: expected 1\.\.30"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_it_is_not_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()
