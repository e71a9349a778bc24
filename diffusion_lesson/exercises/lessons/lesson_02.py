"""Lesson 02: how simultaneous steps stretch the Dirac-GAN."""

from collections.abc import Callable
from math import sqrt

from diffusion_lesson.exercises.exercise import Misread, formula


def _in_turns(sign: int) -> Callable[[float, float], complex]:
    """An eigenvalue of steps in turns, (2.20)."""
    return lambda eta, c: 1 - (eta * c) ** 2 / 2 + sign * 1j * eta * c * sqrt(1 - (eta * c) ** 2 / 4)


EXERCISES = {
    "modulus_simultaneous": formula(
        asks="modulus(eta, c)",
        hint="the eigenvalues are 1 ± iηc; the length of a + ib is the square root of a² + b².",
        praise="√(1 + η²c²) is above 1 for every learning rate: it spirals out.",
        names=("the modulus",),
        cases=((0.3, 0.5), (1.0, 1.0), (0.7, 1.3), (0.2, 4.0), (0.4, 0.3)),  # (eta, c), with eta · c ≤ 1
        right=lambda eta, c: (1 + (eta * c) ** 2) ** 0.5,
        wrong=(
            Misread(
                "that is an eigenvalue itself, a complex number; its modulus is its length, √(a² + b²).",
                lambda eta, c: 1 + 1j * eta * c,
                lambda eta, c: 1 - 1j * eta * c,
                lambda eta, c: (1 + 1j * eta * c, 1 - 1j * eta * c),
                lambda eta, c: (1 - 1j * eta * c, 1 + 1j * eta * c),
            ),
            Misread(
                "that is the square of the modulus: the root is missing.",
                lambda eta, c: 1 + (eta * c) ** 2,
            ),
            Misread(
                "real and imaginary part are added as if they lay in one line; they are at right angles.",
                lambda eta, c: 1 + eta * c,
            ),
            Misread(
                "the sign is wrong: the imaginary part is squared without the i, so η²c² is added.",
                lambda eta, c: abs(1 - (eta * c) ** 2) ** 0.5,
                lambda eta, c: 1 - (eta * c) ** 2,
            ),
            Misread(
                "1 is the modulus of steps in turns, (2.20), and the real part alone; here both step at once.",
                lambda eta, c: 1.0,
            ),
            Misread(
                "that is an eigenvalue of steps in turns, (2.20); here both step at once, and a modulus is asked.",
                _in_turns(1),
                _in_turns(-1),
                lambda eta, c: (_in_turns(1)(eta, c), _in_turns(-1)(eta, c)),
                lambda eta, c: (_in_turns(-1)(eta, c), _in_turns(1)(eta, c)),
            ),
            Misread(
                "that is the imaginary part alone; the real part, 1, belongs to the length too.",
                lambda eta, c: eta * c,
            ),
            Misread(
                "only a part is squared: the imaginary part is the product of η and c, and all of it is squared.",
                lambda eta, c: (1 + eta**2 * c) ** 0.5,
                lambda eta, c: (1 + eta * c**2) ** 0.5,
                lambda eta, c: (1 + eta * c) ** 0.5,
            ),
            Misread(
                "η and c are multiplied: the imaginary part is their product.",
                lambda eta, c: (1 + (eta + c) ** 2) ** 0.5,
                lambda eta, c: (1 + eta**2 + c**2) ** 0.5,
                lambda eta, c: (1 + (eta / c) ** 2) ** 0.5,
            ),
            Misread(
                "one of the two is missing: the imaginary part is the product of η and c.",
                lambda eta, c: (1 + eta**2) ** 0.5,
                lambda eta, c: (1 + c**2) ** 0.5,
            ),
        ),
    ),
}
