import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.reverse import p_prior, p_step
from diffusion_lesson.process.schedule import linear

F64 = torch.float64


def test_the_prior_is_standard_normal_like_its_argument(draw):
    p = p_prior(draw(2, 3))
    assert torch.equal(p.mean, torch.zeros(2, 3, dtype=F64))
    assert torch.equal(p.var, torch.ones(2, 3, dtype=F64))


class TestStep:
    def test_with_the_true_noise_the_mean_is_the_posteriors(self, schedule, draw):
        t, x0, eps = torch.arange(1, 1001), draw(1000, 2), draw(1000, 2, seed=1)
        q = q_marginal(schedule, t, x0)
        xt = q.mean + q.var.sqrt() * eps
        p = p_step(schedule, t, xt=xt, eps_hat=eps)
        assert_close(p.mean, q_posterior(schedule, t, xt=xt, x0=x0).mean, rtol=1e-9, atol=1e-11)

    def test_variance_beta_is_beta_at_every_t(self, schedule, draw):
        t, x = torch.arange(1, 1001), draw(1000, 2)
        p = p_step(schedule, t, xt=x, eps_hat=x)
        assert_close(p.var.flatten(), schedule.betas[1:], rtol=1e-15, atol=0)

    def test_variance_beta_tilde_is_the_posteriors_from_t_2_on(self, schedule, draw):
        t, x = torch.arange(2, 1001), draw(999, 2)
        p = p_step(schedule, t, xt=x, eps_hat=x, variance="beta_tilde")
        assert_close(p.var, q_posterior(schedule, t, xt=x, x0=x).var, rtol=1e-15, atol=0)

    def test_at_t_1_beta_tilde_of_step_2_stands_in_as_a_step_is_never_a_point(self, schedule, draw):
        t, x = torch.tensor([2, 1, 3, 1]), draw(4, 2)
        var = p_step(schedule, t, xt=x, eps_hat=x, variance="beta_tilde").var.flatten()
        b1, b2 = schedule.betas[1:3].tolist()
        beta_tilde_2 = b2 * b1 / (1 - (1 - b1) * (1 - b2))
        assert_close(var[[0, 1, 3]], torch.full((3,), beta_tilde_2, dtype=F64), rtol=1e-10, atol=0)

    def test_at_t_1_the_mean_is_still_that_of_step_1(self, schedule, draw):
        x, t = draw(1, 2), torch.tensor([1])
        means = [p_step(schedule, t, xt=x, eps_hat=0.1 * x, variance=v).mean for v in ("beta", "beta_tilde")]
        assert torch.equal(*means)

    @pytest.mark.parametrize("t", [1, 2])
    def test_two_steps_are_enough_for_beta_tilde(self, draw, t):
        var = p_step(linear(2, 0.1, 0.3), t, xt=draw(1, 2), eps_hat=draw(1, 2), variance="beta_tilde").var
        assert_close(var.item(), 0.3 * 0.1 / (1 - 0.9 * 0.7), rtol=1e-12, atol=0)

    def test_beta_tilde_needs_a_second_step(self, draw):
        with pytest.raises(ValueError, match=r"^variance: 'beta_tilde' needs a schedule of T ≥ 2"):
            p_step(linear(1), torch.tensor([1]), xt=draw(1, 2), eps_hat=draw(1, 2), variance="beta_tilde")

    @pytest.mark.usefixtures("without_type_checks")
    def test_an_unknown_variance_is_refused(self, post, draw):
        with pytest.raises(ValueError, match=r"^variance: expected 'beta' or 'beta_tilde', got 'learned'"):
            p_step(post, torch.tensor([1]), xt=draw(1, 2), eps_hat=draw(1, 2), variance="learned")
