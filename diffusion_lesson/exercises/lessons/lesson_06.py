"""Lesson 06: the one-line proof of the posterior, from the jump instead of the step."""

from math import sqrt

from diffusion_lesson.exercises.exercise import Misread, formula


def _mean(x0: float, eps: float, rho: float, prev: float) -> float:
    return sqrt(prev) * x0 + sqrt((1 - prev) * (1 - rho**2)) * eps


def _var(rho: float, prev: float) -> float:
    return (1 - prev) * rho**2


EXERCISES = {
    "one_line_proof": formula(
        asks="other_side(x0, eps_bar, rho, alpha_bar_prev)",
        hint="(6.7) and (6.9) turn the sheet by an angle; turned back, eps_bar_prev = √(1 − ρ²) eps_bar − ρ z.",
        praise="It is the mean and the variance of lesson 05 once more. Lesson 11 draws with this very form.",
        names=("the mean", "the variance"),
        cases=((0.7, -0.4, 0.6, 0.9), (-1.3, 0.5, 0.25, 0.5), (0.2, 1.1, 0.1, 0.3), (0.9, -2.0, 0.85, 0.97)),
        right=lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), _var(rho, prev)),
        wrong=(
            Misread(
                "eps_bar_prev was taken to be eps_bar; they are two noises, "
                "and the mean of one given the other is shrunk.",
                lambda x0, e, rho, prev: (
                    sqrt(prev) * x0 + sqrt(1 - prev) * e,
                    None,
                ),
            ),
            Misread(
                "ρ eps_bar is the mean of the step's noise ε_t; the other part of the mix has √(1 − ρ²).",
                lambda x0, e, rho, prev: (sqrt(prev) * x0 + sqrt(1 - prev) * rho * e, None),
            ),
            Misread(
                "the mean has 1 − ρ² where √(1 − ρ²) should stand.",
                lambda x0, e, rho, prev: (
                    sqrt(prev) * x0 + sqrt(1 - prev) * (1 - rho**2) * e,
                    None,
                ),
            ),
            Misread(
                "the mean has √(1 − ρ) where √(1 − ρ²) should stand: the squares of the two weights add up to 1.",
                lambda x0, e, rho, prev: (sqrt(prev) * x0 + sqrt((1 - prev) * (1 - rho)) * e, None),
            ),
            Misread(
                "√(1 − ᾱ_{t−1}), the jump's factor before its noise, is missing from the mean.",
                lambda x0, e, rho, prev: (sqrt(prev) * x0 + sqrt(1 - rho**2) * e, None),
            ),
            Misread(
                "the mean has no eps_bar in it; eps_bar is known, and √(1 − ρ²) of it is in eps_bar_prev.",
                lambda x0, e, rho, prev: (sqrt(prev) * x0, None),
            ),
            Misread(
                "the mean has ᾱ_{t−1} before x_0; the jump has its root, √ᾱ_{t−1}.",
                lambda x0, e, rho, prev: (
                    _mean(0.0, e, rho, prev) + prev * x0,
                    None,
                ),
            ),
            Misread(
                "the mean has 1 − ᾱ_{t−1} before the noise; the jump has its root, √(1 − ᾱ_{t−1}).",
                lambda x0, e, rho, prev: (sqrt(prev) * x0 + (1 - prev) * sqrt(1 - rho**2) * e, None),
            ),
            Misread(
                "the second number is the standard deviation; its square is asked, the variance.",
                lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), sqrt(_var(rho, prev))),
            ),
            Misread(
                "the variance is that of eps_bar_prev; x_{t−1} has √(1 − ᾱ_{t−1}) before it, "
                "and a variance takes the square of a factor.",
                lambda x0, e, rho, prev: (
                    _mean(x0, e, rho, prev),
                    rho**2,
                ),
            ),
            Misread(
                "ρ is not squared: before z stands ρ, and a variance takes the square of what stands before it.",
                lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), (1 - prev) * rho),
            ),
            Misread(
                "the variance is that of the part you know; open is the part with z, and before z stands ρ.",
                lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), (1 - prev) * (1 - rho**2)),
            ),
            Misread(
                "the variance is 0 only if nothing is open; the part with z is, and z has variance 1.",
                lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), 0.0),
            ),
            Misread(
                "1 − ᾱ_{t−1} is the variance if only x_0 is known; knowing eps_bar too, "
                "only the part with z is open.",
                lambda x0, e, rho, prev: (_mean(x0, e, rho, prev), 1 - prev),
            ),
            Misread(
                "√ᾱ_{t−1} x_0 is missing from the mean.",
                lambda x0, e, rho, prev: (_mean(0.0, e, rho, prev), None),
            ),
        ),
    ),
}
