"""Lesson 14's exercise: right answers in several idioms, and each typical wrong one told by name."""

from math import sqrt

import numpy as np
import torch

from diffusion_lesson.process import exact, samplers, schedule
from diffusion_lesson.process.prediction import x0_from_eps
from tests.exercises.lessons.tables import tries


def right(D, xt, alpha_bar):
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    x = xt / alpha_bar**0.5
    return (x - D(x, sigma)) / sigma


def right_at_our_scale(D, xt, alpha_bar):
    x0_hat = D(xt / alpha_bar**0.5, ((1 - alpha_bar) / alpha_bar) ** 0.5)
    return (xt - alpha_bar**0.5 * x0_hat) / (1 - alpha_bar) ** 0.5


def our_x(D, xt, alpha_bar):
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    return (xt - D(xt, sigma)) / sigma


def our_x_to_D_only(D, xt, alpha_bar):
    x0_hat = D(xt, ((1 - alpha_bar) / alpha_bar) ** 0.5)
    return (xt - alpha_bar**0.5 * x0_hat) / (1 - alpha_bar) ** 0.5


def difference_of_two_scales(D, xt, alpha_bar):
    sigma = ((1 - alpha_bar) / alpha_bar) ** 0.5
    return (xt - D(xt / alpha_bar**0.5, sigma)) / sigma


def our_noise_as_sigma(D, xt, alpha_bar):
    x, sigma = xt / alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    return (x - D(x, sigma)) / sigma


def sigma_squared(D, xt, alpha_bar):
    x, sigma = xt / alpha_bar**0.5, (1 - alpha_bar) / alpha_bar
    return (x - D(x, sigma)) / sigma


def sigma_upside_down(D, xt, alpha_bar):
    x, sigma = xt / alpha_bar**0.5, (alpha_bar / (1 - alpha_bar)) ** 0.5
    return (x - D(x, sigma)) / sigma


def divided_on_our_scale(D, xt, alpha_bar):
    x, sigma = xt / alpha_bar**0.5, ((1 - alpha_bar) / alpha_bar) ** 0.5
    return (x - D(x, sigma)) / (1 - alpha_bar) ** 0.5


def noise_and_all(D, xt, alpha_bar):
    return right(D, xt, alpha_bar) * ((1 - alpha_bar) / alpha_bar) ** 0.5


def score_of_edm(D, xt, alpha_bar):
    x, var = xt / alpha_bar**0.5, (1 - alpha_bar) / alpha_bar
    return (D(x, var**0.5) - x) / var


def score_of_this_course(D, xt, alpha_bar):
    return -right(D, xt, alpha_bar) / (1 - alpha_bar) ** 0.5


def picture(D, xt, alpha_bar):
    return D(xt / alpha_bar**0.5, ((1 - alpha_bar) / alpha_bar) ** 0.5)


def by_methods(D, xt, alpha_bar):
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    x = xt / alpha_bar.sqrt()
    return (x - D(x, sigma)) / sigma


def by_torch(D, xt, alpha_bar):
    x, sigma = xt / torch.sqrt(alpha_bar), torch.sqrt((1 - alpha_bar) / alpha_bar)
    return torch.divide(x - D(x, sigma), sigma)


def by_numpy(D, xt, alpha_bar):
    sigma = np.sqrt(1 / alpha_bar - 1)
    x = xt.astype(float) / np.sqrt(alpha_bar)
    return (x - np.asarray(D(x, sigma))) / sigma


def by_math(D, xt, alpha_bar):
    a, b = sqrt(alpha_bar), sqrt(1 - alpha_bar)
    return (xt - a * D(x=xt / a, sigma=b / a)) / b


def one_by_one(D, xt, alpha_bar):
    if xt.ndim:
        return [one_by_one(D, x, alpha_bar) for x in xt]
    return right(D, xt, alpha_bar).item()


def by_floats(D, xt, alpha_bar):
    """Python's own numbers all the way, D's answers among them."""
    if isinstance(xt, list):
        return [by_floats(D, x, alpha_bar) for x in xt]
    x, sigma = xt / sqrt(alpha_bar), sqrt((1 - alpha_bar) / alpha_bar)
    return (x - float(D(x, sigma))) / sigma


