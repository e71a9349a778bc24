"""Lesson 11's exercise: right samplers in several idioms, and each typical wrong one told by name."""

import math

import numpy as np
import torch

from diffusion_lesson.process import samplers
from diffusion_lesson.process.forward import q_posterior
from diffusion_lesson.process.prediction import x0_from_eps
from diffusion_lesson.process.reverse import p_step
from tests.exercises.lessons.tables import said, tries


def algorithm_2(noise, schedule, x, eps_model):
    """Algorithm 2; noise(now, t, x) is what a step adds to its mean."""
    for step in schedule.down():
        t = torch.full((len(x),), step)
        now = schedule.at(t, like=x)
        mean = (x - now.beta / now.one_minus_alpha_bar.sqrt() * eps_model(x, t)) / now.alpha.sqrt()
        x = mean + noise(now, step, x)
    return x


def draw(x, generator):
    return torch.randn(x.shape, generator=generator, dtype=x.dtype)


def right(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * draw(x, generator), schedule, x, eps_model)


def right_by_the_package(schedule, x, eps_model, generator):
    *_, x0 = samplers.ddpm(schedule, x, eps_model, variance="beta", generator=generator)
    return x0


def right_without_the_generator(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * torch.randn_like(x), schedule, x, eps_model)


def one_z(schedule, x, eps_model, generator):
    z = draw(x, generator)
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * z, schedule, x, eps_model)


def one_z_but_none_at_1(schedule, x, eps_model, generator):
    z = draw(x, generator)
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * z * (t > 1), schedule, x, eps_model)


def seeded_in_the_loop(schedule, x, eps_model, generator):
    def noise(now, t, x):
        return now.beta_tilde.sqrt() * draw(x, torch.Generator().manual_seed(3))

    return algorithm_2(noise, schedule, x, eps_model)


def no_noise(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: 0, schedule, x, eps_model)


def shared(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * draw(x[:1], generator), schedule, x, eps_model)


def by_the_variance(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta_tilde * draw(x, generator), schedule, x, eps_model)


def noise_at_1(schedule, x, eps_model, generator):
    return algorithm_2(lambda now, t, x: now.beta.sqrt() * draw(x, generator), schedule, x, eps_model)


def a_generator(schedule, x, eps_model, generator):
    yield right(schedule, x, eps_model, generator)


def by_p_step(schedule, x, eps_model, generator):
    for step in schedule.down():
        t = torch.full((len(x),), step)
        p = p_step(schedule, t, xt=x, eps_hat=eps_model(x, t), variance="beta_tilde")
        x = p.mean if step == 1 else p.sample(generator)
    return x


def by_the_posterior(schedule, x, eps_model, generator):
    for step in schedule.down():
        t = torch.full((len(x),), step)
        x0_hat = x0_from_eps(schedule, t, xt=x, eps=eps_model(x, t))
        x = q_posterior(schedule, t, xt=x, x0=x0_hat).sample(generator)
    return x


def by_hand(schedule, x, eps_model, generator):
    """Numbers from the tables, noise from NumPy."""
    noise = np.random.default_rng(5)
    for t in range(schedule.T, 0, -1):
        beta, bar, before = (
            float(v) for v in (schedule.betas[t], schedule.alpha_bars[t], schedule.alpha_bars[t - 1])
        )
        eps = eps_model(x, torch.tensor([t] * len(x)))
        x = (x - beta / math.sqrt(1 - bar) * eps) / math.sqrt(1 - beta)
        if t > 1:
            x = x + math.sqrt(beta * (1 - before) / (1 - bar)) * torch.from_numpy(noise.standard_normal(x.shape))
    return x


def in_place(schedule, x, eps_model, generator):
    for step in schedule.down():
        t = torch.full((len(x),), step)
        now = schedule.at(t, like=x)
        x -= now.beta / now.one_minus_alpha_bar.sqrt() * eps_model(x, t)
        x /= now.alpha.sqrt()
        x += now.beta_tilde.sqrt() * draw(x, generator)
    return x


def ddim(eta, steps=50):
    def sampler(schedule, x, eps_model, generator):
        *_, x0 = samplers.ddim(schedule, x, eps_model, steps=steps, eta=eta, generator=generator)
        return x0

    return sampler


def noisy(noise):
    """Algorithm 2 with any noise: noise(now, t, x, generator)."""

    def sampler(schedule, x, eps_model, generator):
        return algorithm_2(lambda now, t, x: noise(now, t, x, generator), schedule, x, eps_model)

    return sampler


def with_mean(mean):
    """Algorithm 2 with another mean: mean(now, x, eps)."""

    def sampler(schedule, x, eps_model, generator):
        for step in schedule.down():
            t = torch.full((len(x),), step)
            now = schedule.at(t, like=x)
            x = mean(now, x, eps_model(x, t)) + now.beta_tilde.sqrt() * draw(x, generator)
        return x

    return sampler


def rand(now, t, x, g):
    return now.beta_tilde.sqrt() * torch.rand(x.shape, generator=g, dtype=x.dtype)


def flat(now, t, x, g):
    """Of mean 0 and variance 1, and no Gaussian."""
    return now.beta_tilde.sqrt() * 12**0.5 * (torch.rand(x.shape, generator=g, dtype=x.dtype) - 0.5)


