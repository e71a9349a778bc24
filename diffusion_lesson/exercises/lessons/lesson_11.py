"""Lesson 11: the bug in the sampler. A walk is watched step by step: what is its mean, what is its noise?"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Exercise, Mistake
from diffusion_lesson.exercises.values import Misfit, numbers
from diffusion_lesson.exercises.ways import as_given, as_single
from diffusion_lesson.process import exact
from diffusion_lesson.process.prediction import EpsModel
from diffusion_lesson.process.reverse import p_step
from diffusion_lesson.process.schedule import cosine

Sampler = Callable[..., Any]

_SCHEDULE, _CHAINS = cosine(50), 10_000
_WORLD = exact.gaussian(torch.tensor([0.5], dtype=torch.float64), 0.25).eps_model(_SCHEDULE)
_DOWN = list(_SCHEDULE.down())
_NOW = _SCHEDULE.at(torch.tensor(_DOWN[:-1]), like=torch.zeros(_SCHEDULE.T - 1, 1, dtype=torch.float64))
_RATIO = _NOW.beta / _NOW.beta_tilde


@dataclass(frozen=True)
class _Walk:
    """What a sampler asked the network, what it was told, and where it ended."""

    xs: list[Tensor]  # (chains, 1) each
    ts: list[int]  # -1 if not one and the same t for all chains
    eps: list[Tensor]
    x0: Tensor
    settled: bool  # whether another seed leads to the same end

    @property
    def all_steps(self) -> bool:
        """Whether the network was asked once at each t, T down to 1, for all chains."""
        return self.ts == _DOWN and all(x.shape == self.x0.shape for x in self.xs)

    @cached_property
    def steps(self) -> Tensor:
        """What each step adds to Algorithm 2's mean, (T, chains)."""
        means = p_step(_SCHEDULE, torch.tensor(_DOWN), xt=torch.stack(self.xs), eps_hat=torch.stack(self.eps)).mean
        return (torch.stack([*self.xs[1:], self.x0]) - means).reshape(len(_DOWN), _CHAINS)

    @cached_property
    def noise(self) -> Tensor:
        """The same for t = T..2 in units of √β̃_t, (T − 1, chains): N(0, 1), or N(0, β/β̃), in Algorithm 2."""
        return self.steps[:-1] / _NOW.beta_tilde.sqrt()

    @cached_property
    def var(self) -> Tensor:
        """The variance of the noise at each t, (T − 1, 1)."""
        return self.noise.var(dim=1, keepdim=True)

    @cached_property
    def one_z(self) -> bool:
        """Whether two steps add the same noise, but for its size or its order. (A step without noise can look like
        it: its rest is then the same function of x at every t. At t = T it follows x_T, and z does not.)"""
        z = self.noise.sort(1).values / self.var.sqrt()
        dealt_anew = bool((z[1:] - z[:-1]).abs().max() < 0.02)
        return (_kinship(self.noise) > 0.999 or dealt_anew) and not self.follows_x[0]

    @cached_property
    def related(self) -> bool:
        """Whether the noises of two steps have a part in common, beyond what x_t has of them."""
        return _kinship(self.noise - self.off_centre[1][:, None] * self.var.sqrt() * self.x) > 0.1

    @property
    def shared(self) -> bool:
        """Whether all chains get one noise."""
        return bool(self.var.mean() < 0.01 * (self.noise**2).mean())

    @cached_property
    def x(self) -> Tensor:
        """x_t for t = T..2, brought to mean 0 and variance 1, (T − 1, chains)."""
        x = torch.cat(self.xs[:-1]).reshape(self.noise.shape)
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)

    @cached_property
    def off_centre(self) -> Tensor:
        """The mean of the noise, and its correlation with x_t, (2, T − 1): 0 if nothing but z is added."""
        z = self.noise / self.var.sqrt().clamp(min=1e-12)
        return torch.stack([z.mean(1), (z * self.x).mean(1)])

    @property
    def follows_x(self) -> Tensor:
        """For t = T..2, whether all that is added comes of x_t: no noise is drawn there."""
        return (self.off_centre[1].abs() > 0.99) | (self.var[:, 0] < 1e-9)

    @cached_property
    def centred(self) -> bool:
        """Whether the mean of each step is Algorithm 2's."""
        return bool((self.off_centre.abs() < 0.07).all() and (self.off_centre.mean(1).abs() < 0.01).all())

    @cached_property
    def bell(self) -> bool:
        """Whether it is Gaussian: not lopsided, and with a fourth moment of 3."""
        z = (self.noise - self.noise.mean(1, keepdim=True)) / self.var.sqrt()
        return bool((z**3).mean().abs() < 0.05 and ((z**4).mean() - 3).abs() < 0.15)

    def wide(self, var: Tensor) -> bool:
        """Whether the variance at each t is `var`, in units of β̃_t."""
        off = self.var / var - 1
        return bool(off.mean().abs() < 0.012 and off.abs().max() < 0.12)

    @property
    def ends_clean(self) -> bool:
        """Whether the last step adds nothing to its mean."""
        return bool(self.steps[-1].abs().max() < 1e-4)

    @property
    def ends_in_noise(self) -> bool:
        """Whether what the last step adds is a noise: most of it other than 0, and without regard to x_1."""
        last, x1 = self.steps[-1], self.xs[-1].flatten()
        alone = abs(float(torch.corrcoef(torch.stack([last, x1]))[0, 1])) < 0.1
        return alone and bool((last.abs() > 1e-12).double().mean() > 0.99)


