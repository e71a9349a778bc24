"""Lesson 03: one step of the forward process."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake
from diffusion_lesson.process.forward import q_step
from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule

_X_PREV = torch.tensor([[0.8, -0.3], [-1.0, 0.5]], dtype=torch.float64)
_BETAS = (0.36, 0.02)


def _parts(out: Any) -> tuple[Tensor, Tensor]:
    """(mean, var) of a pair or of a Gaussian, both in the shape of the picture."""
    mean, var = (out.mean, out.var) if isinstance(out, Gaussian) else out
    mean, var = (torch.as_tensor(part, dtype=torch.float64).expand(_X_PREV.shape) for part in (mean, var))
    return mean, var


def _gives(answer: Any, expected: Callable[[Tensor, float], Any]) -> bool:
    """Whether the answer's mean and variance are those expected, at two betas."""

    def same(beta: float) -> bool:
        given, wanted = _parts(answer(_X_PREV, beta)), _parts(expected(_X_PREV, beta))
        return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(given, wanted, strict=True))

    return all(same(beta) for beta in _BETAS)


def _package(x: Tensor, beta: float) -> Gaussian:
    return q_step(Schedule([beta]), torch.ones(len(x), dtype=torch.int64), x)


def _is_a_draw(answer: Any) -> bool:
    return isinstance(answer(_X_PREV, 0.36), Tensor)


EXERCISES = {
    "q_step": Exercise(
        hint="the mean is the old picture times a root, the variance is beta itself: return both.",
        right=lambda f: not _is_a_draw(f) and _gives(f, _package),
        praise="Given the picture before, the next is a Gaussian, and you can name both its numbers.",
        mistakes=(
            Mistake(
                _is_a_draw,
                "that is one tensor, perhaps a noisy picture. Return what it is drawn from: mean and variance.",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: ((1 - b) ** 0.5 * x, b**2)),
                "the variance is beta squared: the noise was scaled by beta, its standard deviation is √beta.",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: ((1 - b) ** 0.5 * x, b**0.5)),
                "√beta is the standard deviation of the noise; the variance is its square.",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: (x, b)),
                "the old picture was not made fainter: it is multiplied by √(1 − beta).",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: ((1 - b) * x, b)),
                "the mean lost its root: the factor is √(1 − beta), so that the variances add up to 1.",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: (b**0.5 * x, 1 - b)),
                "beta and 1 − beta have changed places: beta is the share of the noise.",
            ),
            Mistake(
                lambda f: _gives(f, lambda x, b: (b, (1 - b) ** 0.5 * x)),
                "both numbers are right, but in the wrong order: first the mean, then the variance.",
            ),
        ),
    ),
}
