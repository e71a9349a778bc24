"""Lesson 04's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check

POST = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
SCALED = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
DDPM = torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64)


def each(formula, schedules=(POST, SCALED, DDPM)):
    return tuple(formula(betas).item() for betas in schedules)


def left(betas):
    return (1 - betas).prod().sqrt()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (each(left), "Right."),
        ((0.0397, 0.0683, 0.0064), "Right."),
        (torch.tensor([0.0397, 0.0683, 0.0064]), "Right."),
        (each(lambda b: (1 - b).prod()), "its root"),
        (each(lambda b: (1 - (1 - b).prod()).sqrt()), "factor of the noise"),
        (each(lambda b: (-b.sum() / 2).exp()), "estimate"),
        (each(lambda b: (1 - b[:-1]).prod().sqrt()), "one step is missing"),
        (each(left, (POST, POST, DDPM)), "the first one again"),
        (each(left, (POST, DDPM, SCALED)), "another order"),
        ((3.97, 6.83, 0.64), "percent"),
        ((0.5, 0.5, 0.5), "Not yet. Hint:"),
        ((0.0397,), "Not yet. Hint:"),
        (0.0397, "raised TypeError"),
    ],
)
def test_last_signal(answer, words, capsys) -> None:
    check("last_signal", answer)
    assert words in capsys.readouterr().out
