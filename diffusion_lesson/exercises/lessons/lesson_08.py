"""Lesson 08: the discretized likelihood."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula

Probability = Callable[[Tensor, float, float, int], Tensor]


def _cases() -> tuple[tuple[Tensor, float, float, int], ...]:
    """(k, mean, sd, levels): every level, of bells inside, near an edge and beyond it; then some, in any order.

    The levels are now odd in number, now even.
    """
    full = ((0.2, 0.3, 17), (-0.9, 0.35, 9), (1.1, 0.5, 6))
    some = ((torch.tensor([3, 4]), 0.2, 0.3, 17), (torch.tensor([8, 2, 0, 5, 2]), -0.4, 0.8, 9))
    return (*((torch.arange(levels), mean, sd, levels) for mean, sd, levels in full), *some)


def _bins(
    *,
    grid: int = -1,
    from_zero: bool = False,
    half: float = 1.0,
    half_levels: int = -1,
    first: bool = True,
    last: bool = True,
) -> Probability:
    """Equation (8.19), and what comes out if it is misread."""

    def probability(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
        x = k.double() / (levels + grid) if from_zero else 2 * k.double() / (levels + grid) - 1
        reach = half / (levels + half_levels)
        below, above = x - reach, x + reach
        if first:
            below = torch.where(k == 0, -torch.inf, below)
        if last:
            above = torch.where(k == levels - 1, torch.inf, above)
        return torch.special.ndtr((above - mean) / sd) - torch.special.ndtr((below - mean) / sd)

    return probability


def _ends_by_place(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    x, reach = 2 * k.double() / (levels - 1) - 1, 1 / (levels - 1)
    below, above = x - reach, x + reach
    below[0], above[-1] = -torch.inf, torch.inf
    return torch.special.ndtr((above - mean) / sd) - torch.special.ndtr((below - mean) / sd)


def _cut_off(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    x, reach = 2 * k.double() / (levels - 1) - 1, 1 / (levels - 1)
    below, above = (x - reach).clamp(min=-1), (x + reach).clamp(max=1)
    return torch.special.ndtr((above - mean) / sd) - torch.special.ndtr((below - mean) / sd)


def _right_edge(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    above = torch.where(k == levels - 1, torch.inf, (2 * k.double() + 1) / (levels - 1) - 1)
    return torch.special.ndtr((above - mean) / sd)


def _scaled(areas: Probability) -> Probability:
    def probability(*bell: Any) -> Tensor:
        return areas(*bell) / areas(*bell).sum()

    return probability


def _odd_only(half: Callable[[int], float]) -> Probability:
    """Right where levels // 2 is (levels − 1)/2."""

    def probability(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
        x = k.double() / (levels // 2) - 1
        below = torch.where(k == 0, -torch.inf, x - half(levels))
        above = torch.where(k == levels - 1, torch.inf, x + half(levels))
        return torch.special.ndtr((above - mean) / sd) - torch.special.ndtr((below - mean) / sd)

    return probability


def _all_levels(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    return _RIGHT(torch.arange(levels), mean, sd, levels)


def _bell(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    """The density at each level."""
    x = 2 * k.double() / (levels - 1) - 1
    return torch.distributions.Normal(torch.tensor(mean).double(), sd).log_prob(x).exp()


def _with_sd(change: Callable[[float], float]) -> Probability:
    return lambda k, mean, sd, levels: _RIGHT(k, mean, change(sd), levels)


_RIGHT = _bins()

EXERCISES = {
    "discretized_likelihood": formula(
        asks="probability(k, mean, sd, levels)",
        hint="the edges are x_k ± 1/(levels − 1); put −∞ and +∞ at the two ends by torch.where; subtract two Φ.",
        praise="The strips share their edges and leave nothing out, so the probabilities sum to 1.",
        names=("the probability",),
        cases=_cases(),
        right=_RIGHT,
        form="There is one number for each of k.",
        wrong=(
            Misread(
                "the half-width is 1/levels; levels are 2/(levels − 1) apart, so half a gap is 1/(levels − 1). "
                "Your strips leave gaps.",
                _bins(half_levels=0),
            ),
            Misread(
                "each strip reaches a whole gap, 2/(levels − 1), to both sides: the strips overlap.",
                _bins(half=2.0),
            ),
            Misread(
                "each strip reaches only a quarter of a gap to both sides: the strips leave gaps.",
                _bins(half=0.5),
            ),
            Misread(
                "the first and the last strip end; they must reach to −∞ and +∞, or the sum falls short of 1.",
                _bins(first=False, last=False),
                _cut_off,
            ),
            Misread(
                "the numbers were scaled until their sum is 1. It must come out so by itself, over all levels: "
                "by areas whose two outer strips are open.",
                _scaled(_bins(first=False, last=False)),
                _scaled(_bell),
            ),
            Misread(
                "only one of the two outer strips is open; black reaches to −∞ and white to +∞.",
                _bins(first=False),
                _bins(last=False),
            ),
            Misread(
                "the strips that come first and last in k are open. Open are those of levels 0 and levels − 1, "
                "and these may stand anywhere in k, or not at all.",
                _ends_by_place,
            ),
            Misread(
                "these are the probabilities of all levels, whatever k is: give those of the levels in k.",
                _all_levels,
            ),
            Misread(
                "that is density × width, not the area: for a narrow bell it can exceed 1. "
                "Subtract two values of Φ.",
                lambda k, mean, sd, levels: _bell(k, mean, sd, levels) * 2 / (levels - 1),
            ),
            Misread(
                "that is the density, not the area over a strip. Subtract two values of Φ.",
                _bell,
            ),
            Misread(
                "the levels stand at 2k/levels − 1; they run from −1 to 1, so divide by levels − 1.",
                _bins(grid=0),
            ),
            Misread(
                "right for an odd number of levels only: `levels // 2` rounds down, and (levels − 1)/2 is meant.",
                _odd_only(lambda levels: 1 / (levels - 1)),
                _odd_only(lambda levels: 0.5 / (levels // 2)),
            ),
            Misread(
                "the distance to the mean is divided by the wrong thing: by sd itself, not its square or root.",
                _with_sd(lambda sd: sd**2),
                _with_sd(lambda sd: sd**0.5),
            ),
            Misread(
                "the distance to the mean is not divided by sd.",
                _with_sd(lambda sd: 1.0),
            ),
            Misread(
                "the mean is not taken off: Φ is of the standard bell, around 0.",
                lambda k, mean, sd, levels: _RIGHT(k, 0.0, sd, levels),
            ),
            Misread(
                "the levels stand at k/(levels − 1), from 0 to 1; here they run from −1 to 1.",
                _bins(from_zero=True),
                _bins(from_zero=True, half=0.5),
            ),
            Misread(
                "that is only Φ at the right edge, all that lies below it. Subtract Φ at the left edge.",
                _right_edge,
            ),
            Misread(
                "that is a logarithm; the question was the probability itself.",
                lambda *bell: _RIGHT(*bell).log(),
                lambda *bell: -_RIGHT(*bell).log(),
                lambda *bell: -_RIGHT(*bell).log2(),
            ),
        ),
    ),
}
