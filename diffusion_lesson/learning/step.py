"""One step of training: loss, gradient, clipping, optimizer, average. It can be captured (see capture.py)."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from math import cos, isfinite, pi
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from diffusion_lesson.learning import muon
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import on_own_rows
from diffusion_lesson.process.losses import eps_loss, v_loss, x0_loss
from diffusion_lesson.shapes import Batch

LOSSES: dict[str, Callable[..., Tensor]] = {"eps": eps_loss, "v": v_loss, "x0": x0_loss}
OPTIMIZERS = {"adamw": muon.adamw, "muon": muon.muon}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}  # what the network computes in
P = ParamSpec("P")
T = TypeVar("T")
WARM_UP = 100  # steps over which the learning rate rises


@dataclass
class Step:
    """What a step does to the network, the optimizers, the average and the generator, from x_0 and labels.

    Where `numbers_stay`, it never waits for the device: rate and share are tensors there, x_0 and labels are
    copied to where they were the first time, and a loss that overflowed makes the update do nothing. Elsewhere
    such a loss is an error before the update.
    """

    denoiser: Denoiser
    called: nn.Module  # its network as it is called: compiled, or shared by several processes
    averaged: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    config: TrainConfig
    generator: torch.Generator
    rows: slice  # of a batch, which are this process's
    mean: Callable[[Tensor], Tensor]  # over all processes
    numbers_stay: bool
    number: int = field(default=0, init=False)  # 1..steps
    x0: Tensor = field(default_factory=lambda: torch.empty(0), init=False)
    y: Tensor | None = field(default=None, init=False)
    share: float | Tensor = field(default=1.0, init=False)  # of the newest weights in the average
    latest: list[float] = field(default_factory=list, init=False)  # loss and norm, where they are read at once

    def __post_init__(self) -> None:
        """List the weights once, as walking through a network takes longer than an optimizer's step.

        Where numbers stay on the device, make room for them there.
        """
        self.weights, self.averages = tensors(self.denoiser.network), tensors(self.averaged)
        self.rate, self.share_there, self.overflowed = torch.zeros(3, device=self.generator.device)
        if self.numbers_stay:
            self.share = self.share_there
            for group in _groups(self.optimizers):
                group["lr"] = self.rate
                if "capturable" in group:
                    group["capturable"] = True

    def prepare(self, number: int, rate: float, x0: Batch, y: Tensor | None) -> None:
        """Set what differs from step to step."""
        share, self.number = 1 - ema_share(number, self.config.ema), number
        if not self.numbers_stay:
            self.share, self.x0, self.y = share, x0, y
            for group in _groups(self.optimizers):
                group["lr"] = rate
            return
        if self.x0.shape != x0.shape:
            self.x0, self.y = x0.clone(), None if y is None else y.clone()
        self.x0.copy_(x0)
        if y is not None and self.y is not None:
            self.y.copy_(y)
        self.share_there.fill_(share)
        self.rate.fill_(rate)

    def __call__(self) -> Tensor:
        """Do it. (2,): the loss, and the norm of its gradient before clipping."""
        config, classes, generator = self.config, self.denoiser.classes, self.generator
        x0, y, (weights, _) = self.x0, self.y, self.weights
        if config.mirror:
            x0 = mirrored(x0, generator)
        if y is not None:
            dropped = torch.rand(len(y), generator=generator, device=y.device) < config.drop_labels
            y = torch.where(dropped, classes, y)
        answer = on_own_rows(self.called, y, self.rows, PRECISIONS[config.precision])
        loss = LOSSES[self.denoiser.predicts](self.denoiser.schedule, answer, x0, generator)[self.rows].mean()
        for w in weights:
            w.grad = None
        loss.backward()
        norm = nn.utils.clip_grad_norm_(weights, 1.0)
        # Together, since on a GPU each reading waits for all work before it.
        numbers = torch.stack([self.mean(loss.detach()), norm])
        self._guard(numbers)
        for each in self.optimizers:
            each.step()
        move_average(self.averages, self.weights, self.share)
        return numbers

    def _guard(self, numbers: Tensor) -> None:
        if self.numbers_stay:
            self.overflowed.logical_or_(~numbers.isfinite().all())  # once is for ever: it is told a step later
            for each in self.optimizers:
                each.found_inf = self.overflowed  # type: ignore[attr-defined]
        else:
            self.latest = numbers.tolist()
            self.check(self.number, self.latest)

    def check(self, number: int, numbers: list[float]) -> None:
        """FloatingPointError where loss or norm of that step overflowed."""
        loss, norm = numbers
        stop_unless_finite(loss, norm, number, self.config.learning_rate)


def _groups(optimizers: Sequence[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    return [group for each in optimizers for group in each.param_groups]


def mirrored(x: Batch, generator: torch.Generator) -> Batch:
    """Each picture left for right with probability 1/2."""
    turn = torch.rand(len(x), generator=generator, device=generator.device) < 0.5
    return torch.where(turn.to(x.device).view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)


def learning_rate(step: int, steps: int, highest: float) -> float:
    """The rate of step 1..steps: it rises to `highest` over 100 steps, and falls to 0 along a cosine."""
    return highest * min(step / WARM_UP, 1.0) * 0.5 * (1 + cos(pi * (step - 1) / steps))


def with_gradients(learn: Callable[P, Iterator[T]]) -> Callable[P, Generator[T, None, None]]:
    """Each step of `learn` with gradients on, whatever the mode of who asks for it; that mode stays as it is."""

    @wraps(learn)
    def steps(*args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        inside = learn(*args, **kwargs)
        try:
            while True:
                with torch.inference_mode(False), torch.enable_grad():
                    try:
                        one = next(inside)
                    except StopIteration:
                        return
                yield one
        finally:
            inside.close()  # type: ignore[attr-defined]

    return steps


def refuse_what_cannot_learn(model: nn.Module) -> None:
    """ValueError where its weights can't learn, or are in half: their moving average would stand still."""
    if not isinstance(model, nn.Module) or not any(w.requires_grad for w in model.parameters()):
        raise ValueError(f"denoiser: expected a network with weights that learn, got {type(model).__name__}")
    if any(w.is_inference() for w in model.parameters()):
        raise ValueError("denoiser: expected weights that can learn, got some made under torch.inference_mode")
    if half := [name for name, w in model.named_parameters() if w.dtype in (torch.float16, torch.bfloat16)]:
        raise ValueError(
            f"denoiser: expected weights in single precision, got {half[0]} in half, where averages stand still; "
            'precision="bf16" lets it compute in half'
        )


