"""Lesson 13: a batch that keeps the old words alive."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Exercise, Mistake
from diffusion_lesson.exercises.values import Misfit, kind, numbers, refuse_no_value

_NEW = torch.arange(100.0, 106.0).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)  # each picture tells which it is
_OLD = torch.arange(40.0).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
_OLD_LABELS = torch.arange(40) % 9
_CALLS = ((16, 9), (10, 11)) * 60  # (size, label)


@dataclass(frozen=True)
class _Batch:
    """What came of one call: which pictures (their value) and which labels, (size,) each."""

    size: int
    label: int
    pictures: Tensor
    labels: Tensor

    @property
    def new(self) -> Tensor:
        """Which are of the six."""
        return self.pictures >= 100

    @property
    def wrong(self) -> Tensor:
        """Where the label isn't the picture's own."""
        own = torch.where(self.new, self.label, _OLD_LABELS[self.pictures.clamp(0, 39).long()])
        return self.labels != own

    @property
    def halves(self) -> bool:
        """Whether half of it is new."""
        return int(self.new.sum()) * 2 == len(self.pictures)


def _batches(answer: Callable[..., Any]) -> list[_Batch]:
    """120 calls: by chance, each of the 40 old pictures is missed in all of them once in 10⁹ times."""
    g = torch.Generator().manual_seed(0)
    return [
        _batch(answer(_NEW.clone(), label, _OLD.clone(), _OLD_LABELS.clone(), size, g), size, label)
        for size, label in _CALLS
    ]


def _batch(out: Any, size: int, label: int) -> _Batch:
    refuse_no_value(out)
    both = list(out) if isinstance(out, Iterable) and not isinstance(out, Tensor) else [out]
    if len(both) != 2:
        came = f"{len(both)} values" if len(both) > 1 else kind(out)
        raise Misfit(f"your function returns {came}; two are asked: the pictures and their labels.")
    x, y = map(numbers, both)
    if x.shape == (len(y),) and y.shape[1:] == _NEW.shape[1:]:
        raise Misfit("the labels come first: the pictures are asked before them.")
    if x.shape[1:] != _NEW.shape[1:] or y.shape != x.shape[:1]:
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise Misfit(f"the shapes are {shapes}; asked are ({size}, 1, 2, 2) here, and a label for each picture.")
    first = x[:, :1, :1, :1]
    if not (x == first).all() or not torch.isin(first, torch.cat([_NEW, _OLD]).double()).all():
        raise Misfit("there are pictures in it that are neither new nor old ones: they were changed.")
    return _Batch(size, label, first.flatten(), y)


Fault = Callable[[_Batch], Any]


def _any(fault: Fault) -> Callable[[list[_Batch]], bool]:
    return lambda seen: any(bool(fault(batch)) for batch in seen)


def _all(fault: Fault) -> Callable[[list[_Batch]], bool]:
    return lambda seen: all(bool(fault(batch)) for batch in seen)


def _share_of_new(seen: list[_Batch]) -> float:
    """The share of new pictures in all batches together."""
    return float(torch.cat([b.new for b in seen]).double().mean())


def _drawn(seen: list[_Batch], new: bool) -> int:
    """How many different pictures of one kind ever came."""
    return len(torch.cat([b.pictures[b.new == new] for b in seen]).unique())


def _varied(seen: list[_Batch], new: bool) -> bool:
    """Whether chance is in it: the large batches don't always hold the same ones."""
    large = [tuple(b.pictures[b.new == new].sort().values.tolist()) for b in seen if b.size == 16]
    return len(set(large)) > 5


_MISTAKES = (
    Mistake(
        _any(lambda b: len(b.labels) != b.size),
        "the batch is not of the size asked for: half of `size` are new pictures, half are old ones.",
    ),
    Mistake(
        _all(lambda b: b.new.all()),
        "there is no old picture in it. The network learns the new word, and nothing holds the others.",
    ),
    Mistake(_all(lambda b: not b.new.any()), "there is no new picture in it: this network learns nothing."),
    Mistake(
        _all(lambda b: (b.labels[~b.new] == b.label).all() and (b.labels[b.new] != b.label).all()),
        "the labels stand in another order than the pictures: the new pictures carry those of the old ones, and "
        "the old ones the new label.",
    ),
    Mistake(
        _all(lambda b: (b.labels[~b.new] == b.label).all()),
        "the old pictures carry the new label. That teaches the network that everything is the new word.",
    ),
    Mistake(
        _any(lambda b: b.wrong[b.new].any()),
        "a new picture carries another label than `label`. All of the new ones get the one that was given.",
    ),
    Mistake(
        _any(lambda b: b.wrong.any()),
        "pictures and labels of the old part company: pick both by the same random numbers.",
    ),
    Mistake(
        lambda seen: _any(lambda b: not b.halves)(seen) and abs(_share_of_new(seen) - 0.5) < 0.06,
        "the six are half of it on average only: in one batch more, in another fewer. Draw exactly size // 2 of "
        "them.",
    ),
    Mistake(
        lambda seen: _share_of_new(seen) > 0.5,
        "the six are more than half of the batch: draw size // 2 of them, and as many of the old ones.",
    ),
    Mistake(
        _any(lambda b: not b.halves),
        "the six are not half of the batch. In one heap of all pictures they are too few to be heard: "
        "draw size // 2 of them, again and again.",
    ),
    Mistake(
        lambda seen: not _varied(seen, new=False),
        "it is always the same old pictures. Draw them anew each time, from all of them.",
    ),
    Mistake(
        lambda seen: not _varied(seen, new=True),
        "the new pictures are the same in every batch. Draw them at random as well, from all six.",
    ),
    Mistake(
        _all(lambda b: len(b.pictures[~b.new].unique()) == 1),
        "the old half of a batch is one picture, over and over. Draw size // 2 numbers, not one.",
    ),
    Mistake(
        _all(lambda b: len(b.pictures[b.new].unique()) == 1),
        "the new half of a batch is one picture, over and over. Draw size // 2 numbers, not one.",
    ),
    Mistake(
        lambda seen: _drawn(seen, new=False) < len(_OLD),
        "some of the old pictures never come. Draw from all of them: torch.randint(len(old), …).",
    ),
    Mistake(
        lambda seen: _drawn(seen, new=True) < len(_NEW),
        "some of the six never come. Draw from all of them: torch.randint(len(new), …).",
    ),
)

EXERCISES = {
    "rehearsal": Exercise(
        asks="rehearsal(new, label, old, old_labels, size, g)",
        hint="draw size // 2 numbers by torch.randint(len(new), …) and as many by torch.randint(len(old), …); "
        "pick pictures and labels of the old by the same numbers, and join both halves by torch.cat.",
        look=_batches,
        right=lambda seen: not any(mistake.made(seen) for mistake in _MISTAKES),
        praise="Half of what it sees is the new word, half is what it used to draw. Without that half nothing in "
        "the loss speaks for the old words: they drift wherever the six pictures pull the shared weights.",
        mistakes=_MISTAKES,
    ),
}
