"""What training minimises: the weighted bound (DDPM eq. 12) and L_simple without its weights (eq. 14)."""

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_lesson.devices import noise
from diffusion_lesson.process.forward import q_marginal
from diffusion_lesson.process.prediction import EpsModel, v_from_x0_eps
from diffusion_lesson.process.reverse import Variance, p_variance
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Nats, PerExample, Rows, Steps, beside, floats, same_shape, whole


def eps_loss(
    schedule: Schedule,
    eps_model: EpsModel,
    x0: Batch,
    generator: torch.Generator | None = None,
    *,
    t: Steps | None = None,
    eps: Batch | None = None,
) -> PerExample:
    """‖ε − ε_θ(x_t, t)‖²: L_simple, DDPM eq. 14. (B,): mean over the dimensions of each example.

    Here and below t ~ Uniform{1..T} and ε ~ N(0, I) are drawn, unless they are given.
    """
    t, eps, xt = _noised(schedule, x0, generator, t, eps)
    return _mean_square(eps, eps_model(xt, t), "eps_model")


def v_loss(
    schedule: Schedule,
    v_model: Callable[[Tensor, Tensor], Tensor],
    x0: Batch,
    generator: torch.Generator | None = None,
    *,
    t: Steps | None = None,
    eps: Batch | None = None,
) -> PerExample:
    """‖v − v_θ(x_t, t)‖², v = √ᾱ_t ε − √(1 − ᾱ_t) x_0 (arXiv:2202.00512). (B,): mean over dimensions."""
    t, eps, xt = _noised(schedule, x0, generator, t, eps)
    return _mean_square(v_from_x0_eps(schedule, t, x0=x0, eps=eps), v_model(xt, t), "v_model")


def x0_loss(
    schedule: Schedule,
    x0_model: Callable[[Tensor, Tensor], Tensor],
    x0: Batch,
    generator: torch.Generator | None = None,
    *,
    t: Steps | None = None,
    eps: Batch | None = None,
) -> PerExample:
    """‖x_0 − x_θ(x_t, t)‖². (B,): mean over dimensions."""
    t, _, xt = _noised(schedule, x0, generator, t, eps)
    return _mean_square(x0, x0_model(xt, t), "x0_model")


def bound_loss(
    schedule: Schedule,
    eps_model: EpsModel,
    x0: Batch,
    generator: torch.Generator | None = None,
    *,
    variance: Variance = "beta",
    t: Steps | None = None,
    eps: Batch | None = None,
) -> Nats:
    """β_t²/(2σ_t² α_t (1 − ᾱ_t)) ‖ε − ε_θ(x_t, t)‖²: DDPM eq. 12.

    (B,) nats, summed over dimensions: for t ≥ 2 it is L_{t−1} less what does not depend on θ. T times its mean
    over t ~ Uniform{1..T} estimates the sum over t.
    """
    t, eps, xt = _noised(schedule, x0, generator, t, eps)
    eps_hat = eps_model(xt, t)
    same_shape(eps_hat, eps, "eps_model")
    weighted = bound_weight(schedule, t, x0, variance) * (eps - eps_hat) ** 2
    return weighted.flatten(1).sum(1)


def bound_weight(schedule: Schedule, t: Steps, like: Batch, variance: Variance = "beta") -> Rows:
    """β_t²/(2σ_t² α_t (1 − ᾱ_t)): what the bound weighs ‖ε − ε_θ‖² with, (B, 1, …, 1). DDPM eq. 12."""
    s = schedule.at(t, like)
    return s.beta**2 / (2 * p_variance(schedule, t, like, variance) * s.alpha * s.one_minus_alpha_bar)


def _noised(
    schedule: Schedule, x0: Batch, generator: torch.Generator | None, t: Steps | None, eps: Batch | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(t, ε, x_t): a step for each example, its noise, and x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε."""
    floats(x0, "x0")
    if t is None:
        t = schedule.draw_t(len(x0), generator)
    if not isinstance(t, Tensor):
        t = torch.full((len(x0),), whole(t, "t", "a whole number, or a tensor of them"), device=x0.device)
    t = beside(t, x0, "t")
    if eps is None:
        eps = noise(x0, generator)
    return t, eps, q_marginal(schedule, t, x0).sample(eps=eps)


def _mean_square(wanted: Batch, said: Batch, who: str) -> PerExample:
    same_shape(said, wanted, who)
    return ((wanted - said) ** 2).flatten(1).mean(1)
