"""Lesson 06's exercise: each typical wrong answer is told by name."""

from math import sqrt

import pytest
import torch

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.schedule import Schedule


def right(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * sqrt(1 - rho**2) * eps, (1 - prev) * rho**2


def by_the_package(x0, eps, rho, prev):
    beta = rho**2 * (1 - prev) / (1 - rho**2 * prev)  # ρ² = β/(1 − (1 − β) ᾱ_{t−1}), solved
    two_steps, t = Schedule([1 - prev, beta]), torch.tensor([2])
    start = torch.tensor([[x0]]).double()
    jump = q_marginal(two_steps, t, start)
    q = q_posterior(two_steps, t, xt=jump.mean + jump.var.sqrt() * eps, x0=start)
    return q.mean, q.var


def the_same_noise(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * eps, 0.0


def the_step_s_noise(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * rho * eps, (1 - prev) * (1 - rho**2)


def no_root(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * (1 - rho**2) * eps, (1 - prev) * rho**2


def standard_deviation(x0, eps, rho, prev):
    mean, var = right(x0, eps, rho, prev)
    return mean, sqrt(var)


def variance_of_the_noise(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], rho**2


def variance_of_the_known_part(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], (1 - prev) * (1 - rho**2)


def variance_of_the_jump(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], 1 - prev


def no_picture(x0, eps, rho, prev):
    mean, var = right(0.0, eps, rho, prev)
    return mean, var


def one_number(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (right, "Right."),
        (by_the_package, "Right."),
        (the_same_noise, "was taken to be"),
        (the_step_s_noise, "the step's noise"),
        (no_root, "where √(1 − ρ²) should stand"),
        (standard_deviation, "standard deviation"),
        (variance_of_the_noise, "square of a factor"),
        (variance_of_the_known_part, "before z stands ρ"),
        (variance_of_the_jump, "if only x_0 is known"),
        (no_picture, "is missing from the mean"),
        (one_number, "raised"),
        (lambda *case: (0.0, 1.0), "Hint"),
        (0.5, "raised"),
    ],
)
def test_one_line_proof(answer, words, capsys) -> None:
    check("one_line_proof", answer)
    assert words in capsys.readouterr().out
