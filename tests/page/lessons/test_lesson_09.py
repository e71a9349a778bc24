"""Lesson 09's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process import losses, schedule


def right(beta, alpha_bar_prev, var):
    alpha_bar = (1 - beta) * alpha_bar_prev
    return alpha_bar_prev * beta**2 / (2 * var * (1 - alpha_bar) ** 2)


def right_by_the_noise(beta, alpha_bar_prev, var):
    alpha_bar = (1 - beta) * alpha_bar_prev
    return noise(beta, alpha_bar_prev, var) * alpha_bar / (1 - alpha_bar)


def noise(beta, alpha_bar_prev, var):
    return beta**2 / (2 * var * (1 - beta) * (1 - (1 - beta) * alpha_bar_prev))


def upside_down(beta, alpha_bar_prev, var):
    alpha_bar = (1 - beta) * alpha_bar_prev
    return noise(beta, alpha_bar_prev, var) / (alpha_bar / (1 - alpha_bar))


def half_the_snr_gained(beta, alpha_bar_prev, var):
    alpha_bar = (1 - beta) * alpha_bar_prev
    return (alpha_bar_prev / (1 - alpha_bar_prev) - alpha_bar / (1 - alpha_bar)) / 2


def wrong_index(beta, alpha_bar_prev, var):
    alpha_bar = (1 - beta) * alpha_bar_prev
    return alpha_bar * beta**2 / (2 * var * (1 - alpha_bar) ** 2)


def not_squared(beta, alpha_bar_prev, var):
    return alpha_bar_prev**0.5 * beta / (1 - (1 - beta) * alpha_bar_prev) / (2 * var)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (right, "Right."),
        (right_by_the_noise, "Right."),
        (noise, "weight of the noise's error"),
        (upside_down, "upside down"),
        (half_the_snr_gained, "σ² = β̃ only"),
        (wrong_index, "ᾱ_{t−1} belongs"),
        (not_squared, "must be squared"),
        (lambda *case: 2 * right(*case), "½ is missing"),
        (lambda b, a, v: right(b, a, v) * v**0.5, "standard deviation"),
        (lambda b, a, v: right(b, a, v) / v, "σ_t⁴"),
        (lambda b, a, v: 0.0, "Hint"),
    ],
)
def test_loss_weight(answer, words, capsys) -> None:
    check("loss_weight", answer)
    assert words in capsys.readouterr().out


def test_the_right_answer_is_the_package_s_weight_times_the_snr() -> None:
    s = schedule.linear(10, 0.01, 0.3)
    t = torch.arange(2, 11)
    now = s.at(t, torch.zeros(9, 1, dtype=torch.float64))
    for variance, var in (("beta", now.beta), ("beta_tilde", now.beta_tilde)):
        w = losses.bound_weight(s, t, torch.zeros(9, 1, dtype=torch.float64), variance)
        torch.testing.assert_close(
            right(now.beta, now.alpha_bar_prev, var), w * now.alpha_bar / now.one_minus_alpha_bar
        )
