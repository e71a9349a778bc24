"""Lesson 11: the bug in the sampler."""

from collections.abc import Callable
from math import isclose
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake
from diffusion_lesson.process import exact, samplers
from diffusion_lesson.process.prediction import EpsModel
from diffusion_lesson.process.reverse import p_step
from diffusion_lesson.process.schedule import Schedule, cosine

Sampler = Callable[[Schedule, Tensor, EpsModel, torch.Generator], Tensor]

_SCHEDULE, _CHAINS = cosine(50), 4_000
_WORLD = exact.gaussian(torch.tensor([0.5], dtype=torch.float64), 0.25).eps_model(_SCHEDULE)
_POINT = exact.data_set(torch.tensor([[0.5]], dtype=torch.float64)).eps_model(_SCHEDULE)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _drawn(sampler: Sampler, world: EpsModel = _WORLD, seed: int = 1) -> Any:
    """What the reader's sampler returns for 4,000 chains: x_0, one hopes."""
    xT = torch.randn(_CHAINS, 1, generator=_seeded(0), dtype=torch.float64)
    return sampler(_SCHEDULE, xT, world, _seeded(seed))


def _spread(sampler: Sampler, seed: int = 1) -> float:
    return float(_drawn(sampler, seed=seed).std())


def _steps(schedule: Schedule, x: Tensor, eps_model: EpsModel, noise: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Algorithm 2 with any noise: `noise(β̃_t, t)`."""
    for step in schedule.down():
        t = torch.full((len(x),), step)
        mean = p_step(schedule, t, xt=x, eps_hat=eps_model(x, t)).mean
        x = mean + noise(schedule.at(t, like=x).beta_tilde, step)
    return x


def _one_z(schedule: Schedule, x: Tensor, eps_model: EpsModel, generator: torch.Generator) -> Tensor:
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return _steps(schedule, x, eps_model, lambda var, step: var.sqrt() * z)


def _by_the_variance(schedule: Schedule, x: Tensor, eps_model: EpsModel, generator: torch.Generator) -> Tensor:
    def noise(var: Tensor, step: int) -> Tensor:
        return var * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    return _steps(schedule, x, eps_model, noise)


def _theirs(variance: samplers.Variance) -> float:
    def sampler(schedule: Schedule, x: Tensor, eps_model: EpsModel, generator: torch.Generator) -> Tensor:
        *_, x0 = samplers.ddpm(schedule, x, eps_model, variance=variance, generator=generator)
        return x0

    return _spread(sampler)


def _spread_is_right(sampler: Sampler) -> bool:
    """As wide as Algorithm 2 makes it with β̃, or with β, which is as good an answer."""
    return bool(0.95 * _theirs("beta_tilde") < _spread(sampler) < 1.05 * _theirs("beta"))


def _ends_clean(sampler: Sampler) -> bool:
    """Where all data are one point, the last step ends on it: unless it adds noise."""
    return bool((_drawn(sampler, _POINT) - 0.5).abs().max() < 1e-3)


def _is_right(sampler: Sampler) -> bool:
    x0 = _drawn(sampler)
    centred = isinstance(x0, Tensor) and abs(x0.mean().item() - 0.5) < 0.05
    return centred and _spread_is_right(sampler) and _ends_clean(sampler)


EXERCISES = {
    "planted_bug": Exercise(
        hint="the mean is right, so the lines that make the mean are right. The spread is far too large. "
        "Variances of independent noises add; what adds up if a noise comes back unchanged?",
        right=_is_right,
        praise="Every step needs a noise of its own. One z for all steps adds up its standard deviations, where "
        "independent ones add up their variances.",
        mistakes=(
            Mistake(
                lambda f: not isinstance(_drawn(f), Tensor),
                "your sampler does not return a tensor. It should return x_0, not yield every x.",
            ),
            Mistake(
                lambda f: isclose(_spread(f), _spread(_one_z), rel_tol=0.05),
                "the spread is as large as before: one and the same z is still added at every step. "
                "(That β̃_1 = 0 already stands for the rule z = 0 at t = 1.)",
            ),
            Mistake(
                lambda f: torch.equal(_drawn(f, seed=1), _drawn(f, seed=2)) and _spread(f) < 0.2,
                "now there is no noise at all: every walk ends at the mean, and the spread is gone.",
            ),
            Mistake(
                lambda f: _spread(f) < 0.2 and abs((_drawn(f, seed=1) - _drawn(f, seed=2)).mean().item()) > 0.05,
                "every step has a noise of its own, but all examples share it: z must have the shape of x.",
            ),
            Mistake(
                lambda f: isclose(_spread(f), _spread(_by_the_variance), rel_tol=0.1),
                "the noise is multiplied by β̃, a variance; its standard deviation is √β̃.",
            ),
            Mistake(
                lambda f: _spread_is_right(f) and not _ends_clean(f),
                "the spread is right now, but there is noise in the last step, where z = 0.",
            ),
        ),
    ),
}
