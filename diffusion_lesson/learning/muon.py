"""Muon: momentum made orthogonal, for the matrices and kernels of a network."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diffusion_lesson.interrupts import load_optimizers


def orthogonal(x: Float[Tensor, "N rows columns"]) -> Float[Tensor, "N rows columns"]:
    """About U Vᵀ for each matrix x = U S Vᵀ of (N, rows, columns): the singular values go to about 1.

    Five turns of Newton and Schulz, y ← a y + (b y yᵀ + c (y yᵀ)²) y with a = 3.4445, b = −4.7750, c = 2.0315,
    begin at y = x/‖x‖. Singular values above 0.003 ‖x‖ end within 0.68..1.21, smaller ones at 1.21 or less.
    For the U-Net of the MNIST recipes it takes 0.35 to 0.6 of the time of a singular value decomposition (CPU).
    (K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024.)
    """
    y = x.mT if x.shape[1] > x.shape[2] else x  # y yᵀ is the smaller of the two squares
    y = y / torch.linalg.matrix_norm(y, keepdim=True).clamp_min(1e-12)
    turned = _at_once(y) if y.shape[2] >= 2 * y.shape[1] else _turn_by_turn(y)
    return turned.mT if x.shape[1] > x.shape[2] else turned


TURNS, _A, _B, _C = 5, 3.4445, -4.7750, 2.0315


def _turn_by_turn(y: Float[Tensor, "N rows columns"]) -> Float[Tensor, "N rows columns"]:
    for _ in range(TURNS):
        square = y @ y.mT
        y = torch.baddbmm(y, torch.baddbmm(square, square, square, beta=_B, alpha=_C), y, beta=_A)
    return y


def _at_once(y: Float[Tensor, "N rows columns"]) -> Float[Tensor, "N rows columns"]:
    """The same for wide matrices, which it reads twice, not twice a turn.

    A turn is y ← p y with p = a + b s + c s², s = y yᵀ, and then s ← p² s, since p and s commute. So the turns
    need s alone, and y is multiplied by all p at the end.
    """
    s = y @ y.mT
    p = product = _polynomial(s)
    for _ in range(TURNS - 1):
        s = s @ (p @ p)
        p = _polynomial(s)
        product = product @ p
    return product @ y


def _polynomial(s: Float[Tensor, "N rows rows"]) -> Float[Tensor, "N rows rows"]:
    p = torch.baddbmm(s, s, s, beta=_B, alpha=_C)
    p.diagonal(dim1=1, dim2=2).add_(_A)
    return p


def _no_autocast(device: str) -> AbstractContextManager[object]:
    """Off where there is any: not every device has it."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


class Muon(torch.optim.Optimizer):
    """W ← (1 − lr λ) W − lr s √max(rows, columns) U Vᵀ, where μ M + (1 − μ) G = U S Vᵀ, λ = 0.01.

    G is the gradient of W, and M ← μ M + (1 − μ) G its running mean, μ = 0.9. A kernel (out, in, k, k) is read as
    a matrix (out, in·k·k). W moves about equally far in every direction, however small its share of the
    gradient. The root makes an element's root mean square step lr · s, as for AdamW (arXiv:2502.16982
    section 2.2, with s = 0.2; s = 0.4 was better here). PyTorch's own, since 2.9, takes no kernels.

    U Vᵀ is worked out in the weights' own precision, inside autocast too. In bfloat16 a gradient of rank one would
    become a step of many: its second singular value is then a third to a half of the first, here 2e-5.
    """

    found_inf: Tensor | None = None  # 1 where the gradients overflowed

    def __init__(self, weights: Iterable[Tensor], lr: float) -> None:
        weights = list(weights)
        if flat := [tuple(w.shape) for w in weights if w.ndim < 2]:
            raise ValueError(f"weights: expected matrices and kernels, got shapes {flat}")
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient. closure: not taken."""
        if closure is not None:
            raise ValueError("closure: expected none, since this optimizer asks for the loss but once")
        for group in self.param_groups:
            alike = defaultdict(list)  # matrices of one shape are worked on together
            for w in group["params"]:
                if w.grad is not None:
                    alike[w.flatten(1).shape].append(w)
            rate = group["lr"]
            for shape, weights in alike.items():
                ahead = self._ahead(weights)
                if self.found_inf is not None:  # as PyTorch's fused optimizers: where it is 1, nothing moves
                    ahead, rate = ahead.where(self.found_inf == 0, 0), group["lr"] * (1 - self.found_inf)
                with _no_autocast(ahead.device.type):
                    directions = orthogonal(ahead)
                torch._foreach_mul_(weights, 1 - 0.01 * rate)
                steps = [step.view_as(w) for step, w in zip(directions, weights, strict=True)]
                far = 0.4 * max(shape) ** 0.5 * rate
                if isinstance(far, Tensor):  # on the device, where nobody reads it
                    directions.mul_(far)
                    torch._foreach_sub_(weights, steps)
                else:
                    torch._foreach_add_(weights, steps, alpha=-far)

    def _ahead(self, weights: list[Tensor]) -> Tensor:
        """Move the running mean of each gradient, and look one step ahead of it (Nesterov): (N, rows, columns)."""
        for w in weights:
            if not self.state[w]:
                self.state[w]["mean"] = torch.zeros_like(w)
        means = [self.state[w]["mean"] for w in weights]
        gradients = [w.grad for w in weights if w.grad is not None]
        torch._foreach_lerp_(means, gradients, 0.1)
        return torch.stack([g.flatten(1) for g in torch._foreach_lerp(gradients, means, 0.9)])


def adamw(model: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """AdamW for everything."""
    load_optimizers()
    return [torch.optim.AdamW(model.parameters(), lr=lr, fused=True)]


def muon(model: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the weights of linear and convolutional layers, AdamW for biases, norms and tables."""
    load_optimizers()
    matrices = [m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    taken = {id(w) for w in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, lr))
    if others:
        optimizers.append(torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.95), fused=True))
    return optimizers
