"""The training loop as a generator, with an average of the weights; on a CPU it resumes bit for bit.

`accelerate launch` starts the same loop in several processes, one a GPU, which share every batch.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import capture, checkpoints, fingerprints
from diffusion_lesson.learning.config import TrainConfig, seed_of_step
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import distributed
from diffusion_lesson.learning.files import one_run
from diffusion_lesson.learning.step import (
    OPTIMIZERS,
    Step,
    learning_rate,
    refuse_what_cannot_learn,
    with_gradients,
)
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.shapes import Batch, floats, instance, integers, kind, warn_unless_signed, whole


@dataclass(frozen=True)
class Progress:
    """What one optimiser step leaves behind. `denoiser`, the same object each time, is what to sample from."""

    step: int  # 1..steps
    loss: float  # this batch's mean; on a GPU perhaps that of the batch before (see `train`)
    denoiser: Denoiser  # its network is the exponential moving average of the weights
    # Write a checkpoint of this step, where there is a folder; to be called before the next step is asked for.
    save: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def averaged(self) -> nn.Module:
        """The moving average of the weights: the network in `denoiser`."""
        return self.denoiser.network


@with_gradients
def train(
    denoiser: Denoiser,
    images: Batch,
    config: TrainConfig,
    *,
    labels: Tensor | None = None,
    device: str | torch.device = "cpu",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    graph: bool = True,
) -> Iterator[Progress]:
    """Minimise the ε-, v- or x_0-loss (DDPM Algorithm 1; lesson 10); yields a Progress each step.

    denoiser: its network learns to predict what it says that it predicts. images: (N, C, H, W) floats in [−1, 1].
    They stay as they are. Each batch moves to `device`, where the network goes, and to the dtype of its weights; a
    GPU with room takes all pictures.
    Every random number comes from `config.seed`: on one CPU, with one thread count, the weights come out the same
    to the bit. On a GPU the convolutions are told to be deterministic, which made two runs equal when it was tried
    (an H100, a network without attention); another kind of GPU gives other bits.

    checkpoint: a folder. Every `checkpoint_every` steps, and at the end, the state is written there. Where it
    holds one, training goes on from it, and ends as if it had never stopped. ValueError if it was written with
    another config, another network or other images, or if another process is at work in it. A finished training
    is given more `steps`: then the rate rises once more, and falls to 0 at the new end.

    graph: on one GPU, capture the whole step as a CUDA graph (capture.py); where that fails, a warning says so,
    and it goes on without. False for a network that looks at its numbers, or is compiled with graphs of its own.
    A loss is then told a step later than it is made, but for those of the first step, of checkpoints, of the end.

    With `precision="bf16"` weights, average, noise and loss stay single. A network may come compiled; its
    checkpoints are as of a plain one. Under `accelerate launch`, `device` says only which kind, and every process
    yields the same numbers; `distributed.main_process()` says which of them should write files.
    """
    instance(denoiser, Denoiser, "denoiser")
    instance(config, TrainConfig, "config")
    model, classes, steps = denoiser.network, denoiser.classes, config.steps
    if labels is not None and classes == 0:
        raise ValueError("labels: this network has no classes; make it with classes=…, or give no labels")
    refuse_what_cannot_learn(model)
    if whole(checkpoint_every, "checkpoint_every", "1 or more") < 1:
        raise ValueError(f"checkpoint_every: expected 1 or more, got {checkpoint_every}")
    floats(images, "images")
    images = images.detach()
    labels = None if labels is None else integers(labels).to(images.device)
    _check(images, labels, classes)
    if isinstance(plain := getattr(model, "_orig_mod", model), UNet):
        plain.refuse_shape(images, "images")
    team = distributed(device)
    if config.batch_size % team.world_size:
        raise ValueError(
            f"batch_size: expected a multiple of the {team.world_size} processes, got {config.batch_size}"
        )
    called = team.wrap(model.to(team.device).train())
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps: the same weights under plain names
    dtype = next(model.parameters()).dtype
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    drawn_with = replace(denoiser, network=averaged)
    optimizers = OPTIMIZERS[config.optimizer](model, config.learning_rate)
    generator = torch.Generator(team.device).manual_seed(config.seed)
    settings = asdict(config) | {
        "predicts": denoiser.predicts, "network": fingerprints.of_network(model),
        "images": fingerprints.of_images(images, labels), "betas": fingerprints.of_betas(denoiser.schedule.betas),
    }  # fmt: skip
    state = checkpoints.State(model, averaged, optimizers, generator)
    folder = checkpoints.folder_of(checkpoint)
    with one_run(folder) if folder is not None and team.rank == 0 else nullcontext():
        first, start, loss_now = 0, 0, float("nan")
        if folder is not None:
            first, start, loss_now = checkpoints.resume(folder, state, settings)
        if team.mean(torch.tensor(float(first), device=team.device)).item() != first:
            raise ValueError(
                f"checkpoint: not every process sees the one in {folder}; put it on a disk they share"
            )
        if first == steps:
            yield Progress(steps, loss_now, drawn_with)
            return
        recorder = capture.recorder(generator) if graph and team.world_size == 1 else None
        one = Step(
            replace(denoiser, network=model), called, averaged, optimizers, config, generator,
            team.rows(config.batch_size), team.mean, numbers_stay=recorder is not None,
        )  # fmt: skip

        def renew(fresh: torch.Generator) -> None:
            nonlocal state
            one.generator, state = fresh, replace(state, generator=fresh)

        run = capture.captured(one, recorder, renew)
        late = capture.Late(recorder.send, one.check) if recorder is not None else None
        images, labels = _pictures(images, labels, team.device)
        saved = step = first
        drops = capture.has_dropout(model)

        def loss_read(*, now: bool) -> float:
            if late is not None and now:
                late.now()
            return (one if late is None else late).latest[0]

        def save() -> None:
            nonlocal saved
            if folder is not None and team.rank == 0 and saved < step:
                note = {"step": step, "loss": loss_read(now=True), "start": start, "settings": settings}
                checkpoints.save(folder, state, note)
            saved = step

        for step in range(first + 1, steps + 1):
            # Every process draws the numbers of the whole batch, and asks the network about its own rows.
            picked = _picked(len(images), config, one.generator, step).to(images.device, non_blocking=True)
            x0 = images[picked].to(team.device, dtype, non_blocking=True)
            y = None if labels is None else labels[picked].to(team.device, non_blocking=True)
            one.prepare(step, learning_rate(step - start, steps - start, config.learning_rate), x0, y)
            of_this_step = seed_of_step(config.seed, step)
            with capture.deterministic(team.device), capture.seeded(drops, of_this_step, team.device):
                numbers = run()
            ends = step % checkpoint_every == 0 or step == steps
            if late is not None:
                late(step, numbers)
            loss_now = loss_read(now=ends or step == first + 1)
            if ends:
                save()
                team.barrier()
            yield Progress(step, loss_now, drawn_with, save)


def _pictures(images: Tensor, labels: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Pictures and labels, on the device if half of what is free takes them: a step finds them without a wait."""
    if device.type == "cuda" and images.device.type == "cpu":
        free, _ = torch.cuda.mem_get_info(device)
        if images.nbytes <= free / 2:
            images = images.to(device)
    return images, None if labels is None else labels.to(images.device)


def _picked(count: int, config: TrainConfig, generator: torch.Generator, step: int) -> Tensor:
    """Which of `count` pictures a step takes: by a generator of the CPU, so that it is known there at once.

    On another device each step has one of its own, and takes the same pictures wherever they lie.
    """
    if generator.device.type != "cpu":
        generator = torch.Generator("cpu").manual_seed(seed_of_step(config.seed, step))
    return torch.randint(count, (config.batch_size,), generator=generator, device="cpu")


def _check(images: Tensor, labels: Tensor | None, classes: int) -> None:
    """Refuse what would train quietly on nonsense."""
    if images.numel() == 0:
        raise ValueError(f"images: expected at least one, got none: {kind(images)}")
    if images.min() < -1 or images.max() > 1 or images.isnan().any():
        raise ValueError(
            f"images: expected values in [-1, 1] (to_signed makes them), "
            f"got {images.min().item():g} to {images.max().item():g}"
        )
    warn_unless_signed(images, "images", stacklevel=5)
    if labels is not None and (labels.shape != images.shape[:1]):
        raise ValueError(f"labels: expected one integer for each of {len(images)} images, got {kind(labels)}")
    if labels is not None and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"labels: expected 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")
