"""What a step of training or sampling asks of the device: no number is read, no compiled graph is broken.

A GPU works behind the program that drives it. Reading one number waits until all work before it is done.
"""

import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from diffusion_lesson import shapes
from diffusion_lesson.networks import unet
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import exact, gaussian, losses, samplers, schedule
from diffusion_lesson.process.gaussian import Gaussian
from diffusion_lesson.process.prediction import as_eps, clipped, guided

S = schedule.cosine(20)
T = torch.tensor([1, 2, 20])


class Reads(TorchDispatchMode):
    """Counts how often a number leaves its tensor for Python."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.fixture
def as_on_a_gpu(monkeypatch) -> None:
    """The rule of a GPU in force on the CPU: nothing is readable without waiting."""
    for module in (gaussian, samplers, schedule, unet):
        monkeypatch.setattr(module, "readable", lambda _: False)


def network() -> UNet:
    """A small one that hears labels, and that says something before it is trained."""
    torch.manual_seed(0)
    net = UNet(1, 8, mults=(1, 2), classes=3, attention=True)
    torch.nn.init.normal_(net.head.weight)
    return net


def reads(work) -> int:
    with Reads() as mode:
        work()
    return mode.count


def test_the_counter_counts():
    x = torch.ones(3)
    assert reads(lambda: (x.min().item(), bool(x.all()), x[int(x[0])])) == 3


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("loss", [losses.eps_loss, losses.v_loss, losses.x0_loss, losses.bound_loss])
def test_a_loss_and_its_gradient_read_nothing(loss):
    net, x0, labels = network(), torch.ones(3, 1, 8, 8), torch.tensor([0, 1, 3])
    generator = torch.Generator().manual_seed(0)
    work = lambda: loss(S, lambda x, t: net(x, t, labels), x0, generator).mean().backward()  # noqa: E731
    assert reads(work) == 0
    assert net.head.weight.grad.abs().sum() > 0


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
@pytest.mark.parametrize("walk", ["ddpm", "ddim", "ddim, eta = 1", "dpm_solver"])
def test_a_sampler_reads_nothing_guided_and_clipped(walk, predicts):
    net, noise, labels = network(), torch.randn(3, 1, 8, 8), torch.tensor([0, 1, 2])
    conditional, unconditional = (as_eps(S, net, predicts=predicts, labels=y) for y in (labels, None))
    model = clipped(S, guided(conditional, unconditional, 2.0))
    make = {
        "ddpm": lambda: samplers.ddpm(S, noise, model, variance="beta_tilde"),
        "ddim": lambda: samplers.ddim(S, noise, model, steps=5),
        "ddim, eta = 1": lambda: samplers.ddim(S, noise, model, steps=5, eta=1.0),
        "dpm_solver": lambda: samplers.dpm_solver(S, noise, model, steps=5),
    }[walk]
    assert reads(lambda: samplers.last(make())) == 0


WHOLE = """
import torch
from torch.testing import assert_close
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import losses, schedule

s, x, t, eps = schedule.cosine(20), torch.randn(3, 1, 8, 8), torch.tensor([1, 2, 20]), torch.randn(3, 1, 8, 8)
for labels in ({}, {"labels": torch.tensor([0, 1, 3])}):
    net = UNet(1, 8, classes=3 if labels else 0, attention=True)
    torch.nn.init.normal_(net.head.weight)
    whole = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.equal(whole(x, t, **labels), net(x, t, **labels))
    assert_close(torch.export.export(net, (x, t), labels).module()(x, t, **labels), net(x, t, **labels))
    for loss in (losses.eps_loss, losses.v_loss, losses.x0_loss, losses.bound_loss):
        work = lambda x: loss(s, lambda a, b: net(a, b, **labels), x, t=t, eps=eps)
        assert_close(torch.compile(work, fullgraph=True, backend="eager")(x), work(x))
"""


def test_the_unet_and_the_losses_are_one_graph_and_the_unet_can_be_exported():
    # In a process of its own, since the shape checks of the tests would be compiled along.
    done = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("t", [-5, -1, 0, 21, 22, 1000])
def test_a_wrong_step_is_loud_where_it_is_not_checked(t):
    like, steps = torch.zeros(2, 3), torch.tensor([7, t])
    s = S.at(steps, like)
    for row in vars(s).values():
        assert row[0].isfinite().all()
    assert s.alpha_bar_prev[1].isnan()
    for table in (S.alpha_bar_at, S.one_minus_alpha_bar_at):
        assert table(steps, like)[1].isnan() == (t != 0)


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("t", [0, 21])
def test_a_wrong_step_makes_the_loss_and_every_prediction_nan(t):
    x = torch.randn(2, 4)
    steps = torch.full((2,), t)
    assert losses.bound_loss(S, lambda xt, t: xt, x, t=steps, eps=x).isnan().all()
    assert Gaussian(x, S.at(steps, x).one_minus_alpha_bar_prev).sample(eps=x).isnan().all()


def test_tables_are_moved_once_to_a_device_and_a_dtype(monkeypatch):
    s, moved = schedule.linear(10), []
    table = s._table

    class Watched(torch.Tensor):
        def to(self, *args):
            moved.append(args)
            return table.to(*args)

    s._table = table.as_subclass(Watched)
    for _ in range(3):
        s.at(3, torch.zeros(2, 1))
        s.alpha_bar_at(torch.tensor([1, 2]), torch.zeros(2, 1, dtype=torch.float64))
    assert moved == [(torch.float32,), (torch.float64,)]


def test_what_is_readable_is_on_the_cpu():
    assert shapes.readable(torch.zeros(1))
    assert not shapes.readable(torch.zeros(1, device="meta"))


def test_a_world_of_closed_form_reads_nothing(as_on_a_gpu):
    best = exact.data_set(torch.randn(4, 3)).eps_model(S)
    assert reads(lambda: best(torch.randn(3, 3), T)) == 0
