"""A new word from a few pictures: bring them into the network's world, and choose what to train on."""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64, Integer, UInt8
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints, fingerprints
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import on_own_rows
from diffusion_lesson.learning.files import one_run
from diffusion_lesson.learning.step import (
    LOSSES,
    OPTIMIZERS,
    PRECISIONS,
    learning_rate,
    mirrored,
    refuse_what_cannot_learn,
    stop_unless_finite,
    update_ema,
    with_gradients,
)
from diffusion_lesson.learning.training import Progress
from diffusion_lesson.process.forward import q_marginal
from diffusion_lesson.shapes import floats, instance, integers, whole

_BOX, _SIDE = 20, 28  # MNIST's: the ink fits in 20×20, and its centre of mass is the middle of 28×28


def ink(images: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N H W"]:
    """How far each pixel is from the paper, 0 to 1: whatever is drawn on an even ground, dark or light.

    The paper's grey is the median of the picture's border. A third of the greatest distance counts as none:
    that swallows shadows.
    """
    grey = images.float().mean(1)
    border = torch.cat([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], dim=1)
    away = (grey - border.median(1).values[:, None, None]).abs()
    most = away.amax((1, 2), keepdim=True)
    if not (most > 0).all():
        raise ValueError("images: expected something drawn in each, got one that is all of one grey")
    return ((away / most - 1 / 3) * 1.5).clamp(0, 1)


def like_mnist(
    ink: Float[Tensor, "N H W"], *, cut: tuple[float, float] = (0.0, 1.0)
) -> Float32[Tensor, "N 1 28 28"]:
    """Drawings in MNIST's layout: the ink's longer side becomes 20 pixels, its centre of mass the middle of 28×28.

    ink: 0 (paper) to 1. cut: after the smooth enlarging, what is below the first is paper and above the second
    full ink: it sharpens strokes that were blurred. Out come numbers in [−1, 1], white ink on black.
    """
    if not (ink.flatten(1).amax(1) > 0).all():
        raise ValueError("ink: expected some in each picture, got an empty one")
    low, high = cut
    # On the CPU: not every device has this smooth enlarging, and each drawing is measured and placed by itself.
    placed = [_placed(picture.float(), low, high) for picture in ink.cpu()]
    return (torch.stack(placed)[:, None] * 2 - 1).to(ink.device)


def _placed(picture: Tensor, low: float, high: float) -> Tensor:
    inked = picture > 0.1 * picture.max()
    rows, columns = (inked.any(dim).nonzero()[:, 0] for dim in (1, 0))
    cropped = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = [max(1, round(_BOX * side / max(cropped.shape))) for side in cropped.shape]
    drawn = F.interpolate(cropped[None, None], size=size, mode="bicubic", antialias=True)[0, 0]
    drawn = ((drawn - low) / (high - low)).clamp(0, 1)
    out = drawn.new_zeros(_SIDE, _SIDE)
    corner = []
    for dim, side in enumerate(size):
        centre = (drawn.sum(1 - dim) * torch.arange(side, device="cpu")).sum() / drawn.sum()
        corner.append(min(max(round((_SIDE - 1) / 2 - centre.item()), 0), _SIDE - side))
    out[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]] = drawn
    return out


def prior_preservation_set(
    new: Float[Tensor, " K *dims"], label: int, old: Float[Tensor, " M *dims"], old_labels: Integer[Tensor, " M"]
) -> tuple[Float[Tensor, " N *dims"], Int64[Tensor, " N"]]:
    """(pictures, labels) of which half are the new ones, over and over, and half the old: prior preservation.

    `old`: what the network itself drew of the words it knows, before it learns the new one (arXiv:2208.12242).
    """
    if not 1 <= len(new) <= len(old):
        raise ValueError(f"new: expected 1 to {len(old)} pictures (as many as there are old), got {len(new)}")
    again, old_labels = torch.arange(len(old), device=new.device) % len(new), _labels_of(old, old_labels)
    pictures = torch.cat([new[again].to(old.device), old])
    return pictures, torch.cat([torch.full_like(old_labels, label), old_labels])


def _labels_of(old: Tensor, old_labels: Tensor) -> Tensor:
    if old_labels.shape != old.shape[:1]:
        raise ValueError(f"old_labels: expected one for each of {len(old)}, got {tuple(old_labels.shape)}")
    return integers(old_labels, "old_labels")


