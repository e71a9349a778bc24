import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson.process.forward import q_marginal
from diffusion_lesson.process.prediction import (
    as_eps,
    clipped,
    eps_from_v,
    eps_from_x0,
    guided,
    score_from_eps,
    v_from_eps,
    v_from_x0_eps,
    x0_from_eps,
    x0_from_v,
)
from diffusion_lesson.process.schedule import Schedule


@pytest.fixture
def world(schedule, draw):
    """x_0, ε, and what follows from them by definition, at t from one end to the other."""
    t = torch.tensor([1, 2, 50, 500, 999])
    x0, eps = draw(5, 2, 3), draw(5, 2, 3, seed=1)
    alpha_bar = schedule.alpha_bars[t].reshape(5, 1, 1)
    signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return {"t": t, "x0": x0, "eps": eps, "xt": signal * x0 + noise * eps, "v": signal * eps - noise * x0}


def rows(per_example):
    return per_example.reshape(-1, 1, 1)


# Near t = 1 dividing by √(1 − ᾱ) and near T by √ᾱ magnifies rounding, to 1e-11 at worst.
def assert_same(actual, expected):
    assert_close(actual, expected, rtol=1e-9, atol=1e-9)


class TestNames:
    def test_x0_from_eps(self, schedule, world):
        assert_same(x0_from_eps(schedule, world["t"], xt=world["xt"], eps=world["eps"]), world["x0"])

    def test_eps_from_x0(self, schedule, world):
        assert_same(eps_from_x0(schedule, world["t"], xt=world["xt"], x0=world["x0"]), world["eps"])

    def test_v_from_x0_and_eps(self, schedule, world):
        assert_same(v_from_x0_eps(schedule, world["t"], x0=world["x0"], eps=world["eps"]), world["v"])

    def test_v_from_eps(self, schedule, world):
        assert_same(v_from_eps(schedule, world["t"], xt=world["xt"], eps=world["eps"]), world["v"])

    def test_eps_from_v(self, schedule, world):
        assert_same(eps_from_v(schedule, world["t"], xt=world["xt"], v=world["v"]), world["eps"])

    def test_x0_from_v(self, schedule, world):
        assert_same(x0_from_v(schedule, world["t"], xt=world["xt"], v=world["v"]), world["x0"])

    def test_the_score_is_the_gradient_of_the_log_density(self, schedule, world):
        # Of q(x_t | x_0), whose E[ε | x_t] is the one ε that leads from x_0 to x_t.
        xt = world["xt"].clone().requires_grad_()
        q_marginal(schedule, world["t"], world["x0"]).log_prob(xt).sum().backward()
        assert_same(score_from_eps(schedule, world["t"], xt=world["xt"], eps=world["eps"]), xt.grad)


class TestAsEps:
    @pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
    def test_whatever_the_network_predicts_eps_comes_out(self, schedule, world, predicts):
        model = as_eps(schedule, lambda xt, t: world[predicts], predicts=predicts)
        assert_same(model(world["xt"], world["t"]), world["eps"])

    def test_binds_the_labels(self, schedule, world):
        labels = torch.arange(5)
        model = as_eps(schedule, lambda xt, t, y: xt + y.reshape(5, 1, 1), predicts="eps", labels=labels)
        assert_close(model(world["xt"], world["t"]), world["xt"] + labels.reshape(5, 1, 1))

    def test_passes_x_and_t_on(self, schedule, world):
        seen = []
        as_eps(schedule, lambda *given: seen.append(given) or given[0], predicts="eps")(world["xt"], world["t"])
        assert torch.equal(seen[0][0], world["xt"])
        assert torch.equal(seen[0][1], world["t"])

    def test_passes_t_on_beside_labels(self, schedule, world):
        model = as_eps(schedule, lambda xt, t, y: xt + rows(10 * t + y), predicts="eps", labels=torch.arange(5))
        expected = world["xt"] + rows(10 * world["t"] + torch.arange(5))
        assert_close(model(world["xt"], world["t"]), expected)

    @pytest.mark.usefixtures("without_type_checks")
    def test_an_unknown_prediction_is_refused(self, post):
        with pytest.raises(ValueError, match=r"^predicts: expected 'eps', 'v' or 'x0', got 'score'"):
            as_eps(post, lambda xt, t: xt, predicts="score")


