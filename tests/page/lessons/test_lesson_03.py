"""Lesson 03's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process.gaussian import Gaussian


def right(x_prev, beta):
    return (1 - beta) ** 0.5 * x_prev, beta


def right_as_a_gaussian(x_prev, beta):
    return Gaussian((1 - beta) ** 0.5 * x_prev, torch.full_like(x_prev, beta))


def a_draw(x_prev, beta):
    return (1 - beta) ** 0.5 * x_prev + beta**0.5 * torch.zeros_like(x_prev)


def noise_by_beta(x_prev, beta):
    return (1 - beta) ** 0.5 * x_prev, beta**2


def deviation_for_variance(x_prev, beta):
    return (1 - beta) ** 0.5 * x_prev, beta**0.5


def not_fainter(x_prev, beta):
    return x_prev, beta


def mean_without_root(x_prev, beta):
    return (1 - beta) * x_prev, beta


def swapped(x_prev, beta):
    return Gaussian(beta**0.5 * x_prev, torch.tensor(1 - beta))


def wrong_order(x_prev, beta):
    return beta, (1 - beta) ** 0.5 * x_prev


def something_else(x_prev, beta):
    return x_prev * 0, beta


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (right, "Right."),
        (right_as_a_gaussian, "Right."),
        (a_draw, "one tensor"),
        (noise_by_beta, "beta squared"),
        (deviation_for_variance, "its square"),
        (not_fainter, "not made fainter"),
        (mean_without_root, "lost its root"),
        (swapped, "changed places"),
        (wrong_order, "wrong order"),
        (something_else, "Not yet. Hint:"),
        (lambda x_prev, beta: None, "raised TypeError"),
    ],
)
def test_q_step(answer, words, capsys) -> None:
    check("q_step", answer)
    assert words in capsys.readouterr().out
