"""The processes that train together: one alone, or those that `accelerate launch` started."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion_lesson.devices import usable
from diffusion_lesson.interrupts import deadly
from diffusion_lesson.shapes import same_shape

PATIENCE = 10.0  # seconds until who waits for other processes says so


@dataclass(frozen=True)
class Distributed:
    """The processes that train together, seen from one of them. Alone, there is nothing to agree on."""

    device: torch.device
    rank: int = 0
    world_size: int = 1
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model  # its gradients are the mean over all processes
    mean: Callable[[Tensor], Tensor] = lambda value: value  # over all processes
    barrier: Callable[[], None] = lambda: None  # until all are here

    def rows(self, batch_size: int) -> slice:
        """Which of a batch's rows are this process's."""
        share = batch_size // self.world_size
        return slice(share * self.rank, share * (self.rank + 1))


def alone() -> bool:
    """Whether this process trains by itself: WORLD_SIZE decides. A RANK that was left over says nothing."""
    return os.environ.get("WORLD_SIZE", "1") in ("", "1")


def main_process() -> bool:
    """Whether this process is the one to print and to write files: one alone, or the first of several."""
    return alone() or os.environ.get("RANK", "0") == "0"


def distributed(device: str | torch.device) -> Distributed:
    """One process on `device`, or those that `accelerate launch` started, each on its own device of that kind.

    ValueError where WORLD_SIZE speaks of several that are not there: none would be the main process.
    """
    if alone():
        return Distributed(usable(device))
    from accelerate import Accelerator  # optional: only several processes need it
    from accelerate.state import AcceleratorState

    # Autocast is training's own, so what `accelerate config` says of mixed precision is not taken.
    given = f"{os.environ.get('RANK', '0')} of {os.environ['WORLD_SIZE']}"
    cause: Exception | None = None
    try:
        with _patience(given), deadly():
            accelerator = Accelerator(cpu=torch.device(device).type == "cpu", mixed_precision="no")
        found = f"{accelerator.process_index} of {accelerator.num_processes}"
    except (ValueError, RuntimeError) as error:
        found, cause = f"alone ({str(error).partition(chr(10))[0]})", error
    if given != found:
        AcceleratorState._reset_state(reset_partial_state=True)  # what was half made would break the next try, too
        raise ValueError(
            f"WORLD_SIZE: the environment speaks of process {given}, but this is {found}; "
            "start all with `accelerate launch`, or unset RANK and WORLD_SIZE to train alone"
        ) from cause
    return Distributed(
        accelerator.device, accelerator.process_index, accelerator.num_processes,
        wrap=accelerator.prepare_model, mean=lambda value: accelerator.reduce(value, "mean"),
        barrier=accelerator.wait_for_everyone,
    )  # fmt: skip


@contextmanager
def _patience(given: str) -> Iterator[None]:
    """A line on stderr where the others keep this one waiting. (They may never have been started.)"""
    where = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    words = f"WORLD_SIZE: this is process {given}, and waits for the others at {where}; unset it to train alone"
    timer = threading.Timer(PATIENCE, lambda: print(words, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def on_own_rows(
    model: nn.Module, labels: Tensor | None, rows: slice, dtype: torch.dtype
) -> Callable[[Tensor, Tensor], Tensor]:
    """`model` as a function of (x_t, t) that is asked only about these rows of a batch; the others are left at 0.

    It computes in `dtype` where that is safe (autocast).
    """

    def shared(xt: Tensor, t: Tensor) -> Tensor:
        given = {} if labels is None else {"labels": labels[rows]}
        out = torch.zeros_like(xt)
        # Not every device has autocast: it is not asked for where nothing would come of it.
        with torch.autocast(xt.device.type, dtype) if dtype != torch.float32 else nullcontext():
            said = model(xt[rows], t[rows], **given)
        same_shape(said, xt[rows], "denoiser")
        out[rows] = said.to(out.dtype)
        return out

    return shared
