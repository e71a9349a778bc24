"""An int t is that step for every example, to the last bit; ε and t can be given."""

import numpy as np
import pytest
import torch

from diffusion_lesson.process import forward, losses, prediction, reverse, schedule
from diffusion_lesson.process.gaussian import Gaussian

S = schedule.linear(50)
X, OTHER = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0)).unbind(0)

FORMULAS = {
    "q_step": lambda t: forward.q_step(S, t, X),
    "q_marginal": lambda t: forward.q_marginal(S, t, X),
    "q_posterior": lambda t: forward.q_posterior(S, t, xt=X, x0=OTHER),
    "p_step β": lambda t: reverse.p_step(S, t, xt=X, eps_hat=OTHER),
    "p_step β̃": lambda t: reverse.p_step(S, t, xt=X, eps_hat=OTHER, variance="beta_tilde"),
    "x0_from_eps": lambda t: prediction.x0_from_eps(S, t, xt=X, eps=OTHER),
    "eps_from_x0": lambda t: prediction.eps_from_x0(S, t, xt=X, x0=OTHER),
    "v_from_x0_eps": lambda t: prediction.v_from_x0_eps(S, t, x0=X, eps=OTHER),
    "v_from_eps": lambda t: prediction.v_from_eps(S, t, xt=X, eps=OTHER),
    "score_from_eps": lambda t: prediction.score_from_eps(S, t, xt=X, eps=OTHER),
    "bound_weight": lambda t: losses.bound_weight(S, t, X) * torch.ones_like(X),
    "eps_loss": lambda t: losses.eps_loss(S, lambda x, t: x * t[:, None, None], X, t=t, eps=OTHER),
}


def numbers(value) -> list[torch.Tensor]:
    return [value.mean, value.var.expand_as(value.mean)] if isinstance(value, Gaussian) else [value]


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("step", [1, 2, 25, 50])
def test_an_int_is_that_step_for_all(name, step):
    one, each = (numbers(FORMULAS[name](t)) for t in (step, torch.full((4,), step)))
    assert all(map(torch.equal, one, each))


@pytest.mark.usefixtures("without_type_checks")
def test_an_integer_of_numpy_will_do():
    assert torch.equal(S.at(np.int64(3), X).beta, S.at(3, X).beta)


@pytest.mark.parametrize("t", [0, 51, -1])
def test_an_int_outside_is_refused(t):
    with pytest.raises(ValueError, match=r"^t: expected steps 1\.\.50"):
        S.at(t, X)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("t", [2.0, "2", None])
def test_what_is_no_whole_number_is_refused(t):
    with pytest.raises(ValueError, match=r"^t: expected a whole number"):
        S.at(t, X)


@pytest.mark.usefixtures("without_type_checks")
def test_steps_that_are_no_whole_numbers_are_refused():
    with pytest.raises(
        ValueError, match=r"^t: expected one step an example, \(4,\), in whole numbers, .* got \(4,\) of float32$"
    ):
        S.at(torch.ones(4), X)


def test_eps_can_be_given_to_a_sample():
    q = Gaussian(X, torch.full((4, 1, 1), 0.25))
    assert torch.equal(q.sample(eps=OTHER), X + 0.5 * OTHER)


def test_eps_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"^eps: expected floats \(4, 3, 5\), got float32 \(4, 3, 1\)"):
        Gaussian(X, torch.ones(4, 1, 1)).sample(eps=OTHER[..., :1])


@pytest.mark.parametrize("loss", [losses.eps_loss, losses.v_loss, losses.x0_loss, losses.bound_loss])
def test_what_is_given_to_a_loss_is_what_it_would_have_drawn(loss):
    drawn = loss(S, lambda x, t: x / t[:, None, None], X, torch.Generator().manual_seed(3))
    g = torch.Generator().manual_seed(3)
    t, eps = S.draw_t(4, g), torch.randn(X.shape, generator=g)
    assert torch.equal(loss(S, lambda x, t: x / t[:, None, None], X, t=t, eps=eps), drawn)
