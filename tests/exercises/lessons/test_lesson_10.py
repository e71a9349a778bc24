"""Lesson 10's exercise: right answers in several idioms, and each typical wrong one told by name."""

import math

import numpy as np
import torch

from diffusion_lesson.networks.unet import time_features
from tests.exercises.lessons.tables import tries


def frequencies(size, divide=2, sign=-1):
    return 10_000 ** (sign * torch.arange(size // 2) / (size / divide))


def wrong_order(t, size):
    angles = t[:, None] * frequencies(size)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def alternating(t, size):
    angles = t[:, None] * frequencies(size)
    return torch.stack([angles.sin(), angles.cos()], dim=2).reshape(len(t), size)


def wrong_exponent(t, size):
    angles = t[:, None] * frequencies(size, divide=1)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def wrong_sign(t, size):
    angles = (t[:, None] * frequencies(size, sign=1)).double()
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def only_sines(t, size):
    return (t[:, None] * frequencies(size)).sin()


def joined(t, omega):
    angles = t[:, None] * omega
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def by_numpy(t, size):
    angles = np.outer(t, 10_000.0 ** (-np.arange(size // 2) / (size / 2)))
    return np.hstack([np.sin(angles), np.cos(angles)])


def numpy_methods(t, size):
    angles = t.astype(np.float32)[:, np.newaxis] / 10_000 ** (np.arange(size // 2) / (size // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def by_lists(t, size):
    omega = [10_000 ** (-2 * k / size) for k in range(size // 2)]
    return [[f(w * step) for f in (math.sin, math.cos) for w in omega] for step in t]


def by_columns(t, size):
    out = torch.zeros(len(t), size)
    for k in range(size // 2):
        out[:, k] = torch.sin(t / 10_000 ** (2 * k / size))
        out[:, k + size // 2] = torch.cos(t / 10_000 ** (2 * k / size))
    return out


def half_minus_one(t, size):
    return joined(t, (-math.log(10_000) * torch.arange(size // 2) / (size // 2 - 1)).exp())


TestTimeFeatures = tries(
    "time_features",
    right={
        "the package": time_features,
        "a power": lambda t, size: joined(t, frequencies(size)),
        "exp and log": lambda t, size: joined(t, (-math.log(10_000) * torch.arange(size // 2) / (size / 2)).exp()),
        "logspace": lambda t, size: joined(t, torch.logspace(0, -4, size // 2 + 1, dtype=torch.float64)[:-1]),
        "numpy": by_numpy,
        "numpy's own methods": numpy_methods,
        "nested lists": by_lists,
        "column by column": by_columns,
    },
    wrong=[
        (wrong_order, "cosines come first"),
        (alternating, "alternate"),
        (wrong_exponent, "divides by size;"),
        (half_minus_one, "divides by size/2 − 1"),
        (wrong_sign, "minus sign"),
        (lambda t, size: joined(t, 1_000.0 ** (-torch.arange(size // 2) / (size / 2))), "the base"),
        (lambda t, size: torch.cat([only_sines(t, size)] * 2, dim=1), "both halves are sines"),
        (only_sines, "the table has the shape (4, 4) where (4, 8) is asked. It has one row for each step"),
        (lambda t, size: by_numpy(t, size).T, "the shape (8, 4) where (4, 8)"),
        (lambda t, size: joined(t, frequencies(size)) + 0.01, "at ["),
        (lambda t, size: torch.zeros(len(t), size), "at ["),
        (lambda t, size: joined(t, frequencies(size)).shape and omega, "raised NameError"),  # noqa: F821
    ],
)
