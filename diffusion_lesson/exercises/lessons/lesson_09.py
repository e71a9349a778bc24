"""Lesson 09: the weight of a network that names x_0."""

from diffusion_lesson.exercises.exercise import Misread, formula


def _alpha_bar(beta: float, before: float) -> float:
    return (1 - beta) * before


def _right(beta: float, before: float, var: float) -> float:
    return before * beta**2 / (2 * var * (1 - _alpha_bar(beta, before)) ** 2)


def _of_the_noise(beta: float, before: float, var: float) -> float:
    return beta**2 / (2 * var * (1 - beta) * (1 - _alpha_bar(beta, before)))


def _factor(beta: float, before: float, var: float) -> float:
    return before**0.5 * beta / (1 - _alpha_bar(beta, before))


def _wrong_way(beta: float, before: float, var: float) -> float:
    bar = _alpha_bar(beta, before)
    return _of_the_noise(beta, before, var) * (1 - bar) / bar


def _snr_form(beta: float, before: float, var: float) -> float:
    bar = _alpha_bar(beta, before)
    return 0.5 * (before / (1 - before) - bar / (1 - bar))


EXERCISES = {
    "loss_weight": formula(
        asks="weight(beta, alpha_bar_prev, var)",
        hint="the posterior's mean holds x_0 times √ᾱ_{t−1} β_t / (1 − ᾱ_t). Put x̂_0 in its place and subtract; "
        "then square, and divide by 2σ_t².",
        praise="It is SNR(t) times w_t of (9.6), and for σ² = β̃ it is half the SNR gained, as (9.12) says.",
        names=("the weight",),
        # σ_t² sometimes β_t, sometimes β̃_t, sometimes neither.
        cases=((0.1, 0.6, 0.1), (0.02, 0.9, 0.02), (0.3, 0.5, 0.3 * 0.5 / 0.65), (0.2, 0.8, 0.05)),
        right=_right,
        wrong=(
            Misread(
                "this is (9.6), the weight of the noise's error. The error of x_0 is another one: see (9.11).",
                _of_the_noise,
            ),
            Misread(
                "the SNR went in upside down: by (9.11) the noise's error is SNR(t) times the picture's, "
                "so the weight is multiplied by SNR(t).",
                _wrong_way,
            ),
            Misread(
                "this is (9.12), right for σ² = β̃ only. Your function is given σ² and must use it.",
                _snr_form,
            ),
            Misread(
                "it holds ᾱ_t where ᾱ_{t−1} belongs: the posterior's mean has √ᾱ_{t−1} before x_0.",
                lambda beta, before, var: (1 - beta) * _right(beta, before, var),
            ),
            Misread(
                "it holds 1 − ᾱ_{t−1} where 1 − ᾱ_t belongs: the posterior's mean is divided by 1 − ᾱ_t.",
                lambda beta, before, var: before * beta**2 / (2 * var * (1 - before) ** 2),
            ),
            Misread(
                "what stands before x_0 − x̂_0 must be squared along with it.",
                lambda beta, before, var: _factor(beta, before, var) / (2 * var),
            ),
            Misread(
                "that is what stands before x_0 − x̂_0 in the means' difference. "
                "The KL squares it, and divides by 2σ_t².",
                _factor,
            ),
            Misread(
                "the division by 2σ_t² is missing.",
                lambda beta, before, var: _factor(beta, before, var) ** 2,
            ),
            Misread(
                "2σ_t² was squared along: only the means' difference is squared in the KL.",
                lambda beta, before, var: (_factor(beta, before, var) / (2 * var)) ** 2,
            ),
            Misread(
                "you multiply by σ_t²: `/ 2 * var` divides by 2 alone. Put brackets: `/ (2 * var)`.",
                lambda beta, before, var: _factor(beta, before, var) ** 2 / 2 * var,
            ),
            Misread(
                "you took what stands before x_t, and cancels in the difference of the means. "
                "Asked is what stands before x_0 − x̂_0.",
                lambda beta, before, var: (
                    (1 - beta) * (1 - before) ** 2 / (1 - _alpha_bar(beta, before)) ** 2 / (2 * var)
                ),
            ),
            Misread(
                "right for σ_t² = β_t only: var is in it nowhere, and it may be any number.",
                lambda beta, before, var: _right(beta, before, beta),
            ),
            Misread(
                "ᾱ_t is α_t ᾱ_{t−1}, and α_t is 1 − β_t; yours multiplies by β_t.",
                lambda beta, before, var: before * beta**2 / (2 * var * (1 - beta * before) ** 2),
            ),
            Misread(
                "β_t is not squared, or 1 − ᾱ_t is not: the whole of what stands before x_0 − x̂_0 is.",
                lambda beta, before, var: _right(beta, before, var) / beta,
                lambda beta, before, var: _right(beta, before, var) * (1 - _alpha_bar(beta, before)),
            ),
            Misread(
                "ᾱ_{t−1} is squared; before x_0 stands its root, and squared that is ᾱ_{t−1} itself.",
                lambda beta, before, var: _right(beta, before, var) * before,
            ),
            Misread(
                "the ½ is missing: the KL divides by 2σ_t².",
                lambda *case: 2 * _right(*case),
            ),
            Misread(
                "it divides by σ_t, the standard deviation; the KL divides by the variance σ_t².",
                lambda beta, before, var: _right(beta, before, var) * var**0.5,
            ),
            Misread(
                "it divides by σ_t⁴: var is σ_t² already, so don't square it.",
                lambda beta, before, var: _right(beta, before, var) / var,
            ),
        ),
    ),
}
