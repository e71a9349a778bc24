"""Every exercise of the notebooks: its stub, its solution, mutants of that, and slips that are the same in all."""

import ast
import contextlib
import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch

from diffusion_lesson.exercises.check import EXERCISES
from tests.exercises.lessons.tables import Mutant, changes, said

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [c for c in cells if tag in c.metadata.get("tags", [])]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in cell.outputs)


def name_in(cell: nbformat.NotebookNode) -> str:
    """The exercise that a cell puts to the check."""
    calls = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call)]
    (name,) = [c.args[0].value for c in calls if getattr(c.func, "id", "") == "check"]
    return name


def pairs() -> list[tuple[str, Path, nbformat.NotebookNode, nbformat.NotebookNode]]:
    return [
        (name_in(stub), path, stub, solution)
        for path in LESSONS
        for stub, solution in zip(tagged(path, "exercise"), tagged(path, "solution"), strict=True)
    ]


PAIRS = {name: (path, stub, solution) for name, path, stub, solution in pairs()}
FUNCTIONS = [name for name in PAIRS if EXERCISES[name].asks]


def set_up(path: Path) -> dict[str, Any]:
    """What a lesson imports, as its cells would see it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in nbformat.read(path, as_version=4).cells:
        source = "" if cell.cell_type != "code" else cell.source.replace("%pip", "# ")
        with contextlib.suppress(SyntaxError):
            imports = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), path.name, "exec"), names)
    return names


def run(source: str, names: dict[str, Any]) -> str:
    """What a cell prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(source, "cell", "exec"), names)
    return out.getvalue()


def solved(name: str) -> Any:
    """The answer of the solution cell."""
    path, _, solution = PAIRS[name]
    names = set_up(path)
    run(solution.source, names)
    return names["answer"]


def test_every_exercise_stands_in_one_notebook() -> None:
    assert Counter(name for name, *_ in pairs()) == Counter(EXERCISES.keys())
    last_page = {
        path for path in LESSONS if path.stem == "16_where_this_leads"
    }  # it proves nothing and asks nothing
    assert {path for path, *_ in PAIRS.values()} == {*LESSONS} - last_page


@pytest.mark.parametrize("name", PAIRS)
def test_the_stub_hints_and_the_solution_is_right(name: str) -> None:
    path, stub, solution = PAIRS[name]
    names = set_up(path)
    assert "answer = None" in stub.source
    hint, praise = run(stub.source, names), run(solution.source, names)
    assert hint == printed(stub) == f"Hint: {EXERCISES[name].hint}\n"
    assert praise == printed(solution) == f"Right. {EXERCISES[name].praise}\n"
    assert solution.metadata.jupyter.source_hidden


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stub_has_the_name_and_the_arguments_that_the_exercise_asks_for(name: str) -> None:
    _, stub, solution = PAIRS[name]
    for cell in (stub, solution):
        functions = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        asked = {f"{f.name}({', '.join(a.arg for a in f.args.args)})" for f in functions}
        assert EXERCISES[name].asks in asked
    assert f"answer = {EXERCISES[name].name}\n" in stub.source.replace("  #", "\n#").replace("ready: ", "\n")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_is_written_but_not_given_is_seen(name: str) -> None:
    path, stub, solution = PAIRS[name]
    names, asked = set_up(path), EXERCISES[name].name
    written = solution.source.replace(f"answer = {asked}", "answer = None")
    assert (
        run(written, names)
        == f"Not yet: {asked} is written, but answer is still None. Give it to the check: answer = {asked}\n"
    )
    # In another cell it is seen as well, and the stub, run again, takes its place.
    assert run(f"check({name!r}, None)", names).startswith("Not yet")
    assert run(f"def here():\n    check({name!r}, None)\nhere()", names).startswith("Not yet")
    assert run(stub.source, names).startswith("Hint: ")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slips_that_are_the_same_everywhere(name: str) -> None:
    exercise, right = EXERCISES[name], solved(name)
    path, stub, _ = PAIRS[name]
    names = set_up(path)
    given = stub.source.replace("answer = None", f"answer = {exercise.name}")
    assert run(given, names).startswith(f"Not yet: {exercise.name} does nothing yet")
    for result in (torch.ones(2, 2), 3, (1, 2), "text", {"mean": 1}, float("nan")):
        assert (
            f"a function is asked. Give the function itself, not what it returns: answer = {exercise.name}"
            in said(name, result)
        )

    def no_return(*args: Any) -> None:
        right(*args)

    def yields(*args: Any) -> Any:
        yield right(*args)

    def raises(*args: Any) -> Any:
        return args[99]

    def misspelt(*args: Any) -> Any:
        return right(*arguments)  # noqa: F821

    if name != "one_more_bug":  # a check may return nothing
        assert "returns nothing (None). Is there a `return`?" in said(name, no_return)
        assert "your function yields" in said(name, yields)
        assert "returns a dictionary" in said(name, lambda *args: {"answer": right(*args)})
        assert "returns a function" in said(name, lambda *args: right)
    assert "`return args[99]`, raised IndexError: tuple index out of range. There is no entry" in said(
        name, raises
    )
    reply = said(name, misspelt)
    line = misspelt.__code__.co_firstlineno + 1
    assert f"line {line} of its cell, `return right(*arguments)" in reply
    assert "raised NameError: name 'arguments' is not defined. Is the name spelled" in reply
    assert f"is called as {exercise.asks}" in said(name, lambda: 1)
    assert said(name, ...) == f"Hint: {exercise.hint}\n"


STRANGE = [
    0, -1.5, 1e400, float("nan"), 10**400, 1j, "", "text", b"bytes", (), [], {}, set(), [[1], [2, 3]], [None],
    [[]], {1: 2}, object(), object, int, print, len, max, torch.tensor([]), torch.tensor(float("inf")),
    torch.zeros(3, 0), np.array(None), np.array(["a"]), np.zeros((2, 0)), torch.zeros(1, dtype=torch.bool),
    range(3), iter([1]), Exception("no"), torch.nn.Linear(1, 1),
]  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_no_answer_makes_the_check_raise_or_is_right_by_chance(name: str) -> None:
    for strange in STRANGE:
        assert not said(name, strange).startswith("Right"), strange
        if name != "one_more_bug":
            assert said(name, lambda *args, it=strange: it).startswith("Not yet"), strange
            assert said(name, lambda *args, it=strange: (it, it)).startswith("Not yet"), strange


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "one_more_bug"])
def test_a_mutant_of_the_solution_is_never_right(name: str) -> None:
    solution, chance = solved(name), random.Random(name)
    for what, change in changes(chance).items():
        for part in (0, 1):
            mutant = Mutant(solution, change, part)
            reply = said(name, mutant)
            assert mutant.changed or part or what == "index off by one"
            assert not (mutant.changed and reply.startswith("Right")), f"{what}, part {part}"
            if not mutant.pair:
                break


def test_every_exercise_tells_three_mistakes_or_more_apart_in_words_of_their_own() -> None:
    assert EXERCISES
    for name, exercise in EXERCISES.items():
        words = {mistake.words for mistake in exercise.mistakes}
        assert len(words) == len(exercise.mistakes) >= 3, name
