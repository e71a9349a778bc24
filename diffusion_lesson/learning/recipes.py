"""Recipes: named sets of hyper-parameters, each with what it was measured to reach.

The names count time on two idle cores (AVX2, no AVX-512: 57 seconds and 2 min 56 s by the best bursts of
bench/); one core of the same machine took up to 1.8 times as long. Distances are those of lesson 12, one for
each seed.
"""

from dataclasses import dataclass
from typing import Any

import torch

from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import Schedule, named


@dataclass(frozen=True)
class Recipe:
    """Everything but the pictures and the seed. `measured` holds results, each with its n."""

    data: str  # "digits", "mnist", "mnist_small" or "cifar10": a function of data.py
    network: dict[str, Any]  # the arguments of UNet
    schedule: dict[str, Any]  # the arguments of schedule.named
    training: dict[str, Any]  # the arguments of train
    measured: dict[str, Any]  # numbers of bench/results.json, or of the card that shipped weights carry

    @property
    def conditional(self) -> bool:
        """Whether the network is told labels."""
        return bool(self.network.get("classes"))

    def build(self, seed: int = 0) -> tuple[UNet, Schedule]:
        """(an untrained network, its schedule). The weights it begins with come from `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return UNet(**self.network), named(**self.schedule)


_DIGITS = {"channels_in": 1, "width": 16}
_MNIST = {"channels_in": 1, "width": 32, "patch": 2, "classes": 10}
_SHORT = {
    "batch_size": 32, "lr": 3e-3, "ema": 0.998, "predicts": "v", "drop_labels": 0.1, "optimizer": "muon",
}  # fmt: skip


def _guided(weight: float, *distances: float) -> dict[str, Any]:
    return {f"Fréchet distance, n = 5000, DDIM eta = 1, guidance {weight:g}, 40 calls": list(distances)}


ALL: dict[str, Recipe] = {
    "digits-20s": Recipe(
        data="digits",
        network=_DIGITS,
        schedule={"kind": "cosine", "T": 200},
        training={"steps": 1400, "batch_size": 32, "lr": 3e-3, "ema": 0.995, "predicts": "eps"},
        measured={"Fréchet distance, n = 1797, DDPM, 200 calls": [10.45]},
    ),
    "mnist-60s": Recipe(
        data="mnist",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        training=_SHORT | {"steps": 650},
        measured=_guided(2.0, 12.6, 11.6, 11.6),  # seeds 0, 1, 2
    ),
    "mnist-small-60s": Recipe(  # of the pictures that ship: no download
        data="mnist_small",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        training=_SHORT | {"steps": 650},
        measured={},
    ),
    "mnist-3min": Recipe(
        data="mnist",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        training=_SHORT | {"steps": 2000},
        measured=_guided(1.5, 2.31, 3.15, 3.52),  # seeds 0, 1, 2
    ),
    "mnist-3min-eps": Recipe(  # what the lessons derive, beside what learns faster
        data="mnist",
        network=_MNIST,
        schedule={"kind": "cosine", "T": 1000},
        training=_SHORT | {"steps": 2000, "predicts": "eps"},
        measured=_guided(2.0, 3.09),
    ),
    "mnist-gpu": Recipe(
        data="mnist",
        network={"channels_in": 1, "width": 64, "mults": (1, 2, 2), "classes": 10, "attention": True},
        schedule={"kind": "cosine", "T": 1000},
        training={
            "steps": 20_000, "batch_size": 128, "lr": 1e-3, "ema": 0.999, "predicts": "v", "drop_labels": 0.1,
        },
        measured={},  # waits for a GPU
    ),
    "cifar10-gpu": Recipe(
        data="cifar10",
        network={"channels_in": 3, "width": 128, "mults": (1, 2, 2, 2), "classes": 10, "attention": True},
        schedule={"kind": "cosine", "T": 1000},
        training={
            "steps": 100_000, "batch_size": 128, "lr": 5e-4, "ema": 0.9998, "predicts": "v", "drop_labels": 0.1,
        },
        measured={},  # waits for a GPU
    ),
}  # fmt: skip


def in_words() -> str:
    """All recipes, a line each: their steps, their pictures, and what they were measured to reach."""
    lines = ["recipes:"]
    for name, recipe in ALL.items():
        reached = "; ".join(f"{what}: {value}" for what, value in recipe.measured.items()) or "not measured yet"
        lines.append(f"  {name:15} {recipe.training['steps']:,} steps on {recipe.data}. {reached}")
    return "\n".join(lines)
