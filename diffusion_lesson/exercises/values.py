"""What a reader's answer holds: numbers in any dress, made tensors of one kind and compared."""

import dataclasses
from collections.abc import Iterable, Mapping, Set
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Misfit(Exception):
    """The answer is of a kind that can't be compared with the right one; the message tells its author so."""


def kind(value: Any) -> str:
    """The kind of a value in a reader's words, such as "a tensor of shape (2, 2)"."""
    if isinstance(value, Tensor | np.ndarray):
        name = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{name} of shape {tuple(value.shape)}" if value.ndim else "a tensor that holds one number"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return "a dictionary"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float | complex | np.number):
        return "a number"
    return "a function" if callable(value) else f"something else ({type(value).__name__})"


def numbers(value: Any) -> Tensor:
    """The numbers of a tensor, an array, a number, or lists of them: float64, or complex128 if truly complex.

    Misfit for what holds no numbers, and for lists whose rows are not equally long.
    """
    refuse_no_value(value)
    if isinstance(value, Tensor):
        if value.is_nested:
            raise Misfit("the rows of the tensor are not equally long, so they make no table of numbers.")
        out = value.detach().cpu().to_dense()
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        out = torch.from_numpy(value.astype(np.complex128 if value.dtype.kind == "c" else np.float64))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes) and not _is_one(value):
        out = _stacked([numbers(item) for item in value])
    else:
        try:
            out = torch.tensor(complex(value), dtype=torch.complex128)
        except (TypeError, ValueError, OverflowError):
            raise Misfit(f"where a number should stand there is {kind(value)}.") from None
    if not out.is_complex():
        return out.double()
    return out.to(torch.complex128) if (out.imag.abs() > 1e-9 * (1 + out.real.abs())).any() else out.real.double()


def parts(value: Any, names: tuple[str, ...], rank: int, form: str = "") -> tuple[Tensor, ...]:
    """The values for `names`, from a tuple, a list, a dataclass, a stack, or what has a mean and a variance.

    `rank` is the number of dimensions of a single one, so that a stack is told from one value. Misfit for another
    number of values; `form` is added to its message.
    """
    if len(names) == 1:
        return (numbers(value),)
    refuse_no_value(value)
    if isinstance(value, Tensor | np.ndarray):
        items = list(value) if value.ndim > rank and len(value) == len(names) else [value]
    elif len(names) == 2 and (bell := _bell(value)) is not None:
        items = list(bell)
    elif dataclasses.is_dataclass(value):
        items = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes) and not _is_one(value):
        items = list(value)
    else:
        items = [value]
    if len(items) != len(names):
        came = f"{len(items)} values" if len(items) > 1 else kind(value)
        asked = f"{len(names)} values are asked: {' and '.join(names)}."
        raise Misfit(f"your function returns {came}; {asked} {form}".strip())
    return tuple(numbers(item) for item in items)


def same(given: Tensor, wanted: Tensor, rtol: float = 1e-4, atol: float = 2e-6) -> bool:
    """Whether the two agree. A single number may come in any shape, a row for all rows; only finite numbers do."""
    if wanted.ndim and given.shape != wanted.shape:
        try:
            given = given.expand(wanted.shape)
        except RuntimeError:
            return False
    if not given.numel() or not wanted.isfinite().all():
        return False
    return bool(((given - wanted).abs() <= atol + rtol * wanted.abs()).all())


def refuse_no_value(value: Any) -> None:
    """Misfit for None, a generator, a dictionary, a set and a function: they stand for a slip, not for values."""
    if value is None or value is Ellipsis:
        raise Misfit("your function returns nothing (None). Is there a `return`? To print is not to return.")
    if isinstance(value, GeneratorType):
        raise Misfit("your function yields; the result should come back at once, by `return`.")
    if isinstance(value, Mapping):
        raise Misfit("your function returns a dictionary; return the values themselves, without names.")
    if isinstance(value, Set):
        raise Misfit("your function returns a set, and a set has no order; return a tuple or a list.")
    if callable(value) and not isinstance(value, Tensor):
        raise Misfit("your function returns a function; return what that function gives, by calling it.")


def _bell(value: Any) -> tuple[Any, Any] | None:
    """(mean, variance) of a Gaussian of any library, or None."""
    mean = getattr(value, "mean", None)
    var = getattr(value, "var", getattr(value, "variance", None))
    if callable(mean) and callable(var) and not isinstance(value, Iterable):
        mean, var = mean(), var()  # as in SciPy
    return None if mean is None or var is None or callable(mean) or callable(var) else (mean, var)


def _is_one(value: Any) -> bool:
    """Whether it is an array of no dimensions, which has a length in name only."""
    return getattr(value, "ndim", None) == 0


def _stacked(rows: list[Tensor]) -> Tensor:
    if len({row.shape for row in rows}) > 1:
        raise Misfit("the rows of the list are not equally long, so they make no table of numbers.")
    if not rows:
        return torch.zeros(0, dtype=torch.float64)
    dtype = torch.complex128 if any(row.is_complex() for row in rows) else torch.float64
    return torch.stack([row.to(dtype) for row in rows])
