"""Lesson 15: a check, which must let the right code pass and stop the wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from diffusion_lesson.exercises.exercise import Exercise, Mistake
from diffusion_lesson.exercises.values import Misfit, numbers
from diffusion_lesson.exercises.ways import as_given

Code = Callable[[Any, Any, Any], Any]  # x̂_0 of (ᾱ_t, x_t, ε)
Check = Callable[[Code], Any]


def _right(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def _written(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return (xt - (1 - alpha_bar) * eps) / alpha_bar**0.5


def _nudged(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    """Right but for rounding, as another way to compute it would be."""
    return _right(alpha_bar, xt, eps) * (1 + 1e-13)


_WRONG: dict[str, Code] = {
    "written": _written,
    # As far off as the one as written, to the other side.
    "mirrored": lambda alpha_bar, xt, eps: 2 * _right(alpha_bar, xt, eps) - _written(alpha_bar, xt, eps),
    "zeros": lambda alpha_bar, xt, eps: 0 * xt,
    "not divided": lambda alpha_bar, xt, eps: xt - (1 - alpha_bar) ** 0.5 * eps,
    "sign turned": lambda alpha_bar, xt, eps: (xt + (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5,
    "no root below": lambda alpha_bar, xt, eps: (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar,
    "roots swapped": lambda alpha_bar, xt, eps: (xt - alpha_bar**0.5 * eps) / (1 - alpha_bar) ** 0.5,
}


@dataclass(frozen=True)
class _Seen:
    """Which codes a check lets pass, and what it asked of the right one."""

    passed: frozenset[str]
    asked: list[tuple[list[float], list[float]]]  # (ᾱ's, ε's)
    otherwise: bool  # whether wrong code made it raise something else than AssertionError
    compares: bool  # whether it answered by True, by False, or by silence

    def all_alpha_bar(self, like: Callable[[float], bool]) -> bool:
        return all(like(a) for bars, _ in self.asked for a in bars)

    def all_eps(self, like: Callable[[float], bool]) -> bool:
        return all(like(e) for _, eps in self.asked for e in eps)


def _said(check: Check, code: Code) -> Any:
    """What the check answers: False where it raises an AssertionError; several answers are one."""
    try:
        said = check(code)
    except AssertionError:
        return False
    if isinstance(said, list | tuple) and said and all(isinstance(one, bool | np.bool_) for one in said):
        return all(said)
    several = isinstance(said, torch.Tensor | np.ndarray) and said.dtype in (torch.bool, np.bool_)
    return said.all() if several else said


def _passes(check: Check, code: Code) -> bool:
    """The check finds nothing wrong: it raises no AssertionError and does not return False."""
    said = _said(check, code)
    return said is None or bool(said)


def _listed(value: Any) -> list[float]:
    """The numbers that a code was asked with; none where it was asked with symbols."""
    try:
        return [float(number) for number in numbers(value).flatten()]
    except Misfit:
        return []


def _tried(check: Check) -> _Seen:
    asked = []

    def spy(alpha_bar: Any, xt: Any, eps: Any) -> Any:
        x0_hat = _right(alpha_bar, xt, eps)
        asked.append((_listed(alpha_bar), _listed(eps)))
        return x0_hat

    passed = {name for name, code in (("right", spy), ("nudged", _nudged)) if _passes(check, code)}
    otherwise = False
    for name, code in _WRONG.items():
        try:
            passed |= {name} if _passes(check, code) else set()
        except Exception:
            # It was silent about the right code, so this is how it speaks of wrong code.
            otherwise = True
    said = _said(check, _nudged)
    compares = said is None or said in (False, True)
    return _Seen(frozenset(passed), asked, otherwise, compares)


EXERCISES = {
    "one_more_bug": Exercise(
        asks="my_check(x0_hat)",
        ways=(as_given,),
        hint="choose x_0 and ε yourself, mix them to x_t = √ᾱ x_0 + √(1 − ᾱ) ε, and ask the code for x_0 back.",
        praise="Your check lets the right code pass and stops the new mistake, and others besides.",
        look=_tried,
        right=lambda seen: seen.passed == {"right", "nudged"} and not seen.otherwise,
        mistakes=(
            Mistake(
                lambda s: not s.asked,
                "your check never calls the code it is given, so it can't know anything about it.",
            ),
            Mistake(
                lambda s: not s.compares,
                "it gives back neither True nor False, and as an answer nearly everything else means yes. Compare "
                "a number with a small one, and give back whether it is smaller.",
            ),
            Mistake(
                lambda s: "right" not in s.passed and bool(s.passed),
                "it stops the right code and lets other code pass. Right code should get True, or no error.",
            ),
            Mistake(
                lambda s: "right" in s.passed and "nudged" not in s.passed,
                "it stops right code that rounds differently. Numbers are seldom equal to the last bit: "
                "allow a small distance.",
            ),
            Mistake(
                lambda s: "right" not in s.passed,
                "it stops the right code. Try it on `right` first, and see which number you expected.",
            ),
            Mistake(
                lambda s: s.passed >= set(_WRONG),
                "it calls the code, but whatever comes back is fine: even zeros pass. Compare with the x_0 "
                "that you began with. Before the comparison must stand `assert` or `return`.",
            ),
            Mistake(
                lambda s: "written" in s.passed and s.all_eps(lambda e: abs(e) < 1e-6),
                "it asks with ε = 0 only. The mistake is in what stands before ε, so it can't show there.",
            ),
            Mistake(
                lambda s: "written" in s.passed and s.all_alpha_bar(lambda a: a < 1e-3 or a > 1 - 1e-3),
                "it asks at the ends only. Where ᾱ is nearly 0 or 1, 1 − ᾱ and its root are the same: "
                "ask in between, such as at ᾱ = 0.3.",
            ),
            Mistake(
                lambda s: s.passed >= set(_WRONG) - {"written"},
                "it stops the code as written, and lets any other code pass, even zeros. Compare with the x_0 "
                "that you began with, and not with the mistake.",
            ),
            Mistake(
                lambda s: ("written" in s.passed) != ("mirrored" in s.passed),
                "it looks to one side only: too large is caught and too small is not, or the reverse. "
                "Take the absolute value of the difference.",
            ),
            Mistake(
                lambda s: "written" in s.passed,
                "it compares, but allows too much: with numbers of ordinary size the new mistake is off by "
                "0.2 ε or more.",
            ),
            Mistake(
                lambda s: "roots swapped" in s.passed and s.all_alpha_bar(lambda a: abs(a - 0.5) < 1e-3),
                "it asks at ᾱ = ½ only. There √ᾱ and √(1 − ᾱ) are equal, and code that swaps them passes: "
                "ask elsewhere too, such as at ᾱ = 0.3.",
            ),
            Mistake(
                lambda s: s.passed & set(_WRONG) == {"roots swapped"},
                "it stops the new mistake, but code that swaps √ᾱ and √(1 − ᾱ) passes. Where x_0 and ε are the "
                "same number, nothing tells them apart: choose two different ones.",
            ),
            Mistake(
                lambda s: bool(s.passed & set(_WRONG)),
                "it stops the new mistake, but lets another pass: a sign turned, √ᾱ forgotten or without its "
                "root, or zeros. Choose an x_0 that is not 0, and compare with it.",
            ),
            Mistake(
                lambda s: s.otherwise,
                "it meets wrong code with another error than an AssertionError. Use `assert`, or return False.",
            ),
        ),
    ),
}
