"""The training loop: against one written out by hand, and against itself when it is stopped and goes on."""

import copy
import json
import math
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import clip_grad
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from diffusion_lesson.learning import checkpoints, data, training
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import Distributed, main_process
from diffusion_lesson.networks import unet
from diffusion_lesson.networks.names import earlier_name
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import gaussian, schedule
from diffusion_lesson.process.schedule import Schedule, cosine, linear
from tests.learning import launched_training

F64 = torch.float64


def pictures(count=20, size=8, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, 1, size, size, generator=generator, dtype=dtype) - 1


def small(seed=0, **options):
    torch.manual_seed(seed)
    return UNet(1, 4, **options)


def train(model, images, schedule, *, predicts="eps", **given):
    """`training.train`, told in one breath; what is neither of these is of the config."""
    how = {
        name: given.pop(name) for name in ("labels", "device", "checkpoint", "checkpoint_every") if name in given
    }
    denoiser = Denoiser(model, schedule, predicts, getattr(model, "classes", 0))
    return training.train(denoiser, images, TrainConfig(**given), **how)


def losses(loop):
    return [progress.loss for progress in loop]


class Linear(nn.Module):
    """x ↦ W x + b t/10 for 2×2 pictures: small enough to train by hand. It begins large, so that clipping acts."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.W = nn.Parameter(torch.randn(4, 4, generator=generator, dtype=F64))
        self.b = nn.Parameter(torch.randn(4, generator=generator, dtype=F64))

    def forward(self, x, t):
        return (x.flatten(1) @ self.W.T + t[:, None] / 10 * self.b).reshape(x.shape)


def trained_by_hand(images, schedule, predicts, steps, batch_size=8, lr=3e-2, ema=0.9, seed=3):
    """AdamW, clipping, rate and average, formula by formula: (losses, weights, averages, how often clipped)."""
    weights = [p.detach().clone() for p in Linear().parameters()]
    averages = [w.clone() for w in weights]
    first, second = [torch.zeros_like(w) for w in weights], [torch.zeros_like(w) for w in weights]
    generator, recorded, clipped = torch.Generator().manual_seed(seed), [], 0
    for n in range(1, steps + 1):
        picked = torch.randint(len(images), (batch_size,), generator=generator)
        t = torch.randint(1, schedule.T + 1, (batch_size,), generator=generator)
        eps = torch.randn(batch_size, 1, 2, 2, generator=generator, dtype=F64).flatten(1)
        x0, kept = images[picked].flatten(1), schedule.alpha_bars[t][:, None]
        xt = kept.sqrt() * x0 + (1 - kept).sqrt() * eps
        target = {"eps": eps, "x0": x0, "v": kept.sqrt() * eps - (1 - kept).sqrt() * x0}[predicts]
        W, b = (w.requires_grad_() for w in weights)
        loss = ((xt @ W.T + t[:, None] / 10 * b - target) ** 2).sum() / (4 * batch_size)
        slopes = torch.autograd.grad(loss, [W, b])
        recorded.append(loss.item())
        norm = math.sqrt(sum((s**2).sum().item() for s in slopes))
        clipped += norm > 1
        rise, fall = min(n / 100, 1), (1 + math.cos(math.pi * (n - 1) / steps)) / 2
        keep = min(ema, n / (n + 9))
        for k, slope in enumerate(slopes):
            slope = slope / max(1.0, norm + 1e-6)
            first[k] = 0.9 * first[k] + 0.1 * slope
            second[k] = 0.999 * second[k] + 0.001 * slope**2
            step = first[k] / (1 - 0.9**n) / ((second[k] / (1 - 0.999**n)).sqrt() + 1e-8)
            weights[k] = weights[k].detach() * (1 - lr * rise * fall * 0.01) - lr * rise * fall * step
            averages[k] = keep * averages[k] + (1 - keep) * weights[k]
    return recorded, weights, averages, clipped


# Against a loop by hand


@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
def test_it_agrees_with_adamw_clipping_warm_up_cosine_and_average_by_hand(predicts):
    images, schedule, model = pictures(size=2, dtype=F64), linear(10, 0.01, 0.3), Linear()
    recorded, weights, averages, clipped = trained_by_hand(images, schedule, predicts, steps=120)
    options = {"steps": 120, "batch_size": 8, "learning_rate": 3e-2, "ema": 0.9, "seed": 3, "predicts": predicts}
    *_, last = loop = list(train(model, images, schedule, **options))
    assert 10 < clipped < 110  # both branches were taken
    assert_close(losses(loop), recorded, rtol=1e-9, atol=0)
    assert_close([p.detach() for p in model.parameters()], weights, rtol=1e-8, atol=1e-9)
    assert_close(list(last.averaged.parameters()), averages, rtol=1e-8, atol=1e-9)


# What it yields


def test_it_counts_its_steps():
    loop = list(train(small(), pictures(), cosine(10), steps=3, batch_size=2))
    assert [progress.step for progress in loop] == [1, 2, 3]


def test_the_average_is_one_object_in_eval_mode_that_asks_for_no_gradient():
    loop = list(train(small(), pictures(), cosine(10), steps=3, batch_size=2))
    averaged = loop[0].averaged
    assert all(progress.averaged is averaged for progress in loop)
    assert not averaged.training
    assert not any(p.requires_grad for p in averaged.parameters())


def test_the_average_has_the_latest_statistics_of_batch_norm():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x, t):
            return self.norm(x)

    model = Normed()
    *_, last = train(model, pictures(), cosine(10), steps=3, batch_size=2)
    assert model.training
    assert_close(dict(last.averaged.named_buffers()), dict(model.named_buffers()), rtol=0, atol=0)


def test_the_loss_on_real_digits_goes_down():
    digits = data.digits("train")
    x = data.to_signed(digits.images, digits.levels)
    torch.manual_seed(0)
    recorded = losses(train(UNet(1, 8), x, cosine(50), steps=60, batch_size=16, learning_rate=1e-2))
    assert sum(recorded[-10:]) < 0.75 * sum(recorded[:10])


def test_the_same_seed_gives_the_same_weights_whatever_else_is_random():
    runs = [small(), small()]
    for other, model in enumerate(runs):
        torch.manual_seed(other)
        list(train(model, pictures(), cosine(10), steps=4, batch_size=4))
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in runs), strict=True))


def test_another_seed_gives_another_run():
    first, second = (losses(train(small(), pictures(), cosine(10), steps=2, seed=k)) for k in range(2))
    assert first[0] != second[0]


def test_on_another_device_each_step_and_each_seed_takes_other_pictures(without_type_checks):
    elsewhere, settings = SimpleNamespace(device=torch.device("cuda")), TrainConfig(steps=100, batch_size=50)
    picked = [training._picked(1000, settings, elsewhere, step) for step in range(1, 101)]
    assert torch.equal(training._picked(1000, settings, elsewhere, 7), picked[6])
    assert len(torch.cat(picked).unique()) > 980  # of 5,000 draws; a picture is missed by all with e^-5
    other = training._picked(1000, TrainConfig(steps=100, batch_size=50, seed=1), elsewhere, 7)
    assert not torch.equal(other, picked[6])


class Dropping(nn.Module):
    """Writes down which of 64 features each call left out."""

    def __init__(self):
        super().__init__()
        self.w, self.drop, self.recorded = nn.Parameter(torch.zeros(1)), nn.Dropout(0.5), []

    def forward(self, x, t):
        kept = self.drop(torch.ones(64))
        self.recorded.append(tuple(kept.tolist()))
        return self.w * x * kept.mean()


def test_each_step_and_each_seed_leaves_out_other_features():
    models = [Dropping(), Dropping(), Dropping()]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        list(train(model, pictures(), cosine(10), steps=6, batch_size=4, seed=seed))
    first, again, other = (model.recorded for model in models)
    assert first == again
    assert len({*first, *other}) == 12


# Labels


class Listener(nn.Module):
    """Takes labels and writes down (mean of x_t, label) of every example."""

    classes = 5

    def __init__(self):
        super().__init__()
        self.w, self.recorded = nn.Parameter(torch.zeros(1)), []

    def forward(self, x, t, labels):
        self.recorded += zip(x.mean(dim=(1, 2, 3)).tolist(), labels.tolist(), strict=True)
        return self.w * x


def recorded(drop_labels):
    """What a network hears whose pictures are as bright as their label, and hardly noised."""
    model, labels = Listener(), torch.arange(20) % 5
    images = (labels.float() / 5 - 0.01)[:, None, None, None].expand(20, 1, 8, 8)
    options = {"labels": labels, "drop_labels": drop_labels, "learning_rate": 1e-9}
    list(train(model, images, Schedule([1e-8]), steps=40, batch_size=50, **options))
    return model.recorded


def test_each_picture_comes_with_its_own_label():
    assert all(label == round(5 * brightness) for brightness, label in recorded(0.0))


def test_labels_are_dropped_at_the_rate_given():
    dropped = sum(label == 5 for _, label in recorded(0.3)) / 2000
    assert dropped == pytest.approx(0.3, abs=0.045)  # 4.4 standard errors


def test_the_labels_that_stay_are_the_right_ones():
    assert all(label == round(5 * brightness) for brightness, label in recorded(0.3) if label != 5)


def test_a_rate_of_1_drops_every_label():
    assert {label for _, label in recorded(1.0)} == {5}


def test_without_labels_a_network_with_classes_is_told_none():
    recorded, model = [], small(classes=3)
    model.label.register_forward_pre_hook(lambda _, given: recorded.extend(given[0].tolist()))
    list(train(model, pictures(), cosine(10), steps=2, batch_size=4))
    assert set(recorded) == {3}


# Mirrored


class Onlooker(nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.w, self.seen = nn.Parameter(torch.zeros(1)), []

    def forward(self, x, t):
        self.seen.append(x.detach())
        return self.w * x


def test_half_of_the_pictures_are_mirrored_and_none_is_turned_otherwise():
    picture = torch.arange(12.0).reshape(1, 1, 3, 4) / 12  # hardly noised below
    seen = {}
    for mirror in (False, True):
        model = Onlooker()
        options = {"steps": 4, "batch_size": 500, "learning_rate": 1e-9, "mirror": mirror}
        list(train(model, picture - 0.5, Schedule([1e-8]), **options))
        x = torch.cat(model.seen) + 0.5
        plain, turned = ((x - p).abs().amax((1, 2, 3)) < 1e-3 for p in (picture, picture.flip(-1)))
        assert (plain | turned).all()
        seen[mirror] = turned.float().mean().item()
    assert seen[False] == 0
    assert seen[True] == pytest.approx(0.5, abs=0.05)  # 4.5 standard errors


def test_a_step_does_not_walk_through_the_network_to_find_its_weights(monkeypatch):
    walks, real = [], nn.Module._named_members
    monkeypatch.setattr(
        nn.Module, "_named_members", lambda self, *given, **more: walks.append(1) or real(self, *given, **more)
    )
    counts = [len(walks) for _ in run(None)]
    assert counts[-1] == counts[0] > 0


def test_mirrored_stopped_and_resumed_ends_with_the_same_bits(tmp_path):
    list(run(tmp_path / "whole", mirror=True))
    loop = run(tmp_path, mirror=True)
    for _ in range(6):
        next(loop)
    loop.close()
    list(run(tmp_path, seed=7, mirror=True))
    whole, last = final(tmp_path / "whole"), final(tmp_path)
    assert all(torch.equal(last[name], value) for name, value in whole.items())


# Refusals


REFUSED = {
    "images": [
        {"images": pictures() + 0.5},
        {"images": pictures() - 0.5},
        {"images": torch.full((2, 1, 8, 8), float("nan"))},
        {"images": pictures()[:0]},
    ],
    "labels": [
        {"labels": torch.arange(19) % 3},
        {"labels": torch.arange(20)[:, None] % 3},
        {"labels": torch.arange(20) % 4},
        {"labels": -torch.arange(20) % 3 - 1},
        {"labels": torch.zeros(20)},
        {"labels": torch.arange(20) % 3, "model": small()},
    ],
    "steps": [{"steps": 0}, {"steps": 2.0}, {"steps": True}],
    "batch_size": [{"batch_size": 0}, {"batch_size": "8"}],
    "seed": [{"seed": 0.5}, {"seed": -1}, {"seed": 2**32}, {"seed": 2**63}, {"seed": 2**70}],
    "mirror": [{"mirror": 1}],
    "checkpoint_every": [{"checkpoint_every": 0}],
    "learning_rate": [{"learning_rate": wrong} for wrong in (0.0, -1e-3, math.inf, math.nan)],
    "ema": [{"ema": -0.1}, {"ema": 1.1}],
    "drop_labels": [{"drop_labels": -0.1}, {"drop_labels": 1.1}],
    "predicts": [{"predicts": "noise"}],
    "precision": [{"precision": "half"}],
    "optimizer": [{"optimizer": "sgd"}],
}


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name in REFUSED for wrong in REFUSED[name]])
def test_what_cannot_be_right_is_refused_by_name(name, wrong, without_type_checks):
    given = {"model": small(classes=3), "images": pictures(), "schedule": cosine(10), "steps": 2} | wrong
    with pytest.raises(ValueError, match=f"^{name}: "):
        next(train(**given))


class Overflowing(nn.Module):
    """±offset + gain w, far from anything a picture holds."""

    def __init__(self, gain, offset):
        super().__init__()
        self.w, self.gain, self.offset = nn.Parameter(torch.tensor(1e-4)), gain, offset

    def forward(self, x, t):
        return self.offset * x.sign() + self.gain * self.w


@pytest.mark.parametrize(
    ("gain", "offset", "words"),
    [(1e22, 0, r"loss is \d.*, its gradient's norm inf"), (1, 1e19, r"loss is inf, its gradient's norm \d")],
)
def test_a_number_that_overflows_stops_it_before_the_weights_are_spoiled(gain, offset, words):
    model = Overflowing(gain, offset)
    with pytest.raises(FloatingPointError, match=rf"^learning_rate: at step 1 the {words}.* below 0\.003"):
        list(train(model, pictures(), cosine(10), steps=3))
    assert model.w.item() == pytest.approx(1e-4)


def test_a_rate_far_too_high_stops_it_with_finite_weights():
    model = small()
    with pytest.raises(FloatingPointError, match=r"^learning_rate: at step \d+ .* a rate below 1e\+30"):
        list(train(model, pictures(), cosine(10), steps=20, batch_size=4, learning_rate=1e30))
    assert all(p.isfinite().all() for p in model.parameters())


# Stopped, and going on

OPTIONS = {"steps": 12, "batch_size": 4, "learning_rate": 1e-2, "drop_labels": 0.3, "checkpoint_every": 5}


def run(folder, seed=0, **changes):
    """A small training with a checkpoint; the model's seed changes only what it begins with."""
    given = {
        "model": small(seed, classes=3), "images": pictures(), "schedule": cosine(10),
        "labels": torch.arange(20) % 3, "checkpoint": folder,
    }  # fmt: skip
    return train(**(given | OPTIONS | changes))