def with_sigma_for_each(D, xt, alpha_bar):
    sigma = torch.full_like(xt, ((1 - alpha_bar) / alpha_bar) ** 0.5)
    x = xt / alpha_bar**0.5
    return (x - D(x, sigma)) / sigma


def no_root_of_the_scale(D, xt, alpha_bar):
    x, sigma = xt / alpha_bar, ((1 - alpha_bar) / alpha_bar) ** 0.5
    return (x - D(x, sigma)) / sigma


TestEpsFromEdm = tries(
    "eps_from_edm",
    right={
        "** 0.5": right,
        "at our scale": right_at_our_scale,
        "a tensor's method": by_methods,
        "torch on numbers": by_torch,
        "numpy's own methods": by_numpy,
        "math, by name": by_math,
        "one by one": one_by_one,
        "Python's floats": by_floats,
        "a σ for each pixel": with_sigma_for_each,
        "single precision": lambda D, xt, a: right(D, xt.float(), a),
    },
    wrong=[
        (our_x, "the picture isn't shrunk"),
        (our_x_to_D_only, "the way back to our scale is right"),
        (difference_of_two_scales, "two scales in one difference"),
        (our_noise_as_sigma, "σ is not √(1 − ᾱ)"),
        (sigma_squared, "the root is missing"),
        (sigma_upside_down, "upside down"),
        (no_root_of_the_scale, "not x_t/ᾱ"),
        (divided_on_our_scale, "the division on ours"),
        (lambda *given: -right(*given), "the sign is turned round"),
        (lambda D, xt, a: (xt - picture(D, xt, a)) / (1 - a) ** 0.5, "two scales in one difference"),
        (lambda D, xt, a: (xt - a**0.5 * picture(D, xt, a)) / (1 - a), "Divide by √(1 − ᾱ), not by 1 − ᾱ"),
        (lambda D, xt, a: (a**0.5 * xt - picture(D, xt, a)) / (1 - a) ** 0.5, "this is v"),
        (noise_and_all, "all the noise in x"),
        (score_of_edm, "this is a score"),
        (score_of_this_course, "this is a score"),
        (picture, "D itself"),
        (lambda D, xt, alpha_bar: xt, "for eps_from_D(…, [0.7, -1.2, 0.3], 0.9) ε̂ is"),
        (lambda D, xt, alpha_bar: 0.0, "Hint"),
        (lambda D, xt, alpha_bar: (right(D, xt, alpha_bar), picture(D, xt, alpha_bar)), "the shape (2, 3)"),
        (lambda D, xt, alpha_bar: right(D, xt[:1], alpha_bar), "the shape (1,) where (3,)"),
        (lambda D, xt: xt, "takes (D, xt), and is called as eps_from_D("),
        (0.5, "a function is asked"),
    ],
)


def test_with_the_right_answer_the_best_denoiser_is_the_best_eps() -> None:
    # The same world twice: its best denoiser beside an unshrunk picture, by Bayes' rule, and its best ε.
    kind = schedule.cosine(50)
    centres = torch.tensor([-1.0, 0.5], dtype=torch.float64)
    best = exact.data_set(centres[:, None]).eps_model(kind)

    def D(x, sigma):
        return (torch.softmax(-((x - centres) ** 2) / (2 * sigma**2), dim=1) * centres).sum(1, keepdim=True)

    def interpreted(xt, t):
        return right(D, xt, kind.alpha_bars[t][:, None])

    xt = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for step in (1, 25, 50):
        t, alpha_bar = torch.full((9,), step), kind.alpha_bars[step]
        x0_hat = D(xt / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt())
        torch.testing.assert_close(x0_hat, x0_from_eps(kind, t, xt=xt, eps=best(xt, t)))
        torch.testing.assert_close(interpreted(xt, t), best(xt, t))
    *_, by_D = samplers.ddim(kind, xt, interpreted, steps=10)
    *_, by_eps = samplers.ddim(kind, xt, best, steps=10)
    torch.testing.assert_close(by_D, by_eps)
