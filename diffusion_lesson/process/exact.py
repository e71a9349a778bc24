"""Worlds whose best ε is known in closed form: a Gaussian, a mixture of Gaussians, a finite data set.

All three are one formula, for a mixture x_0 ~ Σ_k w_k N(m_k, s_k² I). One component is a Gaussian; s_k = 0 is a
finite data set. Noise turns it into the mixture x_t ~ Σ_k w_k N(√ᾱ_t m_k, (ᾱ_t s_k² + 1 − ᾱ_t) I).
"""

from dataclasses import dataclass
from math import log, pi

import torch
from jaxtyping import Float
from torch import Tensor

from diffusion_lesson.devices import noise, wide
from diffusion_lesson.process.prediction import EpsModel
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Nats, Steps, floats, kind, number, whole


@dataclass(frozen=True)
class Mixture:
    """x_0 ~ Σ_k w_k N(m_k, s_k² I): weights (K,) that sum to 1, means (K, …), variances s_k² (K,)."""

    weights: Float[Tensor, " K"]
    means: Float[Tensor, " K *dims"]
    vars: Float[Tensor, " K"]

    def __post_init__(self) -> None:
        """Refuse weights that are no probabilities, negative variances, and numbers of components that differ."""
        for name in ("weights", "means", "vars"):
            floats(getattr(self, name), name)
        if (
            self.weights.ndim != 1
            or len(self.weights) != len(self.means)
            or not self.weights.shape == self.vars.shape
        ):
            raise ValueError(
                f"means: expected as many as weights (K,) and vars (K,), got {kind(self.means)} beside "
                f"{kind(self.weights)} and {kind(self.vars)}"
            )
        if not (self.weights >= 0).all() or not abs(self.weights.sum().item() - 1) <= 1e-4:
            raise ValueError(f"weights: expected probabilities that sum to 1, got {self.weights.tolist()[:8]}")
        if not (self.vars >= 0).all():
            raise ValueError(f"vars: expected variances ≥ 0, got a smallest of {self.vars.min().item():g}")

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, " N *dims"]:
        """`count` draws of x_0, in the dtype and on the device of the means."""
        if whole(count, "count", "0 or more") < 0:
            raise ValueError(f"count: expected 0 or more, got {count}")
        if count == 0:
            return self.means[:0].clone()
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        mean = self.means[k]
        return mean + self.vars[k].sqrt().reshape(-1, *[1] * (mean.ndim - 1)) * noise(mean, generator)

    def log_prob(self, x: Batch, schedule: Schedule | None = None, t: Steps | None = None) -> Nats:
        """ln q(x_t), (B,) nats; of x_0 itself where no schedule and t are given (then all s_k > 0)."""
        if (schedule is None) != (t is None):
            raise ValueError("t: expected schedule and t together, or neither for the density of x_0")
        self._refuse(x)
        if schedule is None or t is None:
            if not (self.vars > 0).all():
                raise ValueError("vars: a finite data set has no density at t = 0, give schedule and t ≥ 1")
            one = wide(x.new_ones(len(x), 1))
            return self._log_joint(x, one, one - 1)[0].logsumexp(1).to(x)
        return self._log_joint(x, *_alpha_bars(schedule, t, x))[0].logsumexp(1).to(x)

    def eps_model(self, schedule: Schedule) -> EpsModel:
        """E[ε | x_t] = √(1 − ᾱ_t) Σ_k r_k (x_t − √ᾱ_t m_k)/v_k: the ε_θ of least squared error.

        v_k = ᾱ_t s_k² + 1 − ᾱ_t, and r_k ∝ w_k N(x_t; √ᾱ_t m_k, v_k I) is the softmax over components: over
        training pictures, where the world is a finite data set.
        """

        def best_eps(xt: Tensor, t: Tensor) -> Tensor:
            self._refuse(xt)
            alpha_bar, one_minus_alpha_bar = _alpha_bars(schedule, t, xt)
            log_joint, var = self._log_joint(xt, alpha_bar, one_minus_alpha_bar)
            pull = log_joint.softmax(1) / var  # r_k / v_k, (B, K)
            x, means = self._wide(xt)
            eps = pull.sum(1, keepdim=True) * x - alpha_bar.sqrt() * (pull @ means)
            return (one_minus_alpha_bar.sqrt() * eps).reshape(xt.shape).to(xt)

        return best_eps

    def _log_joint(self, x: Tensor, alpha_bar: Tensor, one_minus_alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
        """ln w_k + ln N(x; √ᾱ m_k, v_k I) and v_k, both (B, K).

        In float64: ‖x − √ᾱ m‖² is expanded into matrix products, and near t = 1 it is divided by 1e-4.
        """
        x, means = self._wide(x)
        var = alpha_bar * wide(self.vars).to(x.device) + one_minus_alpha_bar
        square = (x**2).sum(1, keepdim=True) + alpha_bar * (means**2).sum(1)
        square = (square - 2 * alpha_bar.sqrt() * (x @ means.T)).clamp_min(0)
        log_normal = -0.5 * (square / var + x.shape[1] * (var.log() + log(2 * pi)))
        return wide(self.weights).to(x.device).log() + log_normal, var

    def _refuse(self, x: Tensor) -> None:
        floats(x, "x")
        if x.ndim < 2 or x.shape[1:].numel() != self.means.shape[1:].numel():
            raise ValueError(f"x: expected (B, …) as the means are, {tuple(self.means.shape)}, got {kind(x)}")

    def _wide(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x and the means as rows of float64, beside each other wherever the world was made."""
        x = wide(x.flatten(1))
        return x, wide(self.means.flatten(1)).to(x.device)


def gaussian(mean: Float[Tensor, "*dims"], var: float) -> Mixture:
    """x_0 ~ N(mean, var I)."""
    floats(mean, "mean")
    return Mixture(mean.new_ones(1), mean[None], mean.new_full((1,), number(var, "var")))


def data_set(images: Float[Tensor, " N *dims"]) -> Mixture:
    """x_0 is one of N pictures, each as likely: the world in which a perfect ε-network memorises."""
    floats(images, "images")
    n = len(images)
    if n == 0:
        raise ValueError(f"images: expected one or more, got {kind(images)}")
    return Mixture(images.new_full((n,), 1 / n), images, images.new_zeros(n))


def _alpha_bars(schedule: Schedule, t: Steps, x: Tensor) -> tuple[Tensor, Tensor]:
    """ᾱ_t and 1 − ᾱ_t as (B, 1) float64."""
    like = wide(x.flatten(1))
    return schedule.alpha_bar_at(t, like), schedule.one_minus_alpha_bar_at(t, like)
