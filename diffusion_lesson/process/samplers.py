"""Samplers: from x_T ~ N(0, I) down to a new picture x_0. They yield each x on the way; the caller watches."""

from collections.abc import Iterator
from itertools import pairwise
from math import inf

import torch

from diffusion_lesson.process.prediction import EpsModel, x0_from_eps
from diffusion_lesson.process.reverse import Variance, p_step
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch


def ddpm(
    schedule: Schedule,
    xT: Batch,
    eps_model: EpsModel,
    *,
    variance: Variance = "beta",
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """x_{t−1} ~ p_θ(x_{t−1} | x_t) for t = T..1; the mean at t = 1. DDPM Algorithm 2; lesson 11.

    Yields x_{T−1}, …, x_0: T tensors like xT.
    """
    x = xT
    for step in schedule.down():
        t = torch.full((len(x),), step, device=x.device)
        with torch.no_grad():
            p = p_step(schedule, t, xt=x, eps_hat=eps_model(x, t), variance=variance)
            x = p.sample(generator) if step > 1 else p.mean
        yield x


def ddim(
    schedule: Schedule,
    xT: Batch,
    eps_model: EpsModel,
    *,
    steps: int,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """x_s = √ᾱ_s x̂_0 + √(1 − ᾱ_s − σ²) ε̂ + σ z, jumping from t to s < t. arXiv:2010.02502 eq. 12; lesson 11.

    σ² = eta² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s). The steps are t = round(T k / steps), k = steps..1, then 0.
    eta = 0 adds no noise: x_0 is a function of x_T. eta = 1 with steps = T is `ddpm` with "beta_tilde".
    Yields `steps` tensors like xT, the last of them x_0.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta: expected 0 (no noise) to 1 (DDPM's), got {eta}")
    x, wide = xT, xT.cpu().double()
    for step, next_step in pairwise(_times(schedule, steps)):
        t, s = (torch.full((len(x),), n, device=x.device) for n in (step, next_step))
        with torch.no_grad():
            eps = eps_model(x, t)
            x0_hat = x0_from_eps(schedule, t, xt=x, eps=eps)
        # The coefficients are differences of near numbers: formed in float64, cast last.
        one_minus_t, one_minus_s = (schedule.one_minus_alpha_bar_at(n, like=wide) for n in (t, s))
        alpha_bar_t, alpha_bar_s = (schedule.alpha_bar_at(n, like=wide) for n in (t, s))
        var = eta**2 * one_minus_s / one_minus_t * (1 - alpha_bar_t / alpha_bar_s)
        x = alpha_bar_s.sqrt().to(x) * x0_hat + (one_minus_s - var).sqrt().to(x) * eps
        if eta > 0 and next_step > 0:
            x = x + var.sqrt().to(x) * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        yield x


def dpm_solver(schedule: Schedule, xT: Batch, eps_model: EpsModel, *, steps: int) -> Iterator[Batch]:
    """x_s = √ᾱ_s D + √(1 − ᾱ_s) (x_t − √ᾱ_t D)/√(1 − ᾱ_t), D = x̂_0 + h/(2h′) (x̂_0 − x̂_0′): DPM-Solver++(2M).

    arXiv:2211.01095 algorithm 2; lesson 11. It is `ddim` with eta = 0, whose x̂_0 goes on as it changed since the
    step before, x̂_0′. h and h′ are how much λ = ln √ᾱ/√(1 − ᾱ) grows in this step and grew in that one. The first
    step, and the last (where λ_0 = ∞), take D = x̂_0. Steps and yields are those of `ddim`; no noise is drawn.
    """
    x, wide = xT, xT.cpu().double()
    x0_before, h_before = xT, inf  # before the first step there is none: h/h′ = 0
    for step, next_step in pairwise(_times(schedule, steps)):
        t, s = (torch.full((len(x),), n, device=x.device) for n in (step, next_step))
        with torch.no_grad():
            x0_hat = x0_from_eps(schedule, t, xt=x, eps=eps_model(x, t))
        h = _half_log_snr(schedule, next_step) - _half_log_snr(schedule, step)
        D = x0_hat + (h / (2 * h_before) if next_step > 0 else 0.0) * (x0_hat - x0_before)
        signal_t, signal_s = (schedule.alpha_bar_at(n, like=wide).sqrt() for n in (t, s))
        noise_t, noise_s = (schedule.one_minus_alpha_bar_at(n, like=wide).sqrt() for n in (t, s))
        # What stands before D is a difference of near numbers: formed in float64, cast last.
        x = (noise_s / noise_t).to(x) * x + (signal_s - signal_t * noise_s / noise_t).to(x) * D
        x0_before, h_before = x0_hat, h
        yield x


def _times(schedule: Schedule, steps: int) -> list[int]:
    """The steps to visit, T first and 0 last, as even as whole numbers can be: round(T k / steps)."""
    if not 1 <= steps <= schedule.T:
        raise ValueError(f"steps: expected 1..{schedule.T} (the schedule's T), got {steps}")
    return [round(schedule.T * k / steps) for k in range(steps, -1, -1)]


def _half_log_snr(schedule: Schedule, step: int) -> float:
    """λ_t = ln √ᾱ_t/√(1 − ᾱ_t), one half of the log signal-to-noise ratio; ∞ for clean data."""
    one = torch.ones(1, dtype=torch.float64)
    t = torch.full((1,), step)
    noise = schedule.one_minus_alpha_bar_at(t, like=one)
    return 0.5 * (schedule.alpha_bar_at(t, like=one) / noise).log().item()
