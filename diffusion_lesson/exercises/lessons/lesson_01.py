"""Lesson 01: the adjoint of a convolution with stride 2."""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula


def _draws() -> tuple[tuple[Tensor, Tensor], ...]:
    """Random (y, k) of four sizes."""
    g = torch.Generator().manual_seed(0)

    def square(side: int) -> Tensor:
        return torch.randn(side, side, generator=g, dtype=torch.float64)

    return tuple((square(m), square(size)) for m, size in ((3, 3), (4, 2), (2, 5), (1, 3)))


def _painted(y: Tensor, k: Tensor, stride: int = 2) -> Tensor:
    """Wᵀy. To equal it is to hold ⟨Wx, y⟩ = ⟨x, Wᵀy⟩ for every x: x = one lit pixel picks out one number."""
    return F.conv_transpose2d(y[None, None], k[None, None], stride=stride)[0, 0]


def _overwritten(y: Tensor, k: Tensor) -> Tensor:
    out, size = _painted(torch.zeros_like(y), k), len(k)
    for i in range(len(y)):
        for j in range(len(y)):
            out[2 * i : 2 * i + size, 2 * j : 2 * j + size] = y[i, j] * k
    return out


def _averaged(y: Tensor, k: Tensor) -> Tensor:
    return _painted(y, k) / _painted(torch.ones_like(y), torch.ones_like(k)).clamp(min=1)


def _side_by_side(y: Tensor, k: Tensor) -> Tensor:
    """Copies one pixel apart, in a picture of the right size."""
    near, out = _painted(y, k, stride=1), _painted(torch.zeros_like(y), k)
    out[: len(near), : len(near)] = near
    return out


def _first_row(y: Tensor, k: Tensor) -> Tensor:
    return _painted(y * (torch.arange(len(y)) == 0)[:, None], k)


def _one_copy(y: Tensor, k: Tensor, at: int) -> Tensor:
    """The copy of the first number (0) or of the last (−1) alone."""
    alone = torch.zeros_like(y)
    alone[at, at] = y[at, at]
    return _painted(alone, k)


def _one_pixel_along(y: Tensor, k: Tensor) -> Tensor:
    """Rows two apart, columns one."""
    out, near = (
        _painted(torch.zeros_like(y), k),
        F.conv_transpose2d(y[None, None], k[None, None], stride=(2, 1))[0, 0],
    )
    out[:, : near.shape[1]] = near
    return out


EXERCISES = {
    "adjoint_stride_2": formula(
        asks="adjoint(y, k)",
        hint="begin with zeros; for each y[i, j] add y[i, j] * k to the square whose top left is pixel (2i, 2j).",
        praise="⟨Wx, y⟩ = ⟨x, Wᵀy⟩ for every x, with random y and k of four sizes.",
        names=("the picture",),
        cases=_draws(),
        right=_painted,
        form="It is (2(m−1)+K, 2(m−1)+K): the last copy starts at 2(m−1) and is K wide.",
        wrong=(
            Misread(
                "the kernel is turned round; the adjoint paints it as it is.",
                lambda y, k: _painted(y, k.flip(0, 1)),
            ),
            Misread(
                "rows and columns of the kernel are swapped: it is W that is transposed, not the kernel.",
                lambda y, k: _painted(y, k.T),
            ),
            Misread(
                "rows and columns of y are swapped: y[i, j] belongs to row 2i and column 2j.",
                lambda y, k: _painted(y.T, k),
            ),
            Misread(
                "each copy wipes out what it covers; where copies overlap they add (+=, not =).",
                _overwritten,
            ),
            Misread(
                "overlapping copies are averaged; the adjoint adds them, and that is why checkerboards appear.",
                _averaged,
            ),
            Misread(
                "the copies lie one pixel apart, which is stride 1; with stride 2 the corner is pixel (2i, 2j).",
                _side_by_side,
                lambda y, k: _painted(y, k, stride=1),
            ),
            Misread(
                "rows or columns lie one pixel apart, not two: with stride 2 the corner is pixel (2i, 2j).",
                _one_pixel_along,
                lambda y, k: _one_pixel_along(y.T, k.T).T,
            ),
            Misread(
                "only the first copies are there: a `return` inside a loop ends the function at its first round.",
                lambda y, k: _one_copy(y, k, 0),
                _first_row,
            ),
            Misread(
                "only the last copy is there: make the picture of zeros once, before the loops.",
                lambda y, k: _one_copy(y, k, -1),
            ),
            Misread(
                "only the numbers y[i, i] are painted: i and j each run over all rows and columns.",
                lambda y, k: _painted(y.diag().diag(), k),
            ),
            Misread(
                "rows and columns of the picture are swapped: y[i, j] is painted from row 2i and column 2j on.",
                lambda y, k: _painted(y, k).T,
            ),
            Misread(
                "every copy is equally strong: the kernel is painted as strong as y[i, j] says.",
                lambda y, k: _painted(torch.ones_like(y), k),
            ),
            Misread(
                "the kernel is missing: y[i, j] is painted as a plain square.",
                lambda y, k: _painted(y, torch.ones_like(k)),
            ),
            Misread(
                "y[i, j] and the kernel are added; they are multiplied.",
                lambda y, k: _painted(y, torch.ones_like(k)) + _painted(torch.ones_like(y), k),
            ),
        ),
    ),
}
