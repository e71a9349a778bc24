"""Lesson 13: a batch that keeps the old words alive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake

Rehearsal = Callable[[Tensor, int, Tensor, Tensor, int, torch.Generator], tuple[Tensor, Tensor]]

_SIZE, _CALLS, _LABEL = 16, 12, 9
_NEW = torch.arange(100.0, 106.0).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)  # each picture tells which it is
_OLD = torch.arange(40.0).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
_OLD_LABELS = torch.arange(40) % _LABEL


@dataclass(frozen=True)
class _Seen:
    """What came of a dozen calls: which pictures (their value), which labels; (calls, size) each."""

    pictures: Tensor
    labels: Tensor

    @property
    def new(self) -> Tensor:
        """Which are of the six."""
        return self.pictures >= 100

    @property
    def own(self) -> Tensor:
        """The label that belongs to each picture."""
        old = _OLD_LABELS[self.pictures.clamp(0, 39).long()]
        return torch.where(self.new, torch.tensor(_LABEL), old)

    @property
    def half(self) -> bool:
        """Whether half of every batch is new."""
        return bool((self.new.sum(1) * 2 == self.new.shape[1]).all())


def _seen(answer: Rehearsal) -> _Seen:
    pictures, labels = [], []
    for seed in range(_CALLS):
        g = torch.Generator().manual_seed(seed)
        x, y = answer(_NEW.clone(), _LABEL, _OLD.clone(), _OLD_LABELS.clone(), _SIZE, g)
        if x.shape[1:] != _NEW.shape[1:] or y.shape != x.shape[:1]:
            shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
            raise ValueError(f"expected pictures (size, 1, 2, 2) and a label for each, got {shapes}")
        pictures.append(x[:, 0, 0, 0])
        labels.append(y)
    return _Seen(torch.stack(pictures), torch.stack(labels))


def _random(seen: _Seen) -> bool:
    """Whether the old pictures are drawn anew: a dozen batches of 8 show 36 of the 40 on average, not just 8."""
    return len(seen.pictures[~seen.new].unique()) > 20


def _right(answer: Any) -> bool:
    seen = _seen(answer)
    labelled = torch.equal(seen.labels, seen.own)
    return seen.labels.shape[1] == _SIZE and seen.half and labelled and _random(seen)


def _made(fault: Callable[[_Seen], Any]) -> Callable[[Any], bool]:
    return lambda answer: bool(fault(_seen(answer)))


EXERCISES = {
    "rehearsal": Exercise(
        hint="draw size // 2 numbers by torch.randint(len(new), …) and as many by torch.randint(len(old), …); "
        "pick pictures and labels of the old by the same numbers, and join both halves by torch.cat.",
        right=_right,
        praise="Half of what it sees is the new word, half is what it used to draw. Without that half nothing in "
        "the loss speaks for the old words: they drift wherever the six pictures pull the shared weights.",
        mistakes=(
            Mistake(
                _made(lambda s: s.labels.shape[1] != _SIZE),
                "the batch is not of the size asked for: half of `size` are new pictures, half are old ones.",
            ),
            Mistake(
                _made(lambda s: s.new.all()),
                "there is no old picture in it. The network learns the new word, and nothing holds the others.",
            ),
            Mistake(
                _made(lambda s: not s.new.any()),
                "there is no new picture in it: this network learns nothing.",
            ),
            Mistake(
                _made(lambda s: (s.labels[~s.new] == _LABEL).all()),
                "the old pictures carry the new label. That teaches the network that everything is the new word.",
            ),
            Mistake(
                _made(lambda s: (s.labels[s.new] != _LABEL).any()),
                "a new picture carries an old label. All of the new ones get `label`.",
            ),
            Mistake(
                _made(lambda s: (s.labels != s.own).any()),
                "pictures and labels of the old part company: pick both by the same random numbers.",
            ),
            Mistake(
                _made(lambda s: not s.half),
                "the six are not half of the batch. In one heap of all pictures they are too few to be heard: "
                "draw size // 2 of them, again and again.",
            ),
            Mistake(
                _made(lambda s: not _random(s)),
                "it is always the same old pictures. Draw them anew each time, from all of them.",
            ),
        ),
    ),
}
