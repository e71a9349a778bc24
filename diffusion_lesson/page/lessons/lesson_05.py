"""Lesson 05: completing the square."""

from math import isclose, sqrt
from typing import Any

from diffusion_lesson.page.exercise import Exercise, Mistake

# (x_0, x_t, ᾱ_s, ᾱ_t): no two mistakes agree on all of them. In the last pair s lies many steps before t.
_CASES = ((0.7, -0.4, 0.9, 0.6), (-1.3, 0.5, 0.5, 0.45), (0.2, 1.1, 0.8, 0.1))


def _posterior(
    x0: float,
    xt: float,
    s: float,
    t: float,
    *,
    root: str = "a",
    signal: bool = True,
    centred: bool = True,
    likelihood_var: str = "v/a",
) -> tuple[float, float]:
    """(mean, variance) of q(x_s | x_t, x_0) by adding precisions, and what comes out if a part is misread."""
    a = t / s
    centre = xt / sqrt({"a": a, "t": t}[root]) if centred else xt
    v_likelihood = {"v/a": (1 - a) / a, "v": 1 - a}[likelihood_var]
    v_prior, m_prior = 1 - s, (sqrt(s) if signal else 1.0) * x0
    precision = 1 / v_likelihood + 1 / v_prior
    return (centre / v_likelihood + m_prior / v_prior) / precision, 1 / precision


def _added_variances(x0: float, xt: float, s: float, t: float) -> float:
    a = t / s
    return (1 - a) / a + 1 - s


def _same(given: Any, wanted: float) -> bool:
    return isclose(float(given), wanted, rel_tol=1e-4, abs_tol=1e-6)


def _mean(answer: Any, **misread: Any) -> bool:
    return all(_same(answer(*case)[0], _posterior(*case, **misread)[0]) for case in _CASES)


def _var(answer: Any, wanted: Any) -> bool:
    return all(_same(answer(*case)[1], wanted(*case)) for case in _CASES)


def _true_var(*case: float) -> float:
    return _posterior(*case)[1]


EXERCISES = {
    "complete_the_square": Exercise(
        hint="collect A, what stands before x_s², and B, before −2 x_s; the mean is B/A, the variance 1/A.",
        right=lambda f: _mean(f) and _var(f, _true_var),
        praise="With s = t − 1 it is (5.21) and (5.18). Lesson 11 skips steps with it.",
        mistakes=(
            Mistake(
                lambda f: _var(f, _added_variances),
                "the two variances were added; two pieces of knowledge add their precisions, 1/variance.",
            ),
            Mistake(
                lambda f: _mean(f) and _var(f, lambda *case: 1 / _true_var(*case)),
                "the second number is the precision A; the variance is 1/A.",
            ),
            Mistake(
                lambda f: _mean(f) and _var(f, lambda *case: sqrt(_true_var(*case))),
                "the second number is the standard deviation; its square is asked, the variance.",
            ),
            Mistake(
                lambda f: all(_same(f(*case)[0], _posterior(*case)[0] / _true_var(*case)) for case in _CASES),
                "the first number is B; the mean is B/A.",
            ),
            Mistake(
                lambda f: _mean(f, root="t"),
                "√ᾱ_t stands where √a should: from x_s to x_t the picture shrinks by √(ᾱ_t/ᾱ_s) only.",
            ),
            Mistake(
                lambda f: _mean(f, signal=False),
                "the prior is centred at x_0; the jump shrinks it, its centre is √ᾱ_s x_0.",
            ),
            Mistake(
                lambda f: _mean(f, centred=False) or _mean(f, centred=False, likelihood_var="v"),
                "the likelihood is centred at x_t; as a curve over x_s its centre is x_t/√a.",
            ),
            Mistake(
                lambda f: _var(f, lambda *case: _posterior(*case, likelihood_var="v")[1]),
                "the likelihood was given the precision 1/(1 − a); as a curve over x_s it is a/(1 − a).",
            ),
            Mistake(
                lambda f: all(_same(f(*case)[0], _posterior(case[1], case[0], *case[2:])[0]) for case in _CASES),
                "x_0 and x_t have changed places.",
            ),
        ),
    ),
}
