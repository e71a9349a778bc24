"""Lesson 07: the gap between the bound and the evidence."""

from math import log

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula

# (q(z | x), p(z), p(x | z)) for one x: three, four and two values of z.
_WORLDS = tuple(
    tuple(torch.tensor(numbers, dtype=torch.float64) for numbers in world)
    for world in (
        ([0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.7, 0.2, 0.4]),
        ([0.1, 0.2, 0.3, 0.4], [0.25, 0.35, 0.3, 0.1], [0.05, 0.9, 0.3, 0.6]),
        ([0.85, 0.15], [0.4, 0.6], [0.2, 0.9]),
    )
)


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return (a * (a / b).log()).sum()


def _posterior(prior: Tensor, likelihood: Tensor) -> Tensor:
    return prior * likelihood / (prior * likelihood).sum()


def _posterior_itself(q: Tensor, prior: Tensor, likelihood: Tensor) -> Tensor:
    return _posterior(prior, likelihood)


def _right(q: Tensor, prior: Tensor, likelihood: Tensor) -> Tensor:
    return _kl(q, _posterior(prior, likelihood))


EXERCISES = {
    "elbo_gap": formula(
        asks="gap(q, prior, likelihood)",
        hint="multiply prior and likelihood, divide by their sum: that is p(z | x). Then (7.19), with q in front.",
        praise="The gap is KL(q(z|x) ‖ p(z|x)): q in front, because the walks are drawn by q.",
        names=("the gap",),
        cases=_WORLDS,
        right=_right,
        form="The gap is one number, a sum over z.",
        wrong=(
            Misread(
                "that is KL(p(z|x) ‖ q), the other way round; the mean in the bound is taken under q.",
                lambda q, p, like: _kl(_posterior(p, like), q),
            ),
            Misread(
                "that is KL(q ‖ p(z)): the prior, which has not seen x. The gap is to the posterior p(z|x).",
                lambda q, p, like: _kl(q, p),
            ),
            Misread(
                "prior × likelihood is the joint p(x, z), and does not sum to 1: divide by the evidence p(x). "
                "What you have is the ELBO with its sign turned.",
                lambda q, p, like: _kl(q, p * like),
            ),
            Misread(
                "that is the ELBO. The gap is what is missing from it to ln p(x).",
                lambda q, p, like: -_kl(q, p * like),
            ),
            Misread(
                "that is ln p(x), the evidence. The gap is how far the ELBO lies below it.",
                lambda q, p, like: (p * like).sum().log(),
            ),
            Misread(
                "that is the first part of the ELBO alone, the mean of ln p(x|z) under q.",
                lambda q, p, like: (q * like.log()).sum(),
            ),
            Misread(
                "the likelihood was scaled to sum to 1; p(z|x) needs the prior as well.",
                lambda q, p, like: _kl(q, like / like.sum()),
            ),
            Misread(
                "the sign is turned: the gap is ln p(x) minus the ELBO, and never negative.",
                lambda q, p, like: -_right(q, p, like),
            ),
            Misread(
                "the log-ratios were added up without weights; a mean under q weighs each by q.",
                lambda q, p, like: (q / _posterior(p, like)).log().sum(),
                lambda q, p, like: (q / _posterior(p, like)).log().mean(),
            ),
            Misread(
                "the likelihood does not sum to 1 over z, and p(z|x) needs the prior as well: p(z) p(x|z) / p(x).",
                lambda q, p, like: _kl(q, like),
            ),
            Misread(
                "prior × likelihood is the joint p(x, z), and does not sum to 1: divide by the evidence p(x). "
                "And q stands behind; the mean in the bound is taken under q.",
                lambda q, p, like: _kl(p * like, q),
            ),
            Misread(
                "the logarithm is missing: a KL is the mean of the log-ratio.",
                lambda q, p, like: (q * q / _posterior(p, like)).sum(),
            ),
            Misread(
                "that is p(z|x) itself. The gap is the KL from q to it, one number.",
                _posterior_itself,
            ),
            Misread(
                "that is p(x), and not its logarithm. The gap is how far the ELBO lies below ln p(x).",
                lambda q, p, like: (p * like).sum(),
            ),
            Misread(
                "that is KL(p(z|x) ‖ p(z)): how much x tells of z. But q is not in it, and the gap is q's.",
                lambda q, p, like: _kl(_posterior(p, like), p),
            ),
            Misread(
                "the terms were averaged by their number; q is the weight already, so their sum is the mean.",
                lambda q, p, like: _right(q, p, like) / len(q),
            ),
            Misread(
                "that is in bits (log2); the question was in nats (ln).",
                lambda q, p, like: _right(q, p, like) / log(2),
            ),
            Misread(
                "these are the terms of the sum, one for each z; add them up.",
                lambda q, p, like: q * (q / _posterior(p, like)).log(),
            ),
        ),
    ),
}
