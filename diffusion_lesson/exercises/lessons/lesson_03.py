"""Lesson 03: one step of the forward process."""

from typing import Any

import torch

from diffusion_lesson.exercises.exercise import Misread, formula
from diffusion_lesson.process.forward import q_step
from diffusion_lesson.process.schedule import Schedule

_SQUARE = torch.tensor([[0.8, -0.3], [-1.0, 0.5]], dtype=torch.float64)
_ROW = torch.tensor([0.2, -1.7, 0.9], dtype=torch.float64)


def _package(x: torch.Tensor, beta: float) -> tuple[Any, Any]:
    q = q_step(Schedule([beta]), torch.ones(len(x), dtype=torch.int64), x)
    return q.mean, beta


EXERCISES = {
    "q_step": formula(
        asks="my_step(x_prev, beta)",
        hint="the mean is the old picture times a root, the variance is beta itself: return both.",
        praise="Given the picture before, the next is a Gaussian, and you can name both its numbers.",
        names=("the mean", "the variance"),
        cases=((_SQUARE, 0.36), (_SQUARE, 0.02), (_ROW, 0.7)),
        right=_package,
        form="If it is a noisy picture: return what that is drawn from.",
        wrong=(
            Misread(
                "the variance is beta squared: the noise was scaled by beta, its standard deviation is √beta.",
                lambda x, b: ((1 - b) ** 0.5 * x, b**2),
            ),
            Misread(
                "√beta is the standard deviation of the noise; the variance is its square.",
                lambda x, b: (
                    (1 - b) ** 0.5 * x,
                    b**0.5,
                ),
            ),
            Misread(
                "βI is a table for all pixels at once; asked is the variance of each pixel, which is beta.",
                lambda x, b: ((1 - b) ** 0.5 * x, b * torch.eye(len(x))),
                lambda x, b: ((1 - b) ** 0.5 * x, b * torch.eye(x.numel())),
            ),
            Misread(
                "the old picture is given, so nothing of it varies: what varies is the fresh noise, by beta.",
                lambda x, b: ((1 - b) ** 0.5 * x, (1 - b) * x.var() + b),
                lambda x, b: ((1 - b) ** 0.5 * x, (1 - b) * x.var(correction=0) + b),
                lambda x, b: ((1 - b) ** 0.5 * x, 1.0),
            ),
            Misread(
                "both roots are missing: beta and 1 − beta are variances, and numbers are scaled by their roots.",
                lambda x, b: ((1 - b) * x, b**2),
            ),
            Misread(
                "the old picture is missing from the mean: √(1 − beta) is what it is multiplied by.",
                lambda x, b: ((1 - b) ** 0.5, None),
            ),
            Misread(
                "the noise has mean zero: it adds to the variance, and nothing to the mean.",
                lambda x, b: ((1 - b) ** 0.5 * x + b**0.5, None),
                lambda x, b: ((1 - b) ** 0.5 * x + b, None),
            ),
            Misread(
                "the root stands over all of 1 − beta, not over beta alone.",
                lambda x, b: ((1 - b**0.5) * x, None),
            ),
            Misread(
                "the old picture was not made fainter: it is multiplied by √(1 − beta).",
                lambda x, b: (x, b),
            ),
            Misread(
                "the mean lost its root: the factor is √(1 − beta), so that the variances add up to 1.",
                lambda x, b: (
                    (1 - b) * x,
                    b,
                ),
            ),
            Misread(
                "beta and 1 − beta have changed places: beta is the share of the noise.",
                lambda x, b: (
                    b**0.5 * x,
                    1 - b,
                ),
            ),
            Misread(
                "1 − beta is the variance that is left of a picture of variance 1; the noise adds beta.",
                lambda x, b: (
                    (1 - b) ** 0.5 * x,
                    1 - b,
                ),
            ),
            Misread(
                "the mean is divided by √(1 − beta): that is the way back. A step forward multiplies.",
                lambda x, b: (
                    x / (1 - b) ** 0.5,
                    None,
                ),
            ),
        ),
    ),
}
