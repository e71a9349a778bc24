import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson.process import exact
from diffusion_lesson.process.forward import q_marginal, q_posterior
from diffusion_lesson.process.gaussian import kl
from diffusion_lesson.process.losses import bound_loss, bound_weight, eps_loss, v_loss, x0_loss
from diffusion_lesson.process.prediction import as_eps
from diffusion_lesson.process.reverse import p_step

F64 = torch.float64


def model(xt, t):
    return torch.sin(2 * xt) + t.reshape(-1, 1, 1) / 1000


@pytest.fixture
def by_hand(schedule, draw, seeded):
    """Pictures, and t, ε, x_t as any loss given `seeded(5)` must draw them: first the steps, then the noise."""
    x0, generator = draw(6, 2, 3), seeded(5)
    t = schedule.draw_t(6, generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=F64)
    alpha_bar = schedule.alpha_bars[t].reshape(6, 1, 1)
    return x0, t, eps, alpha_bar, alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps


class TestValues:
    def test_eps_loss_is_the_mean_square_of_the_error_in_eps(self, schedule, by_hand, seeded):
        x0, t, eps, _, xt = by_hand
        expected = ((eps - model(xt, t)) ** 2).sum((1, 2)) / 6
        assert_close(eps_loss(schedule, model, x0, seeded(5)), expected, rtol=1e-9, atol=0)

    def test_v_loss_is_the_mean_square_of_the_error_in_v(self, schedule, by_hand, seeded):
        x0, t, eps, alpha_bar, xt = by_hand
        v = alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * x0
        expected = ((v - model(xt, t)) ** 2).sum((1, 2)) / 6
        assert_close(v_loss(schedule, model, x0, seeded(5)), expected, rtol=1e-9, atol=0)

    def test_x0_loss_is_the_mean_square_of_the_error_in_x0(self, schedule, by_hand, seeded):
        x0, t, _, _, xt = by_hand
        expected = ((x0 - model(xt, t)) ** 2).sum((1, 2)) / 6
        assert_close(x0_loss(schedule, model, x0, seeded(5)), expected, rtol=1e-9, atol=0)

    def test_bound_loss_is_the_weighted_sum_of_squares(self, schedule, by_hand, seeded):
        x0, t, eps, alpha_bar, xt = by_hand
        beta = schedule.betas[t].reshape(6, 1, 1)
        weight = beta**2 / (2 * beta * (1 - beta) * (1 - alpha_bar))
        expected = (weight * (eps - model(xt, t)) ** 2).sum((1, 2))
        assert_close(bound_loss(schedule, model, x0, generator=seeded(5)), expected, rtol=1e-9, atol=0)

    def test_bound_loss_weighs_as_its_variance_says(self, schedule, by_hand, seeded):
        x0, t, eps, _, xt = by_hand
        weight = bound_weight(schedule, t, x0, "beta_tilde")
        expected = (weight * (eps - model(xt, t)) ** 2).sum((1, 2))
        loss = bound_loss(schedule, model, x0, variance="beta_tilde", generator=seeded(5))
        assert_close(loss, expected, rtol=1e-9, atol=0)

    @pytest.mark.parametrize("loss", [eps_loss, v_loss, x0_loss, bound_loss])
    def test_gradients_reach_the_model(self, post, draw, loss):
        scale = torch.ones((), dtype=F64, requires_grad=True)
        loss(post, lambda xt, t: scale * xt, draw(4, 3)).sum().backward()
        assert scale.grad.abs() > 0


class TestOneLossInAnother:
    def test_eps_loss_is_alpha_bar_times_v_loss(self, schedule, by_hand, seeded):
        x0, _, _, alpha_bar, _ = by_hand
        as_v = as_eps(schedule, model, predicts="v")
        expected = alpha_bar.flatten() * v_loss(schedule, model, x0, seeded(5))
        assert_close(eps_loss(schedule, as_v, x0, seeded(5)), expected, rtol=1e-9, atol=0)

    def test_eps_loss_is_the_signal_to_noise_ratio_times_x0_loss(self, schedule, by_hand, seeded):
        x0, _, _, alpha_bar, _ = by_hand
        as_x0 = as_eps(schedule, model, predicts="x0")
        expected = (alpha_bar / (1 - alpha_bar)).flatten() * x0_loss(schedule, model, x0, seeded(5))
        assert_close(eps_loss(schedule, as_x0, x0, seeded(5)), expected, rtol=1e-9, atol=0)

    def test_in_a_world_of_one_picture_the_best_eps_has_no_loss(self, schedule, draw):
        world = exact.data_set(draw(1, 2, 3))
        loss = eps_loss(schedule, world.eps_model(schedule), world.means.expand(50, 2, 3))
        assert_close(loss, torch.zeros(50, dtype=F64), rtol=0, atol=1e-20)


class TestBound:
    """Σ weight ‖ε − ε̂‖² is the KL term of the bound less what no network can change."""

    @pytest.fixture
    def terms(self, schedule, draw):
        def at(variance):
            t, x0, eps = torch.arange(2, 1001), draw(999, 2, 3), draw(999, 2, 3, seed=1)
            q = q_marginal(schedule, t, x0)
            xt = q.mean + q.var.sqrt() * eps
            p = p_step(schedule, t, xt=xt, eps_hat=model(xt, t), variance=variance)
            squares = bound_weight(schedule, t, x0, variance) * (eps - model(xt, t)) ** 2
            return kl(q_posterior(schedule, t, xt=xt, x0=x0), p), squares.sum((1, 2))

        return at

    def test_with_beta_tilde_it_is_the_whole_term(self, terms):
        term, weighted = terms("beta_tilde")
        assert_close(weighted, term, rtol=1e-9, atol=1e-12)

    def test_with_beta_a_constant_a_dimension_is_left(self, schedule, terms):
        term, weighted = terms("beta")
        one_minus = 1 - schedule.alpha_bars
        ratio = one_minus[1:-1] / one_minus[2:]  # β̃_t/β_t
        assert_close(term - weighted, 6 * (ratio - 1 - ratio.log()) / 2, rtol=1e-9, atol=1e-9)

    def test_at_t_1_the_weight_uses_the_variance_of_step_2_for_beta_tilde(self, schedule, draw):
        t, x = torch.tensor([1, 2]), draw(2, 2)
        b1, b2 = schedule.betas[1:3].tolist()
        expected = b1**2 / (2 * (b2 * b1 / (b1 + b2 - b1 * b2)) * (1 - b1) * b1)
        assert_close(bound_weight(schedule, t, x, "beta_tilde")[0].item(), expected, rtol=1e-12, atol=0)
