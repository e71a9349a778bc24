"""Samplers: from x_T ~ N(0, I) down to a new picture x_0. They yield each x on the way; the caller watches."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import inf, log, sqrt

import torch

from diffusion_lesson.devices import noise
from diffusion_lesson.process.prediction import EpsModel, x0_from_eps
from diffusion_lesson.process.reverse import Variance, p_step
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, floats, number, readable, same_shape, whole


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
    x = _start(xT)
    for t in schedule.down():
        p = p_step(schedule, t, xt=x, eps_hat=_eps_hat(eps_model, x, t), variance=variance)
        x = _like(xT, p.sample(generator) if t > 1 else p.mean)
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
    if not 0 <= number(eta, "eta", "0 (no noise) to 1 (DDPM's)") <= 1:
        raise ValueError(f"eta: expected 0 (no noise) to 1 (DDPM's), got {eta}")
    x = _start(xT)
    for t, s in pairwise(_times(schedule, steps)):
        eps = _eps_hat(eps_model, x, t)
        x0_hat = x0_from_eps(schedule, t, xt=x, eps=eps)
        (alpha_bar_t, one_minus_t), (alpha_bar_s, one_minus_s) = schedule.shares(t), schedule.shares(s)
        var = eta**2 * one_minus_s / one_minus_t * (1 - alpha_bar_t / alpha_bar_s)
        x = _like(xT, sqrt(alpha_bar_s) * x0_hat + sqrt(one_minus_s - var) * eps)
        if eta > 0 and s > 0:
            x = x + sqrt(var) * noise(x, generator)
        yield x


def dpm_solver(schedule: Schedule, xT: Batch, eps_model: EpsModel, *, steps: int) -> Iterator[Batch]:
    """x_s = √ᾱ_s D + √(1 − ᾱ_s) (x_t − √ᾱ_t D)/√(1 − ᾱ_t), D = x̂_0 + h/(2h′) (x̂_0 − x̂_0′): DPM-Solver++(2M).

    arXiv:2211.01095 algorithm 2; lesson 11. It is `ddim` with eta = 0, whose x̂_0 goes on as it changed since the
    step before, x̂_0′. h and h′ are how much λ = ln √ᾱ/√(1 − ᾱ) grows in this step and grew in that one. The first
    step, and the last (where λ_0 = ∞), take D = x̂_0. Steps and yields are those of `ddim`; no noise is drawn.
    """
    x = _start(xT)
    x0_before, h_before = x, inf  # before the first step there is none: h/h′ = 0
    for t, s in pairwise(_times(schedule, steps)):
        x0_hat = x0_from_eps(schedule, t, xt=x, eps=_eps_hat(eps_model, x, t))
        h = _half_log_snr(schedule, s) - _half_log_snr(schedule, t)
        D = x0_hat + (h / (2 * h_before) if s > 0 else 0.0) * (x0_hat - x0_before)
        (signal_t, noise_t), (signal_s, noise_s) = (map(sqrt, schedule.shares(n)) for n in (t, s))
        x = _like(xT, noise_s / noise_t * x + (signal_s - signal_t * noise_s / noise_t) * D)
        x0_before, h_before = x0_hat, h
        yield x


def last(walk: Iterable[Batch]) -> Batch:
    """x_0, the end of a walk. The pictures on the way are let go: T of them would fill the memory."""
    ends = deque(walk, maxlen=1)
    if not ends:
        raise ValueError("walk: expected at least one step, got none (a walk can be taken only once)")
    return ends.pop()


def _start(xT: Batch) -> Batch:
    """x_T, from which no gradient is kept: the network's part would lack in it, and nobody would see that."""
    floats(xT, "xT")
    _refuse_endless(xT, "xT", "")
    return xT.detach()


def _refuse_endless(x: Batch, name: str, where: str) -> None:
    """ValueError where numbers of a CPU are NaN or infinite: all that follows would be NaN."""
    if readable(x) and not x.isfinite().all():
        raise ValueError(
            f"{name}: expected finite numbers{where}, got {int((~x.isfinite()).sum())} of {x.numel()} that are not"
        )


def _like(xT: Batch, x: Batch) -> Batch:
    """x in the precision of xT. ValueError where numbers of a CPU grew beyond what half precision holds."""
    kept = x.to(xT)
    if kept.dtype == torch.float16 and readable(kept) and not kept.isfinite().all() and x.isfinite().all():
        raise ValueError(
            f"xT: float16 can't hold this walk, which grew to {x.abs().max().item():.2g}; "
            "use another precision, or an eps_model that is clipped"
        )
    return kept


@torch.no_grad()
def _eps_hat(eps_model: EpsModel, x: Batch, t: int) -> Batch:
    """ε̂ of every example at step t. A network takes one step an example, and no gradient is kept."""
    eps = eps_model(x, torch.full((len(x),), t, device=x.device))
    same_shape(eps, x, "eps_model")
    _refuse_endless(eps, "eps_model", f" at t = {t}")
    return eps


def _times(schedule: Schedule, steps: int) -> list[int]:
    """The steps to visit, T first and 0 last, as even as whole numbers can be: round(T k / steps)."""
    steps = whole(steps, "steps", f"1..{schedule.T} (the schedule's T)")
    if not 1 <= steps <= schedule.T:
        raise ValueError(f"steps: expected 1..{schedule.T} (the schedule's T), got {steps}")
    return [round(schedule.T * k / steps) for k in range(steps, -1, -1)]


def _half_log_snr(schedule: Schedule, step: int) -> float:
    """λ_t = ln √ᾱ_t/√(1 − ᾱ_t), one half of the log signal-to-noise ratio; ∞ for clean data."""
    signal, rest = schedule.shares(step)
    return 0.5 * log(signal / rest) if rest > 0 else inf
