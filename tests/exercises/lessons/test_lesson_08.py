"""Lesson 08's exercise: right answers in several idioms, and each typical wrong one told by name."""

from math import erf, inf
from statistics import NormalDist

import numpy as np
import torch
from torch.distributions import Normal
from torch.special import ndtr

from diffusion_lesson.process.gaussian import Gaussian, discretized_log_prob
from tests.exercises.lessons.tables import tries


def package(k, mean, sd, levels):
    x = (2 * k.double() / (levels - 1) - 1)[:, None]
    return discretized_log_prob(Gaussian(torch.full_like(x, mean), torch.tensor(sd**2)), x, levels).exp()


def strips(k, mean, sd, levels, *, grid=None, half=None, ends=(True, True)):
    x = 2 * k / (grid or levels - 1) - 1
    half = half or 1 / (levels - 1)
    below, above = x - half, x + half
    if ends[0]:
        below[k == 0] = -torch.inf
    if ends[1]:
        above[k == levels - 1] = torch.inf
    return ndtr((above - mean) / sd) - ndtr((below - mean) / sd)


def density_times_width(k, mean, sd, levels):
    x = 2 * k / (levels - 1) - 1
    return (-0.5 * ((x - mean) / sd) ** 2).exp() / (sd * (2 * torch.pi) ** 0.5) * 2 / (levels - 1)


def by_where(k, mean, sd, levels):
    x, half = 2 * k / (levels - 1) - 1, 1 / (levels - 1)
    below = torch.where(k == 0, -torch.inf, x - half)
    above = torch.where(k == levels - 1, torch.inf, x + half)
    return Normal(mean, sd).cdf(above) - Normal(mean, sd).cdf(below)


def by_a_loop(k, mean, sd, levels):
    bell, half = NormalDist(mean, sd), 1 / (levels - 1)

    def reached(level, step):
        return bell.cdf(2 * level / (levels - 1) - 1 + step)

    return [(reached(int(n), half) if n < levels - 1 else 1) - (reached(int(n), -half) if n > 0 else 0) for n in k]


def by_lists(k, mean, sd, levels):
    def phi(z):
        return 0.5 * (1 + erf(z / 2**0.5))

    cuts = [-inf, *((2 * n - levels) / (levels - 1) for n in range(1, levels)), inf]
    return [phi((cuts[n + 1] - mean) / sd) - phi((cuts[n] - mean) / sd) for n in list(k)]


def by_numpy(k, mean, sd, levels):
    phi = np.vectorize(lambda z: 0.5 * (1 + erf(z / np.sqrt(2))))
    x = 2 * k.astype(float) / (levels - 1) - 1
    below = np.where(k == 0, -np.inf, x - 1 / (levels - 1))
    above = np.where(k == levels - 1, np.inf, x + 1 / (levels - 1))
    return phi((above - mean) / sd) - phi((below - mean) / sd)


def torch_on_numbers(k, mean, sd, levels):
    return by_where(k, mean, torch.sqrt(sd) ** 2, levels)


def all_at_once(k, mean, sd, levels):
    """The table of all levels, then the rows asked for."""
    cuts = torch.arange(1, levels) * 2 / (levels - 1) - 1 - 1 / (levels - 1)
    inner = ndtr((cuts - mean) / sd)
    return torch.cat([torch.zeros(1), inner, torch.ones(1)]).diff()[k]


def ends_by_place(k, mean, sd, levels):
    x, half = 2 * k / (levels - 1) - 1, 1 / (levels - 1)
    below, above = x - half, x + half
    below[0], above[-1] = -torch.inf, torch.inf
    return ndtr((above - mean) / sd) - ndtr((below - mean) / sd)


def ends_cut_off(k, mean, sd, levels):
    x, half = 2 * k / (levels - 1) - 1, 1 / (levels - 1)
    return ndtr(((x + half).clamp(max=1) - mean) / sd) - ndtr(((x - half).clamp(min=-1) - mean) / sd)


