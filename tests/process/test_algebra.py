"""The derivations behind the formulas, by SymPy. Symbols: a = α_t, s = ᾱ_{t−1}, so ᾱ_t = a s and β_t = 1 − a."""

import pytest
import sympy as sp

a, s = sp.symbols("a s", positive=True)
x0, x_prev, xt, eps, eps_hat = sp.symbols("x0 x_prev x_t epsilon epsilon_hat", real=True)
var = sp.symbols("sigma2", positive=True)
alpha_bar, beta = a * s, 1 - a
beta_tilde = beta * (1 - s) / (1 - alpha_bar)
posterior_mean = (sp.sqrt(s) * beta * x0 + sp.sqrt(a) * (1 - s) * xt) / (1 - alpha_bar)


def log_normal(x, mean, variance):
    return -(sp.log(2 * sp.pi * variance) + (x - mean) ** 2 / variance) / 2


def same(left, right):
    return sp.simplify(left - right) == 0


class TestBayes:
    # ln q(x_t|x_{t−1}) + ln q(x_{t−1}|x_0): a parabola in x_{t−1}, whose square is now completed.
    exponent = sp.expand(log_normal(xt, sp.sqrt(a) * x_prev, beta) + log_normal(x_prev, sp.sqrt(s) * x0, 1 - s))

    def test_the_curvature_gives_the_variance_beta_tilde(self):
        assert same(-1 / (2 * self.exponent.coeff(x_prev, 2)), beta_tilde)

    def test_the_vertex_gives_the_mean(self):
        vertex = -self.exponent.coeff(x_prev, 1) / (2 * self.exponent.coeff(x_prev, 2))
        assert same(vertex, posterior_mean)

    def test_what_is_left_over_is_the_marginal(self):
        left_over = self.exponent - log_normal(x_prev, posterior_mean, beta_tilde)
        difference = sp.diff(left_over - log_normal(xt, sp.sqrt(alpha_bar) * x0, 1 - alpha_bar), xt)
        assert same(difference, 0)
        assert same(sp.diff(left_over, x_prev), 0)


def test_two_steps_are_one_jump():
    # Signals multiply; the variance of the first step is scaled by α_t, and variances add.
    assert same(a * (1 - s) + (1 - a), 1 - alpha_bar)


def test_the_mean_without_x0():
    known = (xt - sp.sqrt(1 - alpha_bar) * eps) / sp.sqrt(alpha_bar)
    assert same(posterior_mean.subs(x0, known), (xt - beta / sp.sqrt(1 - alpha_bar) * eps) / sp.sqrt(a))


def test_the_weight_of_the_bound():
    mean = (xt - beta / sp.sqrt(1 - alpha_bar) * eps) / sp.sqrt(a)
    cost = (mean - mean.subs(eps, eps_hat)) ** 2 / (2 * var)
    assert same(cost, beta**2 / (2 * var * a * (1 - alpha_bar)) * (eps - eps_hat) ** 2)


def test_kl_of_two_gaussians_is_the_expected_log_ratio():
    m, n = sp.symbols("m n", real=True)
    v, w = sp.symbols("v w", positive=True)
    log_ratio = log_normal(x_prev, m, v) - log_normal(x_prev, n, w)
    # E over N(m, v) of a parabola: its value at m, plus half its curvature times v.
    expected = log_ratio.subs(x_prev, m) + sp.diff(log_ratio, x_prev, 2) / 2 * v
    assert same(sp.expand_log(expected), (v / w - 1 - sp.log(v / w) + (m - n) ** 2 / w).expand(log=True) / 2)


def test_ddims_variance_at_eta_1_is_beta_tilde():
    assert same((1 - s) / (1 - alpha_bar) * (1 - alpha_bar / s), beta_tilde)


def test_ddim_keeps_the_marginal_whatever_its_variance():
    # x_s = √ᾱ_s x_0 + √(1 − ᾱ_s − σ²) ε + σ z, with ε and z of variance 1.
    assert same((sp.sqrt(1 - s - var)) ** 2 + var, 1 - s)


class TestV:
    x_noised = sp.sqrt(alpha_bar) * x0 + sp.sqrt(1 - alpha_bar) * eps
    v = sp.sqrt(alpha_bar) * eps - sp.sqrt(1 - alpha_bar) * x0

    @pytest.mark.parametrize(
        ("formula", "truth"),
        [
            (sp.sqrt(alpha_bar) * v + sp.sqrt(1 - alpha_bar) * x_noised, eps),
            (sp.sqrt(alpha_bar) * x_noised - sp.sqrt(1 - alpha_bar) * v, x0),
            ((eps - sp.sqrt(1 - alpha_bar) * x_noised) / sp.sqrt(alpha_bar), v),
        ],
        ids=["eps", "x0", "v"],
    )
    def test_rotates_back_to(self, formula, truth):
        assert same(formula, truth)

    def test_an_error_in_v_is_one_in_eps_times_root_alpha_bar(self):
        v_hat = sp.symbols("v_hat", real=True)
        wrong = sp.sqrt(alpha_bar) * v_hat + sp.sqrt(1 - alpha_bar) * self.x_noised
        assert same(eps - wrong, sp.sqrt(alpha_bar) * (self.v - v_hat))
