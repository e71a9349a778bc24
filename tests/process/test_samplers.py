import weakref
from itertools import pairwise
from math import sqrt
from types import SimpleNamespace

import pytest
import torch
from diffusers.schedulers import scheduling_dpmsolver_multistep
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch.testing import assert_close

from diffusion_lesson.process import exact
from diffusion_lesson.process.prediction import clipped, x0_from_eps
from diffusion_lesson.process.reverse import p_step
from diffusion_lesson.process.samplers import ddim, ddpm, dpm_solver, last
from diffusion_lesson.process.schedule import cosine, linear

F64 = torch.float64
SAMPLERS = {
    "ddpm beta": lambda *given, **noise: ddpm(*given, variance="beta", **noise),
    "ddpm beta_tilde": lambda *given, **noise: ddpm(*given, variance="beta_tilde", **noise),
    "ddim eta 0": lambda *given, **noise: ddim(*given, steps=20, eta=0.0, **noise),
    "ddim eta 0.5": lambda *given, **noise: ddim(*given, steps=20, eta=0.5, **noise),
    "ddim eta 1": lambda *given, **noise: ddim(*given, steps=20, eta=1.0, **noise),
}
ALL = SAMPLERS | {"dpm_solver": lambda *given: dpm_solver(*given, steps=20)}


@pytest.fixture
def model(schedule):
    """Not linear, different at every t, and near enough to a best ε that x stays of the size of a picture."""
    best = exact.gaussian(torch.full((3,), 0.3, dtype=F64), 0.4).eps_model(schedule)

    def eps_model(xt, t):
        return best(xt, t) + 0.3 * schedule.alpha_bars[t].sqrt()[:, None] * torch.sin(3 * xt)

    return eps_model


