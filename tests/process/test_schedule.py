import os
import subprocess
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from math import cos, pi
from types import SimpleNamespace

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch.testing import assert_close

from diffusion_lesson.process.schedule import MOST_STEPS, Schedule, cosine, linear, named, scaled_linear

F64 = torch.float64


def exactly(schedule, steps):
    """β, 1 − ᾱ and β̃ of t = 0..steps in exact arithmetic, from the β's as they are stored."""
    betas = [Fraction(b) for b in schedule.betas[: steps + 1].tolist()]
    alpha_bar, one_minus, beta_tildes = Fraction(1), [], []
    for beta in betas:
        before, alpha_bar = 1 - alpha_bar, alpha_bar * (1 - beta)
        one_minus.append(1 - alpha_bar)
        beta_tildes.append(beta * before / (1 - alpha_bar) if beta else Fraction(0))
    return (torch.tensor([float(v) for v in table], dtype=F64) for table in (betas, one_minus, beta_tildes))


class TestFour:
    @pytest.mark.parametrize(
        ("make", "root_alpha_bar_T"),
        [
            (linear, 0.0064),
            (lambda: linear(1000, 0.00085, 0.012), 0.0397),
            (scaled_linear, 0.0683),
            (cosine, 0.0000),
        ],
    )
    def test_how_much_of_the_picture_is_left_at_the_end(self, make, root_alpha_bar_T):
        assert_close(make().alpha_bars[-1].sqrt().item(), root_alpha_bar_T, rtol=0, atol=5e-5)

    def test_linear_is_a_straight_line_between_its_ends(self):
        by_hand = [0.0] + [0.1 + (0.3 - 0.1) * (t - 1) / 6 for t in range(1, 8)]
        assert_close(linear(7, 0.1, 0.3).betas, torch.tensor(by_hand, dtype=F64), rtol=1e-14, atol=0)

    def test_scaled_linear_is_straight_in_the_square_root(self):
        by_hand = [0.0] + [(0.1**0.5 + (0.3**0.5 - 0.1**0.5) * (t - 1) / 6) ** 2 for t in range(1, 8)]
        assert_close(scaled_linear(7, 0.1, 0.3).betas, torch.tensor(by_hand, dtype=F64), rtol=1e-14, atol=0)

    def test_scaled_linear_starts_and_ends_where_stable_diffusion_does(self):
        assert_close(scaled_linear().betas[[1, -1]], torch.tensor([0.00085, 0.012], dtype=F64), rtol=1e-14, atol=0)

    @pytest.mark.parametrize("offset", [0.008, 0.2])
    def test_cosine_alpha_bar_is_the_squared_cosine(self, offset):
        f = [cos(pi / 2 * (t / 50 + offset) / (1 + offset)) ** 2 for t in range(51)]
        expected = torch.tensor(f, dtype=F64)[:50] / f[0]  # t < T: the cap of β changes only the last
        assert_close(cosine(50, offset).alpha_bars[:50], expected, rtol=1e-12, atol=0)

    def test_cosine_is_capped_at_the_end_only(self):
        capped = cosine().betas == 0.999
        assert capped.nonzero().flatten().tolist() == [1000]

    def test_one_step_is_a_schedule(self):
        assert linear(1).betas.tolist() == [0.0, 1e-4]

    @pytest.mark.parametrize("make", [linear, scaled_linear])
    def test_two_steps_are_the_two_ends(self, make):
        assert_close(make(2, 0.1, 0.3).betas.tolist(), [0.0, 0.1, 0.3], rtol=1e-15, atol=0)

    def test_as_many_steps_as_are_allowed_are_made_and_not_one_more(self):
        assert cosine(MOST_STEPS).T == MOST_STEPS
        with pytest.raises(ValueError, match=r"^T: expected a number of steps from 1 to 100,000, got 100001$"):
            cosine(MOST_STEPS + 1)

    @pytest.mark.parametrize("make", [linear, scaled_linear, cosine])
    @pytest.mark.parametrize("T", [0, -3])
    def test_fewer_than_one_step_is_refused(self, make, T):
        with pytest.raises(ValueError, match=r"^T: expected a number of steps from 1 to 100,000"):
            make(T)


