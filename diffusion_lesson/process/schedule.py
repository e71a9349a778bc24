"""The noise schedule: β_t and the tables that follow from it, for t = 1..T (index 0 is clean data)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, inf, pi, sqrt
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffusion_lesson.shapes import Batch, Steps, beside, floats, number, readable, whole

MOST_STEPS = 100_000  # of a schedule that has a name; a card from elsewhere could ask for any number


@dataclass(frozen=True)
class Step:
    """What the schedule says of step t, one row an example: shapes (B, 1, …, 1), ready to multiply pictures.

    Of one step for all, an int, it says it once: (1, 1, …, 1).
    """

    beta: Tensor
    alpha: Tensor
    alpha_bar: Tensor
    alpha_bar_prev: Tensor
    one_minus_alpha_bar: Tensor
    one_minus_alpha_bar_prev: Tensor
    beta_tilde: Tensor


class Schedule:
    """β_1, …, β_T, and α_t = 1 − β_t, ᾱ_t = α_1 ⋯ α_t, β̃_t = β_t (1 − ᾱ_{t−1})/(1 − ᾱ_t) (DDPM eqs. 4, 7).

    The tables `betas`, `alphas`, `alpha_bars`, `one_minus_alpha_bars` are float64 and (T+1,), so that `table[t]`
    is the paper's symbol: β_0 = 0, ᾱ_0 = 1.
    """

    def __init__(self, betas: Sequence[float] | Float[Tensor, " T"]) -> None:
        try:
            if isinstance(betas, Tensor):
                betas = betas.detach().cpu()  # first, since some devices have no float64
            beta = torch.as_tensor(betas, dtype=torch.float64, device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"betas: expected β_1..β_T, numbers between 0 and 1, got {betas!r}") from error
        if beta.ndim != 1 or len(beta) == 0 or not ((beta > 0) & (beta < 1)).all():
            raise ValueError(f"betas: expected β_1..β_T, each between 0 and 1, got {betas}")
        self.T = len(beta)
        self.betas = torch.cat([torch.zeros(1, dtype=torch.float64, device="cpu"), beta])
        self.alphas = 1 - self.betas
        self.alpha_bars = self.alphas.cumprod(0)
        # 1 − ᾱ_t by the variance's own recursion. Only positive numbers are added, so nothing cancels near
        # t = 1, and 1 − ᾱ_1 is β_1 to the last bit.
        one_minus = [0.0]
        for b in beta.tolist():
            one_minus.append(b + (1 - b) * one_minus[-1])
        self.one_minus_alpha_bars = torch.tensor(one_minus, dtype=torch.float64, device="cpu")
        beta_tildes = torch.zeros_like(self.betas)
        beta_tildes[1:] = beta * self.one_minus_alpha_bars[:-1] / self.one_minus_alpha_bars[1:]
        # The fields of Step as rows: one look-up gives them all. A row of NaN stands at either end, and in place
        # of what step 0 has not, so that a wrong index is loud where it can't be checked.
        nan = torch.full((1,), torch.nan, dtype=torch.float64, device="cpu")
        before = [torch.cat([nan, table[:-1]]) for table in (self.alpha_bars, self.one_minus_alpha_bars)]
        rows = [
            self.betas,
            self.alphas,
            self.alpha_bars,
            before[0],
            self.one_minus_alpha_bars,
            before[1],
            beta_tildes,
        ]
        rows = [torch.cat([nan, row, nan]) for row in rows]
        self._table = torch.stack(rows)
        self._shares = list(zip(self.alpha_bars.tolist(), self.one_minus_alpha_bars.tolist(), strict=True))
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}  # for each device and dtype that asked

    def __repr__(self) -> str:
        """How many steps, how much noise a step adds at first and at last, and what is left of the picture."""
        first, last, left = self.betas[1].item(), self.betas[-1].item(), self.alpha_bars[-1].item()
        return f"<Schedule: T = {self.T}, β from {first:.3g} to {last:.3g}, ᾱ_T = {left:.3g}>"

    def at(self, t: Steps, like: Batch) -> Step:
        """All symbols of step t, 1 ≤ t ≤ T, in the dtype and on the device of `like`. ValueError outside.

        Where t lies on a GPU it is not read, since that waits for the device: there a wrong t gives NaN.
        """
        return Step(*self._rows(slice(None), t, like, first=1))

    def alpha_bar_at(self, t: Steps, like: Batch) -> Tensor:
        """ᾱ_t for 0 ≤ t ≤ T (ᾱ_0 = 1), in the dtype and on the device of `like`. Outside as for `at`."""
        return self._rows(2, t, like, first=0)

    def one_minus_alpha_bar_at(self, t: Steps, like: Batch) -> Tensor:
        """1 − ᾱ_t for 0 ≤ t ≤ T, with all its digits near t = 0, where the difference of two floats loses them."""
        return self._rows(4, t, like, first=0)

    def shares(self, step: int) -> tuple[float, float]:
        """ᾱ_t and 1 − ᾱ_t for 0 ≤ t ≤ T: how much of the variance is picture, and how much is noise.

        In Python's floats, which are double: a sampler's coefficients are differences of near numbers.
        """
        if not 0 <= whole(step, "step", f"0..{self.T}") <= self.T:
            raise ValueError(f"step: expected 0..{self.T}, got {step}")
        return self._shares[step]

    def draw_t(self, batch: int, generator: torch.Generator | None = None) -> Int[Tensor, " B"]:
        """t ~ Uniform{1, …, T}, one for each of `batch` examples."""
        device = generator.device if generator is not None else "cpu"
        return torch.randint(1, self.T + 1, (batch,), generator=generator, device=device)

    def down(self) -> Iterator[int]:
        """T, T − 1, …, 1: the order in which a sampler walks."""
        return iter(range(self.T, 0, -1))

    def _rows(self, which: int | slice, t: Steps, like: Batch, first: int) -> Tensor:
        """Rows of the table at t, (…, B, 1, …, 1) beside `like`."""
        floats(like, "like")
        if not isinstance(t, Tensor):
            low = high = whole(t, "t", "a whole number, or a tensor of them")
            place: Tensor | slice = slice(low + 1, low + 2)
        elif t.shape != like.shape[:1] or t.is_floating_point() or t.dtype == torch.bool:
            raise ValueError(
                f"t: expected one step an example, ({len(like)},), in whole numbers, or one int for all, "
                f"got {tuple(t.shape)} of {str(t.dtype).removeprefix('torch.')}"
            )
        else:
            t = t.long()  # in bytes, T may be too large, and t + 1
            read = readable(t) and len(t) > 0
            low, high = (int(t.min()), int(t.max())) if read else (first, first)
            place = (beside(t, like, "t") + 1).clamp(0, self.T + 2)
        if not first <= low <= high <= self.T:
            raise ValueError(f"t: expected steps {first}..{self.T}, got {low}..{high}")
        rows = self._table_beside(like)[which][..., place]
        return rows.reshape(*rows.shape, *[1] * (like.ndim - 1))

    def _table_beside(self, like: Tensor) -> Tensor:
        """The rows on the device and in the dtype of `like`, made once. Every entry was formed in float64."""
        # Half precision has no room for ᾱ_T: its pictures are multiplied by single numbers.
        kind = (like.device, torch.promote_types(like.dtype, torch.float32))
        if kind not in self._copies:
            self._copies[kind] = self._table.to(kind[1]).to(kind[0])
        return self._copies[kind]


def linear(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Schedule:
    """β_t on a straight line from β_1 to β_T (DDPM section 4). The blog post's is (1000, 0.00085, 0.012)."""
    _ends(beta_1=beta_1, beta_T=beta_T)
    return Schedule(_line(beta_1, beta_T, _steps(T)))


