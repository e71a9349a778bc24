"""Lesson 07's exercise: right answers in several idioms, and each typical wrong one told by name."""

import math

import numpy as np
import torch
from torch.distributions import Categorical, kl_divergence

from tests.exercises.lessons.tables import tries


def kl(a, b):
    return (a * (a / b).log()).sum()


def posterior(prior, likelihood):
    joint = prior * likelihood
    return joint / joint.sum()


def evidence_minus_bound(q, prior, likelihood):
    """With no KL in sight: a second way to the same number."""
    joint = prior * likelihood
    return joint.sum().log() - (q * (joint / q).log()).sum()


def by_a_loop(q, prior, likelihood):
    evidence = sum(p * x for p, x in zip(prior, likelihood, strict=True))
    return sum(a * math.log(a * evidence / (p * x)) for a, p, x in zip(q, prior, likelihood, strict=True))


def lists_only(q, prior, likelihood):
    joint = [p * x for p, x in zip(prior, likelihood, strict=True)]
    terms = [a * math.log(a / (b / math.fsum(joint))) for a, b in zip(q, joint, strict=True)]
    return math.fsum(terms) + q.count(2.0)


def by_numpy(q, prior, likelihood):
    joint = prior * likelihood
    return np.sum(q * np.log(q / (joint / np.sum(joint))))


def by_an_array(q, prior, likelihood):
    q, joint = np.array(q), np.array(prior) * np.array(likelihood)
    return q @ (np.log(q) - np.log(joint / joint.sum()))


def by_torch(q, prior, likelihood):
    return torch.nn.functional.kl_div(posterior(prior, likelihood).log(), q, reduction="sum")


TestElboGap = tries(
    "elbo_gap",
    right={
        "a tensor's methods": lambda q, p, x: kl(q, posterior(p, x)),
        "evidence minus bound": evidence_minus_bound,
        "a loop": by_a_loop,
        "lists": lists_only,
        "numpy on what is given": by_numpy,
        "numpy on arrays": by_an_array,
        "torch's kl_div": by_torch,
        "torch.distributions": lambda q, p, x: kl_divergence(Categorical(q), Categorical(p * x)),
        "single precision": lambda q, p, x: kl(q.float(), posterior(p, x).float()),
    },
    wrong=[
        (lambda q, p, x: kl(posterior(p, x), q), "other way round"),
        (lambda q, p, x: kl(q, p), "which has not seen x"),
        (lambda q, p, x: kl(q, p * x), "joint"),
        (lambda q, p, x: -kl(q, p * x), "that is the ELBO"),
        (lambda q, p, x: math.log((p * x).sum()), "the evidence. The gap"),
        (lambda q, p, x: (q * x.log()).sum(), "first part of the ELBO alone"),
        (lambda q, p, x: kl(q, x / x.sum()), "likelihood was scaled"),
        (lambda q, p, x: -kl(q, posterior(p, x)), "sign is turned"),
        (lambda q, p, x: (q / posterior(p, x)).log().sum(), "without weights"),
        (lambda q, p, x: (q / posterior(p, x)).log().mean(), "without weights"),
        (lambda q, p, x: (q * (q / x).log()).sum(), "likelihood does not sum to 1"),
        (lambda q, p, x: kl(p * x, q), "does not sum to 1: divide by the evidence p(x). And q stands behind"),
        (lambda q, p, x: (q * q / posterior(p, x)).sum(), "the logarithm is missing"),
        (lambda q, p, x: posterior(p, x), "that is p(z|x) itself"),
        (lambda q, p, x: (p * x).sum(), "that is p(x), and not its logarithm"),
        (lambda q, p, x: kl(posterior(p, x), p), "q is not in it"),
        (lambda q, p, x: [q, p], "the shape (2, 3) where one number is asked. The gap is one number"),
        (lambda q, p, x: (q * (q / posterior(p, x)).log()).mean(), "averaged by their number"),
        (lambda q, p, x: (q * (q / posterior(p, x)).log2()).sum(), "bits"),
        (lambda q, p, x: q * (q / posterior(p, x)).log(), "add them up"),
        (
            lambda q, p, x: 0.5,
            "for gap([0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.7, 0.2, 0.4]) the gap is 0.5, and should",
        ),
        (lambda q, p, x: kl(q, posterior(p, x)) + q.nothing, "raised AttributeError"),
    ],
)