def on_a_line(first, last, steps):
    """Exact points, each rounded once."""
    ends = Fraction(first), Fraction(last)
    return [float(ends[0] + (ends[1] - ends[0]) * Fraction(k, steps - 1)) for k in range(steps)]


def root(value):
    with localcontext(prec=60):
        return float(Decimal(value).sqrt())


SHOW = """
from diffusion_lesson.process.schedule import linear, scaled_linear
for table in (linear(), linear(1000, 0.00085, 0.012), scaled_linear()):
    print(*(beta.hex() for beta in table.betas.tolist()[1:]))
"""


@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_lines_have_the_same_bits_on_every_processor(capability):
    """PyTorch takes the plain code, or that for AVX2 or AVX-512 where there is such a processor."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=os.environ | {"ATEN_CPU_CAPABILITY": capability},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    roots = on_a_line(root(0.00085), root(0.012), 1000)
    expected = [on_a_line(1e-4, 0.02, 1000), on_a_line(0.00085, 0.012, 1000), [r * r for r in roots]]
    assert done.stdout.splitlines() == [" ".join(beta.hex() for beta in table) for table in expected]


@pytest.mark.parametrize("make", [linear, scaled_linear])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, float("nan"), float("inf")])
def test_ends_that_are_no_betas_are_refused_by_name(make, value):
    with pytest.raises(ValueError, match=rf"^beta_1: expected a number between 0 and 1, got {value}$"):
        make(10, value, 0.02)
    with pytest.raises(ValueError, match=rf"^beta_T: expected a number between 0 and 1, got {value}$"):
        make(10, 0.01, value)


class TestTables:
    def test_index_0_is_clean_data(self, schedule):
        assert (schedule.betas[0].item(), schedule.alpha_bars[0].item()) == (0.0, 1.0)

    def test_have_one_row_for_each_t_from_0_to_T_in_float64(self, schedule):
        tables = (schedule.betas, schedule.alphas, schedule.alpha_bars)
        assert [(t.dtype, tuple(t.shape)) for t in tables] == [(F64, (schedule.T + 1,))] * 3

    def test_alpha_bar_is_the_running_product_of_one_minus_beta(self, schedule):
        product = torch.ones(schedule.T + 1, dtype=F64)
        for t in range(1, schedule.T + 1):
            product[t] = product[t - 1] * (1 - schedule.betas[t])
        assert_close(schedule.alpha_bars, product, rtol=1e-13, atol=0)

    def test_alpha_is_one_minus_beta(self, schedule):
        assert_close(schedule.alphas, 1 - schedule.betas, rtol=1e-15, atol=0)

    def test_accept_a_list_or_a_tensor_of_any_float_type(self):
        assert torch.equal(Schedule([0.25, 0.5]).betas, Schedule(torch.tensor([0.25, 0.5])).betas)

    @pytest.mark.parametrize(
        "betas", [[], [0.0, 0.1], [0.1, 1.0], [-0.1], [0.1, float("nan")], torch.tensor([0.1, 1.5])], ids=str
    )
    def test_betas_that_are_no_betas_are_refused(self, betas):
        with pytest.raises(ValueError, match=r"^betas: expected β_1..β_T, each between 0 and 1"):
            Schedule(betas)

    @pytest.mark.usefixtures("without_type_checks")
    def test_a_matrix_of_betas_is_refused(self):
        with pytest.raises(ValueError, match=r"^betas:"):
            Schedule(torch.full((2, 2), 0.1))


class TestDiffusers:
    """The same tables as diffusers, but for its float32.

    As it ships, its β are off by 2e-7, which its 1 − ᾱ magnifies to 5e-4 at t = 1 (cosine; DDPM's 2e-4, the other
    two 3e-5), and its β̃ to 9e-4 at t = 9 (cosine; DDPM's 4e-4, the other two 8e-5), all relative.
    """

    def test_betas_agree_to_the_precision_of_its_own(self, schedule, diffusers_options):
        theirs = DDPMScheduler(**diffusers_options)
        assert_close(schedule.betas[1:], theirs.betas.double(), rtol=3e-7, atol=0)

    def test_alpha_bars_agree_in_float64(self, schedule, diffusers_options, in_float64):
        theirs = in_float64(DDPMScheduler(**diffusers_options))
        assert_close(schedule.alpha_bars[1:], theirs.alphas_cumprod, rtol=1e-9, atol=0)

    @pytest.mark.parametrize("kind", ["fixed_small", "fixed_large"])
    def test_both_variances_agree_in_float64(self, schedule, diffusers_options, in_float64, kind):
        theirs = in_float64(DDPMScheduler(variance_type=kind, **diffusers_options))
        steps = torch.arange(2, 1001)  # at t = 1 its fixed_small is clamped to 1e-20; no step uses it there
        s = schedule.at(steps, like=torch.zeros(999, dtype=F64))
        ours = s.beta_tilde if kind == "fixed_small" else s.beta
        assert_close(ours, torch.stack([theirs._get_variance(t - 1) for t in steps.tolist()]), rtol=1e-9, atol=0)

    def test_as_it_ships_diffusers_is_off_by_no_less_than_we_say(self, name, schedule, diffusers_options):
        # Pinned so that the numbers above are known to be true, and the reason for float64 tables with them.
        theirs = 1 - DDPMScheduler(**diffusers_options).alphas_cumprod[0].double()
        off = (theirs / schedule.betas[1] - 1).abs().item()
        assert_close(off, {"ddpm": 1.7e-4, "cosine": 5.3e-4}.get(name, 2.5e-5), rtol=0.2, atol=0)


class TestRows:
    def test_one_minus_alpha_bar_keeps_its_digits_near_t_1(self, schedule):
        # As the difference 1 − ᾱ of two floats it would be off by 1e-12 here.
        _, one_minus, _ = exactly(schedule, 8)
        ours = schedule.one_minus_alpha_bar_at(torch.arange(9), like=torch.zeros(9, dtype=F64))
        assert_close(ours, one_minus, rtol=1e-15, atol=0)

    def test_one_minus_alpha_bar_and_alpha_bar_sum_to_one(self, schedule):
        t, like = torch.arange(1001), torch.zeros(1001, dtype=F64)
        total = schedule.one_minus_alpha_bar_at(t, like) + schedule.alpha_bar_at(t, like)
        assert_close(total, torch.ones(1001, dtype=F64), rtol=1e-13, atol=0)

    def test_beta_tilde_is_that_of_exact_arithmetic(self, schedule):
        *_, beta_tilde = exactly(schedule, 8)
        ours = schedule.at(torch.arange(1, 9), like=torch.zeros(8, dtype=F64)).beta_tilde
        assert_close(ours, beta_tilde[1:], rtol=2e-15, atol=0)

    def test_at_t_1_the_posterior_has_no_variance_and_one_minus_alpha_bar_is_beta(self, schedule):
        s = schedule.at(torch.tensor([1]), like=torch.zeros(1, 1, dtype=F64))
        assert s.beta_tilde.item() == 0
        assert s.one_minus_alpha_bar.item() == s.beta.item() == schedule.betas[1].item()

    def test_every_symbol_is_that_of_its_own_t(self, schedule):
        t = torch.tensor([1, 2, 500, 1000])
        s = schedule.at(t, like=torch.zeros(4, dtype=F64))
        one_minus = 1 - schedule.alpha_bars
        assert torch.equal(s.beta, schedule.betas[t])
        assert torch.equal(s.alpha, schedule.alphas[t])
        assert torch.equal(s.alpha_bar, schedule.alpha_bars[t])
        assert torch.equal(s.alpha_bar_prev, schedule.alpha_bars[t - 1])
        assert_close(s.one_minus_alpha_bar, one_minus[t], rtol=1e-11, atol=0)
        assert_close(s.one_minus_alpha_bar_prev, one_minus[t - 1], rtol=1e-11, atol=0)

    @pytest.mark.parametrize("dims", [(), (5,), (3, 8, 8)])
    def test_are_shaped_to_multiply_pictures_in_their_dtype(self, post, dims):
        like = torch.zeros(4, *dims, dtype=torch.float32)
        rows = post.at(torch.tensor([1, 2, 3, 1000]), like)
        shapes = {(r.dtype, tuple(r.shape)) for r in vars(rows).values()}
        assert shapes == {(torch.float32, (4, *[1] * len(dims)))}

    def test_an_empty_batch_is_no_error(self, post):
        assert post.at(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3)).beta.shape == (0, 1)

    def test_alpha_bar_at_0_is_clean_data(self, post):
        t, like = torch.tensor([0]), torch.zeros(1, dtype=F64)
        assert (post.alpha_bar_at(t, like).item(), post.one_minus_alpha_bar_at(t, like).item()) == (1.0, 0.0)


class TestOutOfRange:
    @pytest.mark.parametrize("t", [-1, 0, 1001])
    def test_at_is_refused_outside_1_to_T(self, post, t):
        with pytest.raises(ValueError, match=r"^t: expected steps 1\.\.1000"):
            post.at(torch.tensor([7, t]), torch.zeros(2, 3))
        with pytest.raises(ValueError, match=rf"^t: expected steps 1\.\.1000, got {t}\.\.{t}$"):
            post.at(torch.tensor([t]), torch.zeros(1, 3))

    @pytest.mark.parametrize("t", [-1, 1001])
    @pytest.mark.parametrize("table", ["alpha_bar_at", "one_minus_alpha_bar_at"])
    def test_alpha_bar_is_refused_outside_0_to_T(self, post, t, table):
        with pytest.raises(ValueError, match=r"^t: expected steps 0\.\.1000"):
            getattr(post, table)(torch.tensor([7, t]), torch.zeros(2, 3))

    @pytest.mark.usefixtures("without_type_checks")
    @pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1)])
    def test_one_step_an_example_or_a_message_that_names_t(self, post, shape):
        with pytest.raises(ValueError, match=r"^t: expected one step an example, \(2,\)"):
            post.at(torch.ones(shape, dtype=torch.int64), torch.zeros(2, 3))


class TestSteps:
    def test_draw_t_covers_1_and_T_and_nothing_else(self, seeded):
        t = linear(3).draw_t(3000, seeded(0))
        assert t.unique().tolist() == [1, 2, 3]

    def test_draw_t_is_uniform(self, seeded):
        counts = linear(5).draw_t(50_000, seeded(0)).bincount()[1:]
        # Each count has a standard deviation of √(50,000 · 0.2 · 0.8) = 89.
        assert_close(counts.double(), torch.full((5,), 10_000.0, dtype=F64), rtol=0, atol=4 * 89)

    def test_draw_t_gives_one_step_an_example_and_repeats_with_the_generator(self, post, seeded):
        first, second = post.draw_t(6, seeded(3)), post.draw_t(6, seeded(3))
        assert first.shape == (6,)
        assert torch.equal(first, second)

    def test_draw_t_needs_no_generator(self, post):
        assert post.draw_t(6).shape == (6,)

    @pytest.mark.usefixtures("without_type_checks")
    def test_draw_t_draws_where_its_generator_is(self, monkeypatch):
        asked = []
        monkeypatch.setattr(torch, "randint", lambda *_, device, generator: asked.append((device, generator)))
        for generator in (elsewhere := SimpleNamespace(device="elsewhere"), None):
            linear(3).draw_t(6, generator)
        assert asked == [("elsewhere", elsewhere), ("cpu", None)]

    @pytest.mark.parametrize("step", [-1, 1001])
    def test_shares_are_refused_outside_0_to_T(self, post, step):
        with pytest.raises(ValueError, match=rf"^step: expected 0\.\.1000, got {step}$"):
            post.shares(step)

    def test_it_says_how_long_it_is_where_it_begins_and_what_it_leaves(self):
        assert repr(Schedule([0.1, 0.2, 0.5])) == "<Schedule: T = 3, β from 0.1 to 0.5, ᾱ_T = 0.36>"

    def test_down_counts_from_T_to_1(self):
        assert list(linear(4).down()) == [4, 3, 2, 1]


def test_named_makes_what_a_card_writes_down():
    assert torch.equal(named("cosine", T=7).betas, cosine(7).betas)


def test_an_unknown_kind_is_refused_with_those_known():
    with pytest.raises(ValueError, match=r"^kind: expected one of linear, scaled_linear, cosine, got 'round'"):
        named("round", T=7)