def stopped(folder, after):
    """Leave a training after so many steps, as a closed notebook would."""
    loop = run(folder)
    for _ in range(after):
        next(loop)
    loop.close()


def final(folder):
    """Every number of the last checkpoint: weights, averages, the optimiser's moments, the generator's state."""
    return load_file(folder / "step-00000012.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return losses(run(folder)), final(folder)


def test_a_checkpoint_holds_weights_averages_moments_and_generator(uninterrupted):
    kinds = {name.rpartition("/")[0].split("/")[0] or name for name in uninterrupted[1]}
    assert kinds == {"model", "averaged", "optimizer0", "generator"}


@pytest.mark.parametrize("after", [5, 8, 11])
def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path, uninterrupted, after):
    stopped(tmp_path, after)
    recorded, last = losses(run(tmp_path, seed=7)), final(tmp_path)
    assert recorded == uninterrupted[0][after - after % 5 :]
    assert last.keys() == uninterrupted[1].keys()
    assert all(torch.equal(last[name], value) for name, value in uninterrupted[1].items())


def test_stopped_before_its_first_checkpoint_it_begins_anew(tmp_path, uninterrupted):
    stopped(tmp_path, 4)
    assert losses(run(tmp_path)) == uninterrupted[0]


def test_without_a_checkpoint_the_numbers_are_the_same(uninterrupted):
    assert losses(run(None)) == uninterrupted[0]


