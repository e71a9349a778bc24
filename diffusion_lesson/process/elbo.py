"""The evidence lower bound, term by term: −ln p_θ(x_0) ≤ L_T + Σ_{t=2}^T L_{t−1} + L_0 (DDPM eq. 5)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt, log

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.gaussian import Gaussian, discretized_log_prob, kl
from diffusion_lesson.process.prediction import EpsModel
from diffusion_lesson.process.reverse import Variance, p_prior, p_step
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Nats, PerExample, floats, kind, whole

FEWEST = 10  # steps from which an estimate knows how far it is off


@dataclass(frozen=True)
class Ledger:
    """What every term of the bound costs each example, in nats (summed over the picture's dimensions)."""

    prior: Nats  # L_T = KL(q(x_T | x_0) ‖ p(x_T))
    steps: Int[Tensor, " S"]  # the visited t, ascending, out of 2..T; T twice, where not all are
    denoising: Float[Tensor, " B S"]  # L_{t−1} = KL(q(x_{t−1} | x_t, x_0) ‖ p_θ(x_{t−1} | x_t)) at those t
    reconstruction: Nats  # L_0 = −ln p_θ(x_0 | x_1)
    strata: tuple[tuple[int, int], ...]  # (visited, in all): how many of each run of steps were visited

    def total(self) -> Nats:
        """L_T + Σ_t L_{t−1} + L_0: the bound on −ln p_θ(x_0), nats an example. Skipped steps are estimated."""
        return self.prior + self.denoising_sum() + self.reconstruction

    def denoising_sum(self) -> Nats:
        """Σ_{t=2}^T L_{t−1}, nats an example: each stratum's mean times its number of steps."""
        sums = [size * terms.mean(1) for terms, (_, size) in self._by_stratum()]
        return torch.stack(sums, 1).sum(1) if sums else torch.zeros_like(self.prior)

    def standard_error(self) -> Nats:
        """The standard error of `total` from noise and skipped steps, nats an example: √Σ_h n_h² s_h²/m_h.

        s_h² is the variance of the m_h terms visited among the n_h steps of stratum h. It takes the terms of a
        stratum as independent draws, which overstates the error where L_{t−1} still changes inside a stratum.
        The one draw behind L_0 is not in it. NaN for T = 2, where no stratum holds two terms.
        """
        variances = []
        for terms, (count, size) in self._by_stratum():
            square = (terms - terms.mean(1, keepdim=True)) ** 2
            variances.append(size**2 * square.sum(1) / (count - 1) / count)
        return torch.stack(variances, 1).sum(1).sqrt() if variances else torch.zeros_like(self.prior)

    def _by_stratum(self) -> list[tuple[Tensor, tuple[int, int]]]:
        counts = [visited for visited, _ in self.strata]
        return list(zip(self.denoising.split(counts, dim=1), self.strata, strict=True))


@torch.no_grad()
def ledger(
    schedule: Schedule,
    x0: Batch,
    eps_model: EpsModel,
    *,
    variance: Variance = "beta",
    decoder: Callable[[Gaussian, Batch], Nats] = discretized_log_prob,
    steps: int | None = None,
    generator: torch.Generator | None = None,
) -> Ledger:
    """L_T, every L_{t−1} for t = 2..T, and L_0 of pictures x0 in [−1, 1] (DDPM eq. 5; lesson 08).

    steps: None visits every t = 2..T. A count 10 ≤ steps < T − 1 asks that often. T is always visited, and twice,
    with two noises: where a schedule ends in a β near 1, its term alone may be half of the sum. The others fall
    in strata, short at small t, where the terms are large, and short again near T. Two t are drawn at random from
    each (three from one, if the count is odd). With fewer than 10 steps the strata would be long, and where
    both draws miss what is large `standard_error` can't know: of the shipped digits' bounds from 4 steps, only
    four in ten lay within two of it.
    All examples share the visited t, so the error this leaves in a batch's mean does not shrink with the batch.
    decoder: ln p(x_0 | x_1) from p_θ(x_0 | x_1), (B,) nats. For the embedded digits it is
    `partial(discretized_log_prob, levels=17)`.
    Noise: one draw like x0 for each visited t, ascending from t = 1 (after the draw of the steps, if any).
    """
    floats(x0, "x0")
    if x0.numel() == 0:
        raise ValueError(f"x0: expected at least one picture, got {kind(x0)}")
    if steps is not None:
        steps = _count(schedule.T, steps)
    visited, strata = _every_step(schedule.T) if steps is None else _some_steps(schedule.T, steps, generator)

    def both(step: int) -> tuple[Gaussian, Gaussian]:
        t = torch.full((len(x0),), step, device=x0.device)
        xt = q_marginal(schedule, t, x0).sample(generator)
        p = p_step(schedule, t, xt=xt, eps_hat=eps_model(xt, t), variance=variance)
        return q_posterior(schedule, t, xt=xt, x0=x0), p

    last = torch.full((len(x0),), schedule.T, device=x0.device)
    reconstruction = -decoder(both(1)[1], x0)
    terms = [kl(*both(step)) for step in visited]
    return Ledger(
        prior=kl(q_marginal(schedule, last, x0), p_prior(x0)),
        steps=torch.tensor(visited, dtype=torch.int64, device="cpu"),
        denoising=torch.stack(terms, 1) if terms else x0.new_zeros(len(x0), 0),
        reconstruction=reconstruction,
        strata=strata,
    )


def bits_per_dim(nats: Nats, x0: Batch) -> PerExample:
    """nats / (D ln 2): bits per dimension, (B,), D the number of values in one picture of x0."""
    return nats / (x0[0].numel() * log(2))


def _every_step(T: int) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """All of 2..T, in strata of two neighbours (the last may hold three, or the only one)."""
    count = T - 1
    sizes = [2] * (count // 2 - 1) + [2 + count % 2] if count >= 2 else [count] * count
    return list(range(2, T + 1)), tuple((size, size) for size in sizes)


def _count(T: int, steps: int) -> int:
    """The count as Python's; ValueError where so many can't be visited."""
    words = f"None for every step, or a count from {FEWEST} to T − 2 = {T - 2}"
    if T - 2 < FEWEST:
        words = f"None for every step, since T = {T} has too few to leave some out"
    count = whole(steps, "steps", words)
    if not FEWEST <= count < T - 1:
        raise ValueError(f"steps: expected {words}, got {steps}")
    return count


def _some_steps(
    T: int, steps: int, generator: torch.Generator | None
) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """`steps` of 2..T: T twice, and two distinct steps drawn from each stratum of the others (three from one)."""
    device = generator.device if generator is not None else "cpu"
    sizes, middle = _sizes(T - 2, steps - 2)
    visited: list[int] = []
    strata: list[tuple[int, int]] = []
    first = 2
    for place, size in enumerate(sizes):
        count = 2 + (steps % 2 if place == middle else 0)
        drawn = torch.randperm(size, generator=generator, device=device)[:count]
        visited += sorted((first + drawn).tolist())
        strata.append((count, size))
        first += size
    # Two neighbours would tell how much L_{T−1} and L_T differ, and not how much the noise moves them.
    return [*visited, T, T], (*strata, (2, 1))


def _sizes(total: int, steps: int) -> tuple[list[int], int]:
    """(the lengths of steps/2 strata that share `total` steps, the place of the longest that grow with t)."""
    pairs, odd = divmod(steps, 2)
    upper = pairs // 5  # of these, as many shrink again towards T: few, since T itself is visited anyway
    lower = pairs - upper
    above = min((0, isqrt(total), total // 2)[min(upper, 2)], total - 2 * lower - odd)
    return [*_growing(total - above, lower), *reversed(_growing(above, upper))], lower - 1


def _growing(total: int, count: int) -> list[int]:
    """`count` lengths that share `total`, up to edges that grow by nearly equal factors; none is below 2."""
    sizes: list[int] = []
    for left in range(count, 0, -1):
        edge = 2 + sum(sizes)
        sizes.append(max(2, round(edge * ((total + 2) / edge) ** (1 / left)) - edge))
    return sizes
