"""Lesson 07: the gap between the bound and the evidence."""

from math import log
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake

# (q(z | x), p(z), p(x | z)) for one x: three and four values of z.
_WORLDS = tuple(
    tuple(torch.tensor(numbers, dtype=torch.float64) for numbers in world)
    for world in (
        ([0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.7, 0.2, 0.4]),
        ([0.1, 0.2, 0.3, 0.4], [0.25, 0.35, 0.3, 0.1], [0.05, 0.9, 0.3, 0.6]),
    )
)


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return (a * (a / b).log()).sum()


def _posterior(prior: Tensor, likelihood: Tensor) -> Tensor:
    return prior * likelihood / (prior * likelihood).sum()


def _right(q: Tensor, prior: Tensor, likelihood: Tensor) -> Tensor:
    return _kl(q, _posterior(prior, likelihood))


def _gives(answer: Any, expected: Any) -> bool:
    return all(abs(float(answer(*world)) - float(expected(*world))) < 1e-4 for world in _WORLDS)


EXERCISES = {
    "elbo_gap": Exercise(
        hint="multiply prior and likelihood, divide by their sum: that is p(z | x). Then (7.19), with q in front.",
        right=lambda f: _gives(f, _right),
        praise="The gap is KL(q(z|x) ‖ p(z|x)): q in front, because the walks are drawn by q.",
        mistakes=(
            Mistake(
                lambda f: _gives(f, lambda q, p, like: _kl(_posterior(p, like), q)),
                "that is KL(p(z|x) ‖ q), the other way round; the mean in the bound is taken under q.",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: _kl(q, p)),
                "that is KL(q ‖ p(z)): the prior, which has not seen x. The gap is to the posterior p(z|x).",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: _kl(q, p * like)),
                "prior × likelihood is the joint p(x, z), and does not sum to 1: divide by the evidence p(x). "
                "What you have is the ELBO with its sign turned.",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: _kl(q, like / like.sum())),
                "the likelihood was scaled to sum to 1; p(z|x) needs the prior as well.",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: -_right(q, p, like)),
                "the sign is turned: the gap is ln p(x) minus the ELBO, and never negative.",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: (q / _posterior(p, like)).log().sum()),
                "the log-ratios were added up without weights; a mean under q weighs each by q.",
            ),
            Mistake(
                lambda f: _gives(f, lambda q, p, like: _right(q, p, like) / log(2)),
                "that is in bits (log2); the question was in nats (ln).",
            ),
        ),
    ),
}
