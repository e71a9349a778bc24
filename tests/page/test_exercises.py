"""Exercises: the machinery, and each exercise with its solution and typical wrong answers."""

from pathlib import Path

import nbformat
import pytest

from diffusion_lesson.page import exercises
from diffusion_lesson.page.exercise import Exercise, Mistake

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ADD = Exercise(
    hint="add them",
    right=lambda f: f(2, 3) == 5,
    praise="Sums add.",
    mistakes=(Mistake(lambda f: f(2, 3) == 6, "you multiplied"), Mistake(lambda f: f.nothing, "never")),
)


def boom(a: int, b: int) -> int:
    raise KeyError("no sum")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "Hint: add them"),
        (lambda a, b: a + b, "Right. Sums add."),
        (lambda a, b: a * b, "Not yet: you multiplied"),
        (lambda a, b: 0, "Not yet. Hint: add them"),
        (boom, "Not yet: trying your answer raised KeyError"),
        ("five", "Not yet: trying your answer raised TypeError"),
    ],
)
def test_check_answers_every_kind_of_answer(answer, words, capsys, monkeypatch) -> None:
    monkeypatch.setitem(exercises.ALL, "add", ADD)
    exercises.check("add", answer)
    assert capsys.readouterr().out.startswith(words)


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(ValueError, match="name: got 'nothing'"):
        exercises.check("nothing", 1)


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [c for c in cells if tag in c.metadata.get("tags", [])]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in cell.outputs)


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_has_an_exercise_whose_stub_hints_and_whose_solution_is_right(path: Path) -> None:
    stubs, solutions = tagged(path, "exercise"), tagged(path, "solution")
    assert len(stubs) == len(solutions) >= 1
    for stub, solution in zip(stubs, solutions, strict=True):
        assert "answer = None" in stub.source
        assert printed(stub).startswith("Hint: ")
        # nbval runs the cell again and compares this output, so it can't be stale.
        assert printed(solution).startswith("Right. ")
        assert solution.metadata.jupyter.source_hidden


def test_every_exercise_tells_three_mistakes_or_more_apart() -> None:
    assert exercises.ALL
    for name, exercise in exercises.ALL.items():
        words = {mistake.words for mistake in exercise.mistakes}
        assert len(words) == len(exercise.mistakes) >= 3, name
