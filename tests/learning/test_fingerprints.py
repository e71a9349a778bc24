"""Fingerprints of schedules and pictures: alike to rounding, and different where anything else differs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from diffusion_lesson.learning import fingerprints
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.training import train
from diffusion_lesson.process.schedule import SCHEDULES, Schedule, cosine, linear, named, scaled_linear


def rounded_otherwise(values, by=1e-7):
    """As another processor might make them."""
    g = torch.Generator().manual_seed(1)
    return values * (1 + by * torch.randn(values.shape, generator=g, dtype=values.dtype))


def pictures(count):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("make", [linear, scaled_linear, cosine])
def test_betas_are_alike_when_only_their_last_bits_differ(make):
    betas = make().betas
    again = rounded_otherwise(betas, 1e-15)
    written, now = fingerprints.of_betas(betas), fingerprints.of_betas(again)
    assert written["digest"] != now["digest"]
    assert fingerprints.alike(json.loads(json.dumps(written)), now)


@pytest.mark.parametrize("other", [linear(1000, 0.00085, 0.012), linear(999), scaled_linear(), cosine()])
def test_another_schedule_is_not_alike(other):
    assert not fingerprints.alike(fingerprints.of_betas(linear().betas), fingerprints.of_betas(other.betas))


@pytest.mark.parametrize("t", [1, 500, 1000])
def test_one_beta_that_differs_by_a_millionth_is_not_alike(t):
    betas = linear().betas.clone()
    betas[t] *= 1 + 1e-6
    assert not fingerprints.alike(fingerprints.of_betas(linear().betas), fingerprints.of_betas(betas))


@pytest.mark.parametrize("count", [6, 20_000])
def test_pictures_are_alike_when_only_their_last_bits_differ(count):
    images, labels = pictures(count), torch.arange(count) % 10
    again = rounded_otherwise(images)
    written, now = fingerprints.of_images(images, labels), fingerprints.of_images(again, labels)
    assert written["digest"] != now["digest"]
    assert fingerprints.alike(json.loads(json.dumps(written)), now)


@pytest.mark.parametrize("count", [6, 20_000])
def test_one_other_picture_another_order_or_label_is_not_alike(count):
    images, labels = pictures(count), torch.arange(count) % 10
    another = images.clone()
    another[3] = -another[3]
    swapped = images.clone()
    swapped[[1, (1 + 64) % count]] = images[[(1 + 64) % count, 1]]
    mirrored = images.flip(3)
    other_labels = labels.clone()
    other_labels[-1] = 0
    written = fingerprints.of_images(images, labels)
    for now in ((another, labels), (swapped, labels), (mirrored, labels), (images, other_labels), (images, None)):
        assert not fingerprints.alike(written, fingerprints.of_images(*now))


def test_pictures_of_another_shape_are_not_alike():
    images = torch.zeros(4, 1, 8, 8)
    other = fingerprints.of_images(torch.zeros(4, 1, 4, 16), None)
    assert not fingerprints.alike(fingerprints.of_images(images, None), other)


@pytest.mark.parametrize(
    "written",
    [
        None,
        3,
        [],
        {},
        {"digest": "0"},
        {"digest": "0", "betas": "0 one"},
        {"digest": "0", "betas": "0"},
        {"digest": "0", "betas": [0.1]},
    ],
)
def test_what_is_no_fingerprint_is_not_alike(written):
    assert not fingerprints.alike(written, fingerprints.of_betas(linear().betas))


def test_in_a_message_a_fingerprint_is_its_hash():
    mark = fingerprints.of_betas(cosine(10).betas)
    assert fingerprints.brief(mark) == repr(mark["digest"])
    assert fingerprints.brief(0.5) == "0.5"


# Checkpoints


class Scale(nn.Module):
    """The least that can be trained."""

    def __init__(self):
        super().__init__()
        self.s = nn.Parameter(torch.ones(()))

    def forward(self, x, t):
        return self.s * x


def run(folder, count, schedule, images=None):
    """The next `count` steps of four; every second writes a checkpoint."""
    images = pictures(6) if images is None else images
    denoiser, config = Denoiser(Scale(), schedule, "eps"), TrainConfig(steps=4, batch_size=2)
    loop = train(denoiser, images, config, checkpoint=folder, checkpoint_every=2)
    return [next(loop).step for _ in range(count)]


def test_a_checkpoint_goes_on_where_the_last_bits_of_betas_and_pictures_differ(tmp_path):
    schedule = linear(50)
    assert run(tmp_path, 3, schedule) == [1, 2, 3]
    again = Schedule(rounded_otherwise(schedule.betas[1:], 1e-15))
    assert run(tmp_path, 2, again, rounded_otherwise(pictures(6)).clamp(-1, 1)) == [3, 4]


WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
from test_fingerprints import run
from diffusion_lesson.process.schedule import named
for kind in sys.argv[3:]:
    run(Path(sys.argv[2], kind), 3, named(kind))
"""


@pytest.fixture(scope="module")
def of_a_plain_processor(tmp_path_factory):
    """A checkpoint of each schedule, made without PyTorch's and the C library's code for newer processors."""
    plain = {"ATEN_CPU_CAPABILITY": "default", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"}
    here, folder = Path(__file__).parent, tmp_path_factory.mktemp("plain")
    subprocess.run([sys.executable, "-c", WRITE, here, folder, *SCHEDULES], env=os.environ | plain, check=True)
    return folder


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_checkpoint_of_a_plain_processor_goes_on_here(of_a_plain_processor, kind):
    assert run(of_a_plain_processor / kind, 2, named(kind)) == [3, 4]


@pytest.mark.parametrize("kind", ["line", "roots", "cosine"])
def test_a_checkpoint_from_when_only_hashes_were_kept_goes_on(tmp_path, kind):
    line = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    roots = torch.linspace(1e-4**0.5, 0.02**0.5, 1000, dtype=torch.float64) ** 2
    now = {"line": linear(), "roots": scaled_linear(1000, 1e-4, 0.02), "cosine": cosine()}[kind]
    then = {"line": Schedule(line), "roots": Schedule(roots), "cosine": cosine()}[kind]
    assert run(tmp_path, 3, now) == [1, 2, 3]
    note = json.loads((tmp_path / "checkpoint.json").read_text("utf-8"))
    note["settings"] |= {"betas": fingerprints.of_bits(then.betas), "images": fingerprints.of_bits(pictures(6))}
    (tmp_path / "checkpoint.json").write_text(json.dumps(note), "utf-8")
    assert run(tmp_path, 2, now) == [3, 4]
    other = linear(1000, 1e-4, 0.0200001)
    with pytest.raises(ValueError, match=r"^checkpoint: .* \(betas was '[0-9a-f]{16}', is '[0-9a-f]{16}'\); use"):
        run(tmp_path, 1, other)
