"""Lesson 08: the discretized likelihood."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake

Probability = Callable[[Tensor, float, float, int], Tensor]

# (mean, standard deviation, levels), each tried on every level: inside, near an edge, beyond it.
_BELLS = ((0.2, 0.3, 17), (-0.9, 0.35, 9), (1.1, 0.5, 5))


def _bins(
    *, grid: int = -1, half: float = 1.0, half_levels: int = -1, first: bool = True, last: bool = True
) -> Probability:
    """Equation (8.19), and what comes out if it is misread."""

    def probability(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
        x = 2 * k.double() / (levels + grid) - 1
        reach = half / (levels + half_levels)
        below, above = x - reach, x + reach
        if first:
            below = torch.where(k == 0, -torch.inf, below)
        if last:
            above = torch.where(k == levels - 1, torch.inf, above)
        return torch.special.ndtr((above - mean) / sd) - torch.special.ndtr((below - mean) / sd)

    return probability


def _density_times_width(k: Tensor, mean: float, sd: float, levels: int) -> Tensor:
    x = 2 * k.double() / (levels - 1) - 1
    bell = torch.distributions.Normal(torch.tensor(mean).double(), sd)
    return bell.log_prob(x).exp() * 2 / (levels - 1)


def _gives(answer: Any, expected: Probability) -> bool:
    for mean, sd, levels in _BELLS:
        k = torch.arange(levels)
        out, wanted = torch.as_tensor(answer(k, mean, sd, levels)).double(), expected(k, mean, sd, levels)
        if out.shape != wanted.shape or not bool((out - wanted).abs().max() < 1e-5):
            return False
    return True


def _with_sd(change: Callable[[float], float]) -> Probability:
    return lambda k, mean, sd, levels: _bins()(k, mean, change(sd), levels)


_RIGHT = _bins()

EXERCISES = {
    "discretized_likelihood": Exercise(
        hint="the edges are x_k ± 1/(levels − 1); put −∞ and +∞ at the two ends by torch.where; subtract two Φ.",
        right=lambda f: _gives(f, _RIGHT),
        praise="The strips share their edges and leave nothing out, so the probabilities sum to 1.",
        mistakes=(
            Mistake(
                lambda f: _gives(f, _bins(half_levels=0)),
                "the half-width is 1/levels; levels are 2/(levels − 1) apart, so half a gap is 1/(levels − 1). "
                "Your strips leave gaps.",
            ),
            Mistake(
                lambda f: _gives(f, _bins(half=2.0)),
                "each strip reaches a whole gap, 2/(levels − 1), to both sides: the strips overlap.",
            ),
            Mistake(
                lambda f: _gives(f, _bins(first=False, last=False)),
                "the first and the last strip end; they must reach to −∞ and +∞, or the sum falls short of 1.",
            ),
            Mistake(
                lambda f: _gives(f, _bins(first=False)) or _gives(f, _bins(last=False)),
                "only one of the two outer strips is open; black reaches to −∞ and white to +∞.",
            ),
            Mistake(
                lambda f: _gives(f, _density_times_width),
                "that is density × width, not the area: for a narrow bell it exceeds 1. Subtract two values of Φ.",
            ),
            Mistake(
                lambda f: _gives(f, _bins(grid=0)),
                "the levels stand at 2k/levels − 1; they run from −1 to 1, so divide by levels − 1.",
            ),
            Mistake(
                lambda f: _gives(f, _with_sd(lambda sd: sd**2)) or _gives(f, _with_sd(lambda sd: sd**0.5)),
                "the distance to the mean is divided by the wrong thing: by sd itself, not its square or root.",
            ),
            Mistake(
                lambda f: (
                    _gives(f, lambda *bell: _RIGHT(*bell).log())
                    or _gives(f, lambda *bell: -_RIGHT(*bell).log())
                    or _gives(f, lambda *bell: -_RIGHT(*bell).log2())
                ),
                "that is a logarithm; the question was the probability itself.",
            ),
        ),
    ),
}
