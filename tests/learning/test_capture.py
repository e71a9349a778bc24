"""The captured step, with a recorder that plays CUDA's on the CPU: the same numbers, and none read in between."""

from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import parameters_to_vector
from torch.testing import assert_close

from diffusion_lesson.learning import capture, step
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import gaussian, schedule
from diffusion_lesson.process.schedule import cosine

LABELS = torch.arange(20) % 3
CONFIG = TrainConfig(steps=12, batch_size=4, learning_rate=1e-2, drop_labels=0.3, mirror=True)


def denoiser(seed=0):
    torch.manual_seed(seed)
    return Denoiser(UNet(1, 8, classes=3, attention=True), cosine(10), "v", classes=3)


def pictures():
    return 2 * torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 1


class Played:
    """What a graph does, without one: the work is done at each replay, and its result lies in one place."""

    def __init__(self):
        self.aside_calls, self.records, self.replays, self.sent, self.read = 0, 0, 0, 0, []

    def aside(self, work):
        self.aside_calls += 1
        return work()

    def record(self, work):
        self.records, self.work, self.result = self.records + 1, work, torch.zeros(2)
        return self.result

    def replay(self):
        self.replays += 1
        self.result.copy_(self.work())

    def renewed(self):
        raise AssertionError("nothing failed")

    def send(self, numbers):
        self.sent += 1
        order, there = self.sent, numbers.clone()

        def read():
            self.read.append((order, self.sent))  # which were read, and after how many had been sent
            return there.tolist()

        return read