@with_gradients
def rehearse(
    denoiser: Denoiser,
    new: Float[Tensor, " K *dims"],
    label: int,
    old: Float[Tensor, " M *dims"],
    old_labels: Integer[Tensor, " M"],
    config: TrainConfig,
    *,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 50,
) -> Iterator[Progress]:
    """Teach a denoiser new pictures while it goes on answering as before about old ones; a Progress each step.

    Half of each batch are new pictures, learned as `train` learns. The other half are old ones with noise; there
    the network's own answer from before is what it shall say (arXiv:1606.09282, 1705.08690). Where nothing has
    changed that half has gradient 0; drawn noise, which `prior_preservation_set` makes it guess, would push it
    about. `config` means what it means to `train`, and the batch size must be even. The network itself learns; the
    average is a copy.

    checkpoint: a folder, with the promises of `train`'s. It goes on from there if it is given the denoiser from
    before, not the one that was learning; ValueError if not, and where other pictures or another config are.
    """
    instance(denoiser, Denoiser, "denoiser")
    instance(config, TrainConfig, "config")
    if config.batch_size % 2:
        raise ValueError(f"batch_size: expected an even number, half new and half old, got {config.batch_size}")
    if whole(checkpoint_every, "checkpoint_every", "1 or more") < 1:
        raise ValueError(f"checkpoint_every: expected 1 or more, got {checkpoint_every}")
    floats(new, "new")
    floats(old, "old")
    new, old, old_labels = new.detach(), old.detach(), _labels_of(old, old_labels)
    _refuse(denoiser, {"label": [label], "old_labels": old_labels.cpu().tolist()})
    model, schedule, no_label = denoiser.network, denoiser.schedule, denoiser.classes
    device = next(model.parameters()).device
    before = copy.deepcopy(model).eval().requires_grad_(False)
    averaged = copy.deepcopy(before)
    optimizers = OPTIMIZERS[config.optimizer](model.train(), config.learning_rate)
    # Random numbers are the CPU's, so that they are the same on every device.
    g, half, steps = torch.Generator("cpu").manual_seed(config.seed), config.batch_size // 2, config.steps
    ask = partial(on_own_rows, rows=slice(None), dtype=PRECISIONS[config.precision])
    settings = asdict(config) | {
        "predicts": denoiser.predicts, "label": label, "network": fingerprints.of_network(model),
        "before": fingerprints.of_bits(*before.state_dict().values()), "images": fingerprints.of_images(new, None),
        "old": fingerprints.of_images(old, old_labels), "betas": fingerprints.of_betas(schedule.betas),
    }  # fmt: skip
    state = checkpoints.State(model, averaged, optimizers, g)
    folder = checkpoints.folder_of(checkpoint)
    with one_run(folder) if folder is not None else nullcontext():
        first, start, loss_now = 0, 0, float("nan")
        if folder is not None:
            first, start, loss_now = checkpoints.resume(folder, state, settings)
        saved = step = first

        def save() -> None:
            nonlocal saved
            if folder is not None and saved < step:
                note = {"step": step, "loss": loss_now, "start": start, "settings": settings}
                checkpoints.save(folder, state, note)
            saved = step

        learned_by = replace(denoiser, network=averaged)
        if first == steps:
            yield Progress(steps, loss_now, learned_by)
        for step in range(first + 1, steps + 1):
            for group in [group for each in optimizers for group in each.param_groups]:
                group["lr"] = learning_rate(step - start, steps - start, config.learning_rate)
            i, j = (torch.randint(len(x), (half,), generator=g, device="cpu") for x in (new, old))
            dropped = torch.rand(2, half, generator=g, device="cpu") < config.drop_labels
            y_old = old_labels[j.to(old_labels.device)].cpu()
            y = torch.stack([torch.full_like(j, label), y_old]).where(~dropped, no_label)
            y_new, y_old = y.to(device)
            x_new, x_old = (x[k.to(x.device)].to(device) for x, k in ((new, i), (old, j)))
            if config.mirror:
                x_new, x_old = mirrored(x_new, g), mirrored(x_old, g)
            learned = LOSSES[denoiser.predicts](schedule, ask(model, y_new), x_new, g).mean()
            t = schedule.draw_t(half, g).to(device)
            xt = q_marginal(schedule, t, x_old).sample(g)
            kept = (ask(model, y_old)(xt, t) - ask(before, y_old)(xt, t)).square().mean()
            loss = (learned + kept) / 2
            model.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            loss_now = loss.item()
            stop_unless_finite(loss_now, norm.item(), step, config.learning_rate)
            for each in optimizers:
                each.step()
            update_ema(averaged, model, step, config.ema)
            if step % checkpoint_every == 0 or step == steps:
                save()
            yield Progress(step, loss_now, learned_by, save)


class _OneRow(nn.Embedding):
    """A table of labels, frozen but for one row, which stands beside it."""

    def __init__(self, table: Tensor, label: int) -> None:
        super().__init__(*table.shape)
        self.weight = nn.Parameter(table.detach().clone(), requires_grad=False)
        self.own, self.row = label, nn.Parameter(table[label].detach().clone())

    def forward(self, labels: Tensor) -> Tensor:
        """(B,) → (B, embedding)."""
        return torch.where((labels == self.own)[:, None], self.row, super().forward(labels))


def freeze_all_but_label(denoiser: Denoiser, label: int) -> Denoiser:
    """A copy in which nothing can be trained but what the network is told for `label` (arXiv:2208.01618)."""
    _refuse(denoiser, {"label": [label]})
    table = getattr(denoiser.network, "label", None)
    if not isinstance(table, nn.Embedding):
        raise ValueError(
            f"denoiser: expected a network with a table of labels, got a {type(denoiser.network).__name__}"
        )
    free = copy.deepcopy(denoiser.network).requires_grad_(False)
    free.label = _OneRow(table.weight, label)
    return replace(denoiser, network=free)


def _refuse(denoiser: Denoiser, labels: dict[str, list[int]]) -> None:
    """ValueError where a denoiser takes no labels, or not these, or cannot learn, its weights being in half."""
    if denoiser.classes == 0:
        raise ValueError("denoiser: expected one that takes labels, got one with classes=0")
    for name, given in labels.items():
        if wrong := [label for label in given if not 0 <= label < denoiser.classes]:
            raise ValueError(f"{name}: expected 0..{denoiser.classes - 1}, got {wrong[0]}")
    refuse_what_cannot_learn(denoiser.network)
