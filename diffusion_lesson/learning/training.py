"""The training loop as a generator, with an average of the weights and checkpoints that resume bit for bit."""

import copy
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import cos, inf, isfinite, pi
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

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
        "drop_labels": drop_labels, "images": _digest(images, labels), "betas": _digest(schedule.betas),
        "network": _layout(model),
    }  # fmt: skip
    state = _State(model, averaged, optimizer, generator)
    folder = Path(checkpoint) if checkpoint is not None else None
    first, loss_now = _resume(folder, state, settings) if folder is not None else (0, float("nan"))
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
            _save(folder, state, {"step": step, "loss": loss_now, "settings": settings})
        yield Progress(step, loss_now, (step - first) * batch_size / (time.perf_counter() - begun), averaged)


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """averaged ← keep · averaged + (1 − keep) · model; buffers (BatchNorm's are averages already) are copied."""
    for ours, theirs in zip(averaged.parameters(), model.parameters(), strict=True):
        ours.lerp_(theirs, 1 - keep)
    for buffer, latest in zip(averaged.buffers(), model.buffers(), strict=True):
        buffer.copy_(latest)


@dataclass(frozen=True)
class _State:
    """Everything that changes while training, as one flat dictionary of tensors."""

    model: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator

    def tensors(self) -> dict[str, Tensor]:
        out = {"generator": self.generator.get_state()}
        for name, module in (("model", self.model), ("averaged", self.averaged)):
            out |= {f"{name}/{key}": value.contiguous() for key, value in module.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            out |= {f"optimizer/{index}/{key}": value.contiguous() for key, value in moments.items()}
        return out

    def load(self, tensors: dict[str, Tensor]) -> None:
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "averaged": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            if key:
                parts[part][key] = value
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition("/")
            moments.setdefault(int(index), {})[key] = value.clone()  # or it would live in the mapped file
        self.model.load_state_dict(parts["model"])
        self.averaged.load_state_dict(parts["averaged"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.generator.set_state(tensors["generator"].cpu())


def _save(folder: Path, state: _State, note: dict[str, Any]) -> None:
    """Write the tensors, then checkpoint.json that names them. The rename of the JSON is the moment it counts.

    Killed before that moment, the last checkpoint stands; killed after it, the new one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{note['step']:08d}.safetensors"
    replace_file(folder / name, lambda path: path.write_bytes(save(state.tensors())))
    text = json.dumps(note | {"tensors": name}, indent=1)
    replace_file(folder / "checkpoint.json", lambda path: path.write_text(text, "utf-8"))
    for old in folder.glob("step-*"):
        if old.name != name:
            old.unlink()


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, see it on the disk, and rename it: all of it or nothing."""
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _resume(folder: Path, state: _State, settings: dict[str, Any]) -> tuple[int, float]:
    """Load the folder's checkpoint into `state`, if it holds one: (steps done, the last loss)."""
    if not (folder / "checkpoint.json").exists():
        return 0, float("nan")
    try:
        note = json.loads((folder / "checkpoint.json").read_text("utf-8"))
        written, step, loss = note["settings"], note["step"], note["loss"]
        tensors = load_file(folder / note["tensors"])
    except (ValueError, KeyError, TypeError, FileNotFoundError, SafetensorError) as error:
        raise ValueError(f"checkpoint: {folder} holds a damaged one ({error}); delete it to begin anew") from error
    changed = [f"{k} was {written.get(k)!r}, is {v!r}" for k, v in settings.items() if written.get(k) != v]
    if changed:
        raise ValueError(
            f"checkpoint: {folder} was written with other settings ({'; '.join(changed)}); "
            "use the same ones, or another folder to begin anew"
        )
    state.load(tensors)
    return step, loss


def _layout(model: nn.Module) -> str:
    """How many numbers the network has, and a short hash of their names and shapes."""
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    return f"{count} parameters, {hashlib.sha256(str(shapes).encode()).hexdigest()[:8]}"


def _digest(*tensors: Tensor | None) -> str:
    """A short hash of the numbers, to tell one data set from another."""
    h = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            h.update(str(tuple(tensor.shape)).encode())
            h.update(tensor.detach().cpu().reshape(-1).numpy().data)
    return h.hexdigest()[:16]


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