def scaled_linear(T: int = 1000, beta_1: float = 0.00085, beta_T: float = 0.012) -> Schedule:
    """√β_t on a straight line from √β_1 to √β_T: Stable Diffusion's schedule (arXiv:2112.10752, its code)."""
    _ends(beta_1=beta_1, beta_T=beta_T)
    return Schedule([root * root for root in _line(sqrt(beta_1), sqrt(beta_T), _steps(T))])


def _ends(**betas: float) -> None:
    for name, value in betas.items():
        if not 0 < number(value, name, "a number between 0 and 1") < 1:
            raise ValueError(f"{name}: expected a number between 0 and 1, got {value}")


def _line(first: float, last: float, steps: int) -> list[float]:
    """Points evenly apart, each the nearest float to the exact number.

    torch.linspace rounds as the processor does. Whole numbers don't round at all, one divided by another gives
    the nearest float, and a square root rounds alike everywhere.
    """
    (a, b), (c, d) = float(first).as_integer_ratio(), float(last).as_integer_ratio()
    n = max(steps - 1, 1)
    return [(a * d * (n - k) + c * b * k) / (b * d * n) for k in range(steps)]


def cosine(T: int = 1000, offset: float = 0.008, beta_max: float = 0.999) -> Schedule:
    """ᾱ_t ≈ f(t)/f(0), f(t) = cos²(π/2 · (t/T + offset)/(1 + offset)) (arXiv:2102.09672 eq. 17).

    β_t = 1 − f(t)/f(t−1), capped at `beta_max`; the cap acts at the last step or steps.
    """
    _ends(beta_max=beta_max)
    if not 0 <= number(offset, "offset") < inf:
        raise ValueError(f"offset: expected 0 or more, got {offset}")
    T = _steps(T)
    f = [cos(pi / 2 * (t / T + offset) / (1 + offset)) ** 2 for t in range(T + 1)]
    return Schedule([min(1 - f[t] / f[t - 1], beta_max) for t in range(1, T + 1)])


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "cosine": cosine,
}


def named(kind: str, **arguments: Any) -> Schedule:
    """The schedule that a recipe or a card writes down: `named("cosine", T=200)`."""
    if not isinstance(kind, str) or kind not in SCHEDULES:
        raise ValueError(f"kind: expected one of {', '.join(SCHEDULES)}, got {kind!r}")
    return SCHEDULES[kind](**arguments)


def _steps(T: int) -> int:
    words = f"a number of steps from 1 to {MOST_STEPS:,}"
    steps = whole(T, "T", words)
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"T: expected {words}, got {T}")
    return steps
