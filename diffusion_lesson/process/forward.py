"""The forward process q: pictures dissolve into noise, one step, one jump, or looked back at."""

from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.shapes import Batch, Steps, floats, same_shape


def q_step(schedule: Schedule, t: Steps, x_prev: Batch) -> Gaussian:
    """q(x_t | x_{t−1}) = N(√(1 − β_t) x_{t−1}, β_t I): one step of noise. DDPM eq. 2; lesson 03."""
    floats(x_prev, "x_prev")
    s = schedule.at(t, like=x_prev)
    return Gaussian(mean=s.alpha.sqrt() * x_prev, var=s.beta)


def q_marginal(schedule: Schedule, t: Steps, x0: Batch) -> Gaussian:
    """q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I): t steps in one jump. DDPM eq. 4; lesson 04."""
    floats(x0, "x0")
    s = schedule.at(t, like=x0)
    return Gaussian(mean=s.alpha_bar.sqrt() * x0, var=s.one_minus_alpha_bar)


def q_posterior(schedule: Schedule, t: Steps, *, xt: Batch, x0: Batch) -> Gaussian:
    """q(x_{t−1} | x_t, x_0) = N(μ̃_t, β̃_t I): one step back, knowing the start. DDPM eqs. 6–7; lesson 05.

    μ̃_t = [√ᾱ_{t−1} β_t x_0 + √α_t (1 − ᾱ_{t−1}) x_t] / (1 − ᾱ_t). At t = 1 it is the point x_0, exactly.
    """
    floats(xt, "xt")
    same_shape(x0, xt, "x0")
    s = schedule.at(t, like=xt)
    from_x0 = s.alpha_bar_prev.sqrt() * (s.beta / s.one_minus_alpha_bar)
    from_xt = s.alpha.sqrt() * s.one_minus_alpha_bar_prev / s.one_minus_alpha_bar
    return Gaussian(mean=from_x0 * x0 + from_xt * xt, var=s.beta_tilde)
