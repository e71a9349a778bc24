"""Lesson 14: an EDM denoiser, made to speak to our sampler."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula

Denoiser = Callable[[Any, Any], Any]
Guess = Callable[[Denoiser, Tensor, float], Tensor]

_XT = torch.tensor([0.7, -1.2, 0.3], dtype=torch.float64)
_PICTURES = torch.tensor([[0.1, 0.9], [-2.0, 0.4]], dtype=torch.float64)


def _denoise(x: Any, sigma: Any) -> Any:
    """Some D, neither linear nor the same at two σ, so that no two mistakes agree. It answers in x's own kind."""
    if isinstance(x, np.ndarray):
        return _denoise(torch.from_numpy(x), torch.as_tensor(sigma)).numpy()
    if isinstance(x, float):
        return _denoise(torch.tensor(x, dtype=torch.float64), sigma).item()
    return torch.tanh(x + 0.2) / (1 + 0.5 * torch.as_tensor(sigma))


def _sigma(alpha_bar: float) -> float:
    return sqrt((1 - alpha_bar) / alpha_bar)


def _with_clock(clock: Callable[[float], float]) -> Guess:
    def guess(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
        x, sigma = xt / sqrt(alpha_bar), clock(alpha_bar)
        return (x - D(x, sigma)) / sigma

    return guess


def _at_our_scale(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return (xt - D(xt, _sigma(alpha_bar))) / _sigma(alpha_bar)


def _given_our_x(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return (xt - sqrt(alpha_bar) * D(xt, _sigma(alpha_bar))) / sqrt(1 - alpha_bar)


def _half_told(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return (xt - _picture(D, xt, alpha_bar)) / _sigma(alpha_bar)


def _divided_by_ours(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return (xt - _picture(D, xt, alpha_bar)) / sqrt(1 - alpha_bar)


def _picture(D: Denoiser, xt: Tensor, alpha_bar: float) -> Tensor:
    return D(xt / sqrt(alpha_bar), _sigma(alpha_bar))


_right = _with_clock(_sigma)

EXERCISES = {
    "eps_from_edm": formula(
        asks="eps_from_D(D, xt, alpha_bar)",
        hint="by (14.30), x = x_t/√ᾱ and σ = √(1 − ᾱ)/√ᾱ; ask D there, and solve x = x_0 + σ ε for ε.",
        praise="A clock, a scale, a name: with these three lines any EDM network draws in our samplers.",
        names=("ε̂",),
        # At none of them is √ᾱ near √(1 − ᾱ).
        cases=((_denoise, _XT, 0.9), (_denoise, _XT, 0.4), (_denoise, _PICTURES, 0.05)),
        right=_right,
        wrong=(
            Misread(
                "D was shown x_t, and x_t was counted from. In EDM's language the picture isn't shrunk: "
                "x = x_t/√ᾱ.",
                _at_our_scale,
            ),
            Misread(
                "the way back to our scale is right, but D was shown x_t; it expects x = x_t/√ᾱ.",
                _given_our_x,
            ),
            Misread(
                "D was shown x = x_t/√ᾱ, but its answer was taken from x_t: two scales in one difference.",
                _half_told,
                _divided_by_ours,
            ),
            Misread(
                "a root is missing: x_t − √ᾱ D is √(1 − ᾱ) ε. Divide by √(1 − ᾱ), not by 1 − ᾱ.",
                lambda D, xt, a: _right(D, xt, a) / sqrt(1 - a),
            ),
            Misread(
                "this is v, (14.3). The sampler calls for ε̂.",
                lambda D, xt, a: (sqrt(a) * xt - _picture(D, xt, a)) / sqrt(1 - a),
            ),
            Misread(
                "σ is not √(1 − ᾱ), the noise in our shrunk x_t. Beside an unshrunk picture it is √(1 − ᾱ)/√ᾱ.",
                _with_clock(lambda a: sqrt(1 - a)),
            ),
            Misread(
                "the root is missing: (1 − ᾱ)/ᾱ is σ², a variance.",
                _with_clock(lambda a: (1 - a) / a),
            ),
            Misread(
                "σ is upside down: it is √(1 − ᾱ)/√ᾱ, large where the noise is large.",
                _with_clock(lambda a: 1 / _sigma(a)),
            ),
            Misread(
                "x is x_t/√ᾱ, and not x_t/ᾱ: what shrinks the picture is the root.",
                lambda D, xt, a: (xt / a - D(xt / a, _sigma(a))) / _sigma(a),
            ),
            Misread(
                "the difference is on EDM's scale, the division on ours: divide x − D by σ, not by √(1 − ᾱ).",
                lambda D, xt, a: _right(D, xt, a) * _sigma(a) / sqrt(1 - a),
            ),
            Misread(
                "the sign is turned round: this is D − x over σ, and the noise is what x has more than D.",
                lambda D, xt, a: -_right(D, xt, a),
            ),
            Misread(
                "x − D is σ ε, all the noise in x. The sampler wants ε, of variance 1: divide by σ.",
                lambda D, xt, a: _right(D, xt, a) * _sigma(a),
            ),
            Misread(
                "this is a score, which by (14.8) is −ε̂ over the noise's size. The sampler wants ε̂ itself.",
                lambda D, xt, a: -_right(D, xt, a) / _sigma(a),
                lambda D, xt, a: -_right(D, xt, a) / sqrt(1 - a),
            ),
            Misread(
                "this is D itself: x̂_0, the picture. One step is left, from the picture to the noise.",
                _picture,
            ),
        ),
    ),
}
