"""Lesson 02: how simultaneous steps stretch the Dirac-GAN."""

from collections.abc import Callable
from typing import Any

from diffusion_lesson.page.exercise import Exercise, Mistake

_CASES = ((0.3, 0.5), (1.0, 1.0), (0.7, 1.3))  # (eta, c), with eta · c ≤ 2


def _gives(answer: Any, expected: Callable[[float], float]) -> bool:
    """Whether the answer is `expected(eta · c)` in every case."""
    return all(abs(answer(eta, c) - expected(eta * c)) < 1e-4 for eta, c in _CASES)


EXERCISES = {
    "modulus_simultaneous": Exercise(
        hint="the eigenvalues are 1 ± iηc; the length of a + ib is the square root of a² + b².",
        right=lambda f: _gives(f, lambda k: (1 + k**2) ** 0.5),
        praise="√(1 + η²c²) is above 1 for every learning rate: it spirals out.",
        mistakes=(
            Mistake(
                lambda f: any(isinstance(f(eta, c), complex) for eta, c in _CASES),
                "that is an eigenvalue itself, a complex number; its modulus is its length, √(a² + b²).",
            ),
            Mistake(
                lambda f: _gives(f, lambda k: 1 + k**2),
                "that is the square of the modulus: the root is missing.",
            ),
            Mistake(
                lambda f: _gives(f, lambda k: 1 + k),
                "real and imaginary part are added as if they lay in one line; they are at right angles.",
            ),
            Mistake(
                lambda f: all(abs(float(f(eta, c)) ** 2 - abs(1 - (eta * c) ** 2)) < 1e-4 for eta, c in _CASES),
                "the sign is wrong: the imaginary part is squared without the i, so η²c² is added.",
            ),
            Mistake(
                lambda f: _gives(f, lambda k: 1.0),
                "that is the modulus of steps in turns, (2.20); here both step at once.",
            ),
            Mistake(
                lambda f: _gives(f, lambda k: k),
                "that is the imaginary part alone; the real part, 1, belongs to the length too.",
            ),
        ),
    ),
}
