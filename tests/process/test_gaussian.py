from contextlib import nullcontext
from math import log

import mpmath
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence
from torch.testing import assert_close

from diffusion_lesson.process.gaussian import Gaussian, discretized_log_prob, kl

F64 = torch.float64


def grid(levels, dtype=F64):
    return 2 * torch.arange(levels, dtype=dtype) / (levels - 1) - 1


def log_bin_to_120_digits(level, levels, mean, var):
    """ln P(level) by the definition with mpmath, whose erfc keeps 120 digits however small it is."""
    with mpmath.workdps(120):
        sd = mpmath.sqrt(mpmath.mpf(var))
        low = -mpmath.inf if level == 0 else (mpmath.mpf(2 * level - 1) / (levels - 1) - 1 - mean) / sd
        high = mpmath.inf if level == levels - 1 else (mpmath.mpf(2 * level + 1) / (levels - 1) - 1 - mean) / sd
        if low > 0:  # 1 − Φ loses every digit far to the right; its mirror image doesn't
            low, high = -high, -low
        return float(mpmath.log((mpmath.erfc(-high / mpmath.sqrt(2)) - mpmath.erfc(-low / mpmath.sqrt(2))) / 2))


class TestGaussian:
    def test_a_sample_is_mean_plus_root_variance_times_noise(self, draw, seeded):
        mean, var = draw(5, 3), draw(5, 1, seed=1) ** 2
        z = torch.randn(5, 3, generator=seeded(7), dtype=F64)
        assert_close(Gaussian(mean, var).sample(seeded(7)), mean + var**0.5 * z)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_sample_has_the_dtype_and_shape_of_the_mean(self, draw, dtype):
        sample = Gaussian(draw(5, 3).to(dtype), torch.ones(5, 1, dtype=dtype)).sample()
        assert (sample.dtype, sample.shape) == (dtype, (5, 3))

    def test_a_sample_of_a_point_is_its_mean(self, draw):
        mean = draw(5, 3)
        assert torch.equal(Gaussian(mean, torch.zeros(5, 1, dtype=F64)).sample(), mean)

    def test_log_prob_agrees_with_torch_distributions_element_by_element(self, draw):
        mean, var, x = draw(5, 3), draw(5, 1, seed=1) ** 2, draw(5, 3, seed=2)
        assert_close(Gaussian(mean, var).log_prob(x), Normal(mean, var.sqrt()).log_prob(x), rtol=1e-12, atol=0)

    @pytest.mark.parametrize("var", [-1e-30, float("nan")])
    def test_a_variance_below_zero_or_nan_is_refused(self, var):
        with pytest.raises(ValueError, match=r"^var: expected variances ≥ 0"):
            Gaussian(torch.zeros(2), torch.tensor([1.0, var]))

    # (2, 1) against (2,) would make (2, 2) silently; (3,) is the variance per example that lacks its trailing 1.
    @pytest.mark.parametrize(("mean", "var"), [((2,), (2, 1)), ((1, 4), (2, 4)), ((3, 4), (3,)), ((4,), (1, 4))])
    def test_a_variance_that_does_not_fit_the_mean_is_refused(self, mean, var):
        with pytest.raises(ValueError, match=r"^var: expected a shape"):
            Gaussian(torch.zeros(mean), torch.ones(var))


class TestKL:
    def test_agrees_with_torch_distributions_summed_over_all_but_the_batch(self, draw):
        means, variances = [draw(5, 2, 3, seed=s) for s in (0, 1)], [draw(5, 1, 1, seed=s) ** 2 for s in (2, 3)]
        q, p = map(Gaussian, means, variances)
        q_torch, p_torch = (
            Independent(Normal(m, v.sqrt().expand_as(m)), 2) for m, v in zip(means, variances, strict=True)
        )
        assert_close(kl(q, p), kl_divergence(q_torch, p_torch), rtol=1e-12, atol=0)

    def test_of_a_distribution_with_itself_is_zero(self, draw):
        q = Gaussian(draw(5, 3), draw(5, 3, seed=1) ** 2)
        assert torch.equal(kl(q, q), torch.zeros(5, dtype=F64))

    @pytest.mark.parametrize("point", ["q", "p"])
    def test_a_point_is_refused(self, point):
        both = dict.fromkeys("qp", Gaussian(torch.ones(2, 3), torch.ones(2, 1)))
        both[point] = Gaussian(torch.zeros(2, 3), torch.tensor([[1.0], [0.0]]))
        with pytest.raises(ValueError, match=r"^var: kl needs variances > 0"):
            kl(**both)


