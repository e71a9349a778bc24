"""What an exercise knows: a hint, what is right, and the mistakes it can tell apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffusion_lesson.exercises.values import numbers, parts, same
from diffusion_lesson.exercises.ways import WAYS, Way

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: how to know it by what was seen of it, and what to tell its author."""

    made: Callable[[Any], bool]
    words: str


class Misread:
    """A question misread: formulas that come of it, and what to tell their author.

    `atol` is how far an answer may be off such a formula, where that is more than it may be off the right one.
    """

    def __init__(self, words: str, *formulas: Formula, atol: float | None = None) -> None:
        self.words, self.formulas, self.atol = words, formulas, atol


@dataclass(frozen=True)
class Exercise:
    """A question of a lesson.

    `look` tries an answer once and says what is seen of it, and everything else judges that. It may raise a
    `Misfit`, or whatever the reader's own function raises.
    """

    hint: str
    praise: str  # what the right answer shows, in a sentence
    look: Callable[[Any], Any]
    right: Callable[[Any], bool]
    mistakes: tuple[Mistake, ...]
    asks: str = ""  # the function that is asked for, such as "my_step(x_prev, beta)"; "" where it is no function
    differs: Callable[[Any], str] = lambda seen: ""  # what is wrong with an answer whose mistake has no name
    ways: tuple[Way, ...] = WAYS  # in which a function is asked, until one is understood

    @property
    def name(self) -> str:
        """The name of the function asked for, as the stub has it."""
        return self.asks.partition("(")[0]

    @property
    def arguments(self) -> list[str]:
        """The names of what the function is called with."""
        inside = self.asks.partition("(")[2].rstrip(")")
        return [argument.strip() for argument in inside.split(",") if argument.strip()]


Seen = list[tuple[Tensor, ...]]  # what a formula gives: in each case a tensor for each of its parts


@dataclass(frozen=True)
class _Formulas:
    """Formulas compared by their values in some cases: tuples of arguments."""

    asks: str
    names: tuple[str, ...]
    cases: tuple[tuple[Any, ...], ...]
    right: Formula
    rtol: float
    atol: float
    form: str

    def look(self, formula: Formula) -> Seen:
        ranks = [self.wanted(case, 0).ndim for case in range(len(self.cases))]
        return [
            parts(formula(*case), self.names, rank, self.form)
            for case, rank in zip(self.cases, ranks, strict=True)
        ]

    def wanted(self, case: int, part: int) -> Tensor:
        """What is right."""
        out = self.right(*self.cases[case])
        return numbers(out[part] if len(self.names) > 1 else out)

    def agree(self, seen: Seen, formula: Formula, atol: float | None = None) -> bool:
        """Whether `formula` gives what was seen, in every case; a part for which it gives None may be anything."""
        near = self.rtol, self.atol if atol is None else atol
        for case, given in zip(self.cases, seen, strict=True):
            out = formula(*case) if len(self.names) > 1 else (formula(*case),)
            if not all(w is None or same(g, numbers(w), *near) for g, w in zip(given, out, strict=True)):
                return False
        return True

    def part_is(self, seen: Seen, part: int, change: Callable[[Tensor], Tensor] = lambda x: x) -> bool:
        """Whether one part is, in every case, what is right, or a change of it."""
        return all(
            same(given[part], change(self.wanted(case, part)), self.rtol, self.atol)
            for case, given in enumerate(seen)
        )

    def differs(self, seen: Seen) -> str:
        """What is wrong, said of the first part that is: its shape, a likeness to what is right, or a number."""
        if len(self.names) == 2 and self.agree([given[::-1] for given in seen], self.right):
            first, second = self.names
            return f"both are right, but in the wrong order: first {first}, then {second}."
        wrong = [part for part in range(len(self.names)) if not self.part_is(seen, part)]
        said = [f"{name} is right." for part, name in enumerate(self.names) if part not in wrong]
        said.append(self.what_of(seen, wrong[0]))
        return " ".join([said[0], *(s[0].upper() + s[1:] for s in said[1:])])

    def what_of(self, seen: Seen, part: int) -> str:
        """What is wrong with one part."""
        name = self.names[part]
        for case, given in enumerate(seen):
            got, asked = given[part].shape, self.wanted(case, part).shape
            alike = bool((given[part] == given[part].flatten()[:1]).all())  # one number, written out for all
            if got not in (asked, ()) and (asked or not alike):
                wanted = tuple(asked) if asked else "one number"
                return f"{name} has the shape {tuple(got)} where {wanted} is asked. {self.form}".strip()
        for likeness, change in _KIN.items():
            if self.part_is(seen, part, change):
                return f"{name} is {likeness}{'' if likeness.endswith('?') else '.'}"
        return self.example(seen, part)

    def example(self, seen: Seen, part: int) -> str:
        """A case in which a part is wrong, with both numbers, where they differ most."""
        case = next(c for c, g in enumerate(seen) if not same(g[part], self.wanted(c, part), self.rtol, self.atol))
        wanted, given = self.wanted(case, part), seen[case][part]
        given = given.expand(wanted.shape) if wanted.ndim else given
        place = ""
        if given.numel() > 1:
            off = (given - wanted).abs().nan_to_num(nan=float("inf"))
            at = [int(i) for i in (off == off.max()).nonzero()[0]]
            place, given = f" at {at}", given[tuple(at)]
            wanted = wanted[tuple(at)] if wanted.ndim else wanted
        called = ", ".join(_short(arg) for arg in self.cases[case])
        called = f"{self.asks.partition('(')[0]}({called})"
        came, asked = _apart(given.sum(), wanted.sum())
        return f"for {called} {self.names[part]} is {came}{place}, and should be {asked}."


