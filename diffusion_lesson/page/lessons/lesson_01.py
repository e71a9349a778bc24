"""Lesson 01: the adjoint of a convolution with stride 2."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake


def _draws() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Random (x, y, k) of three sizes, such that the convolution of x by k with stride 2 is like y."""
    g = torch.Generator().manual_seed(0)

    def square(side: int) -> Tensor:
        return torch.randn(side, side, generator=g, dtype=torch.float64)

    sizes = ((3, 3), (4, 2), (2, 5))  # (m, K)
    return [(square(2 * (m - 1) + size), square(m), square(size)) for m, size in sizes]


def _painted(y: Tensor, k: Tensor, stride: int = 2) -> Tensor:
    return F.conv_transpose2d(y[None, None], k[None, None], stride=stride)[0, 0]


def _identity_holds(answer: Any) -> bool:
    """⟨Wx, y⟩ = ⟨x, answer(y)⟩ to 1e-10."""
    for x, y, k in _draws():
        wx = F.conv2d(x[None, None], k[None, None], stride=2)[0, 0]
        out = torch.as_tensor(answer(y.clone(), k.clone())).double()
        if out.shape != x.shape or abs((wx * y).sum() - (x * out).sum()) > 1e-10:
            return False
    return True


def _gives(answer: Any, made: Any) -> bool:
    """Whether the answer is what a mistake would make, on every draw."""
    pairs = ((torch.as_tensor(answer(y.clone(), k.clone())).double(), made(y, k)) for _, y, k in _draws())
    return all(out.shape == wrong.shape and torch.allclose(out, wrong, atol=1e-6) for out, wrong in pairs)


def _overwritten(y: Tensor, k: Tensor) -> Tensor:
    out, size = _painted(torch.zeros_like(y), k), len(k)
    for i in range(len(y)):
        for j in range(len(y)):
            out[2 * i : 2 * i + size, 2 * j : 2 * j + size] = y[i, j] * k
    return out


def _averaged(y: Tensor, k: Tensor) -> Tensor:
    return _painted(y, k) / _painted(torch.ones_like(y), torch.ones_like(k))


EXERCISES = {
    "adjoint_stride_2": Exercise(
        hint="begin with zeros; for each y[i, j] add y[i, j] * k to the square whose corner is pixel (2i, 2j).",
        right=_identity_holds,
        praise="⟨Wx, y⟩ = ⟨x, Wᵀy⟩ to 1e-10, for random x, y and k of three sizes.",
        mistakes=(
            Mistake(
                lambda f: _gives(f, lambda y, k: _painted(y, k.flip(0, 1))),
                "the kernel is turned round; the adjoint paints it as it is.",
            ),
            Mistake(
                lambda f: _gives(f, lambda y, k: _painted(y, k.T)),
                "rows and columns of the kernel are swapped: it is W that is transposed, not the kernel.",
            ),
            Mistake(
                lambda f: _gives(f, _overwritten),
                "each copy wipes out what it covers; where copies overlap they add (+=, not =).",
            ),
            Mistake(
                lambda f: _gives(f, _averaged),
                "overlapping copies are averaged; the adjoint adds them, and that is why checkerboards appear.",
            ),
            Mistake(
                lambda f: _gives(f, lambda y, k: _painted(y, k, stride=1)),
                "the copies lie one pixel apart, which is stride 1; with stride 2 the corner is pixel (2i, 2j).",
            ),
            Mistake(
                lambda f: any(
                    tuple(torch.as_tensor(f(y.clone(), k.clone())).shape) != tuple(x.shape) for x, y, k in _draws()
                ),
                "the shape is not (2(m−1)+K, 2(m−1)+K): the last copy starts at 2(m−1) and is K wide.",
            ),
        ),
    ),
}
