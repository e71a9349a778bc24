from functools import partial
from itertools import repeat
from math import erfc, log, pi, sqrt
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson.process import exact
from diffusion_lesson.process.elbo import Ledger, _some_steps, bits_per_dim, ledger
from diffusion_lesson.process.gaussian import discretized_log_prob
from diffusion_lesson.process.losses import eps_loss
from diffusion_lesson.process.schedule import cosine, linear

F64 = torch.float64


def density(p, x):
    """Plain density, for worlds that have no grey levels."""
    return p.log_prob(x).flatten(1).sum(1)


def pictures(levels, count=3):
    """Pictures of 2×2 pixels with black, white and what is between."""
    grey = torch.tensor([0, levels - 1, 5, levels // 2, 1, levels - 2, 9, 3, 0, 0, 7, levels - 1])
    return (2 * grey[: 4 * count].to(F64) / (levels - 1) - 1).reshape(count, 1, 2, 2)


class Network(torch.nn.Module):
    """A network as small as can be: 4 pixels and t in, 4 pixels out."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in {"w1": (5, 16), "w2": (16, 4)}.items():
            weight = torch.randn(shape, generator=generator, dtype=F64) / shape[0] ** 0.5
            setattr(self, name, torch.nn.Parameter(weight))

    def forward(self, xt, t):
        features = torch.cat([xt.flatten(1), t[:, None] / 20], 1)
        return (torch.tanh(features @ self.w1) @ self.w2).reshape(xt.shape)


def trained(schedule, x0, steps=150):
    network, generator = Network(0), torch.Generator().manual_seed(1)
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(steps):
        adam.zero_grad()
        eps_loss(schedule, network, x0.repeat(16, 1, 1, 1), generator).mean().backward()
        adam.step()
    return network


def naive_ledger(betas, x0, eps_model, variance, levels, noises):
    """The bound by its definition, in Python's floats: a loop over t, one over examples, one over pixels."""

    def alpha_bar(t):
        product = 1.0
        for beta in betas[:t]:
            product *= 1 - beta
        return product

    def normal_kl(m1, v1, m2, v2):
        return log(sqrt(v2) / sqrt(v1)) + (v1 + (m1 - m2) ** 2) / (2 * v2) - 0.5

    def mass(low, high):  # of N(0, 1) between low and high
        if low > 0:
            low, high = -high, -low
        return (erfc(-high / sqrt(2)) - erfc(-low / sqrt(2))) / 2

    T, prior, denoising, reconstruction = len(betas), [], [], []
    for example in x0.flatten(1).tolist():
        ab = alpha_bar(T)
        prior.append(sum(normal_kl(sqrt(ab) * x, 1 - ab, 0.0, 1.0) for x in example))
        denoising.append([])
    for t, noise in zip(range(1, T + 1), noises, strict=True):
        ab, ab_prev, beta = alpha_bar(t), alpha_bar(t - 1), betas[t - 1]
        for b, example in enumerate(x0.flatten(1).tolist()):
            xt = [
                sqrt(ab) * x + sqrt(1 - ab) * z for x, z in zip(example, noise[b].flatten().tolist(), strict=True)
            ]
            eps_hat = eps_model(torch.tensor(xt, dtype=F64).reshape(1, 1, 2, 2), torch.tensor([t]))
            cost = 0.0
            for x, x_noisy, e in zip(example, xt, eps_hat.flatten().tolist(), strict=True):
                p_mean = (x_noisy - beta / sqrt(1 - ab) * e) / sqrt(1 - beta)
                s = max(t, 2)  # "beta_tilde" at t = 1 is that of t = 2
                small = betas[s - 1] * (1 - alpha_bar(s - 1)) / (1 - alpha_bar(s))
                p_var = beta if variance == "beta" else small
                if t == 1:
                    half = 1 / (levels - 1)
                    low = -float("inf") if x == -1 else (x - half - p_mean) / sqrt(p_var)
                    high = float("inf") if x == 1 else (x + half - p_mean) / sqrt(p_var)
                    cost -= log(mass(low, high))
                else:
                    q_mean = sqrt(ab_prev) * beta / (1 - ab) * x
                    q_mean += sqrt(1 - beta) * (1 - ab_prev) / (1 - ab) * x_noisy
                    cost += normal_kl(q_mean, small, p_mean, p_var)
            if t == 1:
                reconstruction.append(cost)
            else:
                denoising[b].append(cost)
    return (torch.tensor(term, dtype=F64) for term in (prior, denoising, reconstruction))


class TestAgainstANaiveOne:
    @pytest.mark.parametrize("levels", [17, 256])
    @pytest.mark.parametrize("variance", ["beta", "beta_tilde"])
    @pytest.mark.parametrize("fit", [False, True], ids=["untrained", "trained"])
    def test_every_term_agrees(self, seeded, fit, variance, levels):
        schedule, x0 = linear(20, 0.005, 0.4), pictures(levels)
        network = trained(schedule, x0) if fit else Network(0)
        decoder = partial(discretized_log_prob, levels=levels)
        ours = ledger(schedule, x0, network, variance=variance, decoder=decoder, generator=seeded(2))
        generator = seeded(2)  # one draw like x0 for each t, ascending from t = 1
        noises = [torch.randn(x0.shape, generator=generator, dtype=F64) for _ in range(20)]
        with torch.no_grad():
            prior, denoising, reconstruction = naive_ledger(
                schedule.betas[1:].tolist(), x0, network, variance, levels, noises
            )
        assert_close(ours.prior, prior, rtol=1e-9, atol=1e-12)
        assert_close(ours.denoising, denoising, rtol=1e-9, atol=1e-12)
        assert_close(ours.reconstruction, reconstruction, rtol=1e-9, atol=1e-12)
        assert_close(ours.total(), prior + denoising.sum(1) + reconstruction, rtol=1e-9, atol=0)

    def test_training_lowers_the_bound(self, seeded):
        schedule, x0 = linear(20, 0.005, 0.4), pictures(17)
        before, after = (
            ledger(schedule, x0, network, generator=seeded(2), decoder=partial(discretized_log_prob, levels=17))
            for network in (Network(0), trained(schedule, x0))
        )
        assert after.total().mean() < 0.8 * before.total().mean()


class TestStandardNormal:
    """x_0 ~ N(0, 1) with its exact ε: every term is a parabola in x_0 and z, so ±1 average it exactly."""

    @pytest.fixture
    def terms(self, post, script_noise):
        def at(variance, x0):
            z = torch.tensor([[1.0], [-1.0]], dtype=F64).repeat(len(x0) // 2, 1)
            script_noise([z] * 1000)
            best = exact.gaussian(torch.zeros(1, dtype=F64), 1.0).eps_model(post)
            return ledger(post, x0, best, variance=variance, decoder=density)

        return at

    @pytest.mark.usefixtures("without_type_checks")
    def test_with_beta_the_bound_is_the_log_density_of_each_x0(self, terms):
        x0 = torch.tensor([-1.7, -1.7, 0.0, 0.0, 0.4, 0.4, 3.0, 3.0], dtype=F64)[:, None]
        bound = terms("beta", x0).total().reshape(4, 2).mean(1)  # over z = ±1
        assert_close(bound, (x0[::2, 0] ** 2 + log(2 * pi)) / 2, rtol=1e-9, atol=0)

    @pytest.mark.usefixtures("without_type_checks")
    def test_with_beta_tilde_it_costs_what_the_ratio_of_variances_says(self, post, terms):
        x0 = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=F64)[:, None]
        least, ours = terms("beta", x0), terms("beta_tilde", x0)
        b, one_minus = post.betas, 1 - post.alpha_bars
        r = one_minus[2:] / one_minus[1:-1]  # β_t/β̃_t for t = 2..T
        later = (ours.denoising_sum() - least.denoising_sum()).mean().item()
        assert_close(later, ((r - 1 - r.log()) / 2).sum().item(), rtol=1e-9, atol=0)
        assert_close(later, 0.304, rtol=0, atol=5e-4)
        r1 = (b[1] / (b[2] * one_minus[1] / one_minus[2])).item()  # β_1/β̃_2
        first = (ours.reconstruction - least.reconstruction).mean().item()
        assert_close(first, (r1 - 1 - log(r1)) / 2, rtol=1e-9, atol=0)
        assert_close(first, 0.150, rtol=0, atol=5e-4)

    def test_with_random_noise_the_gap_is_zero_on_average(self, draw, seeded):
        schedule, x0 = linear(60, 0.002, 0.2), draw(20_000, 1)
        best = exact.gaussian(torch.zeros(1, dtype=F64), 1.0).eps_model(schedule)
        bound = ledger(schedule, x0, best, decoder=density, generator=seeded(1)).total()
        gap = bound - (x0[:, 0] ** 2 + log(2 * pi)) / 2
        assert_close(gap.mean().item(), 0.0, rtol=0, atol=4 * gap.std().item() / sqrt(20_000))
        assert gap.std() / sqrt(20_000) < 0.01


class TestLedger:
    def test_visits_t_1_then_every_t_up_to_T(self):
        seen = []
        ours = ledger(linear(6), torch.zeros(2, 3), lambda x, t: seen.append(t.tolist()) or x, decoder=density)
        assert seen == [[t] * 2 for t in range(1, 7)]
        assert ours.steps.tolist() == [2, 3, 4, 5, 6]

    def test_the_decoder_is_given_the_last_step_and_the_picture(self, draw, seeded):
        schedule, x0, given = linear(6, 0.1, 0.3), draw(2, 3), []
        ours = ledger(
            schedule,
            x0,
            lambda x, t: 0.5 * x,
            decoder=lambda p, x: given.append((p, x)) or torch.full((2,), -7.0, dtype=F64),
            generator=seeded(1),
        )
        [(p, x)] = given
        x1 = sqrt(0.9) * x0 + sqrt(0.1) * torch.randn(x0.shape, generator=seeded(1), dtype=F64)
        assert torch.equal(x, x0)
        assert_close(p.mean, (x1 - 0.1 / sqrt(0.1) * 0.5 * x1) / sqrt(0.9), rtol=1e-12, atol=0)
        assert ours.reconstruction.tolist() == [7.0, 7.0]

    def test_decodes_8_bit_pictures_by_default(self, seeded):
        x0, model = pictures(256), lambda x, t: 0.1 * x
        default = ledger(linear(5), x0, model, generator=seeded(0))
        stated = ledger(linear(5), x0, model, generator=seeded(0), decoder=discretized_log_prob, variance="beta")
        assert torch.equal(default.total(), stated.total())

    def test_keeps_no_graph(self, draw):
        scale = torch.ones((), dtype=F64, requires_grad=True)
        assert not ledger(linear(5), draw(2, 3), lambda x, t: scale * x, decoder=density).total().requires_grad

    @pytest.mark.usefixtures("without_type_checks")
    def test_in_float32_is_that_of_float64_to_five_digits(self, post, draw, script_noise):
        x0, noise, totals = draw(2, 3).tanh(), draw(1000, 2, 3, seed=1), []
        for dtype in (torch.float32, F64):
            script_noise(noise)
            totals.append(ledger(post, x0.to(dtype), lambda x, t: 0.9 * x, decoder=density).total())
        assert_close(totals[0].double(), totals[1], rtol=1e-5, atol=0)

    @pytest.mark.parametrize("T", [1, 2, 3])
    def test_short_schedules_have_a_total_too(self, draw, seeded, T):
        x0 = draw(2, 3)
        ours = ledger(linear(T, 0.1, 0.3), x0, lambda x, t: x, decoder=density, generator=seeded(0))
        expected = ours.prior + sum(ours.denoising.T, torch.zeros(2, dtype=F64)) + ours.reconstruction
        assert ours.denoising.shape == (2, T - 1)
        assert_close(ours.total(), expected)

    def test_bits_per_dim(self):
        # ln 256 nats for one pixel of 256 levels are 8 bits; a picture has 12 pixels here.
        nats = torch.tensor([12 * log(256), 0.0], dtype=F64)
        assert_close(bits_per_dim(nats, torch.zeros(2, 3, 2, 2)), torch.tensor([8.0, 0.0], dtype=F64))
        assert_close(bits_per_dim(nats[:1], torch.zeros(1, 3, 2, 2)), torch.tensor([8.0], dtype=F64))


class TestSteps:
    """An estimate from some of the steps."""

    @pytest.mark.parametrize("T", [12, 13, 14, 60, 61])
    def test_strata_cover_2_to_T_with_two_steps_or_three_from_each_and_T_twice(self, seeded, T):
        schedule = linear(T)
        for steps in range(10, T - 1):
            ours = ledger(
                schedule, torch.zeros(1, 1), lambda x, t: x, decoder=density, steps=steps, generator=seeded(steps)
            )
            visited, first = ours.steps.tolist(), 2
            assert len(visited) == steps == ours.denoising.shape[1]
            assert visited[-2:] == [T, T]
            assert ours.strata[-1] == (2, 1)
            for count, size in ours.strata[:-1]:
                here, visited = visited[:count], visited[count:]
                assert count in (2, 3)
                assert here == sorted(set(here))
                assert first <= here[0] <= here[-1] < first + size
                first += size
            assert first == T

    def test_strata_are_short_where_the_terms_are_large(self, seeded):
        given = linear(1000), torch.zeros(1, 1), lambda x, t: x
        sizes = [n for _, n in ledger(*given, decoder=density, steps=80, generator=seeded(0)).strata]
        for part in (sizes[:32], sizes[:31:-1]):
            assert part == sorted(part)
        assert (sizes[:5], sizes[-3:]) == ([2] * 5, [5, 2, 1])
        for part, few in ((sizes[:31], 8), (sizes[-2:32:-1], 4)):
            edges = torch.tensor([2, *part], dtype=F64).cumsum(0)
            factors = (edges[1:] / edges[:-1])[-few:]
            assert_close(factors, factors.mean().expand(few), rtol=0.05, atol=0)

    @pytest.mark.parametrize(
        ("T", "steps", "sizes"),
        [(16, 6, [4, 10]), (56, 8, [4, 12, 38]), (56, 9, [4, 12, 38]), (9, 6, [2, 5]), (17, 12, [2, 2, 3, 5, 3])],
    )
    def test_edges_grow_by_equal_factors(self, seeded, T, steps, sizes):
        # From 2 to T: by √8 in the first, by ∛28 in the second. In the last a stratum shrinks again towards T.
        _, strata = _some_steps(T, steps, seeded(0))
        assert [size for _, size in strata] == [*sizes, 1]

    @pytest.mark.usefixtures("without_type_checks")
    def test_steps_are_drawn_where_their_generator_is(self, monkeypatch):
        asked = []

        def randperm(size, *, device, generator):
            asked.append((device, generator))
            return torch.arange(size)

        monkeypatch.setattr(torch, "randperm", randperm)
        for generator in (elsewhere := SimpleNamespace(device="elsewhere"), None):
            _some_steps(10, 4, generator)
        assert asked == [("elsewhere", elsewhere), ("cpu", None)]

    def test_one_huge_term_at_the_end_is_in_the_estimate(self, seeded):
        # The cosine's last β is 0.999, so that an error in ε̂ counts 31.6 times at t = T.
        given = {"eps_model": lambda x, t: torch.full_like(x, 0.3), "decoder": density}
        x0 = torch.full((64, 1), 0.5, dtype=F64)
        full = ledger(cosine(200), x0, **given, generator=seeded(0))
        assert full.denoising[:, -1].mean() > 0.3 * full.denoising_sum().mean()
        off, claimed = [], []
        for seed in range(40):
            some = ledger(cosine(200), x0, **given, steps=20, generator=seeded(seed))
            off.append((some.total()[0] - full.total().mean()).square())
            claimed.append(some.standard_error()[0].square())
        # The error is that of the noise at T: neither hidden, nor taken for as large as the term itself.
        assert 0.7 < (sum(claimed) / sum(off)).sqrt() < 1.5

    @pytest.mark.parametrize("steps", [-1, 0, 4, 9, 13, 14])
    def test_a_count_that_can_t_tell_its_error_is_refused(self, steps):
        with pytest.raises(
            ValueError,
            match=rf"^steps: expected None for every step, or a count from 10 to T − 2 = 12, got {steps}$",
        ):
            ledger(linear(14), torch.zeros(1, 1), lambda x, t: x, decoder=density, steps=steps)
        with pytest.raises(ValueError, match=r"^steps: expected None for every step, since T = 11 has too few"):
            ledger(linear(11), torch.zeros(1, 1), lambda x, t: x, decoder=density, steps=steps)

    def test_repeat_with_the_generator_and_need_none(self, seeded):
        given = linear(30), torch.zeros(1, 1), lambda x, t: x
        once, again = (ledger(*given, decoder=density, steps=10, generator=seeded(1)) for _ in range(2))
        assert torch.equal(once.steps, again.steps)
        assert torch.equal(once.total(), again.total())
        assert ledger(*given, decoder=density, steps=10).denoising.shape == (1, 10)

    @pytest.mark.parametrize("steps", [10, 11])
    def test_the_terms_are_those_of_the_full_ledger_at_the_visited_t(self, draw, seeded, script_noise, steps):
        schedule, x0, z = linear(30, 0.02, 0.2), draw(2, 3), draw(2, 3, seed=1)
        script_noise([z] * 30)
        full = ledger(schedule, x0, lambda x, t: 0.5 * x, decoder=density)
        script_noise([z] * (steps + 1))
        some = ledger(schedule, x0, lambda x, t: 0.5 * x, decoder=density, steps=steps, generator=seeded(0))
        assert_close(some.denoising, full.denoising[:, some.steps - 2], rtol=1e-12, atol=0)
        assert torch.equal(some.reconstruction, full.reconstruction)

    @pytest.mark.usefixtures("without_type_checks")
    @pytest.mark.parametrize("steps", [10, 11])
    def test_the_estimate_is_unbiased(self, seeded, script_noise, steps):
        # With one noise for all t only the choice of steps is left to chance, and the truth is known.
        schedule, x0, z = linear(30, 0.02, 0.2), torch.full((1, 1), 0.5, dtype=F64), torch.ones(1, 1, dtype=F64)
        script_noise(repeat(z))
        # The same error in ε̂ at every t, against a weight that falls with t: the terms the strata are made for.
        given = {
            "eps_model": lambda x, t: torch.full_like(x, 1.3),
            "decoder": density,
            "variance": "beta_tilde",
        }
        truth = ledger(schedule, x0, **given).denoising_sum().item()
        estimates = torch.cat(
            [ledger(schedule, x0, **given, steps=steps, generator=seeded(n)).denoising_sum() for n in range(400)]
        )
        assert_close(estimates.mean().item(), truth, rtol=0, atol=4 * estimates.std().item() / sqrt(400))
        assert estimates.std() / sqrt(400) < 0.01 * truth  # or the line above would say little


class TestStandardError:
    """√(mean of standard_error²) against how far the estimates really are from the truth."""

    model = staticmethod(lambda x, t: 0.5 * torch.sin(3 * x))

    def test_of_every_step_is_honest(self, seeded):
        # L_{t−1} differs little between the two neighbours of a stratum: the error is overstated by a few percent.
        x0 = torch.full((20_000, 1), 0.5, dtype=F64)
        ours = ledger(linear(30, 0.02, 0.2), x0, self.model, decoder=density, generator=seeded(0))
        claimed = ours.standard_error().square().mean().sqrt()
        assert 1.0 < claimed / ours.denoising_sum().std() < 1.1

    @pytest.mark.usefixtures("without_type_checks")
    @pytest.mark.parametrize("steps", [10, 11, 14])
    def test_of_some_steps_is_honest(self, seeded, steps):
        schedule, x0 = linear(30, 0.02, 0.2), torch.full((100, 1), 0.5, dtype=F64)
        given = {"eps_model": self.model, "decoder": density}
        some = [ledger(schedule, x0, **given, steps=steps, generator=seeded(n)) for n in range(200)]
        sums = torch.stack([s.denoising_sum() for s in some])
        claimed = torch.stack([s.standard_error() for s in some]).square().mean().sqrt()
        assert 0.95 < claimed / sums.std() < 1.2

    def test_by_hand(self):
        ours = Ledger(
            prior=torch.zeros(1),
            steps=torch.tensor([2, 3, 5, 6, 9]),
            denoising=torch.tensor([[1.0, 3.0, 2.0, 4.0, 9.0]]),
            reconstruction=torch.ones(1),
            strata=((2, 4), (3, 5)),
        )
        # Means 2 and 5 of 4 and 5 steps; variances 2 and 13 of 2 and 3 draws.
        assert_close(ours.total(), torch.tensor([4 * 2 + 5 * 5 + 1.0]))
        assert_close(ours.standard_error(), torch.tensor([sqrt(16 * 2 / 2 + 25 * 13 / 3)]))

    @pytest.mark.parametrize("T", [4, 5, 6, 7])
    def test_every_step_is_in_a_stratum_of_two_or_the_last_of_three(self, T):
        strata = ledger(linear(T), torch.zeros(1, 1), lambda x, t: x, decoder=density).strata
        assert strata == {4: ((3, 3),), 5: ((2, 2),) * 2, 6: ((2, 2), (3, 3)), 7: ((2, 2),) * 3}[T]

    @pytest.mark.parametrize(("T", "error"), [(1, 0.0), (2, float("nan"))])
    def test_without_two_terms_is_zero_for_none_and_unknown_for_one(self, T, error):
        ours = ledger(linear(T), torch.zeros(1, 1), lambda x, t: x, decoder=density)
        assert_close(ours.standard_error(), torch.tensor([error]), equal_nan=True)
