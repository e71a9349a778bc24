"""Lesson 08's exercise: each typical wrong answer is told by name."""

import pytest
import torch
from torch.special import ndtr

from diffusion_lesson.page.exercises import check
from diffusion_lesson.process.gaussian import Gaussian, discretized_log_prob


def package(k, mean, sd, levels):
    x = (2 * k.double() / (levels - 1) - 1)[:, None]
    return discretized_log_prob(Gaussian(torch.full_like(x, mean), torch.tensor(sd**2)), x, levels).exp()


def strips(k, mean, sd, levels, *, grid=None, half=None, ends=(True, True)):
    x = 2 * k / (grid or levels - 1) - 1
    half = half or 1 / (levels - 1)
    below, above = x - half, x + half
    if ends[0]:
        below[k == 0] = -torch.inf
    if ends[1]:
        above[k == levels - 1] = torch.inf
    return ndtr((above - mean) / sd) - ndtr((below - mean) / sd)


def density_times_width(k, mean, sd, levels):
    x = 2 * k / (levels - 1) - 1
    return (-0.5 * ((x - mean) / sd) ** 2).exp() / (sd * (2 * torch.pi) ** 0.5) * 2 / (levels - 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (package, "Right."),
        (strips, "Right."),
        (lambda k, m, s, n: strips(k, m, s, n, half=1 / n), "1/levels"),
        (lambda k, m, s, n: strips(k, m, s, n, half=2 / (n - 1)), "overlap"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(False, False)), "falls short of 1"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(False, True)), "only one"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(True, False)), "only one"),
        (density_times_width, "density × width"),
        (lambda k, m, s, n: strips(k, m, s, n, grid=n), "2k/levels"),
        (lambda k, m, s, n: strips(k, m, s**2, n), "wrong thing"),
        (lambda k, m, s, n: strips(k, m, s**0.5, n), "wrong thing"),
        (lambda *bell: package(*bell).log(), "logarithm"),
        (lambda *bell: -package(*bell).log2(), "logarithm"),
        (lambda *bell: package(*bell).sum(), "Hint"),
        (lambda k, m, s, n: None + 1, "raised"),
    ],
)
def test_discretized_likelihood(answer, words, capsys) -> None:
    check("discretized_likelihood", answer)
    assert words in capsys.readouterr().out