def stop_unless_finite(loss: float, norm: float, step: int, highest: float) -> None:
    """FloatingPointError where one of them overflowed, before the step, so that the weights stay finite."""
    if not (isfinite(loss) and isfinite(norm)):
        raise FloatingPointError(
            f"learning_rate: at step {step} the loss is {loss:g}, its gradient's norm {norm:g}; "
            f"a rate below {highest:g} may help"
        )


def ema_share(step: int, ema: float) -> float:
    """κ = min(ema, step/(step + 9)): what the average keeps of itself at this step."""
    return min(ema, step / (step + 9))


def update_ema(averaged: nn.Module, model: nn.Module, step: int, ema: float) -> None:
    """averaged ← κ averaged + (1 − κ) model, κ = min(ema, step/(step + 9)); buffers are copied.

    (BatchNorm's buffers are averages already.)
    """
    move_average(tensors(averaged), tensors(model), 1 - ema_share(step, ema))


def tensors(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """(its parameters, its buffers)."""
    return list(model.parameters()), list(model.buffers())


@torch.no_grad()
def move_average(
    averaged: tuple[list[Tensor], list[Tensor]], model: tuple[list[Tensor], list[Tensor]], share: float | Tensor
) -> None:
    """averaged ← averaged + share (model − averaged), share a number, or one on the device; buffers are copied.

    Both as `tensors` gives them.
    """
    (averages, buffers), (weights, latest) = averaged, model
    if isinstance(share, Tensor):
        ways = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(ways, share)
        torch._foreach_add_(averages, ways)
    else:
        torch._foreach_lerp_(averages, weights, share)
    for buffer, new in zip(buffers, latest, strict=True):
        buffer.copy_(new)
