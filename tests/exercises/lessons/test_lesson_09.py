"""Lesson 09's exercise: right answers in several idioms, and each typical wrong one told by name."""

import math
from fractions import Fraction

import numpy as np
import torch

from diffusion_lesson.process import losses, schedule
from tests.exercises.lessons.tables import tries


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


def factor(beta, alpha_bar_prev, var):
    return alpha_bar_prev**0.5 * beta / (1 - (1 - beta) * alpha_bar_prev)


def of_xt(beta, alpha_bar_prev, var):
    return (1 - beta) * ((1 - alpha_bar_prev) / (1 - (1 - beta) * alpha_bar_prev)) ** 2 / (2 * var)


def by_torch(beta, alpha_bar_prev, var):
    factor = torch.sqrt(alpha_bar_prev) * beta / (1 - (1 - beta) * alpha_bar_prev)
    return factor**2 / (2 * var)


def by_methods(beta, alpha_bar_prev, var):
    return (alpha_bar_prev.sqrt() * beta / (1 - (1 - beta) * alpha_bar_prev)).square().div(2 * var)


def by_numpy(beta, alpha_bar_prev, var):
    return np.square(np.sqrt(alpha_bar_prev) * beta / (1 - np.multiply(1 - beta, alpha_bar_prev))) / (2 * var)


def by_math(beta, alpha_bar_prev, var):
    return math.pow(math.sqrt(alpha_bar_prev) * beta / (1 - (1 - beta) * alpha_bar_prev), 2) / (2 * var)


def by_the_means(beta, alpha_bar_prev, var):
    """The KL of two means whose pictures are 1 apart, by the package's schedule."""
    steps = schedule.Schedule([1 - alpha_bar_prev, beta])
    s = steps.at(torch.tensor([2]), torch.zeros(1, 1))
    return (s.alpha_bar_prev.sqrt() * s.beta / s.one_minus_alpha_bar) ** 2 / (2 * var)


TestLossWeight = tries(
    "loss_weight",
    right={
        "** 2": right,
        "SNR times the noise's": right_by_the_noise,
        "torch on numbers": by_torch,
        "a tensor's methods": by_methods,
        "numpy": by_numpy,
        "math": by_math,
        "the package": by_the_means,
        "fractions": lambda *case: right(*map(Fraction, case)),
    },
    wrong=[
        (noise, "weight of the noise's error"),
        (upside_down, "upside down"),
        (half_the_snr_gained, "σ² = β̃ only"),
        (wrong_index, "ᾱ_{t−1} belongs"),
        (lambda b, a, v: a * b**2 / (2 * v * (1 - a) ** 2), "where 1 − ᾱ_t belongs"),
        (not_squared, "must be squared"),
        (lambda b, a, v: torch.sqrt(a) ** 2 * b / (2 * v * (1 - (1 - b) * a) ** 2), "β_t is not squared"),
        (lambda b, a, v: a * b**2 / (2 * v * (1 - (1 - b) * a)), "or 1 − ᾱ_t is not"),
        (lambda b, a, v: a * right(b, a, v), "ᾱ_{t−1} is squared"),
        (factor, "stands before x_0 − x̂_0 in the means' difference"),
        (lambda *case: factor(*case) ** 2, "the division by 2σ_t² is missing"),
        (of_xt, "stands before x_t, and cancels"),
        (lambda b, a, v: right(b, a, b), "var is in it nowhere"),
        (lambda b, a, v: a * b**2 / (2 * v * (1 - b * a) ** 2), "ᾱ_t is α_t ᾱ_{t−1}, and α_t is 1 − β_t"),
        (lambda *case: factor(*case) ** 2 / 2 * case[2], "`/ 2 * var`"),
        (lambda b, a, v: not_squared(b, a, v) ** 2, "2σ_t² was squared along"),
        (lambda *case: 2 * right(*case), "½ is missing"),
        (lambda b, a, v: right(b, a, v) * v**0.5, "standard deviation"),
        (lambda b, a, v: right(b, a, v) / v, "σ_t⁴"),
        (lambda *case: -right(*case), "the weight is right but for its sign"),
        (lambda b, a, v: 0.0, "for weight(0.1, 0.6, 0.1) the weight is 0, and should be 0.1418. Hint"),
        (lambda b, a: b * a, "takes (b, a), and is called as weight("),
    ],
)


def test_the_right_answer_is_the_package_s_weight_times_the_snr() -> None:
    s = schedule.linear(10, 0.01, 0.3)
    t = torch.arange(2, 11)
    now = s.at(t, torch.zeros(9, 1, dtype=torch.float64))
    for variance, var in (("beta", now.beta), ("beta_tilde", now.beta_tilde)):
        w = losses.bound_weight(s, t, torch.zeros(9, 1, dtype=torch.float64), variance)
        torch.testing.assert_close(
            right(now.beta, now.alpha_bar_prev, var), w * now.alpha_bar / now.one_minus_alpha_bar
        )
