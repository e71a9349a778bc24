"""Exercises that check themselves: `check(name, answer)` prints a hint, praise, or the name of the mistake."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

from diffusion_lesson.page import lessons
from diffusion_lesson.page.exercise import Exercise

ALL: dict[str, Exercise] = {
    name: exercise
    for module in pkgutil.iter_modules(lessons.__path__)
    for name, exercise in import_module(f"{lessons.__name__}.{module.name}").EXERCISES.items()
}


def check(name: str, answer: Any) -> None:
    """Print the hint for None, "Right" and why for a right answer, and for a wrong one which mistake it is.

    Never raises for an answer, whatever it is. ValueError if there is no exercise of that name.
    """
    if name not in ALL:
        raise ValueError(f"name: got {name!r}; expected one of {', '.join(sorted(ALL))}")
    exercise = ALL[name]
    if answer is None:
        print(f"Hint: {exercise.hint}")
        return
    try:
        right = bool(exercise.right(answer))
    except Exception as error:
        # The answer may be the reader's own function: what it raises is a finding, not a failure of ours.
        print(f"Not yet: trying your answer raised {type(error).__name__}: {error}")
        return
    if right:
        print(f"Right. {exercise.praise}")
        return
    for mistake in exercise.mistakes:
        if _holds(mistake.made, answer):
            print(f"Not yet: {mistake.words}")
            return
    print(f"Not yet. Hint: {exercise.hint}")


def _holds(made: Callable[[Any], bool], answer: Any) -> bool:
    try:
        return bool(made(answer))
    except Exception:
        return False
