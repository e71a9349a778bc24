"""Lesson 01's exercise: right answers in several idioms, and each typical wrong one told by name."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.exercises.lessons.tables import tries


def paint(y, k, *, stride=2, add=True, extra=0, dtype=None):
    side = stride * (len(y) - 1) + len(k)
    picture = torch.zeros(side + extra, side + extra, dtype=dtype)
    for i in range(len(y)):
        for j in range(len(y)):
            rows = slice(stride * i, stride * i + len(k))
            columns = slice(stride * j, stride * j + len(k))
            picture[rows, columns] = y[i, j] * k + (picture[rows, columns] if add else 0)
    return picture


def in_double(y, k):
    return paint(y, k, dtype=y.dtype)


def by_numpy(y, k):
    m, K = len(y), len(k)
    picture = np.zeros((2 * (m - 1) + K,) * 2)
    for i, j in np.ndindex(m, m):
        picture[2 * i : 2 * i + K, 2 * j : 2 * j + K] += np.asarray(y[i, j] * k)
    return picture


def truly_numpy(y, k):
    return by_numpy(y.astype(float), k.astype(float))


def by_lists(y, k):
    side = 2 * (len(y) - 1) + len(k)
    picture = [[0.0] * side for _ in range(side)]
    for i, row in enumerate(y):
        for j, number in enumerate(row):
            for a in range(len(k)):
                for b in range(len(k)):
                    picture[2 * i + a][2 * j + b] += float(number) * float(k[a][b])
    return picture


def by_a_matrix(y, k):
    """W written out as a table of single precision, and transposed."""
    m, K = len(y), len(k)
    side = 2 * (m - 1) + K
    W = torch.zeros(m * m, side, side)
    for i in range(m):
        for j in range(m):
            W[i * m + j, 2 * i : 2 * i + K, 2 * j : 2 * j + K] = k
    return (W.flatten(1).T @ y.flatten()).reshape(side, side)


def by_the_gradient(y, k):
    side = 2 * (len(y) - 1) + len(k)
    x = torch.zeros(1, 1, side, side, dtype=y.dtype, requires_grad=True)
    (F.conv2d(x, k[None, None], stride=2)[0, 0] * y).sum().backward()
    return x.grad[0, 0]


def zeros_between(y, k):
    """Spread y out, give it a rim, and slide the kernel turned round."""
    m, K = len(y), len(k)
    spread = torch.zeros(2 * m - 1, 2 * m - 1, dtype=y.dtype)
    spread[::2, ::2] = y
    return F.conv2d(F.pad(spread, [K - 1] * 4)[None, None], k.flip(0, 1)[None, None])[0, 0]


def half_precision(y, k):
    return in_double(y, k).half()


def average(y, k):
    return paint(y, k) / paint(torch.ones_like(y), torch.ones_like(k)).clamp(min=1)


def near_copies(y, k):
    near, out = paint(y, k, stride=1), torch.zeros_like(paint(y, k))
    out[: len(near), : len(near)] = near
    return out


def returns_too_early(y, k, *, inner):
    m, K = len(y), len(k)
    picture = torch.zeros(2 * (m - 1) + K, 2 * (m - 1) + K, dtype=y.dtype)
    for i in range(m):
        for j in range(m):
            picture[2 * i : 2 * i + K, 2 * j : 2 * j + K] += y[i, j] * k
            if inner:
                break
        break
    return picture


def begins_anew(y, k):
    m, K = len(y), len(k)
    for i in range(m):
        for j in range(m):
            picture = torch.zeros(2 * (m - 1) + K, 2 * (m - 1) + K, dtype=y.dtype)
            picture[2 * i : 2 * i + K, 2 * j : 2 * j + K] += y[i, j] * k
    return picture


def one_loop(y, k):
    picture, K = torch.zeros_like(paint(y, k)), len(k)
    for i in range(len(y)):
        picture[2 * i : 2 * i + K, 2 * i : 2 * i + K] += y[i, i] * k
    return picture


def forgets_a_two(y, k, *, of_rows):
    picture, K = torch.zeros_like(paint(y, k)), len(k)
    for i in range(len(y)):
        for j in range(len(y)):
            row, column = (i, 2 * j) if of_rows else (2 * i, j)
            picture[row : row + K, column : column + K] += y[i, j] * k
    return picture


def adds(y, k):
    picture, K = torch.zeros_like(paint(y, k)), len(k)
    for i in range(len(y)):
        for j in range(len(y)):
            picture[2 * i : 2 * i + K, 2 * j : 2 * j + K] += y[i, j] + k
    return picture


TestAdjointStride2 = tries(
    "adjoint_stride_2",
    right={
        "a loop, single precision": paint,
        "a loop, double precision": in_double,
        "numpy": by_numpy,
        "numpy's own methods": truly_numpy,
        "nested lists": by_lists,
        "a matrix": by_a_matrix,
        "the gradient": by_the_gradient,
        "zeros in between": zeros_between,
        "transposed on both axes": lambda y, k: by_numpy(y.T, k.T).T,
        "one more dimension each": lambda y, k: F.fold(
            (k.flatten()[:, None] * y.flatten())[None], [2 * (len(y) - 1) + len(k)] * 2, len(k), stride=2
        )[0, 0],
    },
    wrong=[
        (lambda y, k: paint(y, k.flip(0, 1)), "turned round"),
        (lambda y, k: paint(y, k.T), "of the kernel are swapped"),
        (lambda y, k: paint(y.T, k), "of y are swapped"),
        (lambda y, k: paint(y, k, add=False), "wipes out"),
        (average, "averaged"),
        (lambda y, k: paint(y, k, stride=1), "stride 1"),
        (near_copies, "stride 1"),
        (lambda y, k: returns_too_early(y, k, inner=True), "ends the function at its first round"),
        (lambda y, k: returns_too_early(y, k, inner=False), "ends the function at its first round"),
        (begins_anew, "only the last copy is there"),
        (one_loop, "only the numbers y[i, i]"),
        (lambda y, k: forgets_a_two(y, k, of_rows=True), "rows or columns lie one pixel apart"),
        (lambda y, k: forgets_a_two(y, k, of_rows=False), "rows or columns lie one pixel apart"),
        (lambda y, k: paint(y, k).T, "rows and columns of the picture are swapped"),
        (lambda y, k: paint(torch.ones_like(y), k), "equally strong"),
        (lambda y, k: paint(y, torch.ones_like(k)), "the kernel is missing"),
        (adds, "they are multiplied"),
        (lambda y, k: paint(y, k, extra=1), "the shape (8, 8) where (7, 7) is asked. It is (2(m−1)+K"),
        (lambda y, k: paint(y, k)[1:-1, 1:-1], "the shape (5, 5) where (7, 7)"),
        (lambda y, k: paint(y, k)[None, None], "the shape (1, 1, 7, 7)"),
        (lambda y, k: 2 * paint(y, k), "the picture is twice what it should be. Hint"),
        (lambda y, k: paint(y, k) + 1, "and should be"),
        (half_precision, "and should be"),
        (lambda y, k: [[1, 2], [3]], "not equally long"),
    ],
)
