"""Samplers: from x_T ~ N(0, I) down to a new picture x_0. They yield each x on the way; the caller watches."""

from collections.abc import Iterator
from itertools import pairwise

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
    if not 1 <= steps <= schedule.T:
        raise ValueError(f"steps: expected 1..{schedule.T} (the schedule's T), got {steps}")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta: expected 0 (no noise) to 1 (DDPM's), got {eta}")
    x, wide = xT, xT.cpu().double()
    times = [round(schedule.T * k / steps) for k in range(steps, -1, -1)]
    for step, next_step in pairwise(times):
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
