"""The weights that ship: whole, small, with cards that say what they are, and good for what lessons ask."""

import os
import re
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from bench import colour
from diffusion_lesson.learning import data, metrics, weights
from diffusion_lesson.learning.denoiser import draw
from diffusion_lesson.process import elbo
from diffusion_lesson.process.gaussian import discretized_log_prob

NAMES = [
    "cifar10", "classifier-cifar10", "classifier-digits", "classifier-mnist", "digits", "mnist", "mnist-without-7",
]  # fmt: skip
GENERATORS = [name for name in NAMES if not name.startswith("classifier")]


def drawn(name, labels, guidance_scale=1.0, steps=20):
    """One picture for each label, by DDIM with eta = 1."""
    denoiser, card = weights.load_shipped(name)
    g = torch.Generator().manual_seed(0)
    xT = torch.randn(len(labels), card.config["channels_in"], card.size, card.size, generator=g)
    return draw(
        denoiser, xT, labels=labels if denoiser.classes else None, guidance_scale=guidance_scale, steps=steps,
        generator=g,
    )  # fmt: skip


def test_these_ship_and_no_others():
    assert weights.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_whole_and_the_file_small(name):
    card = weights.card(name)
    tensors = weights.SHIPPED / f"{name}.safetensors"
    assert card.name == name
    assert isinstance(card.recipe["seed"], int)
    assert card.measured
    assert tensors.stat().st_size <= {"cifar10": 14e6}.get(name, 4e6)
    assert card.predicts is None or tensors.with_suffix(".png").is_file()


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_ship_in_half_precision_and_compute_in_single(name):
    stored = load_file(weights.SHIPPED / f"{name}.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert {value.dtype for value in weights.load_shipped(name)[0].network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "classes"), [("mnist", range(10)), ("mnist-without-7", [0, 1, 2, 3, 4, 5, 6, 8, 9])]
)
def test_they_draw_the_digit_they_are_told(name, classes):
    labels = torch.tensor([*classes] * 6)
    classifier, _ = weights.load_classifier("classifier-mnist")
    with torch.no_grad():
        share = (classifier(drawn(name, labels)).argmax(1) == labels).float().mean()
    assert share > 0.85


def test_cifar10_draws_what_it_is_told_and_names_its_classes():
    card, labels = weights.card("cifar10"), torch.arange(10)
    assert card.classes == tuple(sorted(card.classes))  # the order of the official files, which is alphabetical
    assert (card.label("dog"), card.label("truck")) == (5, 9)
    classifier, _ = weights.load_classifier("classifier-cifar10")
    with torch.no_grad():
        found = classifier(drawn("cifar10", labels, guidance_scale=1.5, steps=12)).argmax(1)
    assert (found == labels).float().mean() >= 0.7  # 88 % of 5,000 in 25 steps; of guesses, one in ten


def colour_copies(each):
    """`each` JPEG copies of every class of CIFAR-10's test pictures; skips where there are none."""
    root = Path(os.environ.get("DIFFUSION_LESSON_DATA", ""))
    if (root / "cifar10" / "cifar-10-binary.tar.gz").is_file():
        found = data.cifar10("test")
        chosen = torch.cat([(found.labels == k).nonzero().flatten()[:each] for k in range(10)])
        return colour.copied(found.images[chosen]), found.labels[chosen]
    if not (root / "cifar10-jpeg.tar.gz").is_file():
        pytest.skip("DIFFUSION_LESSON_DATA names no folder with CIFAR-10's test pictures")
    names, files = weights.card("cifar10").classes, {}
    with tarfile.open(root / "cifar10-jpeg.tar.gz") as archive:
        for member in archive:
            found = re.fullmatch(r"[^/]+/test/(\w+)/(\d+)\.jpg", member.name)
            if found and int(found[2]) < each:
                with Image.open(archive.extractfile(member)) as opened:
                    files[names.index(found[1]), found[2]] = np.asarray(opened.convert("RGB"))
    return torch.from_numpy(np.stack([*files.values()])).permute(0, 3, 1, 2), torch.tensor([k for k, _ in files])


def test_the_colour_classifier_reads_as_many_test_copies_as_its_card_says():
    images, labels = colour_copies(50)
    classifier, _ = weights.load_classifier("classifier-cifar10")
    with torch.no_grad():
        right = (classifier(data.to_signed(images)).argmax(1) == labels).float().mean().item()
    assert len(labels) == 500
    assert right == pytest.approx(0.886, abs=0.05)  # one standard error is 0.014


def test_the_digits_look_more_like_digits_than_noise_does():
    classifier, _ = weights.load_classifier("classifier-digits")
    sure = [
        classifier(x).softmax(1).amax(1).mean()
        for x in (drawn("digits", torch.arange(50)), torch.randn(50, 1, 8, 8))
    ]
    assert sure[0] > max(0.8, sure[1])


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_the_reference_is_of_the_shipped_classifier(name):
    found = metrics.reference(name)
    assert (found.count, found.mean.shape, found.cov.shape) == (10_000, (128,), (128, 128))
    torch.testing.assert_close(found.cov, found.cov.T)
    assert metrics.moments_distance(found, found) == pytest.approx(0, abs=1e-6)


def test_pictures_drawn_are_nearer_to_the_reference_than_noise():
    classifier, _ = weights.load_classifier("classifier-mnist")
    labels = torch.arange(150) % 10
    near, far = (
        metrics.moments_distance(metrics.reference("mnist"), metrics.moments(metrics.features(classifier, x)))
        for x in (drawn("mnist", labels), torch.randn(150, 1, 28, 28, generator=torch.Generator().manual_seed(1)))
    )
    assert near < 0.1 * far


def test_a_reference_for_another_classifier_is_refused(tmp_path, monkeypatch):
    for file in weights.SHIPPED.glob("*mnist*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    note = tmp_path / "classifier-mnist.json"
    note.write_text(note.read_text("utf-8").replace(weights.card("classifier-mnist").sha256, "0" * 64), "utf-8")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match="another classifier"):
        metrics.reference("mnist")


def test_an_unknown_reference_is_refused_with_those_known():
    with pytest.raises(ValueError, match=r"^name: expected one of cifar10, mnist, got 'cats'"):
        metrics.reference("cats")


@pytest.mark.parametrize("clip", [False, True], ids=["bare", "clipped"])
def test_what_some_steps_say_of_the_digits_bound_is_within_its_error(clip):
    # Not clipped, an error in ε̂ counts 31.6 times at t = T, and the one term there is a third of the sum.
    digits, _ = weights.load_shipped("digits")
    x0 = data.to_signed(data.digits("test").images[:8], 17)
    given = {"decoder": partial(discretized_log_prob, levels=17), "eps_model": digits.eps_model(clip=clip)}

    def books(seeds, steps):
        g = [torch.Generator().manual_seed(seed) for seed in seeds]
        return [elbo.ledger(digits.schedule, x0, steps=steps, generator=each, **given) for each in g]

    truth = torch.stack([book.total().mean() for book in books(range(3), None)]).mean()
    some = books(range(100, 130), 20)
    off = torch.stack([book.total().mean() - truth for book in some])
    error = torch.stack([book.standard_error().mean() for book in some])
    assert (off.abs() < 2 * error).sum() >= 28  # of 30
    assert (off.abs() < 4 * error).all()
    # One picture's error holds its noise, which a mean over 8 of them has less of: no more than 3 times too wide.
    assert 1 < (error.square().mean() / off.square().mean()).sqrt() < 3
    assert off.mean().abs() < 4 * off.std() / 30**0.5 + 0.02 * truth  # the truth is an estimate too
