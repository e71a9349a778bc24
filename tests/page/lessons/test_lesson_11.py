"""Lesson 11's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process import samplers


def algorithm_2(noise, schedule, x, eps_model):
    """Algorithm 2; noise(now, t, x) is what a step adds to its mean."""
    for step in schedule.down():
        t = torch.full((len(x),), step)
        now = schedule.at(t, like=x)
        mean = (x - now.beta / now.one_minus_alpha_bar.sqrt() * eps_model(x, t)) / now.alpha.sqrt()
        x = mean + noise(now, step, x)
    return x


def draw(x, generator):
    return torch.randn(x.shape, generator=generator, dtype=x.dtype)


def right(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * draw(x, generator), schedule, x, eps_model)


def right_by_the_package(schedule, x, eps_model, generator):
    *_, x0 = samplers.ddpm(schedule, x, eps_model, variance="beta", generator=generator)
    return x0


def right_without_the_generator(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * torch.randn_like(x), schedule, x, eps_model)


def one_z(schedule, x, eps_model, generator):
    z = draw(x, generator)
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * z, schedule, x, eps_model)


def one_z_but_none_at_1(schedule, x, eps_model, generator):
    z = draw(x, generator)
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * z * (t > 1), schedule, x, eps_model)


def seeded_in_the_loop(schedule, x, eps_model, generator):
    def noise(now, t, x):
        return now.beta_tilde.sqrt() * draw(x, torch.Generator().manual_seed(3))

    return algorithm_2(noise, schedule, x, eps_model)


def no_noise(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: 0, schedule, x, eps_model)


def shared(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * draw(x[:1], generator), schedule, x, eps_model)


def by_the_variance(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde * draw(x, generator), schedule, x, eps_model)


def noise_at_1(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta.sqrt() * draw(x, generator), schedule, x, eps_model)


def a_generator(schedule, x, eps_model, generator):
    yield right(schedule, x, eps_model, generator)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (right, "Right."),
        (right_by_the_package, "Right."),
        (right_without_the_generator, "Right."),
        (one_z, "one and the same z"),
        (one_z_but_none_at_1, "one and the same z"),
        (seeded_in_the_loop, "one and the same z"),
        (no_noise, "no noise at all"),
        (shared, "all examples share it"),
        (by_the_variance, "standard deviation is √β̃"),
        (noise_at_1, "noise in the last step"),
        (a_generator, "not yield"),
        (lambda schedule, x, eps_model, generator: x, "Hint"),
        (lambda schedule, x: x, "raised TypeError"),
    ],
)
def test_planted_bug(answer, words, capsys) -> None:
    check("planted_bug", answer)
    assert words in capsys.readouterr().out
