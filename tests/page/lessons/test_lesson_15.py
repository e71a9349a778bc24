"""Lesson 15's exercise: a check is checked, and what is wrong with it is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check


def mixed(alpha_bar, x0, eps):
    return alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps


def off(code, alpha_bar=0.5, x0=0.3, eps=-1.7):
    """How far the code's answer is from the x_0 that was put in."""
    return code(alpha_bar, mixed(alpha_bar, x0, eps), eps) - x0


def asserts(code):
    assert abs(off(code)) < 1e-4


def with_tensors(code):
    alpha_bar, x0, eps = torch.tensor(0.4), torch.linspace(-1, 1, 9), torch.linspace(2, -1, 9)
    torch.testing.assert_close(code(alpha_bar, mixed(alpha_bar, x0, eps), eps), x0)


def never_calls(code):
    assert abs(mixed(0.5, 0.3, 0.0) - 0.5**0.5 * 0.3) < 1e-4


def to_the_last_bit(code):
    alpha_bar, xt, eps = 0.25, 0.7, 0.2
    assert code(alpha_bar, xt, eps) == (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def expects_another(code):
    assert abs(off(code) - 0.1) < 1e-4


def only_exact_differences(code):
    alpha_bar, xt, eps = 0.25, 0.7, 0.2
    assert code(alpha_bar, xt, eps) != (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def without_noise(code):
    assert abs(off(code, eps=0.0)) < 1e-4


def at_the_ends(code):
    assert abs(off(code, alpha_bar=1 - 1e-9)) < 1e-3


def one_sided(code):
    assert off(code) < 1e-4


def the_other_side(code):
    assert off(code) > -1e-4


def calls_and_shrugs(code):
    code(0.5, 0.3, 1.0)


def too_wide(code):
    assert abs(off(code, x0=30.0)) < 20


def another_passes(code):
    assert abs(off(code, x0=0.0)) < 1e-4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (asserts, "Right."),
        (lambda code: abs(off(code)) < 1e-4, "Right."),
        (with_tensors, "Right."),
        (never_calls, "never calls the code"),
        (to_the_last_bit, "rounds differently"),
        (expects_another, "stops the right code. Try it"),
        (only_exact_differences, "≠ where = is meant"),
        (without_noise, "ε = 0 only"),
        (at_the_ends, "at the ends only"),
        (one_sided, "to one side only"),
        (the_other_side, "to one side only"),
        (calls_and_shrugs, "even zeros pass"),
        (too_wide, "allows too much"),
        (another_passes, "lets pass another"),
        (None, "Hint"),
        (0.3, "raised Type"),
    ],
)
def test_ninth_bug(answer, words, capsys) -> None:
    check("ninth_bug", answer)
    assert words in capsys.readouterr().out
