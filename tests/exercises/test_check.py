"""`check`: what it says of a question made up for the purpose."""

import pytest
import torch

from diffusion_lesson.exercises.check import EXERCISES, check
from diffusion_lesson.exercises.exercise import Exercise, Misread, Mistake, formula
from tests.exercises.lessons.tables import said

ADD = formula(
    asks="add(a, b)",
    hint="add them",
    praise="Sums add.",
    names=("the sum",),
    cases=((2.0, 3.0), (2.0, 2.5), (-1.0, 4.0)),
    right=lambda a, b: a + b,
    wrong=(
        Misread("you multiplied", lambda a, b: a * b),
        Misread("one of the two", lambda a, b: a, lambda a, b: b),
    ),
)
ODD = Exercise(
    hint="think of 3",
    praise="It is odd.",
    look=lambda answer: answer % 2,
    right=lambda rest: rest == 1,
    mistakes=(Mistake(lambda rest: rest == 0, "that is even"),),
)


def boom(a: float, b: float) -> float:
    raise KeyError("no sum")


BOOM = boom.__code__.co_firstlineno + 1


def caret(a: float, b: float) -> float:
    return (a + b) ^ 1


def prints(a: float, b: float) -> float:
    print("here")
    return a * b


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("add", None, "Hint: add them\n"),
        ("add", lambda a, b: a + b, "Right. Sums add.\n"),
        ("add", lambda a, b: torch.add(a, b), "Right. Sums add.\n"),
        ("add", lambda a, b: a.numpy() + b.numpy(), "Right. Sums add.\n"),
        ("add", lambda a, b: a * b, "Not yet: you multiplied\n"),
        ("add", lambda a, b: b, "Not yet: one of the two\n"),
        ("add", lambda a, b: -a - b, "Not yet: the sum is right but for its sign. Hint: add them\n"),
        ("add", lambda a, b: 5, "Not yet: for add(2, 2.5) the sum is 5, and should be 4.5. Hint: add them\n"),
        (
            "add",
            lambda a, b: float("nan"),
            "Not yet: for add(2, 3) the sum is nan, and should be 5. Hint: add them\n",
        ),
        (
            "add",
            lambda a, b: (a + b) ** 2,
            "the sum is the square of what is asked: is a root missing? Hint: add them\n",
        ),
        (
            "add",
            lambda a, b: [a + b, 0.0],
            "the sum has the shape (2,) where one number is asked. Hint: add them\n",
        ),
        ("add", lambda a, b: [7, 7], "for add(2, 3) the sum is 7 at [0], and should be 5. Hint: add them\n"),
        ("add", lambda a, b: a + b if a > 0 else 3.0004, "the sum is 3.0004, and should be 3. Hint: add them\n"),
        ("add", caret, "A power is written ** in Python, not ^. It was called with a = 2, b = 3."),
        ("add", prints, "here\nhere\nhere\nNot yet: you multiplied\n"),
        (
            "add",
            boom,
            f"Not yet: line {BOOM} of its cell, `raise KeyError(\"no sum\")`, raised KeyError: 'no sum'. It was",
        ),
        (
            "add",
            lambda a, b: a.nothing,
            "raised AttributeError: 'float' object has no attribute 'nothing'. It was called with a = 2, b = 3.",
        ),
        ("add", "five", "Not yet: answer is a string, and a function is asked."),
        ("odd", 3, "Right. It is odd.\n"),
        ("odd", 4, "Not yet: that is even\n"),
        ("odd", 3.5, "Not yet. Hint: think of 3\n"),
        ("odd", "three", "Not yet: trying your answer raised TypeError: not all arguments converted"),
        ("odd", lambda: 3, "Not yet: answer is a function. What it gives is asked"),
    ],
)
def test_check_answers_every_kind_of_answer(name, answer, words, monkeypatch) -> None:
    monkeypatch.setitem(EXERCISES, "add", ADD)
    monkeypatch.setitem(EXERCISES, "odd", ODD)
    assert words in said(name, answer)


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(ValueError, match="name: got 'nothing'"):
        check("nothing", 1)


def test_trying_an_answer_leaves_the_chance_of_the_cells_below_as_it_was() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    said("rehearsal", lambda *args: torch.rand(2))
    said("q_step", lambda x_prev, beta: torch.randn_like(x_prev))
    assert torch.equal(torch.rand(1), expected)


def says_exit(a: float, b: float) -> float:
    raise SystemExit


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says_exit, "raised SystemExit. exit() ends the program"),
        (lambda a, b: torch.eye(3).to_sparse(), "the sum has the shape (3, 3)"),
        (lambda a, b: torch.tensor(a + b).to_sparse(), "Right. Sums add."),
        (lambda a, b: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "not equally long"),
    ],
    ids=["exit", "sparse", "right but sparse", "nested"],
)
@pytest.mark.filterwarnings("ignore")  # torch's nested tensors are a prototype
def test_odd_answers_are_answered(answer, words, monkeypatch) -> None:
    monkeypatch.setitem(EXERCISES, "add", ADD)
    assert words in said("add", answer)


def test_trying_an_answer_leaves_the_modes_of_pytorch_as_they_were(monkeypatch) -> None:
    def changes(a: float, b: float) -> float:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return a + b

    monkeypatch.setitem(EXERCISES, "add", ADD)
    assert said("add", changes).startswith("Right")
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
