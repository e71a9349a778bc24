from math import log, pi, sqrt

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.testing import assert_close

from diffusion_lesson.process import exact
from diffusion_lesson.process.exact import Mixture
from diffusion_lesson.process.losses import eps_loss
from diffusion_lesson.process.schedule import linear

F64 = torch.float64


@pytest.fixture
def mixture():
    """Three blobs in the plane, of different weights and widths."""
    return Mixture(
        weights=torch.tensor([0.2, 0.3, 0.5], dtype=F64),
        means=torch.tensor([[-1.5, 0.0], [1.0, 1.0], [0.5, -1.0]], dtype=F64),
        vars=torch.tensor([0.04, 0.25, 0.5], dtype=F64),
    )


def by_torch(mixture, alpha_bar=1.0):
    """The law of x_t, from torch.distributions."""
    means, var = sqrt(alpha_bar) * mixture.means, alpha_bar * mixture.vars + 1 - alpha_bar
    parts = Independent(Normal(means, var.sqrt()[:, None].expand_as(means)), 1)
    return MixtureSameFamily(Categorical(mixture.weights), parts)


class TestDensity:
    def test_of_x0_agrees_with_torch_distributions(self, mixture, draw):
        x = 2 * draw(50, 2)
        assert_close(mixture.log_prob(x), by_torch(mixture).log_prob(x), rtol=1e-12, atol=0)

    @pytest.mark.parametrize("t", [1, 2, 500, 1000])
    def test_of_xt_agrees_with_torch_distributions(self, schedule, mixture, draw, t):
        x = 2 * draw(50, 2)
        expected = by_torch(mixture, schedule.alpha_bars[t].item()).log_prob(x)
        assert_close(mixture.log_prob(x, schedule, torch.full((50,), t)), expected, rtol=1e-9, atol=1e-9)

    def test_integrates_to_one(self, post, mixture):
        axis = torch.linspace(-8, 8, 321, dtype=F64)
        x = torch.cartesian_prod(axis, axis)
        density = mixture.log_prob(x, post, torch.full((len(x),), 300)).exp()
        assert_close(density.sum().item() * 0.05**2, 1.0, rtol=1e-9, atol=0)

    def test_of_a_finite_data_set_is_refused_at_t_0(self, draw):
        with pytest.raises(ValueError, match=r"^vars: a finite data set has no density at t = 0"):
            exact.data_set(draw(3, 2)).log_prob(draw(4, 2))

    def test_of_a_finite_data_set_exists_from_t_1_on(self, post, draw):
        images, x, t = draw(3, 2), draw(4, 2, seed=1), torch.tensor([1, 10, 300, 1000])
        alpha_bar = post.alpha_bars[t].reshape(4, 1, 1)
        square = ((x[:, None] - alpha_bar**0.5 * images) ** 2).sum(2)
        var = 1 - alpha_bar[..., 0]
        expected = ((-square / (2 * var)).logsumexp(1) - log(3)) - (2 * pi * var[:, 0]).log()
        assert_close(exact.data_set(images).log_prob(x, post, t), expected, rtol=1e-9, atol=0)

    def test_is_in_the_dtype_of_x(self, mixture):
        assert mixture.log_prob(torch.zeros(2, 2)).dtype == torch.float32


