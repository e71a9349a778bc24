"""Lesson 07's exercise: each typical wrong answer is told by name."""

import pytest

from diffusion_lesson.page.exercises import check


def kl(a, b):
    return (a * (a / b).log()).sum()


def posterior(prior, likelihood):
    joint = prior * likelihood
    return joint / joint.sum()


def gap(q, prior, likelihood):
    """Evidence minus bound, with no KL in sight: a second way to the same number."""
    joint = prior * likelihood
    return joint.sum().log() - (q * (joint / q).log()).sum()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gap, "Right."),
        (lambda q, p, x: kl(q, posterior(p, x)), "Right."),
        (lambda q, p, x: kl(posterior(p, x), q), "other way round"),
        (lambda q, p, x: kl(q, p), "prior"),
        (lambda q, p, x: kl(q, p * x), "joint"),
        (lambda q, p, x: kl(q, x / x.sum()), "likelihood was scaled"),
        (lambda q, p, x: -kl(q, posterior(p, x)), "sign is turned"),
        (lambda q, p, x: (q / posterior(p, x)).log().sum(), "without weights"),
        (lambda q, p, x: (q * (q / posterior(p, x)).log2()).sum(), "bits"),
        (lambda q, p, x: 0.5, "Hint"),
        (lambda q, p, x: q / 0 + "a", "raised"),
    ],
)
def test_elbo_gap(answer, words, capsys) -> None:
    check("elbo_gap", answer)
    assert words in capsys.readouterr().out
