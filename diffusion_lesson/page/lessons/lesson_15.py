"""Lesson 15: a check, which must let the right code pass and stop the wrong."""

from collections.abc import Callable
from typing import Any

from diffusion_lesson.page.exercise import Exercise, Mistake

Code = Callable[[Any, Any, Any], Any]  # x̂_0 of (ᾱ_t, x_t, ε)
Check = Callable[[Code], Any]


def _right(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return (xt - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def _ninth(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return (xt - (1 - alpha_bar) * eps) / alpha_bar**0.5


def _mirrored(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    """As far off as the ninth, to the other side."""
    return 2 * _right(alpha_bar, xt, eps) - _ninth(alpha_bar, xt, eps)


def _not_divided(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return xt - (1 - alpha_bar) ** 0.5 * eps


def _sign_turned(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return (xt + (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5


def _gone(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    return 0 * xt


def _nudged(alpha_bar: Any, xt: Any, eps: Any) -> Any:
    """Right but for rounding, as another way to compute it would be."""
    return _right(alpha_bar, xt, eps) * (1 + 1e-7) + 1e-9


def _passes(check: Check, code: Code) -> bool:
    """The check finds nothing wrong: it raises no AssertionError and does not return False."""
    try:
        said = check(code)
    except AssertionError:
        return False
    return said is None or bool(said)


def _asked(check: Check) -> list[tuple[list[float], list[float]]]:
    """The (ᾱ's, ε's) of each question that the check puts to the right code."""
    heard = []

    def spy(alpha_bar: Any, xt: Any, eps: Any) -> Any:
        heard.append((_numbers(alpha_bar), _numbers(eps)))
        return _right(alpha_bar, xt, eps)

    _passes(check, spy)
    return heard


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in value.flatten()] if hasattr(value, "flatten") else [float(value)]


def _all_eps(check: Check, like: Callable[[float], bool]) -> bool:
    return all(like(e) for _, eps in _asked(check) for e in eps)


def _all_alpha_bar(check: Check, like: Callable[[float], bool]) -> bool:
    return all(like(a) for bars, _ in _asked(check) for a in bars)


_WRONG = (_ninth, _mirrored, _not_divided, _sign_turned, _gone)

EXERCISES = {
    "ninth_bug": Exercise(
        hint="choose x_0 and ε yourself, mix them to x_t = √ᾱ x_0 + √(1 − ᾱ) ε, and ask the code for x_0 back.",
        right=lambda c: _passes(c, _right) and _passes(c, _nudged) and not any(_passes(c, w) for w in _WRONG),
        praise="Your check lets the right code pass and stops the ninth mistake, and four others besides.",
        mistakes=(
            Mistake(
                lambda c: not _asked(c),
                "your check never calls the code it is given, so it can't know anything about it.",
            ),
            Mistake(
                lambda c: _passes(c, _nudged) and not _passes(c, _right),
                "it stops the right code and passes another; do you compare with ≠ where = is meant?",
            ),
            Mistake(
                lambda c: _passes(c, _right) and not _passes(c, _nudged),
                "it stops right code that rounds differently. Numbers are seldom equal to the last bit: "
                "allow a small distance.",
            ),
            Mistake(
                lambda c: not _passes(c, _right),
                "it stops the right code. Try it on `right` first, and see which number you expected.",
            ),
            Mistake(
                lambda c: _passes(c, _ninth) and _all_eps(c, lambda e: abs(e) < 1e-6),
                "it asks with ε = 0 only. The mistake is in what stands before ε, so it can't show there.",
            ),
            Mistake(
                lambda c: _passes(c, _ninth) and _all_alpha_bar(c, lambda a: a < 1e-3 or a > 1 - 1e-3),
                "it asks at the ends only. Where ᾱ is nearly 0 or 1, 1 − ᾱ and its root are the same: "
                "ask in the middle, at ᾱ = 0.5.",
            ),
            Mistake(
                lambda c: _passes(c, _ninth) != _passes(c, _mirrored),
                "it looks to one side only: too large is caught and too small is not, or the reverse. "
                "Take the absolute value of the difference.",
            ),
            Mistake(
                lambda c: all(_passes(c, wrong) for wrong in _WRONG),
                "it calls the code, but whatever comes back is fine: even zeros pass. Compare with the x_0 "
                "that you began with.",
            ),
            Mistake(
                lambda c: _passes(c, _ninth) and not _passes(c, _gone),
                "it compares, but allows too much: with numbers of ordinary size the ninth mistake is off by "
                "0.2 ε or more.",
            ),
            Mistake(
                lambda c: any(_passes(c, wrong) for wrong in _WRONG[2:]),
                "it stops the ninth mistake, but lets pass another: a sign turned, √ᾱ forgotten, or zeros. "
                "Choose an x_0 that is not 0, and compare with it.",
            ),
        ),
    ),
}
