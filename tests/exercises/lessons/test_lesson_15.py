"""Lesson 15's exercise: a check is checked, and what is wrong with it is told by name."""

import math
import unittest

import numpy as np
import sympy
import torch

from diffusion_lesson.process.forward import q_marginal
from diffusion_lesson.process.schedule import cosine
from tests.exercises.lessons.tables import tries


def mixed(alpha_bar, x0, eps):
    return alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps


def off(code, alpha_bar=0.3, x0=0.3, eps=-1.7):
    """How far the code's answer is from the x_0 that was put in."""
    return code(alpha_bar, mixed(alpha_bar, x0, eps), eps) - x0


def asserts(code):
    assert abs(off(code)) < 1e-4


def with_tensors(code):
    alpha_bar, x0, eps = torch.tensor(0.4), torch.linspace(-1, 1, 9), torch.linspace(2, -1, 9)
    torch.testing.assert_close(code(alpha_bar, mixed(alpha_bar, x0, eps), eps), x0)


def never_calls(code):
    assert abs(mixed(0.5, 0.3, 0.0) - 0.5**0.5 * 0.3) < 1e-4


def to_the_last_bit(code):
    alpha_bar, xt, eps = 0.25, 0.7, 0.2
    assert code(alpha_bar, xt, eps) == (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def expects_another(code):
    assert abs(off(code) - 0.1) < 1e-4


def only_exact_differences(code):
    alpha_bar, xt, eps = 0.25, 0.7, 0.2
    assert code(alpha_bar, xt, eps) != (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def without_noise(code):
    assert abs(off(code, eps=0.0)) < 1e-4


def at_the_ends(code):
    assert abs(off(code, alpha_bar=1 - 1e-9)) < 1e-3


def one_sided(code):
    assert off(code) < 1e-4


def the_other_side(code):
    assert off(code) > -1e-4


def calls_and_shrugs(code):
    code(0.5, 0.3, 1.0)


def compares_and_forgets(code):
    abs(off(code)) < 1e-4  # noqa: B015


def too_wide(code):
    assert abs(off(code, x0=30.0)) < 20


def another_passes(code):
    assert abs(off(code, x0=0.0)) < 1e-4


def by_isclose(code):
    return all(math.isclose(code(a, mixed(a, 0.3, -1.7), -1.7), 0.3) for a in (0.2, 0.6))


def almost_equal(code):
    unittest.TestCase().assertAlmostEqual(code(0.3, mixed(0.3, 0.8, 1.1), 1.1), 0.8)  # noqa: PT009


def by_numpy(code):
    eps = np.random.default_rng(0).standard_normal(20)
    x0 = np.linspace(-1, 1, 20)
    np.testing.assert_allclose(code(0.3, mixed(0.3, x0, eps), eps), x0, atol=1e-8)


def by_the_package(code):
    schedule, x0 = cosine(10), torch.full((9, 1), 0.4)
    t = torch.arange(1, 10)
    q, eps = q_marginal(schedule, t, x0), torch.linspace(-2, 2, 9)[:, None]
    now = schedule.alpha_bar_at(t, like=x0)
    assert torch.allclose(code(now, q.mean + q.var.sqrt() * eps, eps), x0, atol=1e-4)


def by_name(x0_hat):
    for alpha_bar in (0.9, 0.1):
        assert abs(x0_hat(alpha_bar=alpha_bar, xt=mixed(alpha_bar, 1.0, 0.5), eps=0.5) - 1.0) < 1e-6


def with_symbols(code):
    a, x0, eps = sympy.symbols("a x_0 epsilon", positive=True)
    miss = code(a, sympy.sqrt(a) * x0 + sympy.sqrt(1 - a) * eps, eps) - x0
    assert abs(float(miss.subs({a: 0.3, x0: 0.7, eps: 1.1}))) < 1e-6


def value_error(code):
    if abs(off(code)) > 1e-4:
        raise ValueError("wrong")


TestOneMoreBug = tries(
    "one_more_bug",
    right={
        "assert": asserts,
        "a comparison returned": lambda code: abs(off(code)) < 1e-4,
        "torch.testing": with_tensors,
        "math.isclose": by_isclose,
        "assertAlmostEqual": almost_equal,
        "numpy.testing": by_numpy,
        "q_marginal": by_the_package,
        "by name": by_name,
        "symbols, and numbers put in at the end": with_symbols,
        "a list of yes and no": lambda code: [abs(off(code, alpha_bar=a)) < 1e-4 for a in (0.3, 0.8)],
        "1 or 0": lambda code: int(abs(off(code)) < 1e-4),
        "a tensor of yes and no": lambda code: abs(off(code, eps=torch.linspace(-2, 1, 4))) < 1e-4,
        "an array of yes and no": lambda code: abs(off(code, eps=np.linspace(-2, 1, 4))) < 1e-4,
    },
    wrong=[
        (never_calls, "never calls the code"),
        (to_the_last_bit, "rounds differently"),
        (expects_another, "stops the right code. Try it"),
        (only_exact_differences, "True, or no error"),
        (lambda code: abs(off(code)) > 1e-4, "True, or no error"),
        (value_error, "another error than an AssertionError"),
        (without_noise, "ε = 0 only"),
        (at_the_ends, "at the ends only"),
        (one_sided, "to one side only"),
        (the_other_side, "to one side only"),
        (calls_and_shrugs, "even zeros pass"),
        (compares_and_forgets, "must stand `assert` or `return`"),
        (off, "neither True nor False"),
        (lambda code: torch.tensor(off(code)), "neither True nor False"),
        (lambda code: "right" if abs(off(code)) < 1e-4 else "wrong", "neither True nor False"),
        (lambda code: abs(code(0.3, 0.5, 0.7) - (0.5 - 0.7 * 0.7) / 0.3**0.5) > 1e-3, "any other code pass"),
        (lambda code: abs(off(code, x0=1.0, eps=1.0)) < 1e-4, "choose two different ones"),
        (lambda code: abs(off(code, alpha_bar=1.0)) < 1e-4, "at the ends only"),
        (too_wide, "allows too much"),
        (lambda code: abs(off(code, alpha_bar=0.5)) < 1e-4, "at ᾱ = ½ only"),
        (another_passes, "lets another pass"),
        (lambda code: abs(abs(off(code, x0=0.0))) < 1e-4, "lets another pass"),
        (lambda code: abs(off(code)) < nothing, "raised NameError"),  # noqa: F821
        (lambda code: code(0.3, 0.1, None) is None, "raised TypeError"),
        (0.3, "a function is asked"),
    ],
)
