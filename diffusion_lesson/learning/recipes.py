"""Recipes: named sets of hyper-parameters, each with what it was measured to reach.

The names count time on two idle cores without AVX-512, roughly: 2 min 56 s by the best bursts of bench/ for
`mnist-3min`; one core of the same machine took up to 1.8 times as long. Distances are those of lesson 12, one
for each seed.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.results import Result
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import named


@dataclass(frozen=True)
class Recipe:
    """Everything but the pictures. `measured`: what it came to."""

    data: str  # "digits", "mnist", "mnist_small" or "cifar10": a function of data.py
    network: dict[str, Any]  # the arguments of UNet
    schedule: dict[str, Any]  # the arguments of schedule.named
    predicts: Predicts
    training: TrainConfig
    measured: tuple[Result, ...] = ()  # as in bench/results.json, or on the card of weights that ship

    @property
    def conditional(self) -> bool:
        """Whether the network is told labels."""
        return bool(self.network.get("classes"))

    def unet(self, seed: int = 0) -> UNet:
        """The untrained network. The weights it begins with come from `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return UNet(**self.network)

    def build(self, seed: int = 0) -> Denoiser:
        """The untrained network with its schedule and what it will learn to predict."""
        network = self.unet(seed)
        return Denoiser(network, named(**self.schedule), self.predicts, network.classes)


_DIGITS = {"channels_in": 1, "width": 16}
_MNIST = {"channels_in": 1, "width": 32, "patch": 2, "classes": 10}
_EVERY_PIXEL = {"channels_in": 1, "width": 16, "mults": (1, 2, 3), "classes": 10}
_SHORT = TrainConfig(
    steps=2000, batch_size=32, learning_rate=3e-3, ema=0.998, drop_labels=0.1, optimizer="muon",
)  # fmt: skip


def _guided(guidance_scale: float, *distances: float, first_seed: int = 0, n: int = 5000) -> tuple[Result]:
    found = Result(
        metric="frechet_distance", values=distances, n=n, sampler="DDIM η = 1", steps=20,
        guidance_scale=guidance_scale, seeds=tuple(range(first_seed, first_seed + len(distances))),
    )  # fmt: skip
    return (found,)


RECIPES: dict[str, Recipe] = {
    "digits-20s": Recipe(
        data="digits",
        network=_DIGITS,
        schedule={"kind": "cosine", "T": 200},
        predicts="eps",
        training=TrainConfig(steps=1400, batch_size=32, learning_rate=3e-3, ema=0.995),
        measured=(Result(metric="frechet_distance", values=(10.45,), n=1797, sampler="DDPM", steps=200),),
    ),
    "mnist-60s": Recipe(
        data="mnist",
        network=_EVERY_PIXEL,
        schedule={"kind": "cosine", "T": 1000},
        predicts="v",
        training=replace(_SHORT, steps=820, batch_size=16),
        measured=_guided(2.0, 6.1, 5.0, 5.2, first_seed=1),
    ),
    "mnist-small-60s": Recipe(  # of the pictures that ship: no download
        data="mnist_small",
        network=_EVERY_PIXEL,
        schedule={"kind": "cosine", "T": 1000},
        predicts="v",
        training=replace(_SHORT, steps=820, batch_size=16),
        measured=(
            *_guided(2.0, 6.1, 5.6, n=2000),
            replace(*_guided(2.0, 6.0, n=2000), how="trained on all 60,000"),  # in the same run
            Result(metric="nearness", values=(0.47, 0.48), n=1000, seeds=(0, 1)),
            Result(metric="nearness", values=(0.39,), n=1000, seeds=(0,), how="trained on all 60,000"),
        ),
    ),
    "mnist-3min": Recipe(
        data="mnist",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        predicts="v",
        training=_SHORT,
        measured=_guided(1.5, 2.31, 3.15, 3.52),
    ),
    "mnist-3min-eps": Recipe(  # what the lessons derive, beside what learns faster
        data="mnist",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        predicts="eps",
        training=_SHORT,
        measured=_guided(2.0, 3.09),
    ),
    "mnist-gpu": Recipe(
        data="mnist",
        network={"channels_in": 1, "width": 64, "mults": (1, 2, 2), "classes": 10, "attention": True},
        schedule={"kind": "cosine", "T": 1000},
        predicts="v",
        training=TrainConfig(
            steps=3_000, batch_size=2048, learning_rate=3e-3, ema=0.998, drop_labels=0.1,
            optimizer="muon", precision="bf16",
        ),
    ),
    "cifar10-gpu": Recipe(
        data="cifar10",
        network={
            "channels_in": 3, "width": 128, "mults": (1, 2, 2, 2), "classes": 10,
            "blocks": 2, "attention": (16,), "size": 32, "dropout": 0.1,
        },
        schedule={"kind": "cosine", "T": 1000},
        predicts="v",
        training=TrainConfig(
            steps=20_000, batch_size=2048, learning_rate=2e-3, ema=0.9995, drop_labels=0.1,
            optimizer="muon", precision="bf16", mirror=True,
        ),
    ),
}  # fmt: skip


def in_words() -> str:
    """All recipes, a line each: their steps, their pictures, and what they were measured to reach."""
    lines = ["recipes:"]
    for name, recipe in RECIPES.items():
        reached = "; ".join(map(str, recipe.measured)) or "not measured yet"
        lines.append(f"  {name:15} {recipe.training.steps:,} steps on {recipe.data}. {reached}")
    return "\n".join(lines)