def test_finished_it_yields_the_end_once_more(tmp_path, uninterrupted):
    list(run(tmp_path))
    model = small(7, classes=3)
    (progress,) = run(tmp_path, model=model)
    assert (progress.step, progress.loss) == (12, uninterrupted[0][-1])
    for part, module in (("model", model), ("averaged", progress.averaged)):
        saved = {name: value for name, value in uninterrupted[1].items() if name.startswith(f"{part}/")}
        assert_close({f"{part}/{k}": v for k, v in module.state_dict().items()}, saved, rtol=0, atol=0)


def test_the_last_checkpoint_is_the_only_one_left(tmp_path):
    list(run(tmp_path))
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint.json", "step-00000012.safetensors", "lock"}


def test_a_partial_file_counts_for_nothing_and_goes_with_the_next_checkpoint(tmp_path, uninterrupted):
    stopped(tmp_path / "other", 5)
    for file in (tmp_path / "other").iterdir():
        file.rename(tmp_path / f"{file.name}.partial")
    assert losses(run(tmp_path)) == uninterrupted[0]
    assert [file.name for file in tmp_path.glob("*.partial")] == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists the files in memory")
def test_a_resumed_training_does_not_live_in_the_file_it_came_from(tmp_path):
    stopped(tmp_path, 5)  # on Windows such a file could not be deleted
    loop = run(tmp_path)
    next(loop)
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


