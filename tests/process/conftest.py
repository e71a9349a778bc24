from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor

from diffusion_lesson.process.schedule import Schedule, cosine, linear, scaled_linear

SCHEDULES = {
    "ddpm": linear,
    "post": lambda T=1000: linear(T, 0.00085, 0.012),
    "scaled_linear": scaled_linear,
    "cosine": cosine,
}


@pytest.fixture(params=list(SCHEDULES))
def name(request) -> str:
    return request.param


@pytest.fixture
def schedule(name) -> Schedule:
    """Each of the four schedules in turn, T = 1000."""
    return SCHEDULES[name]()


@pytest.fixture
def post() -> Schedule:
    return SCHEDULES["post"]()


@pytest.fixture
def ddpm_schedule() -> Schedule:
    return linear()


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    """Standard normal numbers in float64 that are the same on every run."""

    def normal(*shape: int, seed: int = 0) -> Tensor:
        return torch.randn(shape, generator=seeded_generator(seed), dtype=torch.float64)

    return normal


def seeded_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def seeded() -> Callable[[int], torch.Generator]:
    return seeded_generator


@pytest.fixture
def script_noise(monkeypatch) -> Callable[[Iterable[Tensor]], None]:
    """Replace torch.randn by a script: its n-th call returns the n-th tensor, and one call too many fails."""

    def script(noises: Iterable[Tensor]) -> None:
        remaining = iter(noises)

        def scripted(shape, *, generator=None, dtype=None, device=None) -> Tensor:
            noise = next(remaining)
            assert noise.shape == tuple(shape)
            return noise.to(dtype)

        monkeypatch.setattr(torch, "randn", scripted)

    return script


@pytest.fixture
def in_float64(schedule) -> Callable:
    """Give a diffusers scheduler the float64 tables of `schedule` (test_schedule.py: how far off its own are)."""

    def widen(scheduler):
        scheduler.betas = schedule.betas[1:].clone()
        scheduler.alphas = 1 - scheduler.betas
        scheduler.alphas_cumprod = scheduler.alphas.cumprod(0)
        scheduler.one = torch.tensor(1.0, dtype=torch.float64)
        return scheduler

    return widen


@pytest.fixture
def diffusers_options(name) -> dict:
    """How diffusers is asked for the same schedule."""
    post = {"beta_start": 0.00085, "beta_end": 0.012}
    by_name = {
        "ddpm": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
        "post": {"beta_schedule": "linear", **post},
        "scaled_linear": {"beta_schedule": "scaled_linear", **post},
        "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    }
    return {"num_train_timesteps": 1000, "clip_sample": False, **by_name[name]}
