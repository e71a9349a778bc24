"""Lesson 05's exercise: each typical wrong answer is told by name."""

from math import sqrt

import pytest
import torch

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process.forward import q_posterior
from diffusion_lesson.process.schedule import Schedule


def by_the_package(x0, xt, s, t):
    two_steps = Schedule([1 - s, 1 - t / s])
    as_batch = {"xt": torch.tensor([[xt]]).double(), "x0": torch.tensor([[x0]]).double()}
    q = q_posterior(two_steps, torch.tensor([2]), **as_batch)
    return q.mean, q.var


def parabola(x0, xt, s, t):
    """A and B, by hand."""
    a = t / s
    return a / (1 - a) + 1 / (1 - s), sqrt(a) / (1 - a) * xt + sqrt(s) / (1 - s) * x0


def right(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, 1 / A


def variances_added(x0, xt, s, t):
    a = t / s
    return right(x0, xt, s, t)[0], (1 - a) / a + (1 - s)


def precision(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, A


def standard_deviation(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, sqrt(1 / A)


def no_division(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B, 1 / A


def wrong_root(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (a * xt / sqrt(t) / (1 - a) + sqrt(s) / (1 - s) * x0) / A, 1 / A


def forgot_alpha_bar_s(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (sqrt(a) / (1 - a) * xt + x0 / (1 - s)) / A, 1 / A


def forgot_the_root(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (a / (1 - a) * xt + sqrt(s) / (1 - s) * x0) / A, 1 / A


def no_shrinking_at_all(x0, xt, s, t):
    a = t / s
    A = 1 / (1 - a) + 1 / (1 - s)
    return (xt / (1 - a) + sqrt(s) / (1 - s) * x0) / A, 1 / A


def likelihood_too_sure(x0, xt, s, t):
    a = t / s
    A = 1 / (1 - a) + 1 / (1 - s)
    return (sqrt(a) / (1 - a) * xt + sqrt(s) / (1 - s) * x0) / A, 1 / A


def swapped(x0, xt, s, t):
    return right(xt, x0, s, t)


def one_number(x0, xt, s, t):
    return right(x0, xt, s, t)[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (right, "Right."),
        (by_the_package, "Right."),
        (variances_added, "two variances were added"),
        (precision, "is the precision A"),
        (standard_deviation, "standard deviation"),
        (no_division, "the first number is B"),
        (wrong_root, "√ᾱ_t stands where √a should"),
        (forgot_alpha_bar_s, "centred at x_0"),
        (forgot_the_root, "centred at x_t"),
        (no_shrinking_at_all, "centred at x_t"),
        (likelihood_too_sure, "precision 1/(1 − a)"),
        (swapped, "changed places"),
        (one_number, "raised"),
        (lambda *case: (0.0, 1.0), "Hint"),
        (0.5, "raised"),
    ],
)
def test_complete_the_square(answer, words, capsys) -> None:
    check("complete_the_square", answer)
    assert words in capsys.readouterr().out
