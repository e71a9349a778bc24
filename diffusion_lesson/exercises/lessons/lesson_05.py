"""Lesson 05: completing the square."""

from math import sqrt

from diffusion_lesson.exercises.exercise import Misread, formula

Pair = tuple[float, float]


def _posterior(
    x0: float,
    xt: float,
    s: float,
    t: float,
    *,
    root: str = "a",
    a_is: str = "t/s",
    signal: bool = True,
    centred: bool = True,
    likelihood_var: str = "v/a",
) -> Pair:
    """(mean, variance) of q(x_s | x_t, x_0) by adding precisions, and what comes out if a part is misread."""
    a = {"t/s": t / s, "t": t, "s/t": s / t}[a_is]
    centre = xt / sqrt({"a": a, "t": t}[root]) if centred else xt
    v_likelihood = {"v/a": (1 - a) / a, "v": 1 - a}[likelihood_var]
    v_prior, m_prior = 1 - s, (sqrt(s) if signal else 1.0) * x0
    precision = 1 / v_likelihood + 1 / v_prior
    return (centre / v_likelihood + m_prior / v_prior) / precision, 1 / precision


def _B(*case: float) -> float:
    mean, var = _posterior(*case)
    return mean / var


EXERCISES = {
    "complete_the_square": formula(
        asks="look_far_back(x0, xt, alpha_bar_s, alpha_bar_t)",
        hint="collect A, what stands before x_s², and B, before −2 x_s; the mean is B/A, the variance 1/A.",
        praise="With s = t − 1 it is (5.21) and (5.18). Lesson 11 skips steps with it.",
        names=("the mean", "the variance"),
        # In the last two s lies many steps before t.
        cases=((0.7, -0.4, 0.9, 0.6), (-1.3, 0.5, 0.5, 0.45), (0.2, 1.1, 0.8, 0.1), (1.5, 0.9, 0.3, 0.05)),
        right=_posterior,
        wrong=(
            Misread(
                "the two variances were added; two pieces of knowledge add their precisions, 1/variance.",
                lambda x0, xt, s, t: (None, (s - t) / t + 1 - s),
                lambda x0, xt, s, t: (None, 1 - t / s + 1 - s),
            ),
            Misread(
                "the second number is the precision A; the variance is 1/A.",
                lambda *case: (
                    _posterior(*case)[0],
                    1 / _posterior(*case)[1],
                ),
            ),
            Misread(
                "the second number is the standard deviation; its square is asked, the variance.",
                lambda *case: (
                    _posterior(*case)[0],
                    sqrt(_posterior(*case)[1]),
                ),
            ),
            Misread(
                "a is ᾱ_t here; ᾱ_t belongs to the jump from x_0, and from x_s to x_t it is a = ᾱ_t/ᾱ_s.",
                lambda *case: _posterior(*case, a_is="t"),
            ),
            Misread(
                "a is upside down: it is ᾱ_t/ᾱ_s, and less than 1.",
                lambda *case: _posterior(*case, a_is="s/t"),
            ),
            Misread(
                "these are A and B themselves; the mean is B/A, the variance 1/A.",
                lambda *case: (_B(*case), 1 / _posterior(*case)[1]),
                lambda *case: (1 / _posterior(*case)[1], _B(*case)),
            ),
            Misread(
                "the first number is B; the mean is B/A.",
                lambda *case: (_B(*case), None),
            ),
            Misread(
                "√ᾱ_t stands where √a should: from x_s to x_t the picture shrinks by √(ᾱ_t/ᾱ_s) only.",
                lambda *case: (
                    _posterior(*case, root="t")[0],
                    None,
                ),
            ),
            Misread(
                "the prior is centred at x_0; the jump shrinks it, its centre is √ᾱ_s x_0.",
                lambda *case: (
                    _posterior(*case, signal=False)[0],
                    None,
                ),
            ),
            Misread(
                "the prior has ᾱ_s before x_0; the jump has its root, √ᾱ_s.",
                lambda x0, xt, s, t: (_posterior(sqrt(s) * x0, xt, s, t)[0], None),
            ),
            Misread(
                "the likelihood is centred at x_t; as a curve over x_s its centre is x_t/√a.",
                lambda *case: (_posterior(*case, centred=False)[0], None),
                lambda *case: (_posterior(*case, centred=False, likelihood_var="v")[0], None),
            ),
            Misread(
                "the likelihood was given the precision 1/(1 − a); as a curve over x_s it is a/(1 − a).",
                lambda *case: (
                    None,
                    _posterior(*case, likelihood_var="v")[1],
                ),
            ),
            Misread(
                "x_0 and x_t have changed places.",
                lambda x0, xt, s, t: (_posterior(xt, x0, s, t)[0], None),
            ),
            Misread(
                "that is the jump from x_0 to x_s alone, the prior: x_t is known too.",
                lambda x0, xt, s, t: (
                    sqrt(s) * x0,
                    1 - s,
                ),
            ),
            Misread(
                "that is what x_t alone says, the likelihood: x_0 is known too.",
                lambda x0, xt, s, t: (xt / sqrt(t / s), (1 - t / s) / (t / s)),
            ),
            Misread(
                "that is the jump from x_0 to x_t; asked is x_s, which lies between the two.",
                lambda x0, xt, s, t: (sqrt(t) * x0, 1 - t),
            ),
        ),
    ),
}