class Transposed(nn.Module):
    """A network with as many parameters as another, in another shape."""

    def __init__(self, *shape):
        super().__init__()
        self.w, self.classes = nn.Parameter(torch.ones(shape)), 3

    def forward(self, x, t, labels):
        return x * self.w.mean()


CHANGES = {
    "steps": {"steps": 1},
    "batch_size": {"batch_size": 5},
    "learning_rate": {"learning_rate": 2e-2},
    "ema": {"ema": 0.9},
    "seed": {"seed": 1},
    "predicts": {"predicts": "v"},
    "precision": {"precision": "bf16"},
    "drop_labels": {"drop_labels": 0.2},
    "optimizer": {"optimizer": "muon"},
    "mirror": {"mirror": True},
    "images": {"images": pictures().flip(0)},
    "labels": {"labels": torch.arange(20) % 2},
    "betas": {"schedule": cosine(11)},
    "network": {"model": Transposed(3, 2)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_written_with_other_settings_is_refused_with_what_changed(tmp_path, name):
    model = {"model": Transposed(2, 3)}
    list(train(**(arguments(tmp_path) | model)))
    names = {"labels": "images"}  # hashed together
    with pytest.raises(ValueError, match=rf"^checkpoint: .* \({names.get(name, name)} was [^;]*, is [^;]*\); use"):
        next(train(**(arguments(tmp_path) | model | CHANGES[name])))


def test_a_setting_that_only_a_later_version_knows_is_refused_by_name(tmp_path):
    list(train(Transposed(2, 3), **arguments(tmp_path)))
    note = json.loads((tmp_path / "checkpoint.json").read_text("utf-8"))
    edited(tmp_path, settings=note["settings"] | {"weight_decay": 0.1})
    with pytest.raises(ValueError, match=r"^checkpoint: .* \(weight_decay was 0\.1, is unknown here\); use"):
        next(train(Transposed(2, 3), **arguments(tmp_path)))


def arguments(folder):
    given = {"images": pictures(), "schedule": cosine(10), "labels": torch.arange(20) % 3, "checkpoint": folder}
    return given | OPTIONS | {"steps": 2}


def cut(folder):
    file = folder / "step-00000005.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def renamed(folder):
    (folder / "step-00000005.safetensors").rename(folder / "step-00000006.safetensors")


def edited(folder, **changes):
    note = folder / "checkpoint.json"
    note.write_text(json.dumps(json.loads(note.read_text("utf-8")) | changes), "utf-8")


DAMAGES = {
    "tensors cut short": cut,
    "tensors gone": renamed,
    "a note that is no JSON": lambda folder: (folder / "checkpoint.json").write_text("{"),
    "a note that says nothing": lambda folder: (folder / "checkpoint.json").write_text("{}"),
    "a note that is a list": lambda folder: (folder / "checkpoint.json").write_text("[]"),
    "a note too deep": lambda folder: (folder / "checkpoint.json").write_text("[" * 100_000),
    "an endless loss": lambda folder: edited(folder, loss=10**400),
    "another step than its tensors'": lambda folder: edited(folder, step=3),
    "no step": lambda folder: edited(folder, step=0),
    "a step that is a truth": lambda folder: edited(folder, step=True),
    "a stage that begins at its end": lambda folder: edited(folder, start=5),
    "tensors that are the folder": lambda folder: edited(folder, tensors=""),
    "tensors of another folder": lambda folder: edited(folder, tensors="../step-00000005.safetensors"),
    "settings that are a number": lambda folder: edited(folder, settings=3),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, damage):
    stopped(tmp_path, 5)
    DAMAGES[damage](tmp_path)
    with pytest.raises(ValueError, match=r"^checkpoint: .* holds a damaged one .*; delete it to begin anew"):
        next(run(tmp_path))


# Killed

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills by SIGKILL; this system has none")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    script, folder = Path(__file__).with_name("killed_training.py"), tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@POSIX
@pytest.mark.parametrize(("when", "kills"), [("random", 6), ("writing", 46), ("rehearsing", 6)])
def test_killed_again_and_again_it_ends_with_the_same_bits(killed, when, kills):
    assert killed[when] == {"kills": kills, "whole": True, "status": 0, "same": True}


# Several processes


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """What two processes of `accelerate launch` report after 8 of 12 steps; beside it is their checkpoint."""
    script, folder = Path(__file__).with_name("launched_training.py"), tmp_path_factory.mktemp("launched")
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"),
        *("--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", f"--main_process_port={port()}"),
        *(script, folder / "checkpoint", "8"),
    ]
    where = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=where)
    assert done.returncode == 0, done.stderr
    return folder, [json.loads((folder / f"process-{rank}.json").read_text("utf-8")) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same training in one process: (its losses, every number of its last checkpoint)."""
    folder = tmp_path_factory.mktemp("alone")
    return losses(launched_training.training(folder)[1]), final(folder)


def test_two_processes_hear_the_losses_of_one(launched, alone):
    first, second = launched[1]
    assert first["losses"] == second["losses"]
    assert_close(first["losses"], alone[0][:8], rtol=1e-5, atol=0)


def test_each_process_asks_the_network_about_half_of_the_batch(launched):
    assert [process["rows"] for process in launched[1]] == [[3] * 8] * 2  # batch_size is 6


def test_only_the_main_process_writes(launched):
    assert [(process["main"], process["saves"]) for process in launched[1]] == [(True, [5]), (False, [])]


def test_one_process_goes_on_where_two_stopped(launched, alone, tmp_path):
    folder = shutil.copytree(launched[0] / "checkpoint", tmp_path / "checkpoint")
    recorded, last = losses(launched_training.training(folder, seed=7)[1]), final(folder)
    assert_close(recorded, alone[0][5:], rtol=1e-5, atol=0)
    assert last.keys() == alone[1].keys()
    # A weight moves by up to 8e-3 here. Where its slope is near 0 Adam magnifies rounding: 1.5e-4 with SSE4.1.
    assert_close(last, alone[1], rtol=0, atol=1e-3)
    assert main_process()


def test_a_batch_that_cannot_be_shared_equally_is_refused(monkeypatch):
    monkeypatch.setattr(training, "distributed", lambda device: Distributed(torch.device(device), world_size=3))
    with pytest.raises(ValueError, match=r"^batch_size: expected a multiple of the 3 processes, got 4$"):
        next(run(None))


def test_a_checkpoint_that_not_every_process_sees_is_refused(monkeypatch, tmp_path):
    stopped(tmp_path, 5)
    half = Distributed(torch.device("cpu"), mean=lambda value: value / 2)  # the other process found none
    monkeypatch.setattr(training, "distributed", lambda device: half)
    with pytest.raises(ValueError, match=r"^checkpoint: not every process sees the one in "):
        next(run(tmp_path))


# Formats, precisions, compilers: what a GPU is trained with, tried on the CPU


def channels_last(seed=0):
    return small(seed, classes=3).to(memory_format=torch.channels_last)


def test_channels_last_learns_the_same():
    assert_close(losses(run(None, model=channels_last())), losses(run(None)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_channels_last_stopped_and_resumed_ends_with_the_same_bits(tmp_path, optimizer):
    list(run(tmp_path / "whole", model=channels_last(), optimizer=optimizer))
    loop = run(tmp_path, model=channels_last(), optimizer=optimizer)
    for _ in range(6):
        next(loop)
    loop.close()
    list(run(tmp_path, model=channels_last(7), optimizer=optimizer))
    whole, last = final(tmp_path / "whole"), final(tmp_path)
    assert all(torch.equal(last[name], value) for name, value in whole.items())


def test_with_muon_a_checkpoint_holds_the_moments_of_both_optimizers(tmp_path):
    list(run(tmp_path, optimizer="muon"))
    assert {"optimizer0", "optimizer1"} <= {name.split("/")[0] for name in final(tmp_path)}


def test_bf16_computes_in_bfloat16_and_keeps_all_else_single():
    model, computed = small(classes=3), []
    model.stem.register_forward_hook(lambda *given: computed.append(given[2].dtype))
    recorded, plain = losses(run(None, model=model, precision="bf16")), losses(run(None))
    assert set(computed) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert recorded != plain
    assert_close(recorded, plain, rtol=0.03, atol=0)  # bfloat16 has 8 binary digits


@pytest.mark.parametrize("how", [{"precision": "bf16"}, {"optimizer": "muon"}], ids=str)
def test_bf16_or_muon_stopped_and_resumed_ends_with_the_same_bits(tmp_path, how):
    list(run(tmp_path / "whole", **how))
    loop = run(tmp_path, **how)
    for _ in range(6):
        next(loop)
    loop.close()
    list(run(tmp_path, seed=7, **how))
    whole, last = final(tmp_path / "whole"), final(tmp_path)
    assert all(torch.equal(last[name], value) for name, value in whole.items())


class Brief(nn.Module):
    """Two convolutions and a table: few enough kernels to be compiled in seconds."""

    classes = 3

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.label = nn.Embedding(4, 8)

    def forward(self, x, t, labels):
        return self.last(torch.tanh(self.first(x) + self.label(labels)[:, :, None, None]))


COMPILES = [
    pytest.param(lambda: small(classes=3), "eager", id="a U-Net, traced"),
    pytest.param(
        Brief, "inductor", id="two convolutions, compiled",
        marks=pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: no g++"),
    ),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch's compiler does what torch warns of
@pytest.mark.usefixtures("without_type_checks")  # the compiler can't see through them
@pytest.mark.parametrize(("make", "backend"), COMPILES)
def test_compiled_with_bf16_and_channels_last_its_checkpoint_is_as_of_a_plain_one(tmp_path, make, backend):
    from torch._dynamo.testing import CompileCounterWithBackend  # takes over a second

    torch.manual_seed(0)
    model, counter = make().to(memory_format=torch.channels_last), CompileCounterWithBackend(backend)
    plain = losses(run(None, model=copy.deepcopy(model), precision="bf16"))
    recorded = losses(run(tmp_path, model=torch.compile(model, backend=counter), precision="bf16"))
    torch.compiler.reset()
    assert counter.frame_count > 0
    assert_close(recorded, plain, rtol=0.03, atol=0)
    names = {name.removeprefix("model/") for name in final(tmp_path) if name.startswith("model/")}
    assert names == model.state_dict().keys()
    (progress,) = run(tmp_path, model=copy.deepcopy(model), precision="bf16")  # a plain one takes it up
    assert progress.loss == recorded[-1]


# Trained longer


def test_a_finished_training_goes_on_to_more_steps_with_a_rate_of_its_own(tmp_path, monkeypatch):
    rates, real = [], training.learning_rate
    monkeypatch.setattr(training, "learning_rate", lambda *given: rates.append(given) or real(*given))
    first = losses(run(tmp_path))
    second = losses(run(tmp_path, seed=7, steps=20))
    assert (len(first), len(second)) == (12, 8)
    assert rates[:12] == [(n, 12, 1e-2) for n in range(1, 13)]
    assert rates[12:] == [(n, 8, 1e-2) for n in range(1, 9)]


def test_the_longer_training_resumes_with_the_same_bits(tmp_path):
    for folder, stops in ((tmp_path / "whole", []), (tmp_path / "parts", [16])):
        list(run(folder))
        for stop in stops:
            loop = run(folder, steps=20, checkpoint_every=2)
            while next(loop).step < stop:
                pass
            loop.close()
        list(run(folder, seed=7, steps=20, checkpoint_every=2))
    ends = [load_file(folder / "step-00000020.safetensors") for folder in (tmp_path / "whole", tmp_path / "parts")]
    assert all(torch.equal(ends[1][name], value) for name, value in ends[0].items())


def test_an_unfinished_training_is_ended_before_it_is_made_longer(tmp_path):
    stopped(tmp_path, 5)
    with pytest.raises(ValueError, match=r"^steps: .* has made 5 of 12 steps; let it end with these"):
        next(run(tmp_path, steps=20))


def test_progress_saves_a_checkpoint_of_its_step(tmp_path, uninterrupted):
    loop = run(tmp_path)
    for progress in loop:
        if progress.step == 7:
            progress.save()
            break
    loop.close()
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 7
    assert losses(run(tmp_path, seed=7)) == uninterrupted[0][7:]


# Another device, another version


def test_begun_on_another_kind_of_device_it_goes_on_and_says_that_noise_is_drawn_anew(tmp_path):
    stopped(tmp_path, 5)
    file = tmp_path / "step-00000005.safetensors"
    tensors = {name: value.clone() for name, value in load_file(file).items()}
    save_file(tensors | {"generator": torch.zeros(16, dtype=torch.uint8)}, file)  # as CUDA's
    with pytest.warns(UserWarning, match=r"^checkpoint: .* another kind of device"):
        (first, *_) = loop = list(run(tmp_path, seed=7))
    assert (first.step, len(loop)) == (6, 7)


def test_a_checkpoint_of_version_0_1_goes_on_with_the_same_bits(tmp_path, uninterrupted):
    stopped(tmp_path, 5)
    note, file = tmp_path / "checkpoint.json", tmp_path / "step-00000005.safetensors"
    earlier = {}
    for name, value in load_file(file).items():
        part, _, key = name.partition("/")
        earlier[f"{part}/{earlier_name(key)}" if part in ("model", "averaged") else name] = value.clone()
    assert earlier.keys() != load_file(file).keys()
    save_file(earlier, file)
    written = json.loads(note.read_text())
    settings = written["settings"] | {
        "precision": "single", "network": checkpoints._earlier_fingerprint(small(classes=3)),
        "lr": written["settings"]["learning_rate"],
    }  # fmt: skip
    later = {"learning_rate", "mirror"}  # names that version 0.1 did not know
    written["settings"] = {key: settings[key] for key in settings.keys() - later}
    del written["contents"]  # notes did not have it yet
    note.write_text(json.dumps(written))
    assert losses(run(tmp_path, seed=7)) == uninterrupted[0][5:]


def without(tensors, beginning):
    return {name: value for name, value in tensors.items() if not name.startswith(beginning)}


SPOILS = {
    "a shape": lambda t: t | {"model/head.weight": t["model/head.weight"][:, :1]},
    "a weight less": lambda t: without(t, "averaged/head.bias"),
    "a weight more": lambda t: t | {"model/more": torch.zeros(1)},
    "a type": lambda t: t | {"model/head.bias": t["model/head.bias"].double()},
    "a moment more": lambda t: t | {"optimizer0/999/exp_avg": torch.zeros(1)},
    "a moment unknown": lambda t: t | {"optimizer0/0/more": t["optimizer0/0/exp_avg"]},
    "a moment less": lambda t: without(t, "optimizer0/0/exp_avg_sq"),
    "a weight's moments less": lambda t: without(t, "optimizer0/0/"),
    "all moments less": lambda t: without(t, "optimizer0/"),
    "a moment's shape": lambda t: t | {"optimizer0/0/exp_avg": torch.zeros(7)},
    "a moment's type": lambda t: t | {"optimizer0/0/exp_avg": t["optimizer0/0/exp_avg"].half()},
    "a count's shape": lambda t: t | {"optimizer0/0/step": torch.ones(7)},
    "what nobody knows": lambda t: t | {"more/0": torch.zeros(1)},
    "no generator": lambda t: without(t, "generator"),
    "a generator's bytes": lambda t: t | {"generator": torch.full_like(t["generator"], 7)},
    "a generator of floats": lambda t: t | {"generator": torch.zeros(16)},
}


@pytest.mark.parametrize("noted", [True, False], ids=["contents noted", "as of version 0.1"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_tensors_that_do_not_fit_are_refused_before_anything_is_loaded(tmp_path, spoil, noted):
    if not noted and spoil == "a weight's moments less":
        pytest.skip("not every weight need have moments: it is the note that says which have")
    stopped(tmp_path, 5)
    file = tmp_path / "step-00000005.safetensors"
    save_file({k: v.clone() for k, v in SPOILS[spoil](load_file(file)).items()}, file)
    if not noted:
        note = json.loads((tmp_path / "checkpoint.json").read_text("utf-8"))
        del note["contents"]
        (tmp_path / "checkpoint.json").write_text(json.dumps(note), "utf-8")
    model = small(7, classes=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"^checkpoint: .* holds a damaged one"):
        next(run(tmp_path, model=model))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# What a device asks for


def test_where_there_is_no_foreach_it_trains(monkeypatch):
    # The rule of Apple's GPUs, in force on the CPU.
    monkeypatch.setattr(clip_grad, "_device_has_foreach_support", lambda device: False)
    monkeypatch.setattr(clip_grad, "_has_foreach_support", lambda tensors, device: False)
    assert len(losses(train(small(), pictures(), cosine(10), steps=2, batch_size=4))) == 2


def test_a_step_reads_one_small_tensor_and_no_more(monkeypatch):
    # As on a GPU, where every reading waits: only the loss and the norm are read, together.
    for module in (gaussian, schedule, unet):
        monkeypatch.setattr(module, "readable", lambda _: False)
    lists, real = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(self.shape) or real(self))
    options = {"labels": torch.arange(20) % 3, "drop_labels": 0.3, "predicts": "v", "batch_size": 4}
    loop = train(small(classes=3), pictures(), cosine(10), steps=4, **options)
    next(loop)
    lists.clear()
    with Reads() as reads:
        next(loop)
    assert (lists, reads.count) == ([torch.Size([2])], 0)


class Reads(TorchDispatchMode):
    """Counts how often a number leaves its tensor for Python."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_labels_of_any_integers_teach_the_same(dtype):
    options = {"steps": 3, "batch_size": 4, "drop_labels": 0.5}
    recorded = losses(
        train(small(classes=3), pictures(), cosine(10), labels=(torch.arange(20) % 3).to(dtype), **options)
    )
    assert recorded == losses(
        train(small(classes=3), pictures(), cosine(10), labels=torch.arange(20) % 3, **options)
    )


def test_pictures_in_0_to_1_are_noticed():
    with pytest.warns(UserWarning, match=r"^images: no value is below 0"):
        next(train(small(), (pictures() + 1) / 2, cosine(10), steps=1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_is_refused_since_its_average_would_stand_still(dtype):
    with pytest.raises(ValueError, match=r"^denoiser: expected weights in single precision"):
        next(train(small().to(dtype), pictures(), cosine(10), steps=1))


@pytest.mark.parametrize(
    ("rank", "world", "main"),
    [("1", None, True), ("1", "1", True), ("1", "", True), ("1", "2", False), ("0", "2", True)],
)
def test_a_rank_alone_says_nothing(monkeypatch, rank, world, main):
    monkeypatch.setenv("RANK", rank)
    if world is None:
        monkeypatch.delenv("WORLD_SIZE", raising=False)
    else:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert main_process() == main


def test_a_team_that_the_environment_speaks_of_and_that_is_not_there_is_refused(monkeypatch):
    # Each of two would take the other for the main process, train alone, and write nothing.
    accelerate = pytest.importorskip("accelerate")
    found = SimpleNamespace(process_index=0, num_processes=1)
    monkeypatch.setattr(accelerate, "Accelerator", lambda **given: found)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(
        ValueError, match=r"^WORLD_SIZE: the environment speaks of process 1 of 2, but this is 0 of 1"
    ):
        next(run(None))


def test_a_team_that_can_t_be_joined_is_refused_in_words_about_the_environment():
    pytest.importorskip("accelerate")
    cases = {"0": "this is 0 of 1", "2": "MASTER_ADDR", "many": "invalid literal"}  # one after the other
    code = """
import os, sys
from diffusion_lesson.learning.distributed import distributed
for os.environ["WORLD_SIZE"] in sys.argv[1:]:
    try:
        distributed("cpu")
    except ValueError as error:
        print(error)"""
    set_ = {key: value for key, value in os.environ.items() if key != "MASTER_ADDR"}
    done = subprocess.run(
        [sys.executable, "-c", code, *cases], env=set_, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("WORLD_SIZE: ")]
    assert len(lines) == len(cases)
    for (world, words), line in zip(cases.items(), lines, strict=True):
        assert f"process 0 of {world}, but this is " in line
        assert words in line
