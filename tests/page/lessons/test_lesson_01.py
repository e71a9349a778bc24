"""Lesson 01's exercise: each typical wrong answer is told by name."""

import pytest
import torch

from diffusion_lesson.page.exercises import check


def paint(y, k, *, stride=2, add=True, extra=0):
    side = stride * (len(y) - 1) + len(k)
    picture = torch.zeros(side + extra, side + extra, dtype=y.dtype)
    for i in range(len(y)):
        for j in range(len(y)):
            rows = slice(stride * i, stride * i + len(k))
            columns = slice(stride * j, stride * j + len(k))
            picture[rows, columns] = y[i, j] * k + (picture[rows, columns] if add else 0)
    return picture


def average(y, k):
    return paint(y, k) / paint(torch.ones_like(y), torch.ones_like(k))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (paint, "Right."),
        (lambda y, k: paint(y, k.flip(0, 1)), "turned round"),
        (lambda y, k: paint(y, k.T), "swapped"),
        (lambda y, k: paint(y, k, add=False), "wipes out"),
        (average, "averaged"),
        (lambda y, k: paint(y, k, stride=1), "stride 1"),
        (lambda y, k: paint(y, k, extra=1), "shape"),
        (lambda y, k: paint(y, k)[1:-1, 1:-1], "shape"),
        (lambda y, k: 2 * paint(y, k), "Hint:"),
    ],
)
def test_adjoint_stride_2(answer, words, capsys) -> None:
    check("adjoint_stride_2", answer)
    assert words in capsys.readouterr().out