class TestDiffusers:
    """The same trajectories as diffusers, given float64 tables, the same noise and our t less one.

    As it ships, with its tables in float32, a thousand steps of DDPM are off by up to 3e-4 of x_t's size (cosine;
    DDPM's schedule 7e-5, the other two 2e-5) and fifty of DDIM by 2e-6. Where an element is near 0 that is 1e-2 of
    the element and more.
    """

    @pytest.mark.usefixtures("without_type_checks")
    @pytest.mark.parametrize(("variance", "theirs"), [("beta", "fixed_large"), ("beta_tilde", "fixed_small")])
    def test_a_thousand_steps_of_ddpm(
        self, schedule, diffusers_options, in_float64, model, draw, seeded, variance, theirs
    ):
        scheduler = in_float64(DDPMScheduler(variance_type=theirs, **diffusers_options))
        generator, x, trajectory = seeded(1), draw(4, 3), []
        for t in scheduler.timesteps.tolist():
            eps = model(x, torch.full((4,), t + 1))
            x = scheduler.step(eps, t, x, generator=generator).prev_sample
            trajectory.append(x)
        ours = torch.stack(list(ddpm(schedule, draw(4, 3), model, variance=variance, generator=seeded(1))))
        assert_close(ours, torch.stack(trajectory), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
    def test_fifty_steps_of_ddim(self, schedule, diffusers_options, in_float64, model, draw, seeded, eta):
        options = {"timestep_spacing": "trailing", "set_alpha_to_one": True, **diffusers_options}
        scheduler = in_float64(DDIMScheduler(**options))
        scheduler.set_timesteps(50)
        generator, x, trajectory = seeded(1), draw(4, 3), []
        for t in scheduler.timesteps.tolist():
            eps = model(x, torch.full((4,), t + 1))
            x = scheduler.step(eps, t, x, eta=eta, generator=generator).prev_sample
            trajectory.append(x)
        ours = torch.stack(list(ddim(schedule, draw(4, 3), model, steps=50, eta=eta, generator=seeded(1))))
        assert_close(ours, torch.stack(trajectory), rtol=1e-9, atol=1e-9)

    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # its own, with NumPy 2
    @pytest.mark.parametrize("steps", [1, 2, 10, 16, 50])
    def test_steps_of_dpm_solver(self, schedule, diffusers_options, in_float64, model, draw, monkeypatch, steps):
        # Beside its tables it casts x_t and its σ to float32: a torch whose float32 is float64 stops it.
        double = SimpleNamespace(**{**vars(torch), "float32": F64})
        options = {key: value for key, value in diffusers_options.items() if key != "clip_sample"}
        scheduler = in_float64(DPMSolverMultistepScheduler(timestep_spacing="trailing", **options))
        scheduler.set_timesteps(steps)
        signal = torch.cat([scheduler.alphas_cumprod[scheduler.timesteps], scheduler.one[None]])
        scheduler.sigmas = ((1 - signal) / signal).sqrt()
        monkeypatch.setattr(scheduling_dpmsolver_multistep, "torch", double)
        x, trajectory = draw(4, 3), []
        for t in scheduler.timesteps.tolist():
            eps = model(x, torch.full((4,), t + 1))
            x = scheduler.step(eps, t, x).prev_sample
            trajectory.append(x)
        ours = torch.stack(list(dpm_solver(schedule, draw(4, 3), model, steps=steps)))
        assert_close(ours, torch.stack(trajectory), rtol=1e-9, atol=1e-9)


def gaussian_recursion(schedule, kind, mean, var):
    """Mean and variance of what a sampler makes of x_T ~ N(0, 1) with the best ε of N(mean, var), in scalars.

    Every step is x ↦ gain·x + shift + σ z, as that ε is √(1 − ᾱ)(x − √ᾱ mean)/v, v = ᾱ var + 1 − ᾱ.
    """
    alpha_bars, betas = schedule.alpha_bars.tolist(), schedule.betas.tolist()
    T, m, v = schedule.T, 0.0, 1.0
    if kind.startswith("ddpm"):
        for t in range(T, 0, -1):
            ab, ab_prev, beta = alpha_bars[t], alpha_bars[t - 1], betas[t]
            pull = beta / (ab * var + 1 - ab)
            gain, shift = (1 - pull) / sqrt(1 - beta), pull * sqrt(ab) * mean / sqrt(1 - beta)
            sigma2 = beta if kind == "ddpm beta" else beta * (1 - ab_prev) / (1 - ab)
            m, v = gain * m + shift, gain**2 * v + (sigma2 if t > 1 else 0)
    else:
        eta = float(kind.split()[-1])
        for k in range(20, 0, -1):
            ab, ab_next = alpha_bars[T * k // 20], alpha_bars[T * (k - 1) // 20]
            total = ab * var + 1 - ab
            sigma2 = eta**2 * (1 - ab_next) / (1 - ab) * (1 - ab / ab_next)
            to_eps, to_x0 = sqrt(1 - ab_next - sigma2), sqrt(ab_next)
            gain = to_x0 * sqrt(ab) * var / total + to_eps * sqrt(1 - ab) / total
            shift = to_x0 * mean * (1 - ab) / total - to_eps * sqrt(1 - ab) * sqrt(ab) * mean / total
            m, v = gain * m + shift, gain**2 * v + (sigma2 if ab_next < 1 else 0)
    return m, v


def mean_and_variance(sampler, schedule, mean, var, script_noise):
    """The same of the sampler itself, exactly: it is affine in x_T and every z, and one example probes each.

    Example 0 gets no noise at all, and its end is the mean. Example 1 gets x_T = 1, example n + 1 gets z = 1 at
    the n-th draw: how much further each of them ends, squared and summed, is the variance.
    """
    impulses = torch.eye(schedule.T + 2, dtype=F64)[:, :, None]
    script_noise(impulses[2:])
    best = exact.gaussian(torch.tensor([mean], dtype=F64), var).eps_model(schedule)
    ends = last(sampler(schedule, impulses[1], best))
    return ends[0].item(), ((ends[1:] - ends[0]) ** 2).sum().item()


class TestGaussian:
    """A sampler with the best ε of a Gaussian makes a Gaussian, whose mean and variance are known."""

    @pytest.mark.parametrize("kind", SAMPLERS)
    @pytest.mark.parametrize("make", [cosine, lambda T: linear(T, 0.001, 0.2)], ids=["cosine", "linear"])
    def test_mean_and_variance_are_those_of_the_recursion(self, kind, make, script_noise):
        expected = gaussian_recursion(make(100), kind, 0.7, 0.3)
        actual = mean_and_variance(SAMPLERS[kind], make(100), 0.7, 0.3, script_noise)
        assert_close(actual, expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("kind", SAMPLERS)
    def test_so_are_those_of_twenty_thousand_samples(self, kind, draw, seeded):
        schedule, count = cosine(60), 20_000
        best = exact.gaussian(torch.tensor([0.7], dtype=F64), 0.3).eps_model(schedule)
        x = last(SAMPLERS[kind](schedule, draw(count, 1), best, generator=seeded(1)))
        mean, var = gaussian_recursion(schedule, kind, 0.7, 0.3)
        assert_close(x.mean().item(), mean, rtol=0, atol=4 * sqrt(var / count))
        assert_close(x.var().item(), var, rtol=4 * sqrt(2 / count), atol=0)

    @pytest.mark.parametrize(
        "sampler",
        [SAMPLERS["ddpm beta"], SAMPLERS["ddpm beta_tilde"], lambda s, *given: ddim(s, *given, steps=s.T)],
        ids=["ddpm beta", "ddpm beta_tilde", "ddim"],
    )
    def test_the_bias_of_the_variance_shrinks_like_1_over_T(self, sampler, script_noise):
        # From 40 steps to 160, by a factor 3.3 to 4: +0.010 → +0.003, −0.042 → −0.013, −0.02 → −0.005.
        few, more = (
            abs(mean_and_variance(sampler, cosine(T), 0.7, 0.3, script_noise)[1] - 0.3) for T in (40, 160)
        )
        assert 0.004 < few < 0.05
        assert 3.2 < few / more < 4.2


@pytest.mark.usefixtures("without_type_checks")
def test_a_mixture_in_the_plane_is_sampled_with_its_weights_means_and_covariance(ddpm_schedule, draw, seeded):
    # Component s = 0.5, "beta" and DDPM's schedule: right to 3 %. The Monte-Carlo error of 20,000 samples is 1 %.
    weights, means = torch.tensor([0.4, 0.6], dtype=F64), torch.tensor([[-2.0, 1.0], [2.0, 0.5]], dtype=F64)
    best = exact.Mixture(weights, means, torch.full((2,), 0.25, dtype=F64)).eps_model(ddpm_schedule)
    x = last(ddpm(ddpm_schedule, draw(20_000, 2), best, variance="beta", generator=seeded(1)))
    # The blobs are 8 standard deviations apart: the side of the origin tells them apart.
    left, right = x[x[:, 0] < 0], x[x[:, 0] > 0]
    assert_close(torch.stack([left.mean(0), right.mean(0)]), means, rtol=0.03, atol=0)
    assert_close(len(left) / len(x), 0.4, rtol=0.03, atol=0)
    covariance = torch.cat([left - left.mean(0), right - right.mean(0)]).T.cov()
    assert_close(covariance, 0.25 * torch.eye(2, dtype=F64), rtol=0.03, atol=0.03 * 0.25)


class TestDDPM:
    def test_walks_from_T_to_1_and_yields_each_x(self, draw):
        seen = []
        xs = list(ddpm(linear(5), draw(3, 2), lambda x, t: seen.append(t.tolist()) or x))
        assert seen == [[t] * 3 for t in (5, 4, 3, 2, 1)]
        assert [x.shape for x in xs] == [(3, 2)] * 5

    @pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
    def test_ends_at_the_mean_without_noise(self, draw, variance):
        schedule, model = linear(5, 0.1, 0.3), lambda x, t: 0.5 * x
        *_, x1, x0 = ddpm(schedule, draw(3, 2), model, variance=variance)
        p = p_step(schedule, torch.ones(3, dtype=torch.int64), xt=x1, eps_hat=0.5 * x1)
        assert torch.equal(x0, p.mean)

    @pytest.mark.usefixtures("without_type_checks")
    def test_with_the_best_eps_of_one_picture_ends_at_that_picture(self, schedule, draw, seeded):
        picture = draw(1, 1, 2, 2)
        best = exact.data_set(picture).eps_model(schedule)
        x0 = last(ddpm(schedule, draw(2, 1, 2, 2, seed=1), best, generator=seeded(0)))
        assert_close(x0, picture.expand(2, 1, 2, 2), rtol=0, atol=1e-9)

    def test_repeats_with_its_generator(self, draw, seeded):
        ends = [last(ddpm(linear(5), draw(3, 2), lambda x, t: x, generator=seeded(4))) for _ in range(2)]
        assert torch.equal(*ends)


class TestDDIM:
    @pytest.mark.parametrize(
        ("T", "steps", "times"),
        [(10, 4, [10, 8, 5, 2]), (10, 1, [10]), (10, 7, [10, 9, 7, 6, 4, 3, 1]), (3, 3, [3, 2, 1])],
    )
    def test_visits_round_T_k_over_steps(self, draw, T, steps, times):
        seen = []
        xs = list(ddim(linear(T), draw(2, 2), lambda x, t: seen.append(t.tolist()) or x, steps=steps))
        assert seen == [[t] * 2 for t in times]
        assert [x.shape for x in xs] == [(2, 2)] * steps

    @pytest.mark.parametrize("eta", [0.0, 1.0])
    def test_ends_at_the_predicted_x0_without_noise(self, draw, eta):
        schedule, model = linear(20, 0.01, 0.3), lambda x, t: 0.5 * x
        *_, before, x0 = ddim(schedule, draw(3, 2), model, steps=5, eta=eta)
        t = torch.full((3,), 4)
        assert_close(x0, x0_from_eps(schedule, t, xt=before, eps=0.5 * before), rtol=1e-12, atol=0)

    @pytest.mark.usefixtures("without_type_checks")
    def test_with_every_step_and_eta_1_is_ddpm_with_beta_tilde(self, schedule, model, draw, seeded):
        every = ddim(schedule, draw(4, 3), model, steps=1000, eta=1.0, generator=seeded(2))
        ancestral = ddpm(schedule, draw(4, 3), model, variance="beta_tilde", generator=seeded(2))
        assert_close(torch.stack(list(every)), torch.stack(list(ancestral)), rtol=1e-9, atol=1e-9)

    def test_without_eta_draws_no_noise(self, draw, script_noise):
        xT = draw(2, 2)
        script_noise([])  # fails if it is asked for any
        last(ddim(linear(9), xT, lambda x, t: x, steps=3))

    @pytest.mark.usefixtures("without_type_checks")
    def test_in_float32_stays_within_2e_5_of_float64_over_a_thousand_steps(self, draw, script_noise):
        # Differences such as 1 − ᾱ_t/ᾱ_s, formed in float32, would cost 4e-5 here.
        schedule, noise = linear(1000, 0.00085, 0.012), draw(1000, 50, 2)
        blobs = exact.Mixture(
            torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 0.0], [-1.0, 0.5]]), torch.full((2,), 0.3)
        )
        best, ends = blobs.eps_model(schedule), []
        for dtype in (torch.float32, F64):
            script_noise(noise[1:])
            ends.append(last(ddim(schedule, noise[0].to(dtype), best, steps=1000, eta=1.0)))
        assert_close(ends[0].double(), ends[1], rtol=0, atol=2e-5)

    def test_in_bfloat16_no_variance_is_negative(self, draw):
        xs = ddim(linear(50), draw(4, 2).bfloat16(), lambda x, t: x, steps=50, eta=1.0)
        assert torch.stack(list(xs)).isfinite().all()

    @pytest.mark.parametrize("steps", [0, -1, 11])
    def test_a_number_of_steps_the_schedule_lacks_is_refused(self, draw, steps):
        with pytest.raises(ValueError, match=r"^steps: expected 1\.\.10 \(the schedule's T\)"):
            next(ddim(linear(10), draw(2, 2), lambda x, t: x, steps=steps))

    @pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
    def test_an_eta_outside_0_to_1_is_refused(self, draw, eta):
        with pytest.raises(ValueError, match=r"^eta: expected 0 \(no noise\) to 1"):
            next(ddim(linear(10), draw(2, 2), lambda x, t: x, steps=5, eta=eta))


