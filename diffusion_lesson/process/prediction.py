"""ε, x_0, v, score: four names for one prediction, since x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε ties them together."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Steps, floats, readable, same_shape

EpsModel = Callable[[Tensor, Tensor], Tensor]  # ε_θ: (x_t (B, …), t (B,)) → ε̂ like x_t
Predicts = Literal["eps", "v", "x0"]


def x0_from_eps(schedule: Schedule, t: Steps, *, xt: Batch, eps: Batch) -> Batch:
    """x_0 = (x_t − √(1 − ᾱ_t) ε) / √ᾱ_t. DDPM eq. 15."""
    _pair(xt=xt, eps=eps)
    _refuse_underflow(schedule, t, xt)
    s = schedule.at(t, like=xt)
    return (xt - s.one_minus_alpha_bar.sqrt() * eps) / s.alpha_bar.sqrt()


def eps_from_x0(schedule: Schedule, t: Steps, *, xt: Batch, x0: Batch) -> Batch:
    """ε = (x_t − √ᾱ_t x_0) / √(1 − ᾱ_t)."""
    _pair(xt=xt, x0=x0)
    s = schedule.at(t, like=xt)
    return (xt - s.alpha_bar.sqrt() * x0) / s.one_minus_alpha_bar.sqrt()


def v_from_x0_eps(schedule: Schedule, t: Steps, *, x0: Batch, eps: Batch) -> Batch:
    """v = √ᾱ_t ε − √(1 − ᾱ_t) x_0: what a v-network learns. arXiv:2202.00512, appendix D."""
    _pair(x0=x0, eps=eps)
    s = schedule.at(t, like=x0)
    return s.alpha_bar.sqrt() * eps - s.one_minus_alpha_bar.sqrt() * x0


def v_from_eps(schedule: Schedule, t: Steps, *, xt: Batch, eps: Batch) -> Batch:
    """v = (ε − √(1 − ᾱ_t) x_t) / √ᾱ_t. Where ᾱ_t is near 0 it magnifies every error of ε."""
    _pair(xt=xt, eps=eps)
    _refuse_underflow(schedule, t, xt)
    s = schedule.at(t, like=xt)
    return (eps - s.one_minus_alpha_bar.sqrt() * xt) / s.alpha_bar.sqrt()


def eps_from_v(schedule: Schedule, t: Steps, *, xt: Batch, v: Batch) -> Batch:
    """ε = √ᾱ_t v + √(1 − ᾱ_t) x_t."""
    _pair(xt=xt, v=v)
    s = schedule.at(t, like=xt)
    return s.alpha_bar.sqrt() * v + s.one_minus_alpha_bar.sqrt() * xt


def x0_from_v(schedule: Schedule, t: Steps, *, xt: Batch, v: Batch) -> Batch:
    """x_0 = √ᾱ_t x_t − √(1 − ᾱ_t) v."""
    _pair(xt=xt, v=v)
    s = schedule.at(t, like=xt)
    return s.alpha_bar.sqrt() * xt - s.one_minus_alpha_bar.sqrt() * v


def score_from_eps(schedule: Schedule, t: Steps, *, xt: Batch, eps: Batch) -> Batch:
    """∇ ln q(x_t) = −E[ε | x_t] / √(1 − ᾱ_t). arXiv:2011.13456."""
    _pair(xt=xt, eps=eps)
    return -eps / schedule.at(t, like=xt).one_minus_alpha_bar.sqrt()


def _pair(**two: Batch) -> None:
    """ValueError that names one of the two, where they are no floats of one shape."""
    (name, x), (other, y) = two.items()
    floats(x, name)
    same_shape(y, x, other)


def _refuse_underflow(schedule: Schedule, t: Steps, xt: Tensor) -> None:
    """ValueError where ᾱ_t is so small that single precision takes it for 0, and x_0 would be infinite."""
    tiny = torch.finfo(torch.promote_types(xt.dtype, torch.float32)).tiny
    if schedule.shares(schedule.T)[0] >= tiny:
        return  # at no step
    step = t if not isinstance(t, Tensor) else int(t.max()) if readable(t) and len(t) else schedule.T
    if schedule.shares(step)[0] < tiny:
        raise ValueError(
            f"schedule: at t = {step} nothing that single precision can hold is left of the picture "
            f"(alpha_bar = {schedule.shares(step)[0]:.2g}); use float64, or a schedule that ends earlier"
        )


def as_eps(
    schedule: Schedule, model: Callable[..., Tensor], *, predicts: Predicts, labels: Tensor | None = None
) -> EpsModel:
    """ε_θ(x_t, t) of a network that predicts ε, v or x_0, with its class labels (B,) bound."""
    if predicts not in ("eps", "v", "x0"):
        raise ValueError(f"predicts: expected 'eps', 'v' or 'x0', got {predicts!r}")

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        out = model(xt, t) if labels is None else model(xt, t, labels)
        same_shape(out, xt, "model")
        if predicts == "v":
            return eps_from_v(schedule, t, xt=xt, v=out)
        if predicts == "x0":
            return eps_from_x0(schedule, t, xt=xt, x0=out)
        return out

    return eps_model


def guided(conditional: EpsModel, unconditional: EpsModel, guidance_scale: float) -> EpsModel:
    """ε̂ = ε_u + guidance_scale (ε_c − ε_u): classifier-free guidance. Scale 0 is unconditional, 1 conditional.

    arXiv:2207.12598 writes guidance_scale = 1 + w.
    """

    def eps_model(xt: Tensor, t: Tensor) -> Tensor:
        eps_u, eps_c = unconditional(xt, t), conditional(xt, t)
        same_shape(eps_u, xt, "unconditional")
        same_shape(eps_c, xt, "conditional")
        return eps_u + guidance_scale * (eps_c - eps_u)

    return eps_model


def clipped(schedule: Schedule, eps_model: EpsModel) -> EpsModel:
    """ε̂ whose x̂_0 stays in [−1, 1], where pictures live: x̂_0 is formed, cut off there, and turned back."""

    def clipped_eps_model(xt: Tensor, t: Tensor) -> Tensor:
        x0_hat = x0_from_eps(schedule, t, xt=xt, eps=eps_model(xt, t)).clamp(-1, 1)
        return eps_from_x0(schedule, t, xt=xt, x0=x0_hat)

    return clipped_eps_model
