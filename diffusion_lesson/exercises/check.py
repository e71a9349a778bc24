"""Exercises that check themselves: `check(name, answer)` prints a hint, praise, or the name of the mistake.

`solved()` prints which ones the reader has solved.
"""

import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

import torch

from diffusion_lesson.exercises import lessons
from diffusion_lesson.exercises import solved as memory
from diffusion_lesson.exercises.exercise import Exercise
from diffusion_lesson.exercises.reader import OF_DIALECT, Raised, does_nothing, on_the_page, takes, what_was_raised
from diffusion_lesson.exercises.values import Misfit, kind
from diffusion_lesson.exercises.ways import Spoken

_RIGHT = "Right."
_BY_LESSON: dict[str, dict[str, Exercise]] = {
    module.name[-2:]: import_module(f"{lessons.__name__}.{module.name}").EXERCISES
    for module in pkgutil.iter_modules(lessons.__path__)
}
EXERCISES: dict[str, Exercise] = {name: one for each in _BY_LESSON.values() for name, one in each.items()}


def check(name: str, answer: Any) -> None:
    """Print the hint for None, "Right" and why for a right answer, and for a wrong one which mistake it is.

    Never raises for an answer, whatever it is. ValueError if there is no exercise of that name.
    """
    if name not in EXERCISES:
        raise ValueError(f"name: got {name!r}; expected one of {', '.join(sorted(EXERCISES))}")
    exercise = EXERCISES[name]
    if answer is None or answer is Ellipsis:
        print(_nothing_given(exercise))
    elif bool(exercise.asks) != callable(answer):
        print(f"Not yet: {_wrong_kind(exercise, answer)}")
    elif exercise.asks and does_nothing(answer):
        print(f"Not yet: {exercise.name} does nothing yet, and so returns nothing (None). Hint: {exercise.hint}")
    elif exercise.asks and not takes(answer, len(exercise.arguments)):
        print(f"Not yet: your function takes {inspect.signature(answer)}, and is called as {exercise.asks}.")
    else:
        with _alone():
            verdict = _verdict(exercise, answer)
        print(verdict)
        if verdict.startswith(_RIGHT):
            memory.remember(name)


def solved(*, forget: bool = False) -> None:
    """Print which exercises the reader has solved, lesson by lesson; with `forget`, after forgetting them all."""
    if forget:
        memory.keep(())
    done = memory.names() & EXERCISES.keys()
    print(f"{len(done)} of {len(EXERCISES)} solved")
    for lesson, exercises in _BY_LESSON.items():
        for name in exercises:
            print(f"{'[x]' if name in done else '[ ]'} {lesson} {name}")


def _nothing_given(exercise: Exercise) -> str:
    """The hint; or, if the function stands written on the page that called, what is still to do."""
    written = on_the_page(exercise.name)
    if exercise.asks and callable(written) and not does_nothing(written):
        return (
            f"Not yet: {exercise.name} is written, but answer is still None. "
            f"Give it to the check: answer = {exercise.name}"
        )
    return f"Hint: {exercise.hint}"


def _wrong_kind(exercise: Exercise, answer: Any) -> str:
    if not exercise.asks:
        return "answer is a function. What it gives is asked: call it, and take its result as the answer."
    return (
        f"answer is {kind(answer)}, and a function is asked. Give the function itself, not what it returns: "
        f"answer = {exercise.name}"
    )


def _verdict(exercise: Exercise, answer: Any) -> str:
    """What is to be said of an answer that is a function if one is asked, in whichever way it understands."""
    verdict: str | None = None
    raised: list[Raised] = []
    asked = [Spoken(answer, way) for way in exercise.ways] if exercise.asks else [answer]
    for again, one in enumerate(asked):
        try:
            # What the function prints is printed once, not once in each way.
            with redirect_stdout(StringIO()) if again else nullcontext():
                seen = exercise.look(one)
        except Misfit as misfit:
            verdict = verdict or f"Not yet: {misfit}"
        except (Exception, SystemExit) as error:  # the latter of a function that says exit()
            # The answer is the reader's own function: what it raises is a finding, not a failure of ours.
            raised.append((error, one.asked if isinstance(one, Spoken) else ()))
            if not isinstance(error, OF_DIALECT):
                verdict = verdict or f"Not yet: {what_was_raised(answer, exercise.arguments, raised)}"
        else:
            if exercise.right(seen):
                return f"{_RIGHT} {exercise.praise}"
            verdict = verdict or _mistake(exercise, seen)
    return verdict or f"Not yet: {what_was_raised(answer, exercise.arguments, raised)}"


def _mistake(exercise: Exercise, seen: Any) -> str:
    for mistake in exercise.mistakes:
        if mistake.made(seen):
            return f"Not yet: {mistake.words}"
    differs = exercise.differs(seen)
    return f"Not yet{': ' + differs if differs else '.'} Hint: {exercise.hint}"


@contextmanager
def _alone() -> Iterator[None]:
    """Trying an answer warns of nothing, and leaves chance and PyTorch's modes as they were to the cells below."""
    dtype, gradients = torch.get_default_dtype(), torch.set_grad_enabled(torch.is_grad_enabled())
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), gradients:
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
