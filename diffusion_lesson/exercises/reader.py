"""A reader's own function: whether it is written, what it takes, and where it raised."""

import dis
import inspect
import linecache
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diffusion_lesson.exercises.values import kind

Raised = tuple[Exception | SystemExit, tuple[Any, ...]]  # an error, and the arguments that led to it

# What an answer raises if it was put to in another dialect than its own.
OF_DIALECT = (TypeError, AttributeError, RuntimeError, ValueError)

_HELP: dict[type[BaseException], str] = {
    UnboundLocalError: "The function uses a name before it gives it a value.",
    NameError: "Is the name spelled as it is in the first line of the function?",
    ZeroDivisionError: "What it divides by is 0 there.",
    RecursionError: "The function calls itself without an end.",
    IndexError: "There is no entry of that number.",
    AssertionError: "That is an assert of your own.",
    SystemExit: "exit() ends the program; `return` ends a function.",
}


def does_nothing(function: Any) -> bool:
    """Whether a function is a stub: a body of `...`, `pass` or words only, or nothing but `return None`."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    returns_none = ("LOAD_CONST", "RETURN_VALUE", "RETURN_CONST")
    return all(step.opname in returns_none and step.argval is None for step in steps)


def on_the_page(name: str) -> Any:
    """What has this name on the page, a notebook or a script, whose cell is running; None if nothing has."""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    return {**frame.f_globals, **frame.f_locals}.get(name) if frame else None


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with `count` arguments; True where nobody can know."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def what_was_raised(function: Any, arguments: Sequence[str], errors: Sequence[Raised]) -> str:
    """The error that tells most, the reader's line that raised it, and what the function was called with.

    `errors` come from one question put in several dialects, the lesson's own first.
    """
    error, asked = next((e for e in errors if not isinstance(e[0], OF_DIALECT)), errors[0])
    words = f"{_place(function, error)} raised {type(error).__name__}: {error}".rstrip(".: ") + "."
    words += next((f" {words}" for kind_of, words in _HELP.items() if isinstance(error, kind_of)), "")
    if any(sign in str(error) for sign in ("for ^", "bitwise_xor")):
        words += " A power is written ** in Python, not ^."
    if asked and isinstance(error, (*OF_DIALECT, ArithmeticError, LookupError)):
        called = ", ".join(f"{name} = {_value(value)}" for name, value in zip(arguments, asked, strict=True))
        words += f" It was called with {called}."
    return words


def _place(function: Any, error: BaseException) -> str:
    """The last line of the reader's cell that the error went through."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    lines = [
        frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename
    ]
    if not lines:
        return "trying your answer"
    number = lines[-1].lineno
    source = linecache.getline(lines[-1].filename, number or 0).strip()
    return f"line {number} of its cell{f', `{source}`,' if source else ''}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, int) else kind(value)
