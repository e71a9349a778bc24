"""Shapes as types: what the arrays of this course look like (checked by beartype under pytest only).

And what a ValueError says of an argument that is none of them.
"""

import warnings
from operator import index
from typing import Any

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


def kind(x: Any) -> str:
    """What came, for a message: "float32 (2, 3)", or the type of what is no tensor."""
    if not isinstance(x, Tensor):
        return type(x).__name__
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"


def floats(x: Any, name: str) -> None:
    """ValueError where x is no tensor of floats: bytes of a picture, say, or an array of NumPy's."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
        raise ValueError(f"{name}: expected a tensor of floats (to_signed makes one of bytes), got {kind(x)}")


def warn_unless_signed(x: Tensor, name: str, stacklevel: int) -> None:
    """A warning where pictures of [0, 1] or [0, 255] are taken for some of [−1, 1]: no value is below 0."""
    if x.numel() and x.min() >= 0 and x.max() > 0:
        warnings.warn(
            f"{name}: no value is below 0 (from {x.min().item():g} to {x.max().item():g}); pictures are expected "
            "to fill [-1, 1], as to_signed makes them",
            stacklevel=stacklevel,
        )


def same_shape(x: Any, like: Tensor, name: str) -> None:
    """ValueError where x is no tensor of floats in the shape of `like`.

    Another shape may well broadcast, and give other numbers, or more of them, without a word.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.shape != like.shape:
        raise ValueError(f"{name}: expected floats {tuple(like.shape)}, got {kind(x)}")


def beside(numbers: Tensor, like: Tensor, name: str) -> Tensor:
    """Numbers on the device of `like`. ValueError where they are on "meta", which holds none."""
    try:
        return numbers.to(like.device)
    except NotImplementedError as error:
        raise ValueError(f'{name}: expected numbers, got {kind(numbers)} on "meta", which holds none') from error


def whole(value: Any, name: str, expected: str = "a whole number") -> int:
    """A whole number of any type as Python's; ValueError for others, and for True and False."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise ValueError(f"{name}: expected {expected}, got {value!r}")


def number(value: Any, name: str, expected: str = "a number") -> float:
    """A number of any type as Python's; ValueError for others, and for words."""
    try:
        if not isinstance(value, str | bytes | bool):
            return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last for tensors of more than one
        pass
    raise ValueError(f"{name}: expected {expected}, got {value!r}")


def instance(value: Any, kind_of: type, name: str) -> None:
    """ValueError where a value is of another kind: a network for a Denoiser, say, or a seed for a generator."""
    if not isinstance(value, kind_of):
        raise ValueError(f"{name}: expected a {kind_of.__name__}, got {kind(value)}")


def integers(labels: Any, name: str = "labels") -> Int64[Tensor, "*dims"]:
    """Labels as int64, whichever integers they were; ValueError for other numbers, and for what is no tensor."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"{name}: got {kind(labels)}; expected a tensor of integers, places in names")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"{name}: got {kind(labels)}; expected integers, places in names")
    return labels.long()
