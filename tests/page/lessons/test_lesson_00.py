"""Lesson 00's exercise: each typical wrong answer is told by name."""

import pytest

from diffusion_lesson.page.exercises import check
from diffusion_lesson.page.lessons.lesson_00 import NAMES


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (NAMES, "Right."),
        ({"beta": "β_t"}, "keys should be"),
        (NAMES | {"ᾱ_t": "alpha"}, "product of all"),
        (NAMES | {"β_t": "beta_tilde", "β̃_t": "beta"}, "tilde belongs"),
        (NAMES | {"ε": "eps_hat", "ε_θ(x_t, t)": "eps"}, "a hat marks"),
        (NAMES | {"ε_θ(x_t, t)": "eps_model"}, "network itself"),
        (7, "raised TypeError"),
    ],
)
def test_symbols(answer, words, capsys) -> None:
    check("symbols", answer)
    assert words in capsys.readouterr().out