def _kinship(noise: Tensor) -> float:
    """The largest correlation of the noises of two steps: 1 for one and the same noise, 0 for fresh ones."""
    moving = noise[noise.var(dim=1) > 1e-12]
    return float(torch.corrcoef(moving).fill_diagonal_(0).abs().max()) if len(moving) > 1 else 0.0


def _walk(sampler: Sampler) -> _Walk:
    xs: list[Tensor] = []
    ts: list[int] = []
    answers: list[Tensor] = []

    def model(x: Tensor, t: Any) -> Tensor:
        eps, steps = _WORLD(x, t), numbers(t)
        xs.append(numbers(x).clone())
        ts.append(int(steps.min()) if steps.min() == steps.max() else -1)
        answers.append(numbers(eps))
        return eps

    x0 = _end(sampler, _CHAINS, model, seed=1)
    return _Walk(xs, ts, answers, x0, torch.equal(*(_end(sampler, 9, _WORLD, seed) for seed in (1, 2))))


def _end(sampler: Sampler, chains: int, model: EpsModel, seed: int) -> Tensor:
    """Where so many chains end, from the same noise whatever the seed is."""
    g = torch.Generator().manual_seed(0)
    start = torch.randn(chains, 1, generator=g, dtype=torch.float64)
    x0 = numbers(sampler(_SCHEDULE, start, model, g.manual_seed(seed)))
    if x0.shape != start.shape:
        raise Misfit(
            f"your sampler returns the shape {tuple(x0.shape)} for an x of {tuple(start.shape)}: "
            "x_0 alone is asked, and it has the shape of x."
        )
    return x0


def _wide_enough(walk: _Walk) -> bool:
    """As wide as Algorithm 2 makes it with β̃, or with β, which is as good an answer."""
    return walk.wide(torch.ones_like(_RATIO)) or walk.wide(_RATIO)


def _right(walk: _Walk) -> bool:
    fresh = walk.all_steps and not walk.related and not walk.one_z and walk.centred
    return fresh and walk.bell and _wide_enough(walk) and walk.ends_clean


def _differs(walk: _Walk) -> str:
    """Only after all mistakes were ruled out: the mean is Algorithm 2's."""
    if not walk.bell:
        return "the noise of a step is no Gaussian: draw it by torch.randn."
    return f"the variance of the noise is {float(walk.var.mean()):.2g} times β̃, on average over the steps."


EXERCISES = {
    "planted_bug": Exercise(
        asks="mended(schedule, x, eps_model, generator)",
        ways=(as_given, as_single),
        hint="in `planted` the mean is right, so the lines that make the mean are right. The spread is far too "
        "large. Variances of independent noises add; what adds up if a noise comes back unchanged?",
        praise="Every step needs a noise of its own. One z for all steps adds up its standard deviations, where "
        "independent ones add up their variances.",
        look=_walk,
        right=_right,
        differs=_differs,
        mistakes=(
            Mistake(lambda w: not w.ts, "it never asks eps_model, so it can't know where the pictures are."),
            Mistake(
                lambda w: w.all_steps and w.one_z,
                "one and the same z is still added at more than one step. "
                "(That β̃_1 = 0 already stands for the rule z = 0 at t = 1.)",
            ),
            Mistake(
                lambda w: w.settled and (not w.all_steps or bool(w.follows_x.all())),
                "there is no noise in the steps at all: with another seed every walk ends where it ended before, "
                "as in DDIM with η = 0. Algorithm 2 adds a fresh noise at every step but the last.",
            ),
            Mistake(
                lambda w: not w.all_steps,
                "it does not ask the network once at each t, from T down to 1, as Algorithm 2 does.",
            ),
            Mistake(
                lambda w: w.shared,
                "every step has a noise of its own, but all examples share it: z must have the shape of x.",
            ),
            Mistake(
                lambda w: bool(w.follows_x.any()),
                "there is a step before the last that adds no noise. Only at t = 1 is z = 0.",
            ),
            Mistake(
                lambda w: bool((w.noise > -1e-3).all()),
                "the noise is never negative: torch.rand draws from 0 to 1, torch.randn draws from N(0, 1).",
            ),
            Mistake(
                lambda w: w.related,
                "the noises of some steps have a part in common. Draw all of it anew at every step.",
            ),
            Mistake(
                lambda w: not w.centred,
                "the mean of a step is no longer Algorithm 2's: compare the lines that make it with those of "
                "`planted`, which are right.",
            ),
            Mistake(
                lambda w: w.wide(_NOW.beta_tilde) or w.wide(_NOW.beta * _RATIO),
                "the noise is multiplied by a variance; its standard deviation is the root, such as √β̃.",
            ),
            Mistake(
                lambda w: _wide_enough(w) and w.ends_in_noise,
                "the spread is right now, but there is noise in the last step, where z = 0.",
            ),
            Mistake(
                lambda w: _wide_enough(w) and not w.ends_clean,
                "all steps but the last are right. What comes back is not the mean of the step at t = 1: is it "
                "x_1, or is x_0 changed after the loop?",
            ),
        ),
    ),
}