def every_other(now, t, x, g):
    return now.beta_tilde.sqrt() * torch.randn(x.shape, generator=g.manual_seed(t // 2), dtype=x.dtype)


def of_its_own_seed(now, t, x, g):
    """A noise for each t, whatever the generator is."""
    return now.beta.sqrt() * torch.randn(x.shape, generator=torch.Generator().manual_seed(t), dtype=x.dtype)


def dealt_anew(schedule, x, eps_model, generator):
    z = draw(x, generator)
    return algorithm_2(lambda now, t, x: now.beta_tilde.sqrt() * z[torch.randperm(len(z))], schedule, x, eps_model)


def partly_old(now, t, x, g):
    """Half of the variance is the step's own."""
    old = torch.randn(x.shape, generator=torch.Generator().manual_seed(t % 9), dtype=x.dtype)
    return (now.beta_tilde / 2).sqrt() * (old + draw(x, g))


def short_by_one(schedule, x, eps_model, generator):
    for step in range(schedule.T, 1, -1):
        t = torch.full((len(x),), step)
        p = p_step(schedule, t, xt=x, eps_hat=eps_model(x, t), variance="beta_tilde")
        x = p.sample(generator)
    return x


def changed_at_the_end(change):
    return lambda *given: change(right(*given))


def mean(now, x, eps):
    return (x - now.beta / now.one_minus_alpha_bar.sqrt() * eps) / now.alpha.sqrt()


TestPlantedBug = tries(
    "planted_bug",
    right={
        "mended": right,
        "the package": right_by_the_package,
        "without the generator": right_without_the_generator,
        "p_step": by_p_step,
        "the posterior at the guess": by_the_posterior,
        "math and numpy": by_hand,
        "in place": in_place,
        "DDIM with η = 1 and all steps": ddim(1.0),
        "β, and none at t = 1": noisy(lambda now, t, x, g: now.beta.sqrt() * draw(x, g) * (t > 1)),
        "a noise of its own seed for each t": noisy(lambda now, t, x, g: of_its_own_seed(now, t, x, g) * (t > 1)),
        "single precision": lambda schedule, x, model, g: right(schedule, x.float(), model, g),
    },
    wrong=[
        (one_z, "one and the same z"),
        (one_z_but_none_at_1, "one and the same z"),
        (seeded_in_the_loop, "one and the same z"),
        (noisy(every_other), "one and the same z"),
        (dealt_anew, "one and the same z"),
        (noisy(of_its_own_seed), "noise in the last step"),
        (noisy(lambda now, t, x, g: now.beta_tilde.sqrt() * draw(x, g) * (t > 2)), "before the last that adds no"),
        (
            noisy(lambda now, t, x, g: now.beta_tilde.sqrt() * draw(x, g) * (t < 50)),
            "before the last that adds no",
        ),
        (changed_at_the_end(lambda x: x.clamp(-1, 1)), "is it x_1, or is x_0 changed"),
        (lambda *given: list(samplers.ddpm(*given[:3], generator=given[3]))[-2], "is it x_1, or is x_0 changed"),
        (no_noise, "no noise in the steps at all"),
        (ddim(0.0), "no noise in the steps at all"),
        (ddim(0.0, steps=10), "no noise in the steps at all"),
        (ddim(1.0, steps=25), "once at each t"),
        (short_by_one, "once at each t"),
        (shared, "all examples share it"),
        (noisy(partly_old), "have a part in common"),
        (noisy(rand), "never negative"),
        (noisy(flat), "the noise of a step is no Gaussian"),
        (by_the_variance, "the noise is multiplied by a variance"),
        (noisy(lambda now, t, x, g: now.beta * draw(x, g)), "the noise is multiplied by a variance"),
        (noise_at_1, "noise in the last step"),
        (noisy(lambda now, t, x, g: 2 * now.beta_tilde.sqrt() * draw(x, g)), "is 4 times β̃"),
        (with_mean(lambda now, x, eps: mean(now, x, eps) * now.alpha.sqrt()), "the mean of a step is no longer"),
        (with_mean(lambda now, x, eps: mean(now, x, eps) / now.alpha.sqrt()), "the mean of a step is no longer"),
        (with_mean(lambda now, x, eps: mean(now, x, 0.9 * eps)), "the mean of a step is no longer"),
        (ddim(0.5), "the mean of a step is no longer"),
        (a_generator, "your function yields"),
        (lambda schedule, x, eps_model, generator: x, "never asks eps_model"),
        (lambda *given: list(samplers.ddpm(*given[:3]))[0:2], "the shape (2, 10000, 1) for an x of (10000, 1)"),
        (lambda schedule, x: x, "is called as mended(schedule, x, eps_model, generator)"),
        (lambda schedule, x, eps_model, generator: schedule.nothing, "raised AttributeError"),
    ],
)


def test_a_hundredth_off_is_not_right() -> None:
    near = {
        "noise more": noisy(lambda now, t, x, g: 1.01 * now.beta_tilde.sqrt() * draw(x, g)),
        "noise less": noisy(lambda now, t, x, g: 0.99 * now.beta_tilde.sqrt() * draw(x, g)),
        "noise of the next t": noisy(lambda now, t, x, g: (now.beta_tilde * now.alpha).sqrt() * draw(x, g)),
        "mean": with_mean(lambda now, x, eps: 1.01 * mean(now, x, eps)),
        "eps": with_mean(lambda now, x, eps: mean(now, x, 1.01 * eps)),
        "root of α": with_mean(lambda now, x, eps: mean(now, x, eps) * now.alpha.sqrt() ** 0.1),
        "x_0 more": changed_at_the_end(lambda x: 1.01 * x),
        "x_0 turned": changed_at_the_end(lambda x: -x),
        "x_0's root": changed_at_the_end(lambda x: x.abs().sqrt()),
    }
    assert [name for name, sampler in near.items() if said("planted_bug", sampler).startswith("Right")] == []
