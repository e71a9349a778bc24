"""Lesson 05's exercise: right answers in several idioms, and each typical wrong one told by name."""

from math import sqrt

import numpy as np
import sympy
import torch
from torch.distributions import Normal

from diffusion_lesson.process.forward import q_posterior
from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule
from tests.exercises.lessons.tables import tries


def by_the_package(x0, xt, s, t):
    two_steps = Schedule([1 - s, 1 - t / s])
    as_batch = {"xt": torch.tensor([[xt]]).double(), "x0": torch.tensor([[x0]]).double()}
    q = q_posterior(two_steps, torch.tensor([2]), **as_batch)
    return q.mean, q.var


def parabola(x0, xt, s, t):
    """A and B, by hand."""
    a = t / s
    return a / (1 - a) + 1 / (1 - s), sqrt(a) / (1 - a) * xt + sqrt(s) / (1 - s) * x0


def right(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, 1 / A


def variances_added(x0, xt, s, t):
    a = t / s
    return right(x0, xt, s, t)[0], (1 - a) / a + (1 - s)


def precision(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, A


def standard_deviation(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B / A, sqrt(1 / A)


def no_division(x0, xt, s, t):
    A, B = parabola(x0, xt, s, t)
    return B, 1 / A


def wrong_root(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (a * xt / sqrt(t) / (1 - a) + sqrt(s) / (1 - s) * x0) / A, 1 / A


def forgot_alpha_bar_s(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (sqrt(a) / (1 - a) * xt + x0 / (1 - s)) / A, 1 / A


def forgot_the_root(x0, xt, s, t):
    a = t / s
    A = a / (1 - a) + 1 / (1 - s)
    return (a / (1 - a) * xt + sqrt(s) / (1 - s) * x0) / A, 1 / A


def no_shrinking_at_all(x0, xt, s, t):
    a = t / s
    A = 1 / (1 - a) + 1 / (1 - s)
    return (xt / (1 - a) + sqrt(s) / (1 - s) * x0) / A, 1 / A


def likelihood_too_sure(x0, xt, s, t):
    a = t / s
    A = 1 / (1 - a) + 1 / (1 - s)
    return (sqrt(a) / (1 - a) * xt + sqrt(s) / (1 - s) * x0) / A, 1 / A


def another_a(a_of):
    """Right but for what a is."""

    def answer(x0, xt, s, t):
        a = a_of(s, t)
        A = a / (1 - a) + 1 / (1 - s)
        return (sqrt(a) / (1 - a) * xt + sqrt(s) / (1 - s) * x0) / A, 1 / A

    return answer


def swapped(x0, xt, s, t):
    return right(xt, x0, s, t)


def one_number(x0, xt, s, t):
    return right(x0, xt, s, t)[0]


def by_torch(x0, xt, s, t):
    a = t / s
    precision = a / (1 - a) + 1 / (1 - s)
    return (torch.sqrt(a) / (1 - a) * xt + torch.sqrt(s) / (1 - s) * x0) / precision, 1 / precision


def by_methods(x0, xt, s, t):
    """(5.21) and (5.18), with the two jumps in the place of the steps."""
    a = t / s
    mean = (a.sqrt() * (1 - s) * xt + s.sqrt() * (1 - a) * x0) / (1 - t)
    return torch.stack([mean, (1 - s) * (1 - a) / (1 - t)])


def by_numpy(x0, xt, s, t):
    a = np.divide(t, s)
    precisions = np.array([a / (1 - a), 1 / (1 - s)])
    return np.array([precisions @ [xt / np.sqrt(a), np.sqrt(s) * x0], 1]) / precisions.sum()


def by_sympy(x0, xt, s, t):
    x, a = sympy.symbols("x"), t / s
    exponent = sympy.expand((xt - sqrt(a) * x) ** 2 / (1 - a) + (x - sqrt(s) * x0) ** 2 / (1 - s))
    A = exponent.coeff(x, 2)
    return -exponent.coeff(x, 1) / (2 * A), 1 / A


def on_a_grid(x0, xt, s, t):
    """No algebra: the product of the two bells on a fine grid, its mean and its variance."""
    x = np.linspace(-12, 12, 20_001)
    weight = np.exp(-((xt - sqrt(t / s) * x) ** 2) / (1 - t / s) / 2 - (x - sqrt(s) * x0) ** 2 / (1 - s) / 2)
    weight /= weight.sum()
    mean = weight @ x
    return mean, weight @ (x - mean) ** 2


def as_a_gaussian(x0, xt, s, t):
    return Gaussian(*map(torch.tensor, right(x0, xt, s, t)))


def as_a_normal(x0, xt, s, t):
    mean, var = right(x0, xt, s, t)
    return Normal(mean, sqrt(var))


TestCompleteTheSquare = tries(
    "complete_the_square",
    right={
        "math": right,
        "the package": by_the_package,
        "torch on numbers": by_torch,
        "a tensor's method, one stack": by_methods,
        "numpy": by_numpy,
        "sympy": by_sympy,
        "a Gaussian": as_a_gaussian,
        "torch's Normal": as_a_normal,
        "single precision": lambda *case: right(*map(np.float32, case)),
        "on a grid": on_a_grid,
        "a list of two lists": lambda *case: [[part] for part in right(*case)],
    },
    wrong=[
        (variances_added, "two variances were added"),
        (lambda x0, xt, s, t: (right(x0, xt, s, t)[0], 2 - t / s - s), "two variances were added"),
        (precision, "is the precision A"),
        (standard_deviation, "standard deviation"),
        (no_division, "the first number is B"),
        (wrong_root, "√ᾱ_t stands where √a should"),
        (forgot_alpha_bar_s, "centred at x_0"),
        (forgot_the_root, "centred at x_t"),
        (no_shrinking_at_all, "centred at x_t"),
        (likelihood_too_sure, "precision 1/(1 − a)"),
        (swapped, "changed places"),
        (lambda x0, xt, s, t: (sqrt(s) * x0, 1 - s), "the prior: x_t is known too"),
        (lambda x0, xt, s, t: (xt / sqrt(t / s), s / t - 1), "what x_t alone says"),
        (lambda x0, xt, s, t: (sqrt(t) * x0, 1 - t), "the jump from x_0 to x_t"),
        (another_a(lambda s, t: t), "a is ᾱ_t here"),
        (another_a(lambda s, t: s / t), "upside down"),
        (parabola, "these are A and B themselves"),
        (lambda *case: parabola(*case)[::-1], "these are A and B themselves"),
        (lambda x0, xt, s, t: right(sqrt(s) * x0, xt, s, t), "has ᾱ_s before x_0"),
        (lambda *case: None if right(*case) else (), "returns nothing (None). Is there a `return`?"),
        (lambda *case: right(*case)[::-1], "wrong order"),
        (
            lambda *case: (0.0, right(*case)[1]),
            "the variance is right. For look_far_back(0.7, -0.4, 0.9, 0.6) the mean",
        ),
        (lambda *case: (0.0, 1.0), "Hint"),
        (one_number, "returns a number; 2 values are asked"),
        (lambda x0, xt, s: (0.0, 1.0), "takes (x0, xt, s), and is called as look_far_back("),
        (lambda x0, xt, s, t: (x0 / 0, s), "raised ZeroDivisionError"),
        (0.5, "a function is asked"),
    ],
)