class TestBestEps:
    def test_is_minus_root_one_minus_alpha_bar_times_the_score(self, schedule, mixture, draw):
        x, t = draw(60, 2).requires_grad_(), torch.tensor([1, 2, 100, 500, 1000]).repeat(12)
        mixture.log_prob(x, schedule, t).sum().backward()
        root = (1 - schedule.alpha_bars[t]).sqrt()[:, None]
        assert_close(mixture.eps_model(schedule)(x.detach(), t), -root * x.grad, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("t", [1, 100, 500, 900])
    def test_is_the_regression_of_eps_on_xt(self, post, mixture, draw, seeded, t):
        # The residual of a conditional mean is uncorrelated with every function of x_t.
        count, alpha_bar = 100_000, post.alpha_bars[t].item()
        x0, eps = mixture.sample(count, seeded(0)), draw(count, 2, seed=1)
        xt = sqrt(alpha_bar) * x0 + sqrt(1 - alpha_bar) * eps
        residual = eps - mixture.eps_model(post)(xt, torch.full((count,), t))
        features = torch.stack([torch.ones_like(xt), xt, xt.flip(1), torch.tanh(3 * xt), xt.cos()])
        products = residual * features
        se = products.std(1) / sqrt(count)
        assert_close(products.mean(1) / se, torch.zeros(5, 2, dtype=F64), rtol=0, atol=4.5)

    def test_of_a_gaussian_is_linear(self, schedule, draw):
        mean, var = draw(3, 2), 0.3
        x, t = draw(5, 3, 2, seed=1), torch.tensor([1, 2, 100, 500, 1000])
        alpha_bar = schedule.alpha_bars[t].reshape(5, 1, 1)
        expected = (1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * mean) / (alpha_bar * var + 1 - alpha_bar)
        assert_close(exact.gaussian(mean, var).eps_model(schedule)(x, t), expected, rtol=1e-9, atol=1e-9)

    def test_of_a_standard_normal_is_x_itself_scaled(self, schedule, draw):
        x, t = draw(1000, 2), torch.arange(1, 1001)
        expected = (1 - schedule.alpha_bars[1:, None]).sqrt() * x
        best = exact.gaussian(torch.zeros(2, dtype=F64), 1.0).eps_model(schedule)
        assert_close(best(x, t), expected, rtol=1e-9, atol=0)

    def test_of_a_data_set_is_the_softmax_over_its_pictures(self, schedule, draw):
        images, eps, t = draw(7, 1, 2, 2), draw(5, 1, 2, 2, seed=1), torch.tensor([1, 2, 100, 500, 1000])
        best = exact.data_set(images).eps_model(schedule)
        for i in range(5):  # one example and one picture at a time
            alpha_bar = schedule.alpha_bars[t[i]].item()
            xt = sqrt(alpha_bar) * images[3] + sqrt(1 - alpha_bar) * eps[i]
            closeness = [-((xt - sqrt(alpha_bar) * m) ** 2).sum() / (2 * (1 - alpha_bar)) for m in images]
            weights = torch.stack(closeness).softmax(0)
            x0_hat = sum(w * m for w, m in zip(weights, images, strict=True))
            expected = (xt - sqrt(alpha_bar) * x0_hat) / sqrt(1 - alpha_bar)
            assert_close(best(xt[None], t[[i]])[0], expected, rtol=1e-9, atol=1e-9)

    def test_weights_count(self, post):
        # Two blobs at ±1: at x = 0 they pull to both sides, the heavier one wins.
        world = Mixture(torch.tensor([0.9, 0.1]), torch.tensor([[1.0], [-1.0]]), torch.tensor([0.1, 0.1]))
        eps = world.eps_model(post)(torch.zeros(1, 1), torch.tensor([300]))
        alpha_bar = post.alpha_bars[300].item()
        pull = sqrt(alpha_bar) * (0.9 - 0.1) / (0.1 * alpha_bar + 1 - alpha_bar)
        assert_close(eps.item(), -sqrt(1 - alpha_bar) * pull, rtol=1e-5, atol=0)

    def test_survives_float32_pictures_near_t_1(self, post, seeded):
        # ‖x − m‖² ≈ 0.5 of 784 pixels is a difference of sums near 500, then divided by 8.5e-4.
        images = torch.rand(20, 1, 28, 28, generator=seeded(0)) * 2 - 1
        t = torch.ones(20, dtype=torch.int64)
        x = 0.9996 * images + 0.03 * torch.randn(images.shape, generator=seeded(1))
        narrow = exact.data_set(images).eps_model(post)(x, t)
        wide = exact.data_set(images.double()).eps_model(post)(x.double(), t)
        assert narrow.dtype == torch.float32
        assert_close(narrow.double(), wide, rtol=0, atol=1e-5)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda best, xt, t: 1.05 * best,
            lambda best, xt, t: 0.95 * best,
            lambda best, xt, t: best + 0.05,
            lambda best, xt, t: best + 0.05 * torch.sin(5 * xt),
            lambda best, xt, t: best.clamp(-1, 1),
            lambda best, xt, t: best + 0.2 * (t[:, None] < 300),
        ],
    )
    def test_nothing_beats_it(self, post, mixture, seeded, spoil):
        x0, best = mixture.sample(20_000, seeded(0)), mixture.eps_model(post)
        of_best = eps_loss(post, best, x0, seeded(1))
        of_other = eps_loss(post, lambda xt, t: spoil(best(xt, t), xt, t), x0, seeded(1))
        more = of_other - of_best  # the same t and noise, so that the differences are small
        assert more.mean() > 3 * more.std() / sqrt(20_000)