# Slips that make the same of any formula.
_KIN: dict[str, Callable[[Tensor], Tensor]] = {
    "right but for its sign": lambda x: -x,
    "twice what it should be": lambda x: 2 * x,
    "half of what it should be": lambda x: x / 2,
    "the square of what is asked: is a root missing?": lambda x: x**2,
    "the root of what is asked: is a square missing?": lambda x: x.sqrt(),
    "a hundred times what it should be: is it in percent?": lambda x: 100 * x,
    "one over what is asked": lambda x: 1 / x,
    "the logarithm of what is asked": lambda x: x.log(),
}


def formula(
    *,
    asks: str,
    hint: str,
    praise: str,
    cases: tuple[tuple[Any, ...], ...],
    right: Formula,
    wrong: tuple[Misread, ...],
    names: tuple[str, ...] = ("the result",),
    rtol: float = 1e-4,
    atol: float = 2e-6,
    form: str = "",
) -> Exercise:
    """An exercise that asks for a function: right is what has the values of `right` in all `cases`.

    Of `wrong` the first is told that agrees in all cases. A formula gives a tuple with a value for each of
    `names`, or the value itself where there is one name; None stands for any value. `form` is said beside a wrong
    shape or a wrong number of values.
    """
    work = _Formulas(asks, names, cases, right, rtol, atol, form)

    def mistake(misread: Misread) -> Mistake:
        return Mistake(
            lambda seen: any(work.agree(seen, one, misread.atol) for one in misread.formulas), misread.words
        )

    return Exercise(
        hint=hint,
        praise=praise,
        look=work.look,
        right=lambda seen: work.agree(seen, right),
        mistakes=tuple(map(mistake, wrong)),
        asks=asks,
        differs=work.differs,
    )


def _short(value: Any) -> str:
    """An argument as it would be typed, if that is short."""
    if isinstance(value, Tensor):
        return str(numbers(value).tolist()) if value.numel() <= 6 else "…"
    return "…" if callable(value) else f"{value:.4g}"


def _apart(given: Tensor, wanted: Tensor) -> tuple[str, str]:
    """Two numbers that differ, with as many digits as it takes to see that."""
    for digits in range(4, 17):
        came, asked = _round(given, digits), _round(wanted, digits)
        if came != asked:
            break
    return came, asked


def _round(value: Tensor, digits: int) -> str:
    number = value.item()
    return f"{number:.{digits}g}".replace("j", "i") if isinstance(number, complex) else f"{number:.{digits}g}"
