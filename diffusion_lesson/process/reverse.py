"""The reverse process p_θ: noise turns back into pictures, one learned step at a time."""

from typing import Literal

import torch

from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Rows, Steps, floats, same_shape

Variance = Literal["beta", "beta_tilde"]


def p_prior(like: Batch) -> Gaussian:
    """p(x_T) = N(0, I), in the shape of `like`. DDPM eq. 1."""
    return Gaussian(mean=torch.zeros_like(like), var=torch.ones_like(like))


def p_variance(schedule: Schedule, t: Steps, like: Batch, variance: Variance) -> Rows:
    """σ_t² of p_θ(x_{t−1} | x_t): β_t or β̃_t (DDPM section 3.2). β̃_1 = 0 is replaced by β̃_2, as in DDPM's code.

    "beta" is β_t at t = 1 too. (There DDPM's code takes β̃_2 with either choice, for the sake of the likelihood.)
    With the best ε each is exact for one kind of data: "beta" for x_0 ~ N(0, I), "beta_tilde" for a single point.
    """
    if variance == "beta":
        return schedule.at(t, like).beta
    if variance != "beta_tilde":
        raise ValueError(f"variance: expected 'beta' or 'beta_tilde', got {variance!r}")
    if schedule.T < 2:
        raise ValueError("variance: 'beta_tilde' needs a schedule of T ≥ 2, since β̃_1 is 0")
    t = torch.where(t == 1, 2, t) if isinstance(t, torch.Tensor) else 2 if t == 1 else t
    return schedule.at(t, like).beta_tilde


def p_step(schedule: Schedule, t: Steps, *, xt: Batch, eps_hat: Batch, variance: Variance = "beta") -> Gaussian:
    """p_θ(x_{t−1} | x_t) = N((x_t − β_t/√(1 − ᾱ_t) ε̂)/√α_t, σ_t² I). DDPM eqs. 1, 11; lesson 05.

    Never a point: at t = 1 "beta_tilde" uses β̃_2.
    """
    floats(xt, "xt")
    same_shape(eps_hat, xt, "eps_hat")
    s = schedule.at(t, like=xt)
    mean = (xt - s.beta / s.one_minus_alpha_bar.sqrt() * eps_hat) / s.alpha.sqrt()
    return Gaussian(mean=mean, var=p_variance(schedule, t, xt, variance))