class TestDPMSolver:
    def test_every_step_is_that_of_the_formula(self, draw):
        # All of them, down to the one that ends at t = 1; only the last, to t = 0, does not look back.
        schedule, x, walk = linear(5, 0.1, 0.3), draw(4, 3), []
        signal, noise = schedule.alpha_bars.sqrt(), (1 - schedule.alpha_bars).sqrt()
        lam = (signal / noise).log()
        before = None
        for t, s in pairwise(range(5, -1, -1)):
            x0_hat = D = (x - noise[t] * torch.sin(x)) / signal[t]
            if before is not None and s > 0:
                D = x0_hat + (lam[s] - lam[t]) / (2 * (lam[t] - lam[t + 1])) * (x0_hat - before)
            x = signal[s] * D + noise[s] * (x - signal[t] * D) / noise[t]
            before = x0_hat
            walk.append(x)
        ours = [*dpm_solver(schedule, draw(4, 3), lambda x, t: torch.sin(x), steps=5)]
        assert_close(ours, walk, rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize(
        ("sampler", "order"), [(ddim, 1), (dpm_solver, 2)], ids=["ddim has order 1", "dpm_solver order 2"]
    )
    @pytest.mark.parametrize("make", [cosine, linear])
    def test_the_error_falls_with_the_step_to_the_power_of_the_order(self, make, sampler, order, draw):
        # With the best ε of N(0.7, 0.09) the path is known: x_t keeps its place among its standard deviations.
        # Watched at t = 200, which all these counts visit: the last step, to λ = ∞, has no order.
        schedule, xT = make(), draw(50, 1)
        best = exact.gaussian(torch.tensor([0.7], dtype=F64), 0.09).eps_model(schedule)
        signal = schedule.alpha_bars[[200, 1000]].sqrt()
        sd = (1 - 0.91 * signal**2).sqrt()
        true = 0.7 * signal[0] + sd[0] / sd[1] * (xT - 0.7 * signal[1])
        errors = []
        for steps in (50, 100, 200):
            xs = list(sampler(schedule, xT, best, steps=steps))
            errors.append((xs[steps * 800 // 1000 - 1] - true).abs().max().item())
        for coarse, fine in pairwise(errors):
            assert 0.9 * 2**order < coarse / fine < 1.05 * 2**order

    @pytest.mark.parametrize("steps", [1, 2])
    def test_the_first_step_and_the_last_are_those_of_ddim(self, schedule, model, draw, steps):
        ours = dpm_solver(schedule, draw(4, 3), model, steps=steps)
        theirs = ddim(schedule, draw(4, 3), model, steps=steps)
        assert_close(torch.stack(list(ours)), torch.stack(list(theirs)), rtol=1e-9, atol=1e-9)

    @pytest.mark.usefixtures("without_type_checks")
    def test_with_the_best_eps_of_one_picture_every_step_is_right(self, schedule, draw):
        picture, xT = draw(1, 1, 2, 2), draw(2, 1, 2, 2, seed=1)
        best = exact.data_set(picture).eps_model(schedule)
        alpha_bar = schedule.alpha_bars[[1000, 667, 333, 0]]
        eps = (xT - alpha_bar[0].sqrt() * picture) / (1 - alpha_bar[0]).sqrt()
        for k, x in enumerate(dpm_solver(schedule, xT, best, steps=3), 1):
            assert_close(x, alpha_bar[k].sqrt() * picture + (1 - alpha_bar[k]).sqrt() * eps, rtol=0, atol=1e-9)

    def test_visits_the_steps_of_ddim_and_draws_no_noise(self, draw, script_noise):
        xT, seen = draw(2, 2), []
        script_noise([])  # fails if it is asked for any
        xs = list(dpm_solver(linear(10), xT, lambda x, t: seen.append(t.tolist()) or x, steps=4))
        assert seen == [[t] * 2 for t in (10, 8, 5, 2)]
        assert [x.shape for x in xs] == [(2, 2)] * 4

    @pytest.mark.parametrize(("make", "near"), [(linear, 1e-5), (cosine, 2e-4)])
    def test_in_float32_stays_near_float64(self, make, near, draw):
        # With the cosine's √ᾱ_T = 5e-5 the rounding of the first ε is 20,000 times as large in x̂_0.
        blobs = exact.Mixture(
            torch.tensor([0.5, 0.5]), torch.tensor([[1.0, 0.0], [-1.0, 0.5]]), torch.full((2,), 0.3)
        )
        best = blobs.eps_model(make())
        ends = [last(dpm_solver(make(), draw(50, 2).to(dtype), best, steps=20)) for dtype in (torch.float32, F64)]
        assert_close(ends[0].double(), ends[1], rtol=0, atol=near)

    @pytest.mark.parametrize("steps", [0, 11])
    def test_a_number_of_steps_the_schedule_lacks_is_refused(self, draw, steps):
        with pytest.raises(ValueError, match=r"^steps: expected 1\.\.10 \(the schedule's T\)"):
            next(dpm_solver(linear(10), draw(2, 2), lambda x, t: x, steps=steps))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, F64], ids=str)
@pytest.mark.parametrize("sampler", ALL.values(), ids=ALL)
def test_every_picture_has_the_dtype_of_the_noise(sampler, dtype, draw):
    walk = [*sampler(linear(20), draw(2, 3).to(dtype), lambda x, t: 0.5 * x)]
    assert {(x.dtype, x.shape) for x in walk} == {(dtype, (2, 3))}


@pytest.mark.parametrize("sampler", ALL.values(), ids=ALL)
def test_half_precision_gives_what_single_does_and_never_nan(sampler, draw):
    schedule = cosine(1000)  # float16 holds no number as small as its last alpha_bar
    best = exact.gaussian(torch.full((3,), 0.3, dtype=F64), 0.4).eps_model(schedule)

    def eps_model(xt, t):
        return best(xt.to(F64), t).to(xt)

    model = clipped(schedule, eps_model)
    given = draw(64, 3)
    single, *halves = (
        last(sampler(schedule, given.to(kind), model, generator=torch.Generator().manual_seed(0)))
        if sampler in SAMPLERS.values()
        else last(sampler(schedule, given.to(kind), model))
        for kind in (torch.float32, torch.bfloat16, torch.float16)
    )
    for half in halves:
        assert half.isfinite().all()
        assert (half.float() - single).abs().mean() < 0.2


class TestGradients:
    @pytest.mark.parametrize("sampler", ALL.values(), ids=ALL)
    def test_no_graph_is_kept(self, sampler, draw):
        scale = torch.ones((), dtype=F64, requires_grad=True)
        assert not last(sampler(linear(20), draw(2, 2), lambda x, t: scale * x)).requires_grad

    @pytest.mark.parametrize("sampler", ALL.values(), ids=ALL)
    def test_between_two_steps_the_caller_may_train(self, sampler, draw):
        for _ in sampler(linear(20), draw(2, 2), lambda x, t: x):
            assert torch.is_grad_enabled()


class TestLast:
    def test_it_is_the_end_of_the_walk(self, draw):
        walk = list(ddim(linear(20), draw(2, 2), lambda x, t: x, steps=5))
        assert torch.equal(last(iter(walk)), walk[-1])

    def test_the_pictures_on_the_way_are_let_go(self, draw):
        seen, alive = [], []

        def watched():
            for x in ddpm(linear(50), draw(2, 2), lambda x, t: x):
                seen.append(weakref.ref(x))
                alive.append(sum(ref() is not None for ref in seen))
                yield x

        last(watched())
        assert max(alive) == 2  # the new one, and the one that it came from

    def test_a_walk_that_was_taken_already_is_refused(self, draw):
        walk = ddpm(linear(5), draw(2, 2), lambda x, t: x)
        last(walk)
        with pytest.raises(ValueError, match=r"^walk: expected at least one step"):
            last(walk)


@pytest.mark.parametrize("sampler", [ddim, dpm_solver])
def test_a_walk_that_half_precision_cannot_hold_is_refused(sampler, draw):
    walk = sampler(cosine(12_000), draw(2, 1, 4, 4).half(), lambda x, t: 0.5 * x, steps=20)
    with pytest.raises(ValueError, match=r"^xT: float16 can't hold this walk, which grew to "):
        last(walk)
