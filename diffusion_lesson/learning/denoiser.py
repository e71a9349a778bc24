"""A network that denoises, with all that one must know to use it; and pictures drawn with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from typing import get_args

import torch
from torch import Tensor, nn

from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import EpsModel, Predicts, as_eps, clipped, guided
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Labels, floats, instance, integers, number, readable, whole

Watch = Callable[
    [Iterable[Tensor], int], Iterable[Tensor]
]  # (a walk, its number of steps) → the walk, as it is shown


@dataclass(frozen=True)
class Denoiser:
    """ε_θ(x_t, t) by a network that was trained to predict ε, v or x_0, under one schedule.

    classes: > 0 for a network that takes labels 0..classes−1, and `classes` itself for "no label".
    """

    network: nn.Module
    schedule: Schedule
    predicts: Predicts
    classes: int = 0

    def __post_init__(self) -> None:
        """Refuse a prediction nobody knows, and classes that are not the network's."""
        if self.predicts not in get_args(Predicts):
            raise ValueError(f"predicts: expected one of {', '.join(get_args(Predicts))}, got {self.predicts!r}")
        if not isinstance(self.schedule, Schedule):
            raise ValueError(f"schedule: expected a Schedule, such as cosine(1000), got {self.schedule!r}")
        if whole(self.classes, "classes", "0 or more") < 0:
            raise ValueError(f"classes: expected 0 or more, got {self.classes}")
        inside = getattr(self.network, "classes", self.classes)
        if inside != self.classes:
            raise ValueError(f"classes: expected {inside}, as the network has, got {self.classes}")

    def eps_model(
        self, labels: Labels | None = None, *, guidance_scale: float = 1.0, clip: bool = True
    ) -> EpsModel:
        """ε̂ = ε_u + guidance_scale (ε_c − ε_u), a function of (x_t, t) as samplers and the ledger take it.

        ε_c is told the labels, ε_u is not. Scale 1 is ε_c and 0 is ε_u, for half of what any other scale costs.
        clip: keep x̂_0 in [−1, 1], where pictures live. Without it this is the bare ε̂ that the bound is made of.
        """
        labels = None if labels is None else integers(labels)
        self._refuse(labels, guidance_scale)
        conditional, unconditional = (
            as_eps(self.schedule, self.network, predicts=self.predicts, labels=y) for y in (labels, None)
        )
        if guidance_scale == 1:
            eps_model = conditional
        elif guidance_scale == 0:
            eps_model = unconditional
        else:
            eps_model = guided(conditional, unconditional, guidance_scale)
        return clipped(self.schedule, eps_model) if clip else eps_model

    def _refuse(self, labels: Labels | None, guidance_scale: float) -> None:
        if not isfinite(number(guidance_scale, "guidance_scale")):
            raise ValueError(f"guidance_scale: expected a finite number, got {guidance_scale:g}")
        if labels is None:
            if guidance_scale != 1:
                raise ValueError(f"guidance_scale: {guidance_scale:g} needs labels to guide towards, got none")
        elif self.classes == 0:
            raise ValueError("labels: this network was trained without labels and takes none")
        elif readable(labels) and len(labels):
            low, high = int(labels.min()), int(labels.max())
            if not 0 <= low <= high <= self.classes:
                raise ValueError(
                    f"labels: expected 0..{self.classes - 1}, or {self.classes} for none, got {low}..{high}"
                )


def draw(
    denoiser: Denoiser,
    noise: Batch,
    *,
    labels: Labels | None = None,
    guidance_scale: float = 1.0,
    steps: int = 25,
    eta: float = 1.0,
    generator: torch.Generator | None = None,
    batch_size: int = 250,
    watch: Watch = lambda walk, steps: walk,
) -> Batch:
    """A picture in [−1, 1] for each noise x_T and its label, by `samplers.ddim`, clipped; on the noise's device.

    watch(walk, steps): for a progress bar; it is given the walk of each `batch_size` pictures, and passes it on.
    ValueError if `steps` is no count of 1..T, or if there is not one label for each noise.
    """
    floats(noise, "noise")
    labels = None if labels is None else integers(labels)
    instance(denoiser, Denoiser, "denoiser")
    if whole(batch_size, "batch_size", "1 or more") < 1:
        raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
    if labels is not None and labels.shape != noise.shape[:1]:
        raise ValueError(f"labels: expected one for each of {len(noise)} noises, got {tuple(labels.shape)}")
    parts = []
    for first in range(0, len(noise), batch_size):
        rows = slice(first, first + batch_size)
        eps_model = denoiser.eps_model(labels if labels is None else labels[rows], guidance_scale=guidance_scale)
        walk = samplers.ddim(denoiser.schedule, noise[rows], eps_model, steps=steps, eta=eta, generator=generator)
        parts.append(samplers.last(watch(walk, steps)).clamp(-1, 1))
    return torch.cat(parts) if parts else noise.clone()
