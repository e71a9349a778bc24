"""Lesson 10: the time embedding."""

from typing import Any

import torch

from diffusion_lesson.page.exercise import Exercise, Mistake

_T, _SIZE = torch.tensor([1, 2, 50, 137]), 8


def _features(
    *, base: float = 10_000.0, half: float = 1.0, order: str = "sc", power: float = -1.0
) -> torch.Tensor:
    """Equation (10.2), and what comes out if it is misread."""
    k = torch.arange(_SIZE // 2, dtype=torch.float64)
    angles = _T[:, None] * base ** (power * k / (half * _SIZE / 2))
    waves = {"s": angles.sin(), "c": angles.cos()}
    if order == "interleaved":
        return torch.stack([waves["s"], waves["c"]], dim=2).flatten(1)
    return torch.cat([waves[name] for name in order], dim=1)


def _gives(answer: Any, expected: torch.Tensor) -> bool:
    out = torch.as_tensor(answer(_T, _SIZE)).double()
    return out.shape == expected.shape and bool((out - expected).abs().max() < 1e-3)


EXERCISES = {
    "time_features": Exercise(
        hint="make the frequencies by torch.arange, multiply t[:, None] by them, join sin and cos by torch.cat.",
        right=lambda f: _gives(f, _features()),
        praise="Every step has its own pattern, and near steps have near patterns.",
        mistakes=(
            Mistake(lambda f: _gives(f, _features(order="cs")), "the cosines come first; in (10.2) the sines do."),
            Mistake(
                lambda f: _gives(f, _features(order="interleaved")),
                "sines and cosines alternate; in (10.2) all sines come first.",
            ),
            Mistake(
                lambda f: _gives(f, _features(half=2.0)),
                "the exponent divides by size; in (10.2) it divides by size/2, so the slowest clocks are missing.",
            ),
            Mistake(
                lambda f: _gives(f, _features(power=1.0)),
                "the exponent lost its minus sign: the clocks get faster, not slower.",
            ),
            Mistake(
                lambda f: tuple(torch.as_tensor(f(_T, _SIZE)).shape) != (len(_T), _SIZE),
                "the shape is not (len(t), size): one row a step, sines and cosines side by side.",
            ),
        ),
    ),
}
