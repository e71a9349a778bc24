"""Lesson 09: the weight of a network that names x_0."""

from collections.abc import Callable
from math import isclose

from diffusion_lesson.page.exercise import Exercise, Mistake

Weight = Callable[[float, float, float], float]

# (β_t, ᾱ_{t−1}, σ_t²), σ_t² sometimes β_t, sometimes β̃_t, sometimes neither.
_CASES = ((0.1, 0.6, 0.1), (0.02, 0.9, 0.02), (0.3, 0.5, 0.3 * 0.5 / 0.65), (0.2, 0.8, 0.05))


def _alpha_bar(beta: float, before: float) -> float:
    return (1 - beta) * before


def _right(beta: float, before: float, var: float) -> float:
    return before * beta**2 / (2 * var * (1 - _alpha_bar(beta, before)) ** 2)


def _of_the_noise(beta: float, before: float, var: float) -> float:
    return beta**2 / (2 * var * (1 - beta) * (1 - _alpha_bar(beta, before)))


def _wrong_way(beta: float, before: float, var: float) -> float:
    bar = _alpha_bar(beta, before)
    return _of_the_noise(beta, before, var) * (1 - bar) / bar


def _snr_form(beta: float, before: float, var: float) -> float:
    bar = _alpha_bar(beta, before)
    return 0.5 * (before / (1 - before) - bar / (1 - bar))


def _later_bar(beta: float, before: float, var: float) -> float:
    return (1 - beta) * _right(beta, before, var)


def _not_squared(beta: float, before: float, var: float) -> float:
    return float(before**0.5 * beta / (2 * var * (1 - _alpha_bar(beta, before))))


def _by_sigma(beta: float, before: float, var: float) -> float:
    return float(_right(beta, before, var) * var**0.5)


def _by_var_squared(beta: float, before: float, var: float) -> float:
    return _right(beta, before, var) / var


def _same(answer: Weight, expected: Weight, factor: float = 1.0) -> bool:
    return all(isclose(float(answer(*case)), factor * expected(*case), rel_tol=1e-4) for case in _CASES)


EXERCISES = {
    "loss_weight": Exercise(
        hint="the posterior's mean holds x_0 times √ᾱ_{t−1} β_t / (1 − ᾱ_t). Put x̂_0 in its place and subtract; "
        "then square, and divide by 2σ_t².",
        right=lambda f: _same(f, _right),
        praise="It is SNR(t) times w_t of (9.6), and for σ² = β̃ it is half the SNR gained, as (9.12) says.",
        mistakes=(
            Mistake(
                lambda f: _same(f, _of_the_noise),
                "this is (9.6), the weight of the noise's error. The error of x_0 is another one: see (9.11).",
            ),
            Mistake(
                lambda f: _same(f, _wrong_way),
                "the SNR went in upside down: by (9.11) the noise's error is SNR(t) times the picture's, "
                "so the weight is multiplied by SNR(t).",
            ),
            Mistake(
                lambda f: _same(f, _snr_form),
                "this is (9.12), right for σ² = β̃ only. Your function is given σ² and must use it.",
            ),
            Mistake(
                lambda f: _same(f, _later_bar),
                "it holds ᾱ_t where ᾱ_{t−1} belongs: the posterior's mean has √ᾱ_{t−1} before x_0.",
            ),
            Mistake(
                lambda f: _same(f, _not_squared),
                "what stands before x_0 − x̂_0 must be squared along with it.",
            ),
            Mistake(lambda f: _same(f, _right, 2.0), "the ½ is missing: the KL divides by 2σ_t²."),
            Mistake(
                lambda f: _same(f, _by_sigma),
                "it divides by σ_t, the standard deviation; the KL divides by the variance σ_t².",
            ),
            Mistake(
                lambda f: _same(f, _by_var_squared),
                "it divides by σ_t⁴: var is σ_t² already, so don't square it.",
            ),
        ),
    ),
}
