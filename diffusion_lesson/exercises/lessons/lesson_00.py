"""Lesson 00: symbols and their names in the code."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from diffusion_lesson.exercises.exercise import Exercise, Mistake
from diffusion_lesson.exercises.values import Misfit, kind

NAMES = {
    "β_t": "beta",
    "ᾱ_t": "alpha_bar",
    "β̃_t": "beta_tilde",
    "ε": "eps",
    "ε_θ(x_t, t)": "eps_hat",
}

Names = dict[str, str]


def _plain(text: Any) -> str:
    """Without what the eye doesn't see: blanks, quotes, two ways to write one letter."""
    return unicodedata.normalize("NFKC", str(text)).replace(" ", "").strip("`'\"")


def _names(answer: Any) -> Names:
    """{symbol: name}, of a dictionary or of pairs. Misfit for what says not which name is whose."""
    if isinstance(answer, Iterable) and not isinstance(answer, Mapping | str):
        answer = list(answer)
        if not answer or not all(
            isinstance(pair, tuple | list | np.ndarray) and len(pair) == 2 for pair in answer
        ):
            raise Misfit(f"{kind(answer)} doesn't say which name is whose. {_FORM}")
    if not isinstance(answer, Mapping | list):
        raise Misfit(f"answer is {kind(answer)}. {_FORM}")
    given = {_plain(symbol): _plain(name) for symbol, name in dict(answer).items()}
    if set(map(_plain, NAMES.values())) & set(given):
        raise Misfit("it is the wrong way round: the symbols are the keys, the names in the code their values.")
    empty = ("", "…", "...", "None", "Ellipsis")
    missing = [symbol for symbol in NAMES if given.get(_plain(symbol), "") in empty]
    unknown = [symbol for symbol in given if symbol not in map(_plain, NAMES)]
    if missing:
        also = f" (And {', '.join(unknown)}: none of the five.)" if unknown else ""
        raise Misfit(f"there is no name yet for {', '.join(missing)}. The keys are as in the stub.{also}")
    return {symbol: given[_plain(symbol)] for symbol in NAMES}


def _differs(seen: Names) -> str:
    return "another name belongs to " + ", ".join(s for s, name in NAMES.items() if seen[s] != name) + "."


def _says(**names: str) -> Callable[[Names], bool]:
    """Whether one of the symbols, named by its right name, was given another name."""
    symbols = {name: symbol for symbol, name in NAMES.items()}
    return lambda seen: any(seen[symbols[right]] == given for right, given in names.items())


_FORM = 'Give a dictionary: {"β_t": "beta", …}.'

EXERCISES = {
    "symbols": Exercise(
        hint='give a dictionary with a name for each of the five symbols, such as {"β_t": "beta", …}.',
        praise="You can read the code as if it were the paper.",
        look=_names,
        right=lambda seen: seen == NAMES,
        differs=_differs,
        mistakes=(
            Mistake(
                lambda seen: all(name.lower() == NAMES[symbol] for symbol, name in seen.items()),
                "the names are right but for capitals, and Python tells large letters from small ones.",
            ),
            Mistake(
                lambda seen: all(name.rpartition(".")[2] == NAMES[symbol] for symbol, name in seen.items()),
                "the names are right, but something stands before them. Give the name alone, without the dot.",
            ),
            Mistake(
                _says(eps="eps_bar"),
                "eps_bar is ε̄_t: all the noise of a jump, as one. A plain ε has the plainest name.",
            ),
            Mistake(
                _says(alpha_bar="alpha"), "alpha is 1 − β of one step; the bar means the product of all up to t."
            ),
            Mistake(
                _says(beta="beta_tilde", beta_tilde="beta"),
                "β is the noise of a step; the tilde belongs to the variance that is left if x_0 is known too.",
            ),
            Mistake(
                _says(eps="eps_hat", eps_hat="eps"), "ε is the true noise; a hat marks the network's guess at it."
            ),
            Mistake(
                _says(eps_hat="eps_model"),
                "eps_model is the network itself; its answer at x_t and t has another name.",
            ),
            Mistake(
                _says(beta="betas", alpha_bar="alpha_bars"),
                "the plural, betas or alpha_bars, is the whole table; one entry of it has the singular.",
            ),
            Mistake(
                _says(alpha_bar="one_minus_alpha_bar"), "1 − ᾱ is the variance of the noise; ᾱ is what is left."
            ),
        ),
    ),
}