def test_log_prob_of_a_point_is_refused():
    with pytest.raises(ValueError, match=r"^var: log_prob needs variances > 0"):
        Gaussian(torch.zeros(2), torch.tensor([1.0, 0.0])).log_prob(torch.zeros(2))


class TestBins:
    @pytest.mark.parametrize("levels", [2, 17, 256])
    @pytest.mark.parametrize("mean", [-40.0, -1.0, -0.31, 0.0, 0.999, 3.0])
    @pytest.mark.parametrize("var", [1e-4, 0.09, 4.0])
    def test_probabilities_sum_to_one(self, levels, mean, var):
        x = grid(levels)[:, None]
        p = Gaussian(torch.full_like(x, mean), torch.full_like(x, var))
        assert_close(discretized_log_prob(p, x, levels).logsumexp(0).item(), 0.0, rtol=0, atol=1e-12)

    def test_a_rounded_grey_level_has_the_bin_of_its_level(self):
        # float32 rounds grey levels by 3e-8. Bins around the rounded values would leave gaps and overlap.
        x = grid(256)[:, None]
        p = Gaussian(torch.full_like(x, 0.3), torch.full_like(x, 1e-4))
        rounded = discretized_log_prob(p, x.float().double())
        assert_close(rounded, discretized_log_prob(p, x), rtol=1e-13, atol=0)

    @pytest.mark.parametrize("levels", [17, 256])
    @pytest.mark.parametrize("var", [1e-4, 0.02**2, 0.3**2, 1.0])
    def test_agree_with_arithmetic_of_120_digits(self, levels, var):
        # Means up to 3 to both sides: with the first variance up to 400 standard deviations away, in both tails.
        cases = [
            (level, mean)
            for level in (0, 1, levels // 2, levels - 2, levels - 1)
            for mean in (-3.0, -1.0, -0.4, 0.0, 0.01, 0.9, 1.5, 3.0)
        ]
        x = torch.stack([grid(levels)[level] for level, _ in cases])[:, None]
        p = Gaussian(torch.tensor([[mean] for _, mean in cases], dtype=F64), torch.full_like(x, var))
        expected = [log_bin_to_120_digits(level, levels, mean, var) for level, mean in cases]
        # An edge is rounded at 1e-16, which 400 standard deviations away weighs 400/0.01 times as much.
        assert_close(discretized_log_prob(p, x, levels), torch.tensor(expected, dtype=F64), rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("sigmas", [50, -50, 1000, -1000])
    def test_fifty_and_a_thousand_standard_deviations_away_no_bin_is_lost(self, sigmas):
        # Probabilities of 10^-545 and 10^-217150: no float holds them. In log space nothing is special about them.
        levels, level, sd = 256, 100, 0.01
        x = grid(levels)[level].reshape(1, 1)
        mean = x + sigmas * sd
        expected = log_bin_to_120_digits(level, levels, mean.item(), sd**2)
        assert expected < -1000
        assert_close(
            discretized_log_prob(Gaussian(mean, torch.full_like(x, sd**2)), x).item(), expected, rtol=1e-11, atol=0
        )

    def test_the_mirror_image_is_as_likely(self, draw):
        x, mean = grid(17)[:, None], 2 * draw(17, 1)
        var = torch.full_like(x, 1e-3)
        assert_close(
            discretized_log_prob(Gaussian(mean, var), x, 17), discretized_log_prob(Gaussian(-mean, var), -x, 17)
        )

    def test_the_dimensions_of_a_picture_add_up(self, draw):
        x = grid(17)[torch.tensor([[[0, 4], [16, 9]], [[3, 3], [15, 1]]])]
        p = Gaussian(draw(2, 2, 2), torch.tensor([0.1, 0.3], dtype=F64).reshape(2, 1, 1))
        one_by_one = [
            discretized_log_prob(Gaussian(p.mean[:, i, j, None], p.var[:, 0]), x[:, i, j, None], 17)
            for i in (0, 1)
            for j in (0, 1)
        ]
        assert_close(discretized_log_prob(p, x, 17), sum(one_by_one))

    def test_the_answer_has_the_dtype_of_the_picture(self):
        x = grid(17, torch.float32)[:, None]
        assert discretized_log_prob(Gaussian(x, torch.ones_like(x)), x, 17).dtype == torch.float32

    @pytest.mark.parametrize(
        "wrong", [0.01, -1 - 2 / 16, 1 + 2 / 16, 3 / 255, float("nan"), float("inf")], ids=str
    )
    def test_a_value_off_the_grid_is_refused(self, wrong):
        x = torch.tensor([[0.0], [wrong]], dtype=F64)
        with pytest.raises(ValueError, match=r"^x: expected values on the grid of levels=17"):
            discretized_log_prob(Gaussian(torch.zeros_like(x), torch.ones_like(x)), x, 17)

    @pytest.mark.parametrize(("off", "fits"), [(0.01, True), (0.0101, False)])
    def test_a_fiftieth_of_half_a_bin_off_the_grid_is_rounding_and_no_more(self, off, fits):
        x = torch.tensor([[off]], dtype=F64)  # beside the level 0 of −1, 0, 1
        refused = pytest.raises(ValueError, match=r"^x: .* up to 0.01 off the grid")
        with nullcontext() if fits else refused:
            discretized_log_prob(Gaussian(torch.zeros_like(x), torch.ones_like(x)), x, 3)

    def test_pictures_of_17_levels_are_not_taken_for_256(self):
        x = grid(17)[:, None]
        with pytest.raises(ValueError, match="levels=256"):
            discretized_log_prob(Gaussian(torch.zeros_like(x), torch.ones_like(x)), x)

    def test_a_point_is_refused(self):
        x = torch.ones(2, 1)
        with pytest.raises(ValueError, match=r"^var: discretized_log_prob needs variances > 0"):
            discretized_log_prob(Gaussian(x, torch.zeros(2, 1)), x)

    def test_the_gradient_is_that_of_finite_differences(self, draw):
        x = grid(17)[:, None]

        def log_prob(mean, var):
            return discretized_log_prob(Gaussian(mean, var), x, 17)

        mean, var = draw(17, 1).requires_grad_(), torch.full((17, 1), 0.05, dtype=F64, requires_grad=True)
        assert torch.autograd.gradcheck(log_prob, (mean, var))

    @pytest.mark.parametrize("sigmas", [0.0, 50.0, -50.0, 1000.0, -1000.0])
    def test_the_gradient_is_finite_in_every_bin(self, sigmas):
        # torch.where hands each branch's NaN to the other through the backward pass: none may arise in any branch.
        x, sd = grid(17)[:, None], 0.01
        mean = (x + sigmas * sd).requires_grad_()
        var = torch.full_like(x, sd**2, requires_grad=True)
        discretized_log_prob(Gaussian(mean, var), x, 17).sum().backward()
        assert mean.grad.isfinite().all()
        assert var.grad.isfinite().all()

    def test_a_narrow_bin_holds_density_times_width(self):
        x = grid(256)[100:101, None]
        p = Gaussian(x + 0.3, torch.full_like(x, 0.25))
        assert_close(discretized_log_prob(p, x).item(), p.log_prob(x).item() + log(2 / 255), rtol=0, atol=1e-4)


def test_one_level_is_no_grid():
    one = Gaussian(torch.zeros(1, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match="levels: expected 2 or more, got 1"):
        discretized_log_prob(one, torch.zeros(1, 1), levels=1)
