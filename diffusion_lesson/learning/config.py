"""How a network is trained, as one value: recipes, `train`, checkpoints and cards hold the same."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, get_args

import numpy as np

from diffusion_lesson.shapes import number, whole

Optimizer = Literal["adamw", "muon"]
Precision = Literal["fp32", "bf16"]
SEEDS = 2**32  # 0 and on, below this: of a greater one torch would leave out the higher bits, on a CPU
COUNTS = 2**31  # 1 and on, below this
_NUMBERS: dict[str, Callable[..., float]] = {
    "steps": whole, "batch_size": whole, "seed": whole,
    "learning_rate": number, "ema": number, "drop_labels": number,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the weights, but the network, its schedule and the pictures.

    ValueError that names the argument, as soon as one is made that nobody could train by.
    """

    steps: int  # of the optimizer
    batch_size: int = 32  # of all processes together
    learning_rate: float = 3e-3  # the highest: it rises over 100 steps, and then falls to 0 along a cosine
    ema: float = 0.995  # what the average of the weights keeps of itself each step (less at first)
    seed: int = 0  # of every random number
    drop_labels: float = 0.0  # the share of labels replaced by "no label", for guidance
    optimizer: Optimizer = "adamw"  # "muon" (muon.py) learns more in as many steps
    precision: Precision = "fp32"  # "bf16": the network computes in bfloat16 where that is safe (autocast)
    mirror: bool = False  # each picture left for right with probability 1/2: for photographs, not for digits

    def __post_init__(self) -> None:
        """Refuse what would fail later, or train quietly on nonsense."""
        for name, known in (("optimizer", Optimizer), ("precision", Precision)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name}: expected one of {', '.join(get_args(known))}, got {getattr(self, name)!r}"
                )
        if type(self.mirror) is not bool:
            raise ValueError(f"mirror: expected True or False, got {self.mirror!r}")
        for name, convert in _NUMBERS.items():  # as Python's own, which a note in JSON can hold
            object.__setattr__(self, name, convert(getattr(self, name), name))
        if not 0 <= self.seed < SEEDS:
            raise ValueError(f"seed: expected 0 to {SEEDS - 1}, got {self.seed}")
        for name in ("steps", "batch_size"):
            if not 1 <= getattr(self, name) < COUNTS:
                raise ValueError(f"{name}: expected 1 to {COUNTS - 1}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < inf:
            raise ValueError(f"learning_rate: expected a finite rate above 0, got {self.learning_rate}")
        for name in ("ema", "drop_labels"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")


def seed_of_step(seed: int, step: int) -> int:
    """One seed for each (seed, step), mixed, of 64 bits: a generator of the CPU looks at the lower 32 alone."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])


ADDED = {"mirror": False}  # what notes of version 0.1 do not say, and how it was then
_EARLIER_NAMES = {"lr": "learning_rate"}  # as notes and cards of version 0.1 have it
_EARLIER_WORDS = {"precision": {"single": "fp32"}}


def current(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that a note or a card holds, perhaps of an earlier version, in today's names and words."""
    named = {_EARLIER_NAMES.get(name, name): value for name, value in settings.items()}
    for name, words in _EARLIER_WORDS.items():
        if isinstance(named.get(name), str):
            named[name] = words.get(named[name], named[name])
    return named
