"""Who trains and draws: our recipes behind the same few names as the peers (see peers.py)."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import recipes
from diffusion_lesson.learning.training import train
from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import EpsModel, clipped, guided
from diffusion_lesson.process.schedule import Schedule

CALLS = 20  # of the network, for each picture drawn to be compared
GUIDANCE = {"mnist-60s": 2.0, "mnist-3min": 1.5, "mnist-3min-eps": 2.0}  # the better of 1.5 and 2 on one seed
# `mnist-60s` as it was when the tables of README.md were made: the network of `mnist-3min`, 650 steps of 32.
PATCHES: dict[str, Any] = {"width": 32, "mults": (1, 2), "patch": 2}
_stochastic = partial(samplers.ddim, eta=1.0)


def _solver(
    schedule: Schedule, noise: Tensor, eps_model: EpsModel, *, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    return samplers.dpm_solver(schedule, noise, eps_model, steps=steps)


# Ours by name: (walk, guidance scale, calls of the network). What guidance pushes away from: the answer without
# labels, or, where there are none, the network's own answer of earlier in its training (arXiv:2406.02507).
SAMPLERS: dict[str, tuple[Callable[..., Iterator[Tensor]], float, int]] = {
    "DDIM η=0": (samplers.ddim, 1.0, CALLS),
    "DDIM η=1": (_stochastic, 1.0, CALLS),
    "DPM-Solver++(2M)": (_solver, 1.0, CALLS),
    "DDIM η=0, guidance 1.5": (samplers.ddim, 1.5, CALLS),
    "DDIM η=0, guidance 2": (samplers.ddim, 2.0, CALLS),
    "DDIM η=1, guidance 1.5, 40 calls": (_stochastic, 1.5, 40),
    "DDIM η=1, guidance 2, 40 calls": (_stochastic, 2.0, 40),
    "DDIM η=1, autoguidance 2, 40 calls": (_stochastic, 2.0, 40),
}


class Contender(Protocol):
    """One network with its own recipe: how it learns, and how it draws 28×28 pictures in [−1, 1]."""

    labelled: bool  # whether it gets labels
    batch: int  # pictures in one optimiser step
    size: int  # the side of the pictures that the network sees
    schedule: Schedule  # of its diffusion, for the bound
    samplers: tuple[str, ...]  # names for `draw`; the first one is compared with the others
    best: str  # the sampler whose pictures we would show

    @property
    def network(self) -> nn.Module:
        """What draws: the average of the weights, where the recipe keeps one."""

    def training(self, x: Tensor, y: Tensor, seed: int) -> Iterator[None]:
        """One optimiser step a turn, on pictures in [−1, 1] and their labels; ends where the recipe ends."""

    def eps_model(self, labels: Tensor) -> EpsModel:
        """The ε̂ of `network` on pictures of side `size`."""

    def draw(self, sampler: str, labels: Tensor, generator: torch.Generator) -> Tensor:
        """One picture for each label, which a contender without labels does not look at."""

    def one_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of one batch of pictures of side `size`, to count its floating-point operations."""


class Ours:
    """A recipe of diffusion_lesson/learning/recipes.py; `labelled=False` leaves the labels out of it.

    network, steps, batch_size: in place of the recipe's.
    """

    samplers: tuple[str, ...] = ("DDIM η=0", "DDIM η=1", "DPM-Solver++(2M)")
    best = "DDIM η=1, autoguidance 2, 40 calls"
    size = 28
    early: dict[str, Tensor]  # the weights after a fifth of the training, for autoguidance

    def __init__(
        self,
        recipe: str,
        seed: int,
        *,
        labelled: bool = True,
        network: dict[str, Any] | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        chosen = recipes.RECIPES[recipe]
        network = chosen.network | (network or {}) | ({} if labelled else {"classes": 0})
        config = chosen.training
        config = replace(config, steps=steps or config.steps, batch_size=batch_size or config.batch_size)
        self.labelled, self.config = labelled, config if labelled else replace(config, drop_labels=0.0)
        self.batch = self.config.batch_size
        self.denoiser = replace(chosen, network=network).build(seed)
        self.schedule = self.denoiser.schedule
        if labelled:
            self.samplers = (*Ours.samplers, "DDIM η=0, guidance 1.5", "DDIM η=0, guidance 2")
            self.best = f"DDIM η=1, guidance {GUIDANCE[recipe]:g}, 40 calls"

    def training(self, x: Tensor, y: Tensor, seed: int) -> Iterator[None]:
        """The package's own loop."""
        config = replace(self.config, seed=seed)
        for progress in train(self.denoiser, x, config, labels=y if self.labelled else None):
            self.denoiser = progress.denoiser
            yield

    @property
    def network(self) -> nn.Module:
        """What draws."""
        return self.denoiser.network

    def eps_model(self, labels: Tensor) -> EpsModel:
        """ε̂ whose x̂_0 is cut off at [−1, 1]."""
        return self.denoiser.eps_model(labels if self.labelled else None)

    def draw(self, sampler: str, labels: Tensor, generator: torch.Generator) -> Tensor:
        """By the package's samplers. Guidance asks the network twice a step, so it takes half the steps."""
        walk, guidance_scale, calls = SAMPLERS[sampler]
        if self.labelled:
            eps_model = self.denoiser.eps_model(labels, guidance_scale=guidance_scale)
        elif guidance_scale == 1:
            eps_model = self.denoiser.eps_model()
        else:
            early = copy.deepcopy(self.network)
            early.load_state_dict(self.early)
            strong, weak = (
                replace(self.denoiser, network=each).eps_model(clip=False) for each in (self.network, early)
            )
            eps_model = clipped(self.schedule, guided(strong, weak, guidance_scale))
        steps = calls if guidance_scale == 1 else calls // 2
        noise = torch.randn(len(labels), 1, 28, 28, generator=generator)
        return samplers.last(walk(self.schedule, noise, eps_model, steps=steps, generator=generator))

    def one_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """A square of the network's output costs what the loss costs, but for a few additions."""
        t = torch.full((len(x),), 5)
        return (self.network(x, t, y if self.labelled else None) ** 2).mean()


def patches_60s(seed: int, steps: int | None = None) -> Ours:
    """`mnist-60s` as it was."""
    return Ours("mnist-60s", seed, network=PATCHES, steps=steps or 650, batch_size=32)
