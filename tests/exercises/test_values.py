"""Numbers in any dress become tensors of one kind, and what holds none is named."""

from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
import scipy.stats
import sympy
import torch
from torch import tensor

from diffusion_lesson.exercises.values import Misfit, kind, numbers, parts, same

Pair = namedtuple("Pair", "mean var")


@dataclass
class Two:
    a: float
    b: float


@pytest.mark.parametrize(
    "value",
    [
        tensor([1.0, 2.0]),
        tensor([1, 2], dtype=torch.int32),
        tensor([1.0, 2.0]).to_sparse(),
        tensor([1.0, 2.0], requires_grad=True),
        np.array([1, 2], dtype=np.uint8),
        np.array([1.0, 2.0])[::-1][::-1],
        np.array([1, Fraction(2)], dtype=object),
        [1, 2.0],
        (True, np.float32(2)),
        [tensor(1.0), np.array(2)],
        map(float, "12"),
        ["1", Decimal("2")],
        [sympy.Integer(1), sympy.sqrt(4)],
        [1 + 0j, 2 + 1e-13j],
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_every_kind(value) -> None:
    out = numbers(value)
    assert out.dtype == torch.float64
    assert not out.requires_grad
    assert out.tolist() == pytest.approx([1, 2])


def test_truly_complex_numbers_stay_complex() -> None:
    assert numbers([1, 1j]).dtype == torch.complex128
    assert numbers(np.array([1, 1j])).dtype == torch.complex128
    assert numbers([]).shape == (0,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "returns nothing"),
        ([1, None], "returns nothing"),
        ((x for x in [1]), "yields"),
        ({"a": 1}, "a dictionary"),
        ({1, 2}, "no order"),
        (len, "returns a function"),
        ("one", "there is a string"),
        (b"1", "something else (bytes)"),
        (10**400, "there is a number"),
        ([[1], [2, 3]], "not equally long"),
        (np.array(["a"]), "there is a string"),
    ],
)
def test_what_holds_no_numbers_is_named(value, words) -> None:
    with pytest.raises(Misfit) as misfit:
        numbers(value)
    assert words in str(misfit.value)


@pytest.mark.parametrize(
    "value",
    [
        (1.0, 2.0),
        [1.0, 2.0],
        tensor([1.0, 2.0]),
        tensor([[1.0], [2.0]]),
        np.array([1.0, 2.0]),
        Pair(1.0, 2.0),
        Two(1.0, 2.0),
        torch.distributions.Normal(1.0, 2.0**0.5),
        scipy.stats.norm(1.0, 2.0**0.5),
        map(float, "12"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_pair_in_every_kind(value) -> None:
    mean, var = parts(value, ("the mean", "the variance"), rank=0)
    assert [mean.item(), var.item()] == pytest.approx([1, 2])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0, "returns a number; 2 values are asked: the mean and the variance. Both"),
        ((1, 2, 3), "returns 3 values"),
        ((1,), "returns a tuple of 1"),
        (torch.ones(2, 3), "returns a tensor of shape (2, 3)"),
        ("ab", "returns a string"),
        (Two, "returns a function"),
    ],
)
def test_another_number_of_values_is_named(value, words) -> None:
    with pytest.raises(Misfit) as misfit:
        parts(value, ("the mean", "the variance"), rank=2, form="Both")
    assert words in str(misfit.value)


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (tensor([1.0, 2.0]), tensor([1.0, 2.0]), True),
        (tensor([1.0, 2.00001]), tensor([1.0, 2.0]), True),
        (tensor([1.0, 2.02]), tensor([1.0, 2.0]), False),
        (tensor(3.0), tensor([3.0, 3.0]), True),
        (tensor([[3.0]]), tensor(3.0), True),
        (tensor([3.0, 3.0]), tensor(3.0), True),
        (tensor([3.0, 4.0]), tensor(3.0), False),
        (tensor([[1.0, 2.0]]), tensor([1.0, 2.0]), False),
        (tensor([]), tensor(3.0), False),
        (tensor(nan), tensor(3.0), False),
        (tensor(nan), tensor(nan), False),
        (tensor(3.0), tensor(inf), False),
        (tensor(inf), tensor(3.0), False),
        (tensor(1 + 1j), tensor(1.0), False),
    ],
)
def test_same(given, wanted, expected) -> None:
    assert same(given, wanted) is expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.ones(2, 3), "a tensor of shape (2, 3)"),
        (np.ones(3), "an array of shape (3,)"),
        (tensor(1.0), "a tensor that holds one number"),
        ([1, 2], "a list of 2"),
        (Pair(1, 2), "a Pair of 2"),
        ({}, "a dictionary"),
        ("x", "a string"),
        (np.float32(1), "a number"),
        (len, "a function"),
        (object(), "something else (object)"),
    ],
)
def test_kind(value, words) -> None:
    assert kind(value) == words
