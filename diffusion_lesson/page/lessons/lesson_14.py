"""Lesson 14: an EDM denoiser, made to speak to our sampler."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake

Denoiser = Callable[[Tensor, Any], Tensor]

_XT = torch.tensor([0.7, -1.2, 0.3], dtype=torch.float64)
_ALPHA_BARS = (0.9, 0.4, 0.05)  # at none of them is √ᾱ near √(1 − ᾱ)


def _denoise(x: Tensor, sigma: Any) -> Tensor:
    # Some D: neither linear nor the same at two σ, so that no two mistakes agree.
    return torch.tanh(x + 0.2) / (1 + 0.5 * sigma)


def _sigma(alpha_bar: float) -> float:
    return sqrt((1 - alpha_bar) / alpha_bar)


def _right(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    x, sigma = xt / sqrt(alpha_bar), _sigma(alpha_bar)
    return (x - D(x, sigma)) / sigma


def _at_our_scale(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    sigma = _sigma(alpha_bar)
    return (xt - D(xt, sigma)) / sigma


def _given_our_x(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return (xt - sqrt(alpha_bar) * D(xt, _sigma(alpha_bar))) / sqrt(1 - alpha_bar)


def _with_clock(clock: Callable[[float], float]) -> Callable[[Denoiser, Tensor, float], Tensor]:
    def guess(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
        x, sigma = xt / sqrt(alpha_bar), clock(alpha_bar)
        return (x - D(x, sigma)) / sigma

    return guess


def _half_told(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    x = xt / sqrt(alpha_bar)
    return (xt - D(x, _sigma(alpha_bar))) / _sigma(alpha_bar)


def _mixed_scales(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    x, sigma = xt / sqrt(alpha_bar), _sigma(alpha_bar)
    return (x - D(x, sigma)) / sqrt(1 - alpha_bar)


def _backwards(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return -_right(D, xt, alpha_bar)


def _undivided(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return _right(D, xt, alpha_bar) * _sigma(alpha_bar)


def _score(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return -_right(D, xt, alpha_bar) / _sigma(alpha_bar)


def _our_score(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return -_right(D, xt, alpha_bar) / sqrt(1 - alpha_bar)


def _picture(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return D(xt / sqrt(alpha_bar), _sigma(alpha_bar))


def _same(answer: Any, expected: Callable[[Denoiser, Tensor, float], Tensor]) -> bool:
    for alpha_bar in _ALPHA_BARS:
        given = torch.as_tensor(answer(_denoise, _XT.clone(), alpha_bar)).double()
        wanted = expected(_denoise, _XT, alpha_bar)
        if given.shape != wanted.shape or (given - wanted).abs().max() > 1e-4:
            return False
    return True


EXERCISES = {
    "eps_from_edm": Exercise(
        hint="by (14.30), x = x_t/√ᾱ and σ = √(1 − ᾱ)/√ᾱ; ask D there, and solve x = x_0 + σ ε for ε.",
        right=lambda f: _same(f, _right),
        praise="A clock, a scale, a name: with these three lines any EDM network draws in our samplers.",
        mistakes=(
            Mistake(
                lambda f: _same(f, _at_our_scale),
                "D was shown x_t, and x_t was counted from. In EDM's language the picture isn't shrunk: "
                "x = x_t/√ᾱ.",
            ),
            Mistake(
                lambda f: _same(f, _given_our_x),
                "the way back to our scale is right, but D was shown x_t; it expects x = x_t/√ᾱ.",
            ),
            Mistake(
                lambda f: _same(f, _half_told),
                "D was shown x = x_t/√ᾱ, but its answer was taken from x_t: two scales in one difference.",
            ),
            Mistake(
                lambda f: _same(f, _with_clock(lambda a: sqrt(1 - a))),
                "σ is not √(1 − ᾱ), the noise in our shrunk x_t. Beside an unshrunk picture it is √(1 − ᾱ)/√ᾱ.",
            ),
            Mistake(
                lambda f: _same(f, _with_clock(lambda a: (1 - a) / a)),
                "the root is missing: (1 − ᾱ)/ᾱ is σ², a variance.",
            ),
            Mistake(
                lambda f: _same(f, _with_clock(lambda a: 1 / _sigma(a))),
                "σ is upside down: it is √(1 − ᾱ)/√ᾱ, large where the noise is large.",
            ),
            Mistake(
                lambda f: _same(f, _mixed_scales),
                "the difference is on EDM's scale, the division on ours: divide x − D by σ, not by √(1 − ᾱ).",
            ),
            Mistake(
                lambda f: _same(f, _backwards),
                "the sign is turned round: this is D − x over σ, and the noise is what x has more than D.",
            ),
            Mistake(
                lambda f: _same(f, _undivided),
                "x − D is σ ε, all the noise in x. The sampler wants ε, of variance 1: divide by σ.",
            ),
            Mistake(
                lambda f: _same(f, _score) or _same(f, _our_score),
                "this is a score, which by (14.8) is −ε̂ over the noise's size. The sampler wants ε̂ itself.",
            ),
            Mistake(
                lambda f: _same(f, _picture),
                "this is D itself: x̂_0, the picture. One step is left, from the picture to the noise.",
            ),
        ),
    ),
}
