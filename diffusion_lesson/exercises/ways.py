"""Ways to put one question: with numbers and tensors as the lesson gives them, or in the dialect of an answer.

`torch.sqrt(beta)` wants a tensor and `math.sqrt(beta)` a number; a matrix product wants both sides of one
precision; `x.astype` is NumPy's. All of them are right, so a question is put in each way until one is understood.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Way = Callable[[Any], Any]  # translates one argument


class Spoken:
    """A reader's function, asked in one way; `asked` holds what it was last called with."""

    def __init__(self, answer: Callable[..., Any], way: Way) -> None:
        self.answer, self.way = answer, way
        self.asked: tuple[Any, ...] = ()

    def __call__(self, *args: Any) -> Any:
        """The answer to arguments that are all translated, and are copies: it may change them."""
        self.asked = tuple(self.way(arg) for arg in args)
        return self.answer(*self.asked)


def as_given(value: Any) -> Any:
    """Numbers as Python's, tables as tensors of double precision."""
    return value.clone() if isinstance(value, Tensor) else value


def as_tensors(value: Any) -> Any:
    """Numbers as tensors without dimensions. Whole numbers, which count something, stay."""
    return torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else as_given(value)


def as_single(value: Any) -> Any:
    """Everything as tensors of PyTorch's own precision."""
    value = as_tensors(value)
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def as_numpy(value: Any) -> Any:
    """Everything as NumPy's."""
    value = as_given(value)
    if isinstance(value, Tensor):
        return value.numpy()
    return np.float64(value) if isinstance(value, float) else value


def as_lists(value: Any) -> Any:
    """Numbers as Python's, tables as lists."""
    return value.tolist() if isinstance(value, Tensor) else value


WAYS: tuple[Way, ...] = (as_given, as_tensors, as_single, as_numpy, as_lists)
