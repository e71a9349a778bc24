"""Lesson 06's exercise: right answers in several idioms, and each typical wrong one told by name."""

from math import sqrt

import numpy as np
import torch

from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule
from tests.exercises.lessons.tables import tries


def right(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * sqrt(1 - rho**2) * eps, (1 - prev) * rho**2


def by_the_package(x0, eps, rho, prev):
    beta = rho**2 * (1 - prev) / (1 - rho**2 * prev)  # ρ² = β/(1 − (1 − β) ᾱ_{t−1}), solved
    two_steps, t = Schedule([1 - prev, beta]), torch.tensor([2])
    start = torch.tensor([[x0]]).double()
    jump = q_marginal(two_steps, t, start)
    q = q_posterior(two_steps, t, xt=jump.mean + jump.var.sqrt() * eps, x0=start)
    return q.mean, q.var


def the_same_noise(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * eps, 0.0


def the_step_s_noise(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * rho * eps, (1 - prev) * (1 - rho**2)


def no_root(x0, eps, rho, prev):
    return sqrt(prev) * x0 + sqrt(1 - prev) * (1 - rho**2) * eps, (1 - prev) * rho**2


def standard_deviation(x0, eps, rho, prev):
    mean, var = right(x0, eps, rho, prev)
    return mean, sqrt(var)


def variance_of_the_noise(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], rho**2


def variance_of_the_known_part(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], (1 - prev) * (1 - rho**2)


def variance_of_the_jump(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0], 1 - prev


def no_picture(x0, eps, rho, prev):
    mean, var = right(0.0, eps, rho, prev)
    return mean, var


def one_number(x0, eps, rho, prev):
    return right(x0, eps, rho, prev)[0]


def by_torch(x0, eps, rho, prev):
    mean = torch.sqrt(prev) * x0 + torch.sqrt((1 - prev) * (1 - rho**2)) * eps
    return mean, (1 - prev) * rho**2


def by_methods(x0, eps, rho, prev):
    noise = (1 - prev).sqrt()
    return Gaussian(prev.sqrt() * x0 + noise * (1 - rho.square()).sqrt() * eps, (noise * rho).square())


def by_numpy(x0, eps, rho, prev):
    return np.array([np.sqrt(prev) * x0 + np.sqrt((1 - prev) * (1 - rho**2)) * eps, (1 - prev) * rho**2])


def by_turning(x0, eps, rho, prev):
    """The sheet is turned by an angle, and z has weight −ρ in it."""
    angle = torch.asin(torch.tensor(rho))
    known, fresh = torch.cos(angle), -torch.sin(angle)
    return prev**0.5 * x0 + (1 - prev) ** 0.5 * known * eps, (1 - prev) * fresh**2


def no_root_of_the_picture(x0, eps, rho, prev):
    return prev * x0 + sqrt((1 - prev) * (1 - rho**2)) * eps, (1 - prev) * rho**2


def no_root_of_the_noise(x0, eps, rho, prev):
    return sqrt(prev) * x0 + (1 - prev) * sqrt(1 - rho**2) * eps, (1 - prev) * rho**2


TestOneLineProof = tries(
    "one_line_proof",
    right={
        "math": right,
        "the package": by_the_package,
        "torch on numbers": by_torch,
        "a tensor's method, a Gaussian": by_methods,
        "numpy": by_numpy,
        "by the angle": by_turning,
        "single precision": lambda *case: right(*map(np.float32, case)),
        "a list": lambda *case: list(right(*case)),
    },
    wrong=[
        (the_same_noise, "was taken to be"),
        (the_step_s_noise, "the step's noise"),
        (no_root, "where √(1 − ρ²) should stand"),
        (no_root_of_the_picture, "has ᾱ_{t−1} before x_0"),
        (no_root_of_the_noise, "has 1 − ᾱ_{t−1} before the noise"),
        (standard_deviation, "standard deviation"),
        (variance_of_the_noise, "square of a factor"),
        (lambda x0, e, rho, prev: (right(x0, e, rho, prev)[0], (1 - prev) * rho), "ρ is not squared"),
        (variance_of_the_known_part, "before z stands ρ"),
        (variance_of_the_jump, "if only x_0 is known"),
        (no_picture, "is missing from the mean"),
        (
            lambda x0, e, rho, prev: (sqrt(prev) * x0 + sqrt((1 - prev) * (1 - rho)) * e, (1 - prev) * rho**2),
            "√(1 − ρ) where",
        ),
        (
            lambda x0, e, rho, prev: (sqrt(prev) * x0 + sqrt(1 - rho**2) * e, (1 - prev) * rho**2),
            "√(1 − ᾱ_{t−1}), the jump's factor",
        ),
        (lambda x0, e, rho, prev: (sqrt(prev) * x0, (1 - prev) * rho**2), "no eps_bar in it"),
        (lambda *case: (right(*case)[0], 0.0), "the part with z is"),
        (lambda *case: None if right(*case) else (), "returns nothing (None). Is there a `return`?"),
        (lambda *case: right(*case)[::-1], "wrong order: first the mean"),
        (
            lambda *case: (-right(*case)[0], right(*case)[1]),
            "the variance is right. The mean is right but for its sign",
        ),
        (lambda *case: (0.0, 1.0), "Hint"),
        (one_number, "returns a number; 2 values are asked"),
        (0.5, "a function is asked"),
    ],
)
