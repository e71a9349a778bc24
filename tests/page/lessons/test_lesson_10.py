"""Lesson 10's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.networks.unet import time_features
from diffusion_lesson.page.exercises import check


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


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (time_features, "Right."),
        (wrong_order, "cosines come first"),
        (alternating, "alternate"),
        (wrong_exponent, "divides by size"),
        (wrong_sign, "minus sign"),
        (only_sines, "shape"),
    ],
)
def test_time_features(answer, words, capsys) -> None:
    check("time_features", answer)
    assert words in capsys.readouterr().out
