"""Lesson 10: the time embedding."""

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula

_T = torch.tensor([1, 2, 50, 137])


def _features(
    *,
    base: float = 10_000.0,
    divide: Callable[[int], float] = lambda size: size / 2,
    order: str = "sc",
    power: int = -1,
) -> Callable[[Tensor, int], Tensor]:
    """Equation (10.2), and what comes out if it is misread."""

    def clocks(t: Tensor, size: int) -> Tensor:
        k = torch.arange(size // 2, dtype=torch.float64)
        angles = t[:, None] * base ** (power * k / divide(size))
        waves = {"s": angles.sin(), "c": angles.cos()}
        if order == "alternating":
            return torch.stack([waves["s"], waves["c"]], dim=2).flatten(1)
        return torch.cat([waves[name] for name in order], dim=1)

    return clocks


EXERCISES = {
    "time_features": formula(
        asks="clocks(t, size)",
        hint="make the frequencies by torch.arange, multiply t[:, None] by them, join sin and cos by torch.cat.",
        praise="Every step has its own pattern, and near steps have near patterns.",
        names=("the table",),
        cases=((_T, 8), (torch.tensor([7, 3]), 6), (torch.tensor([5, 90]), 10)),
        right=_features(),
        atol=1e-3,  # the fast clocks of t = 137 in single precision
        form="It has one row for each step: the sines, then the cosines.",
        wrong=(
            Misread(
                "the cosines come first; in (10.2) the sines do.",
                _features(order="cs"),
            ),
            Misread(
                "sines and cosines alternate; in (10.2) all sines come first.",
                _features(order="alternating"),
            ),
            Misread(
                "the exponent divides by size; in (10.2) it divides by size/2, so the slowest clocks are missing.",
                _features(divide=lambda size: size),
            ),
            Misread(
                "the exponent divides by size/2 − 1, as some published code does; in (10.2) it divides by size/2.",
                _features(divide=lambda size: size / 2 - 1),
            ),
            Misread(
                "the exponent lost its minus sign: the clocks get faster, not slower.",
                _features(power=1),
                atol=0.25,  # these clocks are so fast that single precision loses count
            ),
            Misread(
                "the base is not 10000.",
                *(_features(base=base) for base in (1_000.0, 100_000.0, 10.0, 100.0)),
            ),
            Misread(
                "both halves are sines, or both are cosines; in (10.2) the first are sines, the second cosines.",
                _features(order="ss"),
                _features(order="cc"),
            ),
        ),
    ),
}
