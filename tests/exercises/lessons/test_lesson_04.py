"""Lesson 04's exercise: right answers in several idioms, and each typical wrong one told by name."""

import random
from math import exp, log1p, prod, sqrt

import numpy as np
import torch

from tests.exercises.lessons.tables import changes, said, tries

POST = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
ROOTS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
SCALED = ROOTS**2
DDPM = torch.linspace(0.0001, 0.02, 1000, dtype=torch.float64)


def each(formula, schedules=(POST, SCALED, DDPM)):
    return tuple(formula(betas).item() for betas in schedules)


def left(betas):
    return (1 - betas).prod().sqrt()


TestLastSignal = tries(
    "last_signal",
    right={
        "a tuple": each(left),
        "four decimals": (0.0397, 0.0683, 0.0064),
        "five": tuple(round(one, 5) for one in each(left)),
        "some with four": (left(POST), 0.0683, left(DDPM)),
        "a list": list(each(left)),
        "a tensor": torch.tensor(each(left)),
        "tensors in a tuple": (left(POST), left(SCALED), left(DDPM)),
        "an array": np.array(each(left)),
        "a column": torch.tensor(each(left))[:, None],
        "a map": map(left, (POST, SCALED, DDPM)),
        "a generator": (left(betas) for betas in (POST, SCALED, DDPM)),
        "math": [sqrt(prod(1 - b for b in betas.tolist())) for betas in (POST, SCALED, DDPM)],
        "logarithms": [exp(sum(log1p(-b) for b in betas.tolist()) / 2) for betas in (POST, SCALED, DDPM)],
        "cumprod": each(lambda b: torch.cumprod(1 - b, 0)[-1] ** 0.5),
        "single precision": each(lambda b: (1 - b.float()).prod().sqrt()),
        "strings": ["0.0397", "0.0683", "0.0064"],
    },
    wrong=[
        (each(lambda b: (1 - b).prod()), "its root"),
        (each(lambda b: (1 - (1 - b).prod()).sqrt()), "factor of the noise"),
        (each(lambda b: 1 - (1 - b).prod()), "variance of the noise"),
        (each(lambda b: (-b.sum() / 2).exp()), "estimate"),
        (each(lambda b: (1 - b[:-1]).prod().sqrt()), "one step is missing"),
        (each(left, (POST, POST, DDPM)), "the first one again"),
        (each(left, (POST, ROOTS, DDPM)), "square them first"),
        (each(left, (POST, DDPM, SCALED)), "another order"),
        ((3.97, 6.83, 0.64), "percent"),
        ((0.040, 0.068, 0.006), "right to three decimals; four are asked"),
        ((0.03971, 0.06828, 0.00637), "right to three decimals; four are asked"),
        (each(lambda b: left(b[1:])), "without the first beta"),
        ((0.0398, 0.0683, 0.0064), "without the first beta"),
        (each(lambda b: left(b + (b[-1] - b[0]) / 2000), (POST, SCALED, DDPM)), "both ends among them"),
        (each(lambda b: b.prod().sqrt()), "multiply these"),
        ([(1 - b).sqrt() for b in (POST, SCALED, DDPM)], "a thousand numbers came for each schedule"),
        (torch.stack([(1 - b).cumprod(0).sqrt() for b in (POST, SCALED, DDPM)]), "a thousand numbers came"),
        ((None, None, None), "one of the numbers is None. Has the function"),
        ({0.0397, 0.0683, 0.0064}, "a set has no order"),
        ((0.0397, 0.5, 0.0064), "to four decimals it is not scaled linear's. Hint"),
        ((0.5, 0.5, float("nan")), "not the post's and not scaled linear's and not DDPM's"),
        ((0.0397,), "three numbers are asked"),
        (0.0397, "three numbers are asked, one for each schedule, and answer is a number"),
        ({"post": 0.0397, "scaled": 0.0683, "ddpm": 0.0064}, "a dictionary came"),
        (left, "answer is a function"),
        ("three", "there is a string"),
    ],
)


def test_no_mutant_is_right() -> None:
    right = torch.tensor(each(left), dtype=torch.float64)
    for what, change in changes(random.Random(4)).items():
        assert said("last_signal", change(right)).startswith("Not yet"), what
