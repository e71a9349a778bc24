"""A reader's function: is it written, what does it take, where did it raise?"""

import functools

import pytest

from diffusion_lesson.exercises.reader import does_nothing, on_the_page, takes, what_was_raised


def dots(x): ...


def words(x):
    """What it should do."""


def passes(x):
    # a thought
    pass


def returns_none(x):
    return None


def forgets_return(x):
    x + 1


def yields(x):
    yield


def only_loops(x):
    for _ in x:
        pass


def number(x):
    return 3


@pytest.mark.parametrize("function", [dots, words, passes, returns_none, lambda x: None])
def test_a_stub_does_nothing(function) -> None:
    assert does_nothing(function)


@pytest.mark.parametrize("function", [forgets_return, yields, only_loops, number, lambda x: x, print, len, 3])
def test_anything_else_does_something(function) -> None:
    assert not does_nothing(function)


@pytest.mark.parametrize(
    ("function", "count", "expected"),
    [
        (dots, 1, True),
        (dots, 2, False),
        (lambda a, b=1: a, 1, True),
        (lambda *all_of_them: 1, 5, True),
        (lambda a, *, b: a, 1, False),
        (functools.partial(lambda a, b: a, 1), 1, True),
        (print, 2, True),
        (dict.fromkeys, 1, True),
        (max, 9, True),  # its signature is nowhere written
    ],
)
def test_takes(function, count, expected) -> None:
    assert takes(function, count) is expected


def raised(function, *asked):
    try:
        function(*asked)
    except Exception as error:
        return error, asked
    raise AssertionError("it did not raise")


def helper(x):
    return x.nothing


def by_a_helper(x):
    return helper(x)


def test_the_line_is_the_last_one_of_the_reader_s_own() -> None:
    line = helper.__code__.co_firstlineno + 1
    said = what_was_raised(by_a_helper, ["x"], [raised(by_a_helper, 0.25)])
    assert said == (
        f"line {line} of its cell, `return x.nothing`, raised AttributeError: 'float' object has no attribute "
        "'nothing'. It was called with x = 0.25."
    )
    # Inside a library the line that called it counts.
    through = lambda x: functools.reduce(lambda a, b: a[b], x)  # noqa: E731
    said = what_was_raised(through, ["x"], [raised(through, [{}, 1])])
    assert f"line {through.__code__.co_firstlineno} of its cell" in said
    assert "raised KeyError: 1. It was called with x = a list of 2." in said


def test_of_several_errors_the_one_that_is_no_matter_of_dialect_is_told() -> None:
    wrong_kind, own = raised(lambda x: x.sqrt(), 0.25), raised(lambda x: 1 / 0, 0.25)
    assert "AttributeError" in what_was_raised(len, ["x"], [wrong_kind, wrong_kind])
    said = what_was_raised(len, ["x"], [wrong_kind, own])
    assert said.startswith(
        "trying your answer raised ZeroDivisionError: division by zero. What it divides by is 0"
    )


def test_only_a_running_page_is_looked_at() -> None:
    assert on_the_page("helper") is None
    names = {"__name__": "__main__", "on_the_page": on_the_page, "helper": helper}
    exec("found = on_the_page('helper')\ndef inside():\n    mine = 3\n    return on_the_page('mine')", names)
    assert names["found"] is helper
    assert names["inside"]() == 3
