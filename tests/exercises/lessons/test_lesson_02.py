"""Lesson 02's exercise: right answers in several idioms, and each typical wrong one told by name."""

import cmath
import math

import numpy as np
import sympy
import torch

from tests.exercises.lessons.tables import tries


def eigenvalues(eta, c):
    return np.linalg.eigvals(np.array([[1.0, -eta * c], [eta * c, 1.0]]))


def by_an_array(eta, c):
    return torch.tensor([1.0, eta * c]).square().sum().sqrt()


def caret(eta, c):
    return (1 + (eta * c) ^ 2) ** 0.5


def in_turns(eta, c):
    return np.linalg.eigvals(np.array([[1 - (eta * c) ** 2, eta * c], [-eta * c, 1]]))


TestModulusSimultaneous = tries(
    "modulus_simultaneous",
    right={
        "** 0.5": lambda eta, c: (1 + (eta * c) ** 2) ** 0.5,
        "abs of a complex number": lambda eta, c: abs(1 - 1j * eta * c),
        "math": lambda eta, c: math.sqrt(1 + eta**2 * c**2),
        "hypot": lambda eta, c: math.hypot(1, eta * c),
        "cmath": lambda eta, c: cmath.sqrt((1 + 1j * eta * c) * (1 - 1j * eta * c)),
        "torch on numbers": lambda eta, c: torch.sqrt(1 + (eta * c) ** 2),
        "a tensor's method": lambda eta, c: (1 + (eta * c) ** 2).sqrt(),
        "a tensor made there": by_an_array,
        "numpy": lambda eta, c: np.sqrt(1 + np.square(eta * c)),
        "both moduli": lambda eta, c: np.abs(eigenvalues(eta, c)),
        "a list of both": lambda eta, c: [abs(z) for z in eigenvalues(eta, c)],
        "sympy": lambda eta, c: sympy.sqrt(1 + (sympy.Float(eta) * c) ** 2),
        "a string of digits": lambda eta, c: f"{math.hypot(1, eta * c):.6f}",
    },
    wrong=[
        (lambda eta, c: 1 + 1j * eta * c, "complex number"),
        (eigenvalues, "complex number"),
        (lambda eta, c: torch.complex(torch.tensor(1.0), torch.tensor(-eta * c)), "complex number"),
        (lambda eta, c: 1 + (eta * c) ** 2, "root is missing"),
        (lambda eta, c: 1 + eta * c, "right angles"),
        (lambda eta, c: (1 - (eta * c) ** 2) ** 0.5, "sign is wrong"),
        (lambda eta, c: torch.sqrt(1 - (eta * c) ** 2), "sign is wrong"),
        (lambda eta, c: abs(1 - (eta * c) ** 2) ** 0.5, "sign is wrong"),
        (lambda eta, c: 1.0, "1 is the modulus of steps in turns"),
        (lambda eta, c: (1 + 1j * eta * c).real, "the real part alone"),
        (in_turns, "an eigenvalue of steps in turns"),
        (lambda eta, c: in_turns(eta, c)[0], "an eigenvalue of steps in turns"),
        (lambda eta, c: math.sqrt(1 + (eta + c) ** 2), "η and c are multiplied"),
        (lambda eta, c: np.sqrt(1 + eta**2 + c**2), "η and c are multiplied"),
        (lambda eta, c: math.hypot(1, eta / c), "η and c are multiplied"),
        (caret, "A power is written ** in Python"),
        (lambda eta, c: (math.hypot(1, eta * c), 1.0), "the modulus has the shape (2,) where one number is asked"),
        (lambda eta, c: eta * c, "imaginary part alone"),
        (lambda eta, c: (1 + eta * c**2) ** 0.5, "only a part is squared"),
        (lambda eta, c: torch.sqrt(1 + eta**2 * c), "only a part is squared"),
        (lambda eta, c: (1 + eta**2) ** 0.5, "one of the two is missing"),
        (lambda eta, c: 2.0, "for modulus(0.3, 0.5) the modulus is 2, and should be 1.011. Hint"),
        (lambda eta, c: math.sqrt(-1 - eta), "ValueError"),
        (1.0112, "answer is a number, and a function is asked"),
    ],
)
