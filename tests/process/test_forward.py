import pytest
import torch
from diffusers.schedulers import scheduling_ddpm
from torch.testing import assert_close

from diffusion_lesson.process.forward import q_marginal, q_posterior, q_step

F64 = torch.float64


class TestChain:
    def test_a_thousand_steps_composed_are_one_jump_for_every_t(self, schedule):
        # A step is affine, x ↦ gain·x + noise, so its mean at x = 1 is the gain, and means and variances compose.
        t, ones = torch.arange(1, schedule.T + 1), torch.ones(schedule.T, dtype=F64)
        step, jump = q_step(schedule, t, ones), q_marginal(schedule, t, ones)
        mean, var, means, variances = 1.0, 0.0, [], []
        for gain, noise in zip(step.mean.tolist(), step.var.tolist(), strict=True):
            mean, var = gain * mean, gain**2 * var + noise
            means.append(mean)
            variances.append(var)
        assert_close(torch.tensor(means, dtype=F64), jump.mean, rtol=1e-12, atol=0)
        assert_close(torch.tensor(variances, dtype=F64), jump.var, rtol=1e-12, atol=0)

    def test_noise_added_fifty_times_is_distributed_as_one_jump(self, post, seeded):
        count, generator = 20_000, seeded(0)
        x = x0 = torch.full((count, 1), 0.8, dtype=F64)
        for step in range(1, 51):
            x = q_step(post, torch.full((count,), step), x).sample(generator)
        jump = q_marginal(post, torch.tensor([50]), x0[:1])
        se = (jump.var / count).sqrt().item()  # of the mean; that of the variance is var √(2 / count)
        assert_close(x.mean().item(), jump.mean.item(), rtol=0, atol=4 * se)
        assert_close(x.var().item(), jump.var.item(), rtol=4 * (2 / count) ** 0.5, atol=0)

    def test_one_step_scales_by_the_root_of_one_minus_beta_and_adds_variance_beta(self, schedule):
        t = torch.tensor([1, 2, 500, 1000])
        q = q_step(schedule, t, torch.full((4,), 3.0, dtype=F64))
        assert_close(q.mean, 3 * (1 - schedule.betas[t]) ** 0.5, rtol=1e-14, atol=0)
        assert_close(q.var, schedule.betas[t], rtol=1e-14, atol=0)


class TestPosterior:
    def test_is_bayes_rule_at_arbitrary_points(self, schedule, draw, seeded):
        # log q(x_{t−1}|x_t,x_0) = log q(x_t|x_{t−1}) + log q(x_{t−1}|x_0) − log q(x_t|x_0), one test of all three.
        t = torch.cat([torch.tensor([2, 3, schedule.T]), torch.randint(2, 1001, (61,), generator=seeded(0))])
        x0, x_prev, xt = (draw(64, 3, seed=s) for s in range(3))
        left = q_posterior(schedule, t, xt=xt, x0=x0).log_prob(x_prev)
        right = (
            q_step(schedule, t, x_prev).log_prob(xt)
            + q_marginal(schedule, t - 1, x0).log_prob(x_prev)
            - q_marginal(schedule, t, x0).log_prob(xt)
        )
        assert_close(left, right, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_at_t_1_is_the_point_x0_exactly(self, schedule, draw, dtype):
        x0, xt, t = draw(5, 3).to(dtype), draw(5, 3, seed=1).to(dtype), torch.ones(5, dtype=torch.int64)
        posterior = q_posterior(schedule, t, xt=xt, x0=x0)
        assert torch.equal(posterior.mean, x0)
        assert torch.equal(posterior.var, torch.zeros(5, 1, dtype=dtype))

    def test_mean_in_float32_is_within_5e_7_for_every_t(self, schedule, seeded):
        # Tables cast to float32 before they are combined would cost 4e-4 near t = 1.
        t = torch.arange(1, 1001)
        x0, xt = torch.rand(2, 1000, 8, generator=seeded(0)) * 2 - 1
        narrow = q_posterior(schedule, t, xt=xt, x0=x0).mean
        wide = q_posterior(schedule, t, xt=xt.double(), x0=x0.double()).mean
        assert_close(narrow.double(), wide, rtol=0, atol=5e-7)

    def test_mean_and_variance_agree_with_diffusers(
        self, schedule, diffusers_options, in_float64, draw, monkeypatch
    ):
        # Asked for x_0 itself and deprived of its noise, diffusers' DDPM step is the posterior's mean.
        theirs = in_float64(
            scheduling_ddpm.DDPMScheduler(
                variance_type="fixed_small", prediction_type="sample", **diffusers_options
            )
        )
        monkeypatch.setattr(
            scheduling_ddpm, "randn_tensor", lambda shape, dtype, **_: torch.zeros(shape, dtype=dtype)
        )
        steps = [1, 2, 3, 10, 100, 500, 999, 1000]
        x0, xt = draw(8, 3), draw(8, 3, seed=1)
        ours = q_posterior(schedule, torch.tensor(steps), xt=xt, x0=x0)
        means = [theirs.step(x0[[i]], t - 1, xt[[i]]).prev_sample for i, t in enumerate(steps)]
        variances = torch.stack([theirs._get_variance(t - 1) for t in steps])
        assert_close(ours.mean, torch.cat(means), rtol=1e-9, atol=1e-12)
        # Its clamp to 1e-20 stands where the variance at t = 1 is 0.
        assert_close(ours.var.flatten(), variances, rtol=1e-9, atol=2e-20)
