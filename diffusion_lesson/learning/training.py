"""The training loop as a generator, with an average of the weights; on a CPU it resumes bit for bit.

`accelerate launch` starts the same loop in several processes, one a GPU, which share every batch.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints, fingerprints, muon
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.data import integers
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import distributed, on_own_rows
from diffusion_lesson.learning.files import one_run
from diffusion_lesson.process.losses import eps_loss, v_loss, x0_loss
from diffusion_lesson.shapes import Batch

LOSSES: dict[str, Callable[..., Tensor]] = {"eps": eps_loss, "v": v_loss, "x0": x0_loss}
OPTIMIZERS = {"adamw": muon.adamw, "muon": muon.muon}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}  # what the network computes in
WARM_UP = 100  # steps over which the learning rate rises


@dataclass(frozen=True)
class Progress:
    """What one optimiser step leaves behind. `denoiser`, the same object each time, is what to sample from."""

    step: int  # 1..steps
    loss: float  # this batch's mean
    images_per_second: float  # since this call began
    denoiser: Denoiser  # its network is the exponential moving average of the weights
    # Write a checkpoint of this step, where there is a folder; to be called before the next step is asked for.
    save: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def averaged(self) -> nn.Module:
        """The moving average of the weights: the network in `denoiser`."""
        return self.denoiser.network


def train(
    denoiser: Denoiser,
    images: Batch,
    config: TrainConfig,
    *,
    labels: Tensor | None = None,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
) -> Iterator[Progress]:
    """Minimise the ε-, v- or x_0-loss (DDPM Algorithm 1; lesson 10); yields a Progress each step.

    denoiser: its network learns to predict what it says that it predicts. images: (N, C, H, W) floats in [−1, 1],
    kept where they are; each batch moves to `device`, where the network goes. Every random number comes from
    `config.seed`: on one CPU, with one thread count, the weights come out the same to the bit. On a GPU two runs
    drift apart by rounding.

    checkpoint: a folder. Every `checkpoint_every` steps, and at the end, the state is written there. Where it
    holds one, training goes on from it, and ends as if it had never stopped (on a GPU, nearly). ValueError if it
    was written with another config, another network or other images, or if another process is at work in it. A
    finished training is given more `steps`: then the rate rises once more, and falls to 0 at the new end.

    With `precision="bf16"` weights, average, noise and loss stay single. A network may come compiled; its
    checkpoints are as of a plain one. Under `accelerate launch`, `device` says only which kind, and every process
    yields the same numbers; `distributed.main_process()` says which of them should write files.
    """
    model, classes, steps = denoiser.network, denoiser.classes, config.steps
    if labels is not None and classes == 0:
        raise ValueError("labels: this network has no classes; make it with classes=…, or give no labels")
    if half := [name for name, w in model.named_parameters() if w.dtype in (torch.float16, torch.bfloat16)]:
        raise ValueError(
            f"denoiser: expected weights in single precision, got {half[0]} in half, where averages stand still; "
            'precision="bf16" lets it compute in half'
        )
    if checkpoint_every < 1:
        raise ValueError(f"checkpoint_every: expected 1 or more, got {checkpoint_every}")
    labels = None if labels is None else integers(labels).to(images.device)
    _check(images, labels, classes)
    team = distributed(device)
    if config.batch_size % team.world_size:
        raise ValueError(
            f"batch_size: expected a multiple of the {team.world_size} processes, got {config.batch_size}"
        )
    rows = team.rows(config.batch_size)
    trained = team.wrap(model.to(team.device).train())
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps: the same weights under plain names
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    drawn_with = replace(denoiser, network=averaged)
    optimizers = OPTIMIZERS[config.optimizer](model, config.learning_rate)
    generator = torch.Generator(team.device).manual_seed(config.seed)
    settings = asdict(config) | {
        "predicts": denoiser.predicts, "network": fingerprints.of_network(model),
        "images": fingerprints.of_images(images, labels), "betas": fingerprints.of_betas(denoiser.schedule.betas),
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
            yield Progress(steps, loss_now, 0.0, drawn_with)
        for step in range(first + 1, steps + 1):
            for group in [group for each in optimizers for group in each.param_groups]:
                group["lr"] = learning_rate(step - start, steps - start, config.learning_rate)
            # Every process draws the numbers of the whole batch, and asks the network about its own rows.
            picked = torch.randint(
                len(images), (config.batch_size,), **_picker(images, generator, config.seed, step)
            )
            x0 = images[picked].to(team.device, non_blocking=True)
            if config.mirror:
                x0 = mirrored(x0, generator)
            y = None
            if labels is not None:
                dropped = (
                    torch.rand(config.batch_size, generator=generator, device=team.device) < config.drop_labels
                )
                y = torch.where(dropped, classes, labels[picked].to(team.device, non_blocking=True))
            eps_model = on_own_rows(trained, y, rows, PRECISIONS[config.precision])
            loss = LOSSES[denoiser.predicts](denoiser.schedule, eps_model, x0, generator)[rows].mean()
            model.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            # Read together and late: on a GPU each reading waits for all work before it.
            loss_now, norm_now = torch.stack([team.mean(loss.detach()), norm]).tolist()
            stop_unless_finite(loss_now, norm_now, step, config.learning_rate)
            for each in optimizers:
                each.step()
            update_ema(averaged, model, step, config.ema)
            if step % checkpoint_every == 0 or step == steps:
                save()
                team.barrier()
            speed = (step - first) * config.batch_size / (time.perf_counter() - begun)
            yield Progress(step, loss_now, speed, drawn_with, save)


def _picker(images: Tensor, generator: torch.Generator, seed: int, step: int) -> dict[str, Any]:
    """How to draw which pictures a step takes: where they lie, or looking one up would wait for the device."""
    if images.device != generator.device:
        generator = torch.Generator(images.device).manual_seed(seed + (step << 32))
    return {"generator": generator, "device": images.device}


def mirrored(x: Batch, generator: torch.Generator) -> Batch:
    """Each picture left for right with probability 1/2."""
    turn = torch.rand(len(x), generator=generator, device=generator.device) < 0.5
    return torch.where(turn.to(x.device).view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)


def learning_rate(step: int, steps: int, highest: float) -> float:
    """The rate of step 1..steps: it rises to `highest` over 100 steps, and falls to 0 along a cosine."""
    return highest * min(step / WARM_UP, 1.0) * 0.5 * (1 + cos(pi * (step - 1) / steps))


def stop_unless_finite(loss: float, norm: float, step: int, highest: float) -> None:
    """FloatingPointError where one of them overflowed, before the step, so that the weights stay finite."""
    if not (isfinite(loss) and isfinite(norm)):
        raise FloatingPointError(
            f"learning_rate: at step {step} the loss is {loss:g}, its gradient's norm {norm:g}; "
            f"a rate below {highest:g} may help"
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


def _check(images: Tensor, labels: Tensor | None, classes: int) -> None:
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
