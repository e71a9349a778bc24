"""The training loop as a generator, with an average of the weights; on a CPU it resumes bit for bit.

`accelerate launch` starts the same loop in several processes, one a GPU, which share every batch.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import cos, inf, isfinite, pi
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints, fingerprints, muon
from diffusion_lesson.learning.data import integers
from diffusion_lesson.learning.distributed import distributed, on_own_rows
from diffusion_lesson.learning.files import one_run
from diffusion_lesson.process.losses import eps_loss, v_loss, x0_loss
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch

LOSSES: dict[str, Callable[..., Tensor]] = {"eps": eps_loss, "v": v_loss, "x0": x0_loss}
OPTIMIZERS = {"adamw": muon.adamw, "muon": muon.muon}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}  # what the network computes in
WARM_UP = 100  # steps over which the learning rate rises


@dataclass(frozen=True)
class Progress:
    """What one optimiser step leaves behind. `averaged`, the same object each time, is what to sample from."""

    step: int  # 1..steps
    loss: float  # this batch's mean
    images_per_second: float  # since this call began
    averaged: nn.Module  # the exponential moving average of the weights
    # Write a checkpoint of this step, where there is a folder; to be called before the next step is asked for.
    save: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)


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
    optimizer: Literal["adamw", "muon"] = "adamw",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Iterator[Progress]:
    """Minimise the ε-, v- or x_0-loss (DDPM Algorithm 1; lesson 10); yields a Progress each step.

    images: (N, C, H, W) floats in [−1, 1], kept where they are; each batch moves to `device`, where `model` goes.
    The rate rises over 100 steps and then falls to 0 along a cosine. `ema`: what the average keeps of itself
    each step (less at first, or it would remember the untrained weights). `drop_labels`: the share of labels
    replaced by "no label", for guidance. `optimizer`: "muon" (muon.py) learns more in as many steps. Every random
    number comes from `seed`: on one CPU, with one thread count, the weights come out the same to the bit. On a GPU
    two runs drift apart by rounding.

    checkpoint: a folder. Every `checkpoint_every` steps, and at the end, the state is written there. Where it
    holds one, training goes on from it, and ends as if it had never stopped (on a GPU, nearly). ValueError if it
    was written with other settings, another network or other images, or if another process is at work in it. A
    finished training is given more `steps`: then the rate rises once more, and falls to 0 at the new end.

    precision: "bf16" lets the network compute in bfloat16 where that is safe (autocast), which GPUs are made for;
    weights, average, noise and loss stay single. A model may come compiled; its checkpoints are as of a plain one.
    Under `accelerate launch`, `batch_size` is that of all processes together, `device` says only which kind, and
    every process yields the same numbers; `distributed.main_process()` says which of them should write files.
    """
    if predicts not in LOSSES:
        raise ValueError(f"predicts: expected one of {', '.join(LOSSES)}, got {predicts!r}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    classes: int = getattr(model, "classes", 0)
    if labels is not None and classes == 0:
        raise ValueError("labels: this network has no classes; make it with classes=…, or give no labels")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    if half := [name for name, w in model.named_parameters() if w.dtype in (torch.float16, torch.bfloat16)]:
        raise ValueError(
            f"model: expected weights in single precision, got {half[0]} in half, where averages stand still; "
            'precision="bf16" lets it compute in half'
        )
    labels = None if labels is None else integers(labels).to(images.device)
    counts = {"steps": steps, "batch_size": batch_size, "checkpoint_every": checkpoint_every}
    _check(images, labels, classes, lr=lr, counts=counts, shares={"drop_labels": drop_labels, "ema": ema})
    team = distributed(device)
    if batch_size % team.world_size:
        raise ValueError(f"batch_size: expected a multiple of the {team.world_size} processes, got {batch_size}")
    rows = team.rows(batch_size)
    trained = team.wrap(model.to(team.device).train())
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps: the same weights under plain names
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizers = OPTIMIZERS[optimizer](model, lr)
    generator = torch.Generator(team.device).manual_seed(seed)
    settings = {
        "steps": steps, "batch_size": batch_size, "lr": lr, "ema": ema, "seed": seed, "predicts": predicts,
        "drop_labels": drop_labels, "optimizer": optimizer, "precision": precision,
        "network": fingerprints.of_network(model), "images": fingerprints.of_images(images, labels),
        "betas": fingerprints.of_betas(schedule.betas),
    }  # fmt: skip
    state = checkpoints.State(model, averaged, optimizers, generator)
    folder = Path(checkpoint) if checkpoint is not None else None
    with one_run(folder) if folder is not None and team.rank == 0 else nullcontext():
        first, start, loss_now = 0, 0, float("nan")
        if folder is not None:
            first, start, loss_now = checkpoints.resume(folder, state, settings)
        if team.mean(torch.tensor(float(first), device=team.device)).item() != first:
            raise ValueError(
                f"checkpoint: not every process sees the one in {folder}; put it on a disk they share"
            )
        begun = time.perf_counter()  # monotonic() may stand still for a whole step on Windows
        saved = step = first

        def save() -> None:
            nonlocal saved
            if folder is not None and team.rank == 0 and saved < step:
                note = {"step": step, "loss": loss_now, "start": start, "settings": settings}
                checkpoints.save(folder, state, note)
            saved = step

        if first == steps:
            yield Progress(steps, loss_now, 0.0, averaged)
        for step in range(first + 1, steps + 1):
            for group in [group for each in optimizers for group in each.param_groups]:
                group["lr"] = learning_rate(step - start, steps - start, lr)
            # Every process draws the numbers of the whole batch, and asks the network about its own rows.
            picked = torch.randint(len(images), (batch_size,), **_picker(images, generator, seed, step))
            x0 = images[picked].to(team.device, non_blocking=True)
            y = None
            if labels is not None:
                dropped = torch.rand(batch_size, generator=generator, device=team.device) < drop_labels
                y = torch.where(dropped, classes, labels[picked].to(team.device, non_blocking=True))
            eps_model = on_own_rows(trained, y, rows, PRECISIONS[precision])
            loss = LOSSES[predicts](schedule, eps_model, x0, generator)[rows].mean()
            model.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            # Read together and late: on a GPU each reading waits for all work before it.
            loss_now, norm_now = torch.stack([team.mean(loss.detach()), norm]).tolist()
            stop_unless_finite(loss_now, norm_now, step, lr)
            for each in optimizers:
                each.step()
            update_ema(averaged, model, step, ema)
            if step % checkpoint_every == 0 or step == steps:
                save()
                team.barrier()
            speed = (step - first) * batch_size / (time.perf_counter() - begun)
            yield Progress(step, loss_now, speed, averaged, save)


def _picker(images: Tensor, generator: torch.Generator, seed: int, step: int) -> dict[str, Any]:
    """How to draw which pictures a step takes: where they lie, or looking one up would wait for the device."""
    if images.device != generator.device:
        generator = torch.Generator(images.device).manual_seed(seed + (step << 32))
    return {"generator": generator, "device": images.device}


def learning_rate(step: int, steps: int, lr: float) -> float:
    """The learning rate of step 1..steps: it rises to `lr` over 100 steps, and falls to 0 along a cosine."""
    return lr * min(step / WARM_UP, 1.0) * 0.5 * (1 + cos(pi * (step - 1) / steps))


def stop_unless_finite(loss: float, norm: float, step: int, lr: float) -> None:
    """FloatingPointError where one of them overflowed, before the step, so that the weights stay finite."""
    if not (isfinite(loss) and isfinite(norm)):
        raise FloatingPointError(
            f"lr: at step {step} the loss is {loss:g}, its gradient's norm {norm:g}; a rate below {lr:g} may help"
        )


@torch.no_grad()
def update_ema(averaged: nn.Module, model: nn.Module, step: int, ema: float) -> None:
    """averaged ← κ averaged + (1 − κ) model, κ = min(ema, step/(step + 9)); buffers are copied.

    (BatchNorm's buffers are averages already.)
    """
    keep = min(ema, step / (step + 9))
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - keep)
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
    if images.min() >= 0 and images.max() > 0:
        warnings.warn(
            f"images: no value is below 0 (from {images.min().item():g} to {images.max().item():g}); pictures are "
            "expected to fill [-1, 1], as to_signed makes them",
            stacklevel=3,
        )
    if labels is not None and (labels.shape != images.shape[:1]):
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