class TestWorlds:
    def test_a_sample_has_the_mean_and_covariance_of_the_mixture(self, mixture, seeded):
        x = mixture.sample(200_000, seeded(0))
        mean = mixture.weights @ mixture.means
        centred = mixture.means - mean
        cov = (mixture.weights * centred.T) @ centred + mixture.weights @ mixture.vars * torch.eye(2, dtype=F64)
        assert_close(x.mean(0), mean, rtol=0, atol=0.01)
        assert_close(x.T.cov(), cov, rtol=0, atol=0.02)

    def test_a_sample_of_each_component_has_its_own_width(self, mixture, seeded):
        x = mixture.sample(50_000, seeded(0))
        narrow = x[((x - mixture.means[0]) ** 2).sum(1) < 0.36]  # 3 standard deviations around the first blob
        assert_close(len(narrow) / 50_000, 0.2, rtol=0, atol=0.01)

    def test_a_sample_is_the_mean_plus_root_variance_times_noise(self, mixture, seeded):
        generator = seeded(3)
        k = torch.multinomial(mixture.weights, 50, replacement=True, generator=generator)
        z = torch.randn(50, 2, dtype=F64, generator=generator)
        expected = mixture.means[k] + mixture.vars[k, None].sqrt() * z
        assert_close(mixture.sample(50, seeded(3)), expected, rtol=1e-15, atol=0)

    def test_a_sample_repeats_with_its_generator(self, mixture, seeded):
        assert torch.equal(mixture.sample(5, seeded(3)), mixture.sample(5, seeded(3)))

    def test_a_sample_of_a_data_set_is_one_of_its_pictures(self, draw, seeded):
        images = draw(4, 1, 2, 2)
        drawn = exact.data_set(images).sample(200, seeded(0))
        matches = (drawn[:, None] == images).flatten(2).all(2)
        assert torch.equal(matches.sum(1), torch.ones(200, dtype=torch.int64))
        assert matches.any(0).all()

    def test_a_gaussian_is_one_component_of_the_given_variance(self, draw):
        world = exact.gaussian(draw(2, 3), 0.7)
        assert world.weights.tolist() == [1.0]
        assert world.vars.tolist() == [0.7]
        assert torch.equal(world.means, draw(1, 2, 3))

    @pytest.mark.parametrize("weights", [[0.5, 0.6], [1.5, -0.5], [0.2, 0.2]])
    def test_weights_that_are_no_probabilities_are_refused(self, weights):
        with pytest.raises(ValueError, match=r"^weights: expected probabilities that sum to 1"):
            Mixture(torch.tensor(weights), torch.zeros(2, 3), torch.ones(2))

    def test_the_first_eight_of_wrong_weights_are_shown(self):
        with pytest.raises(ValueError, match=rf"got \[{', '.join(['0.5'] * 8)}\]$"):
            Mixture(torch.full((10,), 0.5), torch.zeros(10, 3), torch.ones(10))

    def test_a_component_of_weight_0_is_as_good_as_none(self, mixture, draw):
        x = draw(5, 2)
        more = Mixture(
            torch.cat([mixture.weights, torch.zeros(1, dtype=F64)]),
            torch.cat([mixture.means, torch.zeros(1, 2, dtype=F64)]),
            torch.cat([mixture.vars, torch.ones(1, dtype=F64)]),
        )
        assert_close(more.log_prob(x), mixture.log_prob(x), rtol=1e-12, atol=0)

    def test_a_negative_variance_is_refused(self):
        with pytest.raises(ValueError, match=r"^vars: expected variances ≥ 0, got a smallest of -0.1"):
            Mixture(torch.tensor([0.5, 0.5]), torch.zeros(2, 3), torch.tensor([1.0, -0.1]))


@pytest.mark.parametrize("given", [{"schedule": linear()}, {"t": torch.tensor([3])}], ids=["schedule", "t"])
def test_a_schedule_without_a_step_or_a_step_without_one_is_no_question(given):
    world = exact.gaussian(torch.zeros(1), 1.0)
    with pytest.raises(
        ValueError, match=r"^t: expected schedule and t together, or neither for the density of x_0$"
    ):
        world.log_prob(torch.zeros(1, 1), **given)


@pytest.mark.parametrize("given", [(), (linear(), torch.tensor([3]))], ids=["x_0", "x_t"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_density_has_the_dtype_of_the_picture(dtype, given):
    world = exact.gaussian(torch.zeros(1), 1.0)
    assert world.log_prob(torch.zeros(1, 1, dtype=dtype), *given).dtype == dtype
