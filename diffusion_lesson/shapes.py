"""Shapes as types: what the arrays of this course look like (checked by beartype under pytest only)."""

import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

Batch = Float[Tensor, " B *dims"]  # B examples of any one shape
Steps = Integer[Tensor, " B"] | int  # one step t for each example, or one for all of them
Labels = Integer[Tensor, " B"]  # one class for each example
PerExample = Float[Tensor, " B"]  # one number for each example
Nats = PerExample  # the same, in nats
Rows = Float[Tensor, " #B *#dims"]  # one number for each example as (B, 1, …, 1), or one for all, (1, 1, …, 1)


def readable(x: Tensor) -> bool:
    """Whether the numbers in x can be looked at without waiting for a device, or breaking a compiled graph."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def kind(x: Tensor) -> str:
    """What came, for a message: "float32 (2, 3)"."""
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"


def integers(labels: Integer[Tensor, "*dims"], name: str = "labels") -> Int64[Tensor, "*dims"]:
    """Labels as int64, whichever integers they were; ValueError for other numbers."""
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"{name}: got {kind(labels)}; expected integers, places in names")
    return labels.long()
