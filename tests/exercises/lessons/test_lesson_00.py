"""Lesson 00's exercise: right answers of every kind, and each typical wrong one told by name."""

import unicodedata
from collections import OrderedDict
from types import MappingProxyType

import numpy as np

from diffusion_lesson.exercises.lessons.lesson_00 import NAMES
from tests.exercises.lessons.tables import said, tries

SYMBOLS, CODE = list(NAMES), list(NAMES.values())

TestSymbols = tries(
    "symbols",
    right={
        "a dictionary": NAMES,
        "zipped": zip(SYMBOLS, CODE, strict=True),
        "a list of pairs": list(NAMES.items()),
        "an array of pairs": np.array(list(NAMES.items())),
        "dict()": dict(reversed(NAMES.items())),
        "an ordered one": OrderedDict(NAMES),
        "a view": MappingProxyType(NAMES),
        "letters composed": {unicodedata.normalize("NFC", k): v for k, v in NAMES.items()},
        "letters taken apart": {unicodedata.normalize("NFD", k): v for k, v in NAMES.items()},
        "the other epsilon": {k.replace("ε", "ϵ"): v for k, v in NAMES.items()},
        "with blanks and quotes": {k.replace(", ", ","): f" `{v}` " for k, v in NAMES.items()},
        "one more symbol": NAMES | {"x_0": "x0"},
    },
    wrong=[
        (NAMES | {"ᾱ_t": "alpha"}, "product of all"),
        (NAMES | {"β_t": "beta_tilde", "β̃_t": "beta"}, "tilde belongs"),
        (NAMES | {"ε": "eps_hat", "ε_θ(x_t, t)": "eps"}, "a hat marks"),
        (NAMES | {"ε_θ(x_t, t)": "eps_model"}, "network itself"),
        (NAMES | {"β_t": "betas", "ᾱ_t": "alpha_bars"}, "whole table"),
        (NAMES | {"ᾱ_t": "one_minus_alpha_bar"}, "what is left"),
        (NAMES | {"β_t": "b"}, "another name belongs to β_t. Hint"),
        (NAMES | {"ε": "eps_bar"}, "all the noise of a jump"),
        ({k: v.upper() for k, v in NAMES.items()}, "but for capitals"),
        (NAMES | {"β_t": "schedule.beta"}, "without the dot"),
        (NAMES | {"β_t": "…"}, "no name yet for β_t."),
        (dict.fromkeys(NAMES, ""), "no name yet for β_t, ᾱ_t"),
        (NAMES | {"ε": None}, "no name yet for ε."),
        (NAMES | {"ε": ...}, "no name yet for ε."),
        ({v: k for k, v in NAMES.items()}, "the wrong way round"),
        ({"β_t": "beta"}, "no name yet for ᾱ_t, β̃_t, ε, ε_θ(x_t, t)"),
        ({k: v for k, v in NAMES.items() if k != "ε"} | {"epsilon": "eps"}, "And epsilon: none of the five"),
        ({}, "no name yet for β_t"),
        (CODE, "a list of 5 doesn't say which name is whose"),
        (set(CODE), "doesn't say which name is whose"),
        ("beta", "answer is a string"),
        (7, "answer is a number"),
        (lambda: NAMES, "answer is a function"),
    ],
)


def test_any_two_names_swapped_are_not_right() -> None:
    for one in NAMES:
        for other in NAMES:
            if one != other:
                assert said("symbols", NAMES | {one: NAMES[other], other: NAMES[one]}).startswith("Not yet")
                assert said("symbols", NAMES | {one: NAMES[other]}).startswith("Not yet")
