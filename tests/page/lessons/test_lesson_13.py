"""Lesson 13's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check


def rehearsal(new, label, old, old_labels, size, g):
    i = torch.randint(len(new), (size // 2,), generator=g)
    j = torch.randint(len(old), (size // 2,), generator=g)
    return torch.cat([new[i], old[j]]), torch.cat([torch.full((size // 2,), label), old_labels[j]])


def shuffled(*given):
    x, y = rehearsal(*given)
    order = torch.randperm(len(x))
    return x[order], y[order]


def twice_as_many(new, label, old, old_labels, size, g):
    return rehearsal(new, label, old, old_labels, 2 * size, g)


def only_new(new, label, old, old_labels, size, g):
    return new[torch.randint(len(new), (size,), generator=g)], torch.full((size,), label)


def only_old(new, label, old, old_labels, size, g):
    j = torch.randint(len(old), (size,), generator=g)
    return old[j], old_labels[j]


def all_called_new(*given):
    x, y = rehearsal(*given)
    return x, torch.full_like(y, given[1])


def called_no_label(*given):
    x, y = rehearsal(*given)
    return x, torch.where(y == given[1], 10, y)


def drawn_twice(new, label, old, old_labels, size, g):
    x, y = rehearsal(new, label, old, old_labels, size, g)
    j = torch.randint(len(old), (size // 2,), generator=g)
    return x, torch.cat([y[: size // 2], old_labels[j]])


def one_heap(new, label, old, old_labels, size, g):
    x, y = torch.cat([new, old]), torch.cat([torch.full((len(new),), label), old_labels])
    j = torch.randint(len(x), (size,), generator=g)
    return x[j], y[j]


def always_the_first(new, label, old, old_labels, size, g):
    x, y = rehearsal(new, label, old, old_labels, size, g)
    half = size // 2
    return torch.cat([x[:half], old[:half]]), torch.cat([y[:half], old_labels[:half]])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (rehearsal, "Right."),
        (shuffled, "Right."),
        (twice_as_many, "size asked for"),
        (only_new, "no old picture"),
        (only_old, "no new picture"),
        (all_called_new, "carry the new label"),
        (called_no_label, "carries an old label"),
        (drawn_twice, "part company"),
        (one_heap, "not half"),
        (always_the_first, "always the same"),
        (lambda *given: 7, "raised"),
        (lambda *given: rehearsal(*given)[::-1], "raised"),
        (None, "Hint"),
    ],
)
def test_rehearsal(answer, words, capsys) -> None:
    check("rehearsal", answer)
    assert words in capsys.readouterr().out
