"""Lesson 12's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.learning.metrics import nearest_neighbours
from diffusion_lesson.page.exercises import check
from diffusion_lesson.page.lessons import lesson_12


def to(images, x):
    return nearest_neighbours(x, images)[0]


def solution(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).min()).double().mean().item()


def a_loop(samples, train, held_out):
    def nearest(picture):
        return min(((picture - other) ** 2).sum().item() for other in train)

    limit = min(nearest(picture) for picture in held_out)
    return sum(nearest(picture) < limit for picture in samples) / len(samples)


def count(samples, train, held_out):
    return int((to(train, samples) < to(train, held_out).min()).sum())


def from_itself(samples, train, held_out):
    return (to(train, samples) < to(train, train).min()).float().mean()


def two_shelves(samples, train, held_out):
    return (to(train, samples) < to(held_out, samples)).float().mean()


def identical(samples, train, held_out):
    return (to(train, samples) < 1e-7).float().mean()


def farther(samples, train, held_out):
    return (to(train, samples) > to(train, held_out).min()).float().mean()


def below_the_largest(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).max()).float().mean()


def below_the_mean(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).mean()).float().mean()


def below_the_median(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).median()).float().mean()


def mean_distance(samples, train, held_out):
    far = [torch.cdist(x.flatten(1), train.flatten(1)).mean(1) for x in (samples, held_out)]
    return (far[0] < far[1].min()).float().mean()


def other_way(samples, train, held_out):
    return (to(samples, train) < to(held_out, train).min()).float().mean()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (solution, "Right."),
        (a_loop, "Right."),
        (None, "Hint"),
        (count, "divide by len"),
        (from_itself, "among themselves"),
        (two_shelves, "larger set wins"),
        (identical, "exact copies only"),
        (farther, "lies farther off"),
        (below_the_largest, "the largest held-out"),
        (below_the_mean, "the middle"),
        (below_the_median, "the middle"),
        (mean_distance, "averages over all"),
        (other_way, "each training picture"),
        (lambda samples, train, held_out: 0.5, "Not yet. Hint"),
        (lambda samples: 1, "TypeError"),
        (7, "TypeError"),
    ],
)
def test_is_it_memorising(answer, words, capsys) -> None:
    check("is_it_memorising", answer)
    assert words in capsys.readouterr().out


def test_the_cases_tell_the_mistakes_apart() -> None:
    """No two of them agree on all cases, so no mistake hides another (mean and median share their words)."""
    names = ("_right", "_count", "_from_itself", "_two_shelves", "_identical", "_farther", "_below_the_largest")
    names += ("_below_the_mean", "_mean_distance", "_other_way")
    results = {name: tuple(round(getattr(lesson_12, name)(*c), 3) for c in lesson_12._cases()) for name in names}
    assert len(set(results.values())) == len(names), results
