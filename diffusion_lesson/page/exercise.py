"""What an exercise knows: a hint, what is right, and the mistakes it can tell apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: how to know it, and what to tell its author."""

    made: Callable[[Any], bool]
    words: str


@dataclass(frozen=True)
class Exercise:
    """A question of a lesson. `right` and each mistake's `made` may raise on an answer of the wrong kind."""

    hint: str
    right: Callable[[Any], bool]
    praise: str  # what the right answer shows, in a sentence
    mistakes: tuple[Mistake, ...]