def from_zero(k, mean, sd, levels, gap):
    x, half = k / (levels - 1), gap / 2 / (levels - 1)
    below = torch.where(k == 0, -torch.inf, x - half)
    above = torch.where(k == levels - 1, torch.inf, x + half)
    return ndtr((above - mean) / sd) - ndtr((below - mean) / sd)


def odd_only(k, mean, sd, levels, half):
    x = k / (levels // 2) - 1
    below = torch.where(k == 0, -torch.inf, x - half)
    above = torch.where(k == levels - 1, torch.inf, x + half)
    return ndtr((above - mean) / sd) - ndtr((below - mean) / sd)


def up_to_the_right_edge(k, mean, sd, levels):
    return ndtr((torch.where(k == levels - 1, torch.inf, (2 * k + 1) / (levels - 1) - 1) - mean) / sd)


def scaled(areas):
    return areas / areas.sum()


TestDiscretizedLikelihood = tries(
    "discretized_likelihood",
    right={
        "the package": package,
        "ndtr": strips,
        "where": by_where,
        "a loop": by_a_loop,
        "lists": by_lists,
        "numpy's own methods": by_numpy,
        "torch on numbers": torch_on_numbers,
        "a table of all levels": all_at_once,
        "double precision": lambda k, m, s, n: strips(k.double(), m, s, n),
    },
    wrong=[
        (lambda k, m, s, n: strips(k, m, s, n, half=1 / n), "1/levels"),
        (lambda k, m, s, n: strips(k, m, s, n, half=2 / (n - 1)), "overlap"),
        (lambda k, m, s, n: strips(k, m, s, n, half=0.5 / (n - 1)), "a quarter of a gap"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(False, False)), "falls short of 1"),
        (ends_cut_off, "falls short of 1"),
        (lambda *bell: scaled(strips(*bell, ends=(False, False))), "scaled until their sum is 1"),
        (lambda *bell: scaled(density_times_width(*bell)), "scaled until their sum is 1"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(False, True)), "only one"),
        (lambda k, m, s, n: strips(k, m, s, n, ends=(True, False)), "only one"),
        (ends_by_place, "first and last in k are open"),
        (lambda k, m, s, n: strips(torch.arange(n), m, s, n), "all levels, whatever k is"),
        (density_times_width, "density × width"),
        (lambda k, m, s, n: density_times_width(k, m, s, n) * (n - 1) / 2, "that is the density"),
        (lambda k, m, s, n: strips(k, m, s, n, grid=n), "2k/levels"),
        (lambda k, m, s, n: odd_only(k, m, s, n, 1 / (n - 1)), "odd number of levels only"),
        (lambda k, m, s, n: odd_only(k, m, s, n, 0.5 / (n // 2)), "odd number of levels only"),
        (lambda k, m, s, n: strips(k, m, s**2, n), "wrong thing"),
        (lambda k, m, s, n: strips(k, m, torch.sqrt(s), n), "wrong thing"),
        (lambda k, m, s, n: strips(k, m, 1.0, n), "not divided by sd"),
        (lambda k, m, s, n: strips(k, 0.0, s, n), "the mean is not taken off"),
        (lambda *bell: from_zero(*bell, gap=1), "from 0 to 1"),
        (lambda *bell: from_zero(*bell, gap=2), "from 0 to 1"),
        (up_to_the_right_edge, "only Φ at the right edge"),
        (lambda *bell: package(*bell).log(), "logarithm"),
        (lambda *bell: -package(*bell).log2(), "logarithm"),
        (lambda *bell: package(*bell).sum(), "Hint"),
        (
            lambda *bell: package(*bell)[:-1],
            "the shape (16,) where (17,) is asked. There is one number for each of k",
        ),
        (lambda k, m, s, n: None + 1, "raised TypeError"),
    ],
)
