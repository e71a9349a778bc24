"""What must not depend on where a tensor is: float64, which some devices lack, and noise from any generator."""

import torch
from torch import Tensor


def usable(device: str | int | torch.device) -> torch.device:
    """The device, where this machine has it. ValueError for others, and for "meta", which holds no numbers."""
    try:
        torch.zeros(1, device=device).cpu()
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError) as error:  # AssertionError where torch is built without CUDA
        raise ValueError(f"device: expected a device of this machine, got {device!r}") from error


def wide(x: Tensor) -> Tensor:
    """x in float64: on its own device, or on the CPU if that device has no float64 (Apple's GPUs)."""
    try:
        return x.double()
    except (TypeError, RuntimeError):  # MPS raises the one, other devices the other
        return x.cpu().double()


def noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z ~ N(0, I) in the shape and dtype of `like` and beside it, wherever the generator draws.

    Half precision gets single precision's numbers, rounded. By itself a CPU would draw it others from the same
    seed: all of them in PyTorch 2.6, and in 2.13 the last 16, where there are 16 or more and no multiple of 16.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"generator: expected a torch.Generator, or None, got {generator!r}")
    device = like.device if generator is None else generator.device
    drawn_in = torch.promote_types(like.dtype, torch.float32)
    return torch.randn(like.shape, generator=generator, dtype=drawn_in, device=device).to(like)