def run(monkeypatch, recorder, config=CONFIG, seed=0, **given):
    """Losses, average and network of a training whose step is recorded so (None: not at all)."""
    with monkeypatch.context() as patch:
        patch.setattr(capture, "recorder", lambda generator: recorder)
        pupil = denoiser(seed)
        *_, last = loop = list(train(pupil, pictures(), config, labels=LABELS, **given))
    return [p.loss for p in loop], list(last.averaged.parameters()), list(pupil.network.parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_captured_it_learns_what_it_learns_as_it_is_written(monkeypatch, optimizer, precision):
    config = replace(CONFIG, optimizer=optimizer, precision=precision)
    plain, played = run(monkeypatch, None, config), run(monkeypatch, recorder := Played(), config)
    assert (recorder.aside_calls, recorder.records, recorder.replays) == (capture.WARM_UP, 1, 12 - capture.WARM_UP)
    # The rate is a tensor of single precision there: rounding, which bf16 magnifies.
    start = parameters_to_vector(denoiser().network.parameters())
    for k in (1, 2):
        ends = [parameters_to_vector(each[k]) for each in (plain, played)]
        off, way = (ends[1] - ends[0]).norm(), (ends[0] - start).norm()
        assert off < (1e-3 if precision == "fp32" else 0.1) * way
    # Told a step late, but for the first and the last.
    rtol = 1e-4 if precision == "fp32" else 1e-2
    assert_close(played[0][1:-1], plain[0][:-2], rtol=rtol, atol=0)
    assert_close((played[0][0], played[0][-1]), (plain[0][0], plain[0][-1]), rtol=rtol, atol=0)


def test_recorded_or_not_the_step_gives_the_same_bits(monkeypatch):
    replayed = run(monkeypatch, Played())
    with monkeypatch.context() as patch:  # the same arithmetic, never recorded
        patch.setattr(capture, "WARM_UP", 100)
        unrecorded = run(monkeypatch, recorder := Played())
    assert (recorder.records, recorder.replays) == (0, 0)
    assert replayed[0] == unrecorded[0]
    assert all(torch.equal(a, b) for k in (1, 2) for a, b in zip(replayed[k], unrecorded[k], strict=True))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_captured_stopped_and_resumed_it_ends_with_the_same_bits(monkeypatch, tmp_path, optimizer):
    config, how = replace(CONFIG, optimizer=optimizer), {"checkpoint_every": 5}
    run(monkeypatch, Played(), config, checkpoint=tmp_path / "whole", **how)
    monkeypatch.setattr(capture, "recorder", lambda generator: Played())
    loop = train(denoiser(), pictures(), config, labels=LABELS, checkpoint=tmp_path / "parts", **how)
    for _ in range(7):
        next(loop)
    loop.close()
    run(monkeypatch, Played(), config, seed=7, checkpoint=tmp_path / "parts", **how)
    whole, parts = (load_file(tmp_path / name / "step-00000012.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(parts[name], value) for name, value in whole.items())


class Unable(Played):
    """One that breaks off, and leaves a generator that nobody may use."""

    def record(self, work):
        self.state = self.generator.get_state()
        self.generator.manual_seed(99)
        raise RuntimeError("operation not permitted\nand more")

    def renewed(self):
        return torch.Generator().set_state(self.state)


@pytest.mark.filterwarnings("error")
def test_a_step_that_cannot_be_captured_goes_on_with_the_same_numbers_and_a_warning(monkeypatch, tmp_path):
    expected = run(monkeypatch, Played())

    def recorder(generator):
        unable = Unable()
        unable.generator = generator
        return unable

    monkeypatch.setattr(capture, "recorder", recorder)
    pupil, how = denoiser(), {"labels": LABELS, "checkpoint": tmp_path}
    with pytest.warns(
        UserWarning, match=r"^graph: the step can't be captured \(operation not permitted\); it goes"
    ):
        *_, last = train(pupil, pictures(), CONFIG, **how)
    assert all(torch.equal(a, b) for a, b in zip(last.averaged.parameters(), expected[1], strict=True))
    saved = load_file(tmp_path / "step-00000012.safetensors")["generator"]
    assert not torch.equal(saved, torch.Generator().manual_seed(99).get_state())


def test_a_loss_is_read_when_the_next_step_is_on_its_way(monkeypatch):
    run(monkeypatch, recorder := Played())
    first, *rest, last = recorder.read
    assert (first, last) == ((1, 1), (12, 12))  # there is something to show from the first step on, and at the end
    assert rest == [(order, order + 1) for order in range(2, 12)]


def test_no_number_is_read_between_two_steps(monkeypatch):
    from tests.process.test_hot_path import Reads

    for module in (gaussian, schedule):  # as on a GPU
        monkeypatch.setattr(module, "readable", lambda _: False)
    monkeypatch.setattr("diffusion_lesson.networks.unet.readable", lambda _: False)
    monkeypatch.setattr(capture, "recorder", lambda generator: Played())
    loop = train(denoiser(), pictures(), CONFIG, labels=LABELS)
    next(loop)
    lists, real = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(self.shape) or real(self))
    with Reads() as reads:
        next(loop)
    assert (reads.count, lists) == (0, [])
    with Reads() as reads:
        next(loop)
    # PyTorch's fused AdamW reads a rate that is a tensor, on a CPU alone: once for each group.
    assert lists == [torch.Size([2])]


def test_a_loss_that_overflows_is_told_a_step_later_and_moves_no_weight(monkeypatch):
    real, calls = step.LOSSES["v"], []

    def overflowing(*given):
        calls.append(1)
        return real(*given) * (torch.inf if len(calls) == 6 else 1.0)

    for optimizer in ("adamw", "muon"):
        calls.clear()
        monkeypatch.setitem(step.LOSSES, "v", overflowing)
        monkeypatch.setattr(capture, "recorder", lambda generator: Played())
        pupil = denoiser()
        loop = train(pupil, pictures(), replace(CONFIG, optimizer=optimizer), labels=LABELS)
        for _ in range(5):
            next(loop)
        before = [p.detach().clone() for p in pupil.network.parameters()]
        next(loop)
        assert all(torch.equal(p, was) for p, was in zip(pupil.network.parameters(), before, strict=True))
        with pytest.raises(FloatingPointError, match=r"^learning_rate: at step 6 the loss is inf"):
            next(loop)
        assert all(p.isfinite().all() for p in pupil.network.parameters())


def test_without_a_graph_it_runs_as_it_is_written(monkeypatch):
    monkeypatch.setattr(capture, "recorder", lambda generator: pytest.fail("asked for a recorder"))
    assert len(list(train(denoiser(), pictures(), CONFIG, labels=LABELS, graph=False))) == 12


@pytest.mark.parametrize("recorder", [Played, lambda: None], ids=["captured", "plain"])
def test_dropout_is_of_the_seed_and_of_the_step_and_leaves_the_global_generator_alone(
    monkeypatch, tmp_path, recorder
):
    def pupil():
        torch.manual_seed(0)
        return Denoiser(UNet(1, 8, classes=3, dropout=0.3), cosine(10), "v", classes=3)

    monkeypatch.setattr(capture, "recorder", lambda generator: recorder())
    ends = {}
    for name, stop in (("whole", None), ("again", None), ("parts", 7)):
        how = {"labels": LABELS, "checkpoint": tmp_path / name, "checkpoint_every": 5}
        if stop:
            loop = train(pupil(), pictures(), CONFIG, **how)
            for _ in range(stop):
                next(loop)
            loop.close()
        loop = train(pupil(), pictures(), CONFIG, **how)
        torch.manual_seed(hash(name))  # whatever else is random
        before = torch.get_rng_state()
        *_, last = loop
        assert torch.equal(torch.get_rng_state(), before)
        ends[name] = list(last.averaged.parameters())
    for name in ("again", "parts"):
        assert all(torch.equal(a, b) for a, b in zip(ends["whole"], ends[name], strict=True))


def test_a_cpu_has_no_recorder():
    assert capture.recorder(torch.Generator()) is None


def test_convolutions_are_deterministic_inside_and_as_before_outside(monkeypatch):
    cudnn = torch.backends.cudnn
    for before in ((False, True), (True, False)):
        with cudnn.flags(enabled=True, deterministic=before[0], benchmark=before[1]):
            with suppress(KeyError), capture.deterministic(torch.device("cuda")):
                assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
                raise KeyError
            assert (cudnn.deterministic, cudnn.benchmark) == before
            with capture.deterministic(torch.device("cpu")):
                assert (cudnn.deterministic, cudnn.benchmark) == before