class TestGuided:
    @pytest.mark.parametrize(("guidance_scale", "expected"), [(0.0, 2.0), (1.0, 5.0), (3.0, 11.0)])
    def test_weight_0_is_unconditional_1_conditional_and_more_is_beyond(self, guidance_scale, expected):
        model = guided(lambda xt, t: xt + 5, lambda xt, t: xt + 2, guidance_scale)
        assert model(torch.zeros(1), torch.ones(1)).item() == expected

    def test_both_models_are_told_the_step(self, world):
        model = guided(lambda xt, t: xt + rows(5 * t), lambda xt, t: xt + rows(2 * t), 3.0)
        assert_close(model(world["xt"], world["t"]), world["xt"] + rows(11 * world["t"]))


class TestClipped:
    def test_the_picture_is_cut_off_at_1(self, schedule, world, draw):
        x0 = torch.tensor([-3.0, -1.0, -0.2, 0.9, 1.5], dtype=torch.float64).reshape(5, 1, 1) * torch.ones(2, 3)
        xt = q_marginal(schedule, world["t"], x0).mean + 0.1 * world["eps"]
        model = clipped(schedule, lambda xt, t: eps_from_x0(schedule, t, xt=xt, x0=x0))
        assert_same(x0_from_eps(schedule, world["t"], xt=xt, eps=model(xt, world["t"])), x0.clip(-1, 1))

    def test_a_picture_within_bounds_is_untouched(self, schedule, world):
        x0 = world["x0"].tanh()
        xt = q_marginal(schedule, world["t"], x0).mean
        eps = eps_from_x0(schedule, world["t"], xt=xt, x0=x0)
        assert_same(clipped(schedule, lambda xt, t: eps)(xt, world["t"]), eps)


class TestNothingLeft:
    """Where ᾱ_t is below what single precision holds, x_0 would be ∞: here from t = 7 on, ᾱ_t = 10^(−6 t)."""

    SCHEDULE = Schedule([1 - 1e-6] * 10)

    @staticmethod
    def x0(t, dtype=torch.float32, count=2, device="cpu", schedule=SCHEDULE):
        x = torch.ones(count, 3, dtype=dtype, device=device)
        return x0_from_eps(schedule, t, xt=x, eps=0 * x)

    @pytest.mark.parametrize(
        ("t", "named"), [(7, 7), (10, 10), (torch.tensor([2, 10]), 10), (torch.tensor([7, 3]), 7)], ids=str
    )
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_it_is_refused_by_the_step_and_the_share(self, t, named, dtype):
        left = f"{10.0 ** (-6 * named):.2g}"
        with pytest.raises(
            ValueError,
            match=f"^schedule: at t = {named} nothing that single precision can hold is left of the picture "
            rf"\(alpha_bar = {left}\); use float64, or a schedule that ends earlier$",
        ):
            self.x0(t, dtype)

    def test_v_is_refused_too(self):
        x = torch.ones(2, 3)
        with pytest.raises(ValueError, match=r"^schedule: at t = 8 "):
            v_from_eps(self.SCHEDULE, torch.tensor([8, 1]), xt=x, eps=x)
        assert v_from_eps(self.SCHEDULE, torch.tensor([6, 1]), xt=x, eps=x).isfinite().all()

    @pytest.mark.parametrize("t", [6, torch.tensor([6, 6]), torch.tensor([1, 6])], ids=str)
    def test_a_step_before_is_answered(self, t):
        assert self.x0(t).isfinite().all()

    @pytest.mark.parametrize("t", [10, torch.tensor([2, 10])], ids=str)
    def test_double_precision_holds_it(self, t):
        assert self.x0(t, torch.float64).isfinite().all()

    def test_the_smallest_number_that_is_held_is_enough(self):
        halves = Schedule([0.5] * 127)  # ᾱ_126 = 2^−126
        assert self.x0(126, schedule=halves).isfinite().all()
        assert self.x0(torch.tensor([1, 126]), schedule=halves).isfinite().all()
        with pytest.raises(ValueError, match=r"^schedule: at t = 127 "):
            self.x0(127, schedule=halves)

    def test_steps_that_cant_be_read_stand_for_the_last(self):
        for t, count, device in ((torch.ones(0, dtype=int), 0, "cpu"), (torch.ones(2, dtype=int), 2, "meta")):
            with pytest.raises(ValueError, match=r"^schedule: at t = 10 "):
                self.x0(t.to(device), count=count, device=device)
            before = Schedule([1 - 1e-6] * 6)
            assert self.x0(t.to(device), count=count, device=device, schedule=before).shape == (count, 3)
