"""The Gaussian N(mean, var): what the processes q and p return, its KL divergence and its bins."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi

import torch
from jaxtyping import Float
from torch import Tensor

from diffusion_lesson.devices import noise, wide
from diffusion_lesson.shapes import Batch, Nats, floats, readable, same_shape, whole


@dataclass(frozen=True)
class Gaussian:
    """N(mean, var) with a diagonal covariance.

    `var` holds variances, not standard deviations, in any shape that broadcasts to `mean`'s.
    Variance 0 is a point: its sample is the mean, and it has no density.
    """

    mean: Float[Tensor, "*shape"]
    var: Float[Tensor, "..."]

    def __post_init__(self) -> None:
        """Refuse a variance that is no variance, or that would enlarge the mean by broadcasting.

        And what is no tensor of floats. On a GPU the numbers are not read, since every reading waits for it: a
        wrong one shows as a NaN.
        """
        floats(self.mean, "mean")
        floats(self.var, "var")
        if readable(self.var) and not (self.var >= 0).all():
            raise ValueError(f"var: expected variances ≥ 0, got a smallest of {self.var.min().item():g}")
        try:
            fits = torch.broadcast_shapes(self.mean.shape, self.var.shape) == self.mean.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(
                f"var: expected a shape that broadcasts to mean's {tuple(self.mean.shape)}, "
                f"got {tuple(self.var.shape)}"
            )

    def sample(
        self, generator: torch.Generator | None = None, *, eps: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """x = mean + √var ε: one draw, in the shape of the mean. ε ~ N(0, I), unless it is given."""
        if eps is None:
            eps = noise(self.mean, generator)
        same_shape(eps, self.mean, "eps")
        return self.mean + self.var.sqrt() * eps

    def log_prob(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """ln N(x; mean, var), in nats, for each element by itself (no sum)."""
        _refuse_a_point(self, "log_prob")
        floats(x, "x")
        return -0.5 * ((x - self.mean) ** 2 / self.var + self.var.log() + log(2 * pi))


def kl(q: Gaussian, p: Gaussian) -> Nats:
    """KL(q ‖ p) = Σ ½ [v_q/v_p − 1 − ln(v_q/v_p) + (m_q − m_p)²/v_p], in nats.

    (B,): summed over all dimensions but the first. A point (variance 0) is refused.
    """
    _refuse_a_point(q, "kl")
    _refuse_a_point(p, "kl")
    ratio = q.var / p.var
    per_dim = 0.5 * (ratio - 1 - ratio.log() + (q.mean - p.mean) ** 2 / p.var)
    return per_dim.flatten(1).sum(1)


def discretized_log_prob(p: Gaussian, x: Batch, levels: int = 256) -> Nats:
    """ln P(x) of pictures with whole grey levels: N(mean, var) integrated over each level's bin (DDPM eq. 13).

    x holds the levels −1, …, 1, `2 k/(levels − 1) − 1` for k = 0..levels−1. A bin reaches 1/(levels − 1) to
    both sides of its level; the first and the last reach −∞ and +∞, so the bins' probabilities sum to 1.
    (B,) nats, summed over all other dimensions. It is formed in log space in float64 and never clamped: a
    clamp would no longer give a bound.
    """
    _refuse_a_point(p, "discretized_log_prob")
    floats(x, "x")
    if whole(levels, "levels", "2 or more") < 2:
        raise ValueError(f"levels: expected 2 or more, got {levels}")
    half = 1 / (levels - 1)
    x64, mean, sd = wide(x), wide(p.mean), wide(p.var).sqrt()
    level = ((x64 + 1) / (2 * half)).round()
    off_grid = (x64 - (2 * half * level - 1)).abs().max().item()
    if not off_grid <= 0.02 * half or level.min() < 0 or level.max() > levels - 1:
        raise ValueError(
            f"x: expected values on the grid of levels={levels} in [-1, 1] (to_signed makes them), "
            f"got values from {x.min().item():g} to {x.max().item():g}, up to {off_grid:.2g} off the grid"
        )
    # The edges are the grid's, not x's: neighbouring bins then share an edge to the last bit, whatever x's dtype.
    below, above = ((2 * k * half - 1 - mean) / sd for k in (level - 0.5, level + 0.5))
    # ln(Φ(above) − Φ(below)). In the right tail both Φ are near 1, so mirror the bin into the left one.
    right = below > 0
    high, low = torch.where(right, -below, above), torch.where(right, -above, below)
    log_cdf: Callable[[Tensor], Tensor] = torch.special.log_ndtr
    log_high, log_low = log_cdf(high), log_cdf(low)
    inside = log_high + torch.log(-torch.expm1(log_low - log_high))
    first, last = level == 0, level == levels - 1
    log_bins = torch.where(first, log_cdf(above), torch.where(last, log_cdf(-below), inside))
    return log_bins.flatten(1).sum(1).to(x)


def _refuse_a_point(gaussian: Gaussian, asked: str) -> None:
    if readable(gaussian.var) and not (gaussian.var > 0).all():
        raise ValueError(f"var: {asked} needs variances > 0, got 0 (a point has no density)")
