"""Muon beside a singular value decomposition, and whom it takes of a network."""

import pytest
import torch

from diffusion_lesson.learning import muon as muon_module
from diffusion_lesson.learning.muon import Muon, muon, orthogonal
from diffusion_lesson.networks.unet import UNet

SHAPES = [(3, 5, 8), (2, 8, 5), (1, 16, 16), (4, 1, 7), (2, 6, 40), (2, 40, 6)]  # the last three at once


def turned(s):
    """What five turns of Newton and Schulz make of a singular value s."""
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


def by_svd(x):
    """`orthogonal` the slow way."""
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    return u @ torch.diag_embed(turned(s / s.norm(dim=-1, keepdim=True))) @ v


@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_does_to_singular_values_what_the_polynomial_does(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(orthogonal(x), by_svd(x))
    torch.testing.assert_close(orthogonal(1000 * x), orthogonal(x))


@pytest.mark.parametrize("shape", [(2, 64, 96), (2, 64, 576)])
def test_in_single_precision_it_stays_near_and_bounded(shape):
    """As steep as gradients are: singular values over four powers of ten."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    steep = u @ torch.diag_embed(torch.logspace(0, -4, s.shape[-1]).expand_as(s)) @ v
    there = orthogonal(steep)
    assert torch.linalg.matrix_norm(there, 2).max() < 1.22
    assert (there - orthogonal(steep.double())).norm() < 2e-3 * there.norm()


def test_singular_values_above_three_thousandths_end_near_1():
    s = turned(torch.logspace(-5, 0, 100_000, dtype=torch.float64))
    large = torch.logspace(-5, 0, 100_000, dtype=torch.float64) >= 0.003
    assert 0.68 <= s[large].min() <= s[large].max() <= 1.21
    assert s[~large].max() <= 1.21
    assert s[~large].min() < 0.01


def test_nothing_stays_nothing():
    assert orthogonal(torch.zeros(1, 3, 4)).eq(0).all()


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (6, 2, 3, 3)])
def test_two_steps_are_the_formula(shape):
    g = torch.Generator().manual_seed(0)
    w, *gradients = (torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(3))
    expected, mean = w.flatten(1).clone(), torch.zeros_like(w.flatten(1))
    learned = torch.nn.Parameter(w.clone())
    optimizer = Muon([learned], lr=0.1)
    for gradient in gradients:
        learned.grad = gradient
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient.flatten(1)
        direction = by_svd((0.9 * mean + 0.1 * gradient.flatten(1))[None])[0]
        expected = (1 - 0.1 * 0.01) * expected - 0.1 * 0.4 * max(expected.shape) ** 0.5 * direction
    torch.testing.assert_close(learned.detach().flatten(1), expected)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has it since 2.9")
def test_on_matrices_it_agrees_with_pytorch():
    g = torch.Generator().manual_seed(0)
    start = torch.randn(12, 20, generator=g)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [
        Muon([ours], lr=0.1),
        torch.optim.Muon([theirs], lr=0.2, weight_decay=0.005, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        ours.grad = theirs.grad = torch.randn(12, 20, generator=g)
        for optimizer in optimizers:
            optimizer.step()
    assert (ours - theirs).norm() < 0.02 * (ours - start).norm()  # theirs computes in bfloat16


def test_weights_of_one_shape_do_not_mix_and_one_without_gradient_stays():
    g = torch.Generator().manual_seed(0)
    start, slope = torch.randn(2, 4, 6, generator=g), torch.randn(2, 4, 6, generator=g)
    together = [torch.nn.Parameter(w.clone()) for w in (*start, start[0])]
    for w, gradient in zip(together[:2], slope, strict=True):
        w.grad = gradient
    Muon(together, lr=0.1).step()
    for w, begin, gradient in zip(together[:2], start, slope, strict=True):
        alone = torch.nn.Parameter(begin.clone())
        alone.grad = gradient
        Muon([alone], lr=0.1).step()
        torch.testing.assert_close(w, alone)
    assert torch.equal(together[2], start[0])


def test_matrices_of_one_shape_are_worked_on_together(monkeypatch):
    shapes, real = [], muon_module.orthogonal
    monkeypatch.setattr(muon_module, "orthogonal", lambda x: shapes.append(tuple(x.shape)) or real(x))
    weights = [torch.nn.Parameter(torch.ones(s)) for s in ((4, 6), (6, 4), (4, 6), (4, 3, 1, 2))]
    for w in weights:
        w.grad = torch.ones_like(w)
    Muon(weights, lr=0.1).step()
    assert shapes == [(3, 4, 6), (1, 6, 4)]


def test_inside_autocast_a_gradient_of_rank_one_stays_a_step_in_one_direction():
    g = torch.Generator().manual_seed(0)
    learned = torch.nn.Parameter(torch.zeros(64, 64))
    learned.grad = torch.outer(torch.randn(64, generator=g), torch.randn(64, generator=g))
    optimizer = Muon([learned], lr=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        optimizer.step()
    first, second, *_ = torch.linalg.svdvals(learned.detach())
    assert second < 1e-3 * first  # in bfloat16: a third to a half


def test_a_rate_on_the_device_is_as_good_as_a_number_and_where_gradients_overflowed_nothing_moves():
    g = torch.Generator().manual_seed(0)
    start, slope = torch.randn(2, 6, 10, generator=g)
    ends = []
    there = torch.tensor(0.1)
    for rate, spoiled in ((0.1, None), (there, torch.tensor(0.0)), (there, torch.tensor(1.0))):
        w = torch.nn.Parameter(start.clone())
        w.grad = slope / (0.0 if spoiled is not None and spoiled == 1 else 1.0)
        optimizer = Muon([w], lr=0.1)
        optimizer.param_groups[0]["lr"], optimizer.found_inf = rate, spoiled
        optimizer.step()
        ends.append(w.detach())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-6, atol=1e-6)
    assert torch.equal(ends[2], start)


def test_it_takes_matrices_and_kernels_and_leaves_the_rest_to_adamw():
    net = UNet(channels_in=1, width=8, classes=3, attention=True)
    by_muon, by_adamw = muon(net, lr=0.01)
    names = {id(p): name for name, p in net.named_parameters()}
    taken, left = (
        {names[id(p)] for group in part.param_groups for p in group["params"]} for part in (by_muon, by_adamw)
    )
    assert taken | left == set(names.values())
    assert not taken & left
    assert left == {name for name, p in net.named_parameters() if p.ndim == 1 or name == "label.weight"}
    assert by_adamw.defaults["betas"] == (0.9, 0.95)


def test_a_network_of_one_kind_of_weights_gets_one_optimizer():
    (alone,) = muon(torch.nn.LayerNorm(3), lr=0.01)
    assert isinstance(alone, torch.optim.AdamW)
    (alone,) = muon(torch.nn.Linear(2, 3, bias=False), lr=0.01)
    assert isinstance(alone, Muon)


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"^weights: .*\[\(3,\)\]"):
        Muon([torch.zeros(2, 2), torch.zeros(3)], lr=0.1)
    with pytest.raises(ValueError, match=r"^closure: "):
        Muon([torch.zeros(2, 2)], lr=0.1).step(lambda: 0.0)
