"""Lesson 04: what is left of the picture at the last step."""

from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake
from diffusion_lesson.process.schedule import linear, scaled_linear

# The post's, Stable Diffusion's and DDPM's, in the order that the lesson asks for.
_SCHEDULES = (linear(1000, 0.00085, 0.012), scaled_linear(1000, 0.00085, 0.012), linear(1000, 1e-4, 0.02))
_BARS = torch.stack([s.alpha_bars[-1] for s in _SCHEDULES])
_BEFORE = torch.stack([s.alpha_bars[-2] for s in _SCHEDULES])
_SUMS = torch.stack([s.betas.sum() for s in _SCHEDULES])
_RIGHT = _BARS.sqrt()


def _is(answer: Any, expected: Tensor) -> bool:
    """Whether all three numbers are those expected, to the four decimals asked for."""
    given = torch.as_tensor([float(number) for number in answer], dtype=torch.float64)
    return given.shape == expected.shape and bool((given - expected).abs().max() < 6e-5)


EXERCISES = {
    "last_signal": Exercise(
        hint="for each list of betas multiply all 1 − beta, then take the root of the product.",
        right=lambda a: _is(a, _RIGHT),
        praise="About 4 %, 7 % and 0.6 % of the picture are still there after the last step.",
        mistakes=(
            Mistake(lambda a: _is(a, _BARS), "these are ᾱ_T itself; the picture is multiplied by its root, √ᾱ_T."),
            Mistake(
                lambda a: _is(a, (1 - _BARS).sqrt()),
                "this is √(1 − ᾱ_T), the factor of the noise; the question is the factor of the picture.",
            ),
            Mistake(
                lambda a: _is(a, (-_SUMS / 2).exp()),
                "this is the estimate exp(−½ Σβ) of (4.11), a little too large; multiply the 1 − beta themselves.",
            ),
            Mistake(
                lambda a: _is(a, _BEFORE.sqrt()),
                "one step is missing: this is √ᾱ_999. The product runs over all 1000 betas.",
            ),
            Mistake(
                lambda a: _is(a, _RIGHT[[0, 0, 2]]),
                "the second schedule is the first one again: there the roots of beta lie on a straight line.",
            ),
            Mistake(
                lambda a: any(_is(a, _RIGHT[list(order)]) for order in permutations(range(3))),
                "the right three numbers in another order: first the post's, then scaled linear, then DDPM's.",
            ),
            Mistake(
                lambda a: _is([number / 100 for number in a], _RIGHT),
                "the right three numbers in percent; give them as shares of 1.",
            ),
        ),
    ),
}
