"""The training loop as a generator, with an average of the weights; it resumes bit for bit."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import cos, inf, isfinite, pi
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints
from diffusion_lesson.process.losses import eps_loss, v_loss, x0_loss
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch

LOSSES: dict[str, Callable[..., Tensor]] = {"eps": eps_loss, "v": v_loss, "x0": x0_loss}
WARM_UP = 100  # steps over which the learning rate rises


@dataclass(frozen=True)
class Progress:
    """What one optimiser step leaves behind. `averaged`, the same object each time, is what to sample from."""

    step: int  # 1..steps
    loss: float  # this batch's mean
    images_per_second: float  # since this call began
    averaged: nn.Module  # the exponential moving average of the weights


def train(
    model: nn.Module,
    images: Batch,
    schedule: Schedule,
    *,
    steps: int,
    batch_size: int = 32,
    lr: float = 3e-3,
    ema: float = 0.995,
    seed: int = 0,
    device: str | torch.device = "cpu",
    labels: Tensor | None = None,
    predicts: Predicts = "eps",
    drop_labels: float = 0.0,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
) -> Iterator[Progress]:
    """Minimise the ε-, v- or x_0-loss with AdamW (DDPM Algorithm 1; lesson 10); yields a Progress each step.

    images: (N, C, H, W) floats in [−1, 1], kept where they are; each batch moves to `device`, where `model` goes.
    The rate rises over 100 steps and then falls to 0 along a cosine. `ema`: what the average keeps of itself
    each step (less at first, or it would remember the untrained weights). `drop_labels`: the share of labels
    replaced by "no label", for guidance. Every random number comes from `seed`: on one machine, with one thread
    count, the weights come out the same to the bit.

    checkpoint: a folder. Every `checkpoint_every` steps, and at the end, the state is written there. Where it
    holds one, training goes on from it, and ends as if it had never stopped. ValueError if it was written with
    other settings, another network or other images.
    """
    if predicts not in LOSSES:
        raise ValueError(f"predicts: expected one of {', '.join(LOSSES)}, got {predicts!r}")
    classes: int = getattr(model, "classes", 0)
    if labels is not None and classes == 0:
        raise ValueError("labels: this network has no classes; make it with classes=…, or give no labels")
    counts = {"steps": steps, "batch_size": batch_size, "checkpoint_every": checkpoint_every}
    _check(images, labels, classes, lr=lr, counts=counts, shares={"drop_labels": drop_labels, "ema": ema})
    model.to(device).train()
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    generator = torch.Generator(device).manual_seed(seed)
    settings = {
        "steps": steps, "batch_size": batch_size, "lr": lr, "ema": ema, "seed": seed, "predicts": predicts,
        "drop_labels": drop_labels, "network": checkpoints.layout(model),
        "images": checkpoints.digest(images, labels), "betas": checkpoints.digest(schedule.betas),
    }  # fmt: skip
    state = checkpoints.State(model, averaged, optimizer, generator)
    folder = Path(checkpoint) if checkpoint is not None else None
    first, loss_now = checkpoints.resume(folder, state, settings) if folder is not None else (0, float("nan"))
    begun = time.perf_counter()  # monotonic() may stand still for a whole step on Windows
    if first == steps:
        yield Progress(steps, loss_now, 0.0, averaged)

    for step in range(first + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / WARM_UP, 1.0) * 0.5 * (1 + cos(pi * (step - 1) / steps))
        picked = torch.randint(len(images), (batch_size,), generator=generator, device=device).to(images.device)
        x0 = images[picked].to(device)
        net: Callable[..., Tensor] = model
        if labels is not None:
            y = labels[picked.to(labels.device)].to(device)
            dropped = torch.rand(batch_size, generator=generator, device=device) < drop_labels
            net = partial(model, labels=torch.where(dropped, classes, y))
        loss = LOSSES[predicts](schedule, net, x0, generator).mean()
        loss_now = loss.item()
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        if not (isfinite(loss_now) and isfinite(norm)):  # before the step, so that the weights stay finite
            raise FloatingPointError(
                f"lr: at step {step} the loss is {loss_now:g}, its gradient's norm {norm:g}; "
                f"a rate below {lr:g} may help"
            )
        optimizer.step()
        _average(averaged, model, keep=min(ema, step / (step + 9)))
        if folder is not None and (step % checkpoint_every == 0 or step == steps):
            checkpoints.save(folder, state, {"step": step, "loss": loss_now, "settings": settings})
        yield Progress(step, loss_now, (step - first) * batch_size / (time.perf_counter() - begun), averaged)


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """averaged ← keep · averaged + (1 − keep) · model; buffers (BatchNorm's are averages already) are copied."""
    for ours, theirs in zip(averaged.parameters(), model.parameters(), strict=True):
        ours.lerp_(theirs, 1 - keep)
    for buffer, latest in zip(averaged.buffers(), model.buffers(), strict=True):
        buffer.copy_(latest)


def _check(
    images: Tensor,
    labels: Tensor | None,
    classes: int,
    *,
    lr: float,
    counts: dict[str, int],
    shares: dict[str, float],
) -> None:
    """Refuse what would train quietly on nonsense."""
    if len(images) == 0:
        raise ValueError("images: expected at least one, got none")
    if images.min() < -1 or images.max() > 1 or images.isnan().any():
        raise ValueError(
            f"images: expected values in [-1, 1] (to_signed makes them), "
            f"got {images.min().item():g} to {images.max().item():g}"
        )
    if labels is not None and (labels.shape != images.shape[:1] or labels.is_floating_point()):
        raise ValueError(
            f"labels: expected one integer for each of {len(images)} images, "
            f"got {str(labels.dtype).removeprefix('torch.')} {tuple(labels.shape)}"
        )
    if labels is not None and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"labels: expected 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")
    if not 0 < lr < inf:
        raise ValueError(f"lr: expected a finite rate above 0, got {lr}")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: expected 1 or more, got {count}")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: expected 0 to 1, got {share}")
