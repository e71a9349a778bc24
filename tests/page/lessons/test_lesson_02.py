"""Lesson 02's exercise: each typical wrong answer is told by name."""

import pytest

from diffusion_lesson.page.exercises import check


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda eta, c: (1 + (eta * c) ** 2) ** 0.5, "Right."),
        (lambda eta, c: abs(1 - 1j * eta * c), "Right."),
        (lambda eta, c: 1 + 1j * eta * c, "complex number"),
        (lambda eta, c: 1 + (eta * c) ** 2, "root is missing"),
        (lambda eta, c: 1 + eta * c, "right angles"),
        (lambda eta, c: (1 - (eta * c) ** 2) ** 0.5, "sign is wrong"),
        (lambda eta, c: abs(1 - (eta * c) ** 2) ** 0.5, "sign is wrong"),
        (lambda eta, c: 1.0, "in turns"),
        (lambda eta, c: eta * c, "imaginary part alone"),
        (lambda eta, c: (1 + eta**2) ** 0.5, "Hint:"),
        (1.0112, "TypeError"),
    ],
)
def test_modulus_simultaneous(answer, words, capsys) -> None:
    check("modulus_simultaneous", answer)
    assert words in capsys.readouterr().out
