"""What every exercise is put to: right answers in several idioms, wrong ones with their words, and mutants."""

import contextlib
import io
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from diffusion_lesson.exercises.check import EXERCISES, check
from diffusion_lesson.exercises.values import numbers


def said(name: str, answer: Any) -> str:
    """What `check` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        check(name, answer)
    return out.getvalue()


Change = Callable[[torch.Tensor], torch.Tensor]


def changes(chance: random.Random) -> dict[str, Change]:
    """What may go wrong with numbers: usual slips, and four stretches by chance."""
    usual: dict[str, Change] = {
        "sign": lambda x: -x,
        "twice": lambda x: 2 * x,
        "half": lambda x: x / 2,
        "square": lambda x: x**2,
        "root": lambda x: x.abs().sqrt(),
        "one over": lambda x: 1 / x,
        "1% more": lambda x: 1.01 * x,
        "1% less": lambda x: 0.99 * x,
        "index off by one": lambda x: x.flatten().roll(1).reshape(x.shape),
        "one entry off": _one_entry_off,
    }
    factors = [chance.choice([chance.uniform(-3, 0.98), chance.uniform(1.02, 3)]) for _ in range(4)]
    return usual | {f"times {factor:.2f}": lambda x, by=factor: by * x for factor in factors}


def _one_entry_off(x: torch.Tensor) -> torch.Tensor:
    out = x.clone()
    out.flatten()[x.numel() // 2] += 0.1 * x.abs().max() + 0.01
    return out


class Mutant:
    """A function whose results, or a part of them where they are a pair, are changed; and whether they were."""

    def __init__(self, function: Callable[..., Any], change: Change, part: int) -> None:
        self.function, self.change, self.part = function, change, part
        self.changed = self.pair = False

    def __call__(self, *args: Any) -> Any:
        out = self.function(*args)
        self.pair = isinstance(out, tuple)
        old = numbers(out[self.part] if self.pair else out)
        new = self.change(old)
        self.changed |= not torch.equal(new, old)
        return (*out[: self.part], new, *out[self.part + 1 :]) if self.pair else new


def tries(name: str, right: dict[str, Any], wrong: list[tuple[Any, str]]) -> type:
    """The tests of one exercise: five or more idioms of `right`, and of `wrong` answers, each with its words."""

    @cache
    def reply(number: int) -> str:
        return said(name, wrong[number][0])

    class Tries:
        @pytest.mark.parametrize("idiom", right)
        def test_right_is_right(self, idiom: str) -> None:
            assert said(name, right[idiom]).startswith("Right. "), said(name, right[idiom])

        @pytest.mark.parametrize("number", range(len(wrong)), ids=[words for _, words in wrong])
        def test_wrong_is_named(self, number: int) -> None:
            assert reply(number).startswith("Not yet"), reply(number)
            assert wrong[number][1] in reply(number), reply(number)

        def test_each_mistake_is_made_by_some_answer(self) -> None:
            replies = {reply(number).strip() for number in range(len(wrong))}
            never = [m.words for m in EXERCISES[name].mistakes if f"Not yet: {m.words}" not in replies]
            assert never == [], never

        def test_there_are_five_of_each(self) -> None:
            assert len(right) >= 5
            assert len({reply(number) for number in range(len(wrong))}) >= 5

    return Tries
