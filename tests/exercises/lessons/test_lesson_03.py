"""Lesson 03's exercise: right answers in several idioms, and each typical wrong one told by name."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import torch
from torch.distributions import Normal

from diffusion_lesson.process.forward import q_step
from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule
from tests.exercises.lessons.tables import tries


class Named(NamedTuple):
    var: Any
    mean: Any


@dataclass
class Step:
    mu: Any
    sigma_squared: Any


def by_the_package(x_prev, beta):
    return q_step(Schedule([beta]), torch.ones(len(x_prev), dtype=torch.int64), x_prev)


def by_lists(x_prev, beta):
    def scaled(x):
        return [scaled(part) for part in x] if isinstance(x, list) else sqrt(1 - beta) * x

    return scaled(x_prev.tolist()), [beta][0]


def stacked(x_prev, beta):
    return torch.stack([sqrt(1 - beta) * x_prev, torch.full_like(x_prev, beta)])


def in_place(x_prev, beta):
    x_prev *= (1 - beta) ** 0.5
    return x_prev, beta


def a_draw(x_prev, beta):
    return (1 - beta) ** 0.5 * x_prev + beta**0.5 * torch.randn_like(x_prev)


TestQStep = tries(
    "q_step",
    right={
        "** 0.5": lambda x_prev, beta: ((1 - beta) ** 0.5 * x_prev, beta),
        "math": lambda x, b: (sqrt(1 - b) * x, b),
        "torch on a number": lambda x, b: (torch.sqrt(1 - b) * x, b),
        "a tensor's method": lambda x, b: ((1 - b).sqrt() * x, b),
        "a tensor made there": lambda x, b: (torch.sqrt(torch.tensor(1 - b)) * x, torch.tensor(b)),
        "numpy": lambda x, b: (np.sqrt(1 - b) * x, b),
        "numpy's own methods": lambda x, b: (np.sqrt(1 - b) * x.astype(np.float32), np.full_like(x, b)),
        "lists": by_lists,
        "a list of two": lambda x, b: [(1 - b) ** 0.5 * x, torch.full_like(x, b)],
        "one stack": stacked,
        "a Gaussian": lambda x, b: Gaussian((1 - b) ** 0.5 * x, torch.full_like(x, b)),
        "a Gaussian of a number": lambda x, b: Gaussian((1 - b) ** 0.5 * x, b),
        "the package": by_the_package,
        "SciPy's norm": lambda x, b: scipy.stats.norm(sqrt(1 - b) * np.asarray(x), sqrt(b)),
        "torch's Normal": lambda x, b: Normal((1 - b) ** 0.5 * x, b**0.5),
        "a named tuple, whatever its order": lambda x, b: Named(mean=(1 - b) ** 0.5 * x, var=b),
        "a dataclass": lambda x, b: Step((1 - b) ** 0.5 * x, b),
        "single precision": lambda x, b: ((1 - b) ** 0.5 * x.float(), b),
        "in place": in_place,
    },
    wrong=[
        (
            a_draw,
            "your function returns a tensor of shape (2, 2); 2 values are asked: the mean and the variance. If",
        ),
        (lambda x, b: ((1 - b) ** 0.5 * x, b**2), "beta squared"),
        (lambda x, b: ((1 - b).sqrt() * x, b.sqrt()), "its square"),
        (lambda x, b: (x, b), "not made fainter"),
        (lambda x, b: ((1 - b) ** 0.5 * x, b * torch.eye(x.shape[-1])), "βI is a table"),
        (lambda x, b: ((1 - b) ** 0.5 * x, b * np.eye(x.numel())), "βI is a table"),
        (lambda x, b: ((1 - b) ** 0.5 * x, (1 - b) * x.var() + b), "nothing of it varies"),
        (lambda x, b: ((1 - b) ** 0.5 * x, (1 - b) * np.var(np.asarray(x)) + b), "nothing of it varies"),
        (lambda x, b: ((1 - b) ** 0.5 * x, 1), "nothing of it varies"),
        (lambda x, b: ((1 - b) * x, b**2), "both roots are missing"),
        (lambda x, b: (sqrt(1 - b), sqrt(b)), "the old picture is missing"),
        (lambda x, b: (sqrt(1 - b) * x + sqrt(b), b), "the noise has mean zero"),
        (lambda x, b: ((1 - b) ** 0.5 * x + b, b), "the noise has mean zero"),
        (lambda x, b: ((1 - b**0.5) * x, b), "the root stands over all"),
        (lambda x, b: ((1 - b) * x, b), "lost its root"),
        (lambda x, b: Gaussian(b**0.5 * x, torch.tensor(1 - b)), "changed places"),
        (lambda x, b: ((1 - b) ** 0.5 * x, 1 - b), "the noise adds beta"),
        (lambda x, b: (x / np.sqrt(1 - b), b), "the way back"),
        (lambda x, b: (b, (1 - b) ** 0.5 * x), "wrong order: first the mean, then the variance"),
        (
            lambda x, b: (x * 0, b),
            "the variance is right. For my_step([[0.8, -0.3], [-1.0, 0.5]], 0.36) the mean is",
        ),
        (lambda x, b: ((1 - b) ** 0.5 * x, 3.0), "the mean is right. For my_step("),
        (lambda x, b: ((1 - b) ** 0.5 * x, 2 * b), "the mean is right. The variance is twice what it should be."),
        (lambda x, b: ((1 - b) ** 0.5 * x.sum(), b), "and should be"),
        (lambda x, b: ((1 - b) ** 0.5 * x, 0 * x + 7), "the variance is 7 at [0, 0], and should be 0.36. Hint"),
        (lambda x, b: ((1 - b) ** 0.5 * x, b, b), "returns 3 values; 2 values are asked"),
        (lambda x, b: {"mean": (1 - b) ** 0.5 * x, "var": b}, "returns a dictionary"),
        (lambda x, b: {(1 - b) ** 0.5, b}, "a set has no order"),
        (lambda x, b: (lambda: x, b), "returns a function"),
        (lambda x, b: ("mean", b), "there is a string"),
        (lambda x: x, "takes (x), and is called as my_step(x_prev, beta)"),
        (lambda x, b: (x * b.nothing, b), "raised AttributeError"),
        (torch.ones(2, 2), "answer is a tensor of shape (2, 2), and a function is asked"),
    ],
)
