"""Lesson 04: what is left of the picture at the last step."""

from collections.abc import Callable, Iterator, Set
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Exercise, Mistake
from diffusion_lesson.exercises.values import Misfit, kind, numbers
from diffusion_lesson.process.schedule import linear, scaled_linear

# The post's, Stable Diffusion's and DDPM's, in the order that the lesson asks for.
_SCHEDULES = (linear(1000, 0.00085, 0.012), scaled_linear(1000, 0.00085, 0.012), linear(1000, 1e-4, 0.02))
_BARS = torch.stack([s.alpha_bars[-1] for s in _SCHEDULES])
_BEFORE = torch.stack([s.alpha_bars[-2] for s in _SCHEDULES])
_AFTER_FIRST = torch.stack([s.alphas[2:].prod() for s in _SCHEDULES])
_SUMS = torch.stack([s.betas.sum() for s in _SCHEDULES])
_ROOTS = (1 - _SCHEDULES[1].betas.sqrt()).prod().sqrt()  # of the scaled line, not squared
_RIGHT = _BARS.sqrt()


def _three(answer: Any) -> Tensor:
    if isinstance(answer, Iterator):
        answer = list(answer)
    if isinstance(answer, dict):
        raise Misfit("a dictionary came; give the three numbers alone, in the order of the question.")
    if isinstance(answer, Set):
        raise Misfit("a set came, and a set has no order; give a tuple or a list.")
    if isinstance(answer, list | tuple) and any(one is None for one in answer):
        raise Misfit("one of the numbers is None. Has the function that makes it a `return`?")
    given = numbers(answer).flatten()
    if len(given) == 3000:
        raise Misfit(
            "a thousand numbers came for each schedule; one is asked, the root of the product of all 1 − beta."
        )
    if len(given) != 3:
        raise Misfit(f"three numbers are asked, one for each schedule, and answer is {kind(answer)}.")
    return given


def _is(expected: Tensor) -> Callable[[Tensor], bool]:
    """Whether all three numbers are those expected, to the four decimals asked for."""
    return lambda given: bool((given - expected).abs().max() < 5.1e-5)


def _to_what_is_given(expected: Tensor) -> Callable[[Tensor], bool]:
    """Whether each number is the one expected, in full or to four decimals: one beta changes it by less."""
    return lambda given: bool(
        (((given - expected).abs() < 1e-5) | ((given - expected.round(decimals=4)).abs() < 1e-6)).all()
    )


def _differs(given: Tensor) -> str:
    names = ("the post's", "scaled linear's", "DDPM's")
    wrong = [name for name, a, b in zip(names, given, _RIGHT, strict=True) if not abs(a - b) < 5.1e-5]
    return f"to four decimals it is not {' and not '.join(wrong)}."


EXERCISES = {
    "last_signal": Exercise(
        hint="for each list of betas multiply all 1 − beta, then take the root of the product.",
        praise="About 4 %, 7 % and 0.6 % of the picture are still there after the last step.",
        look=_three,
        right=_to_what_is_given(_RIGHT),
        differs=_differs,
        mistakes=(
            Mistake(
                lambda given: bool((given == 0).all()),
                "these are zeros, as if the betas were multiplied; a step leaves 1 − beta, so multiply these.",
            ),
            Mistake(_is(_BARS), "these are ᾱ_T itself; the picture is multiplied by its root, √ᾱ_T."),
            Mistake(
                _is((1 - _BARS).sqrt()),
                "this is √(1 − ᾱ_T), the factor of the noise; the question is the factor of the picture.",
            ),
            Mistake(
                _is(1 - _BARS), "this is 1 − ᾱ_T, the variance of the noise; the question is the picture's factor."
            ),
            Mistake(
                _is((-_SUMS / 2).exp()),
                "this is the estimate exp(−½ Σβ) of (4.11), a little too large; multiply the 1 − beta themselves.",
            ),
            Mistake(
                _is(_BEFORE.sqrt()),
                "one step is missing: this is √ᾱ_999. The product runs over all 1000 betas.",
            ),
            Mistake(
                _to_what_is_given(_AFTER_FIRST.sqrt()),
                "this is the product without the first beta. It runs over all 1000 betas.",
            ),
            Mistake(
                _is(_RIGHT[[0, 0, 2]]),
                "the second schedule is the first one again: there the roots of beta lie on a straight line.",
            ),
            Mistake(
                _is(torch.stack([_RIGHT[0], _ROOTS, _RIGHT[2]])),
                "in the second schedule the roots of beta were taken for beta: square them first.",
            ),
            Mistake(
                lambda given: any(_is(_RIGHT[list(order)])(given) for order in [*permutations(range(3))][1:]),
                "the right three numbers in another order: first the post's, then scaled linear, then DDPM's.",
            ),
            Mistake(
                lambda given: _is(_RIGHT)(given / 100),
                "the right three numbers in percent; give them as shares of 1.",
            ),
            Mistake(
                lambda given: bool((given - _RIGHT).abs().max() < 5.1e-4),
                "right to three decimals; four are asked. "
                "If yours has more: has each line 1000 values, both ends among them?",
            ),
        ),
    ),
}
