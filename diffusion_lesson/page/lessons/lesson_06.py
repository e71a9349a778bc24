"""Lesson 06: the one-line proof of the posterior, from the jump instead of the step."""

from math import isclose, sqrt
from typing import Any

from diffusion_lesson.page.exercise import Exercise, Mistake

# (x_0, eps_bar, ρ_t, ᾱ_{t−1}): no two mistakes agree on all of them.
_CASES = ((0.7, -0.4, 0.6, 0.9), (-1.3, 0.5, 0.25, 0.5), (0.2, 1.1, 0.1, 0.3))


def _mean(x0: float, eps: float, rho: float, prev: float) -> float:
    return sqrt(prev) * x0 + sqrt((1 - prev) * (1 - rho**2)) * eps


def _unshrunk_mean(x0: float, eps: float, rho: float, prev: float) -> float:
    return sqrt(prev) * x0 + sqrt(1 - prev) * eps


def _steps_mean(x0: float, eps: float, rho: float, prev: float) -> float:
    return sqrt(prev) * x0 + sqrt(1 - prev) * rho * eps


def _rootless_mean(x0: float, eps: float, rho: float, prev: float) -> float:
    return sqrt(prev) * x0 + sqrt(1 - prev) * (1 - rho**2) * eps


def _var(x0: float, eps: float, rho: float, prev: float) -> float:
    return (1 - prev) * rho**2


def _gives(answer: Any, part: int, wanted: Any) -> bool:
    return all(isclose(float(answer(*c)[part]), wanted(*c), rel_tol=1e-4, abs_tol=1e-6) for c in _CASES)


EXERCISES = {
    "one_line_proof": Exercise(
        hint="(6.7) and (6.9) turn the sheet by an angle; turned back, eps_bar_prev = √(1 − ρ²) eps_bar − ρ z.",
        right=lambda f: _gives(f, 0, _mean) and _gives(f, 1, _var),
        praise="It is the mean and the variance of lesson 05 once more. Lesson 11 draws with this very form.",
        mistakes=(
            Mistake(
                lambda f: _gives(f, 0, _unshrunk_mean),
                "eps_bar_prev was taken to be eps_bar; they are two noises, "
                "and the mean of one given the other is shrunk.",
            ),
            Mistake(
                lambda f: _gives(f, 0, _steps_mean),
                "ρ eps_bar is the mean of the step's noise ε_t; the other part of the mix has √(1 − ρ²).",
            ),
            Mistake(
                lambda f: _gives(f, 0, _rootless_mean),
                "the mean has 1 − ρ² where √(1 − ρ²) should stand.",
            ),
            Mistake(
                lambda f: _gives(f, 0, _mean) and _gives(f, 1, lambda *c: sqrt(_var(*c))),
                "the second number is the standard deviation; its square is asked, the variance.",
            ),
            Mistake(
                lambda f: _gives(f, 0, _mean) and _gives(f, 1, lambda x0, eps, rho, prev: rho**2),
                "the variance is that of eps_bar_prev; x_{t−1} has √(1 − ᾱ_{t−1}) before it, "
                "and a variance takes the square of a factor.",
            ),
            Mistake(
                lambda f: (
                    _gives(f, 0, _mean) and _gives(f, 1, lambda x0, eps, rho, prev: (1 - prev) * (1 - rho**2))
                ),
                "the variance is that of the part you know; open is the part with z, and before z stands ρ.",
            ),
            Mistake(
                lambda f: _gives(f, 0, _mean) and _gives(f, 1, lambda x0, eps, rho, prev: 1 - prev),
                "1 − ᾱ_{t−1} is the variance if only x_0 is known; knowing eps_bar too, "
                "only the part with z is open.",
            ),
            Mistake(
                lambda f: _gives(f, 0, lambda *c: _mean(*c) - sqrt(c[3]) * c[0]),
                "√ᾱ_{t−1} x_0 is missing from the mean.",
            ),
        ),
    ),
}
