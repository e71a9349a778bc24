"""A word for one thing in a few photographs: what is seen of each, its first row, and what is rehearsed."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lesson.learning import data, downloads, portraits
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine


def denoiser(classes=3, kind=UNet):
    torch.manual_seed(0)
    network = kind(3, 8, classes=classes).eval()
    for parameter in network.parameters():  # a fresh one predicts zero, whatever it is told
        torch.nn.init.normal_(parameter, std=0.2)
    return Denoiser(network, cosine(50), "v", classes)


def asked(which, *labels):
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(len(labels), 1, 1, 1)
    with torch.no_grad():
        return which.network(x, torch.full((len(labels),), 7), torch.tensor(labels))


def test_a_new_word_begins_as_its_neighbour_and_the_others_stay():
    before = denoiser()
    after = portraits.new_word(before, like=1)
    assert after.classes == 4
    assert after.network.config == before.network.config | {"classes": 4}
    assert not after.network.training
    # told 0, 1, 2, the new word, and no label
    assert torch.equal(asked(after, 0, 1, 2, 3, 4), asked(before, 0, 1, 2, 1, 3))
    assert len({tuple(each.flatten().tolist()) for each in asked(before, 0, 1, 2, 3)}) == 4  # each row is heard


def test_a_new_word_leaves_the_denoiser_as_it_was():
    before = denoiser()
    was = asked(before, 0, 1, 2, 3)
    after = portraits.new_word(before, like=1)
    with torch.no_grad():
        for parameter in after.network.parameters():
            parameter.add_(1)
    assert torch.equal(asked(before, 0, 1, 2, 3), was)


@pytest.mark.parametrize("like", [3, -1])
def test_a_new_word_needs_a_neighbour(like):
    with pytest.raises(ValueError, match=rf"^like: expected a label, 0\.\.2, got {like}"):
        portraits.new_word(denoiser(), like)


def test_a_new_word_needs_a_table():
    with pytest.raises(ValueError, match=r"^denoiser: expected one that takes labels, got one with classes=0"):
        portraits.new_word(denoiser(0), 0)


def test_a_new_word_needs_a_unet():
    class Other(torch.nn.Module):
        classes = 3

    with pytest.raises(ValueError, match=r"^denoiser: expected one whose network is a UNet, got a Other"):
        portraits.new_word(Denoiser(Other(), cosine(50), "v", 3), 0)


def pictures(count, side):
    return torch.arange(count * 3 * side * side).reshape(count, 3, side, side) / (count * 3 * side * side)


def test_views_are_the_whole_its_crops_and_their_mirrors():
    whole, larger = pictures(2, 4), pictures(2, 8)
    seen = portraits.views(whole, larger)
    half = len(seen) // 2
    assert len(seen) == 2 * 2 * (1 + 9)  # crops begin at 0, 2 and 4, down and across
    assert torch.equal(seen[half:], seen[:half].flip(-1))
    assert torch.equal(seen[:2], whole)
    assert torch.equal(seen[2:4], larger[..., :4, :4])
    assert torch.equal(seen[half - 2 : half], larger[..., 4:, 4:])
    assert len({tuple(each.flatten().tolist()) for each in seen}) == len(seen)


def test_views_without_a_larger_copy_are_the_whole_and_its_mirror():
    whole = pictures(2, 4)
    assert torch.equal(portraits.views(whole, whole), torch.cat([whole, whole.flip(-1)]))


@pytest.mark.parametrize("larger", [(2, 3, 3, 3), (1, 3, 8, 8)])
def test_views_want_a_larger_copy_of_each(larger):
    with pytest.raises(ValueError, match=r"^larger: expected 2 pictures of 4 pixels or more, got \(\d"):
        portraits.views(pictures(2, 4), torch.zeros(larger))


def test_the_surest_crops_are_those_that_a_judge_is_surest_of_with_their_mirrors():
    whole, larger = pictures(2, 4), [pictures(2, 8), pictures(2, 10)]

    def upper_left_is_bright(x):  # of a mirrored one the upper right is looked at, too
        return x[:, 0, 0, 0]

    seen = portraits.surest(whole, larger, upper_left_is_bright)
    half = len(seen) // 2
    assert len(seen) == 2 * 2 * (1 + 9)
    assert torch.equal(seen[half:], seen[:half].flip(-1))
    assert torch.equal(seen[:2], whole)
    for which in range(2):
        crops = [
            copy[which, :, i : i + 4, j : j + 4]
            for copy in larger
            for i in range(0, copy.shape[-1] - 3, 2)
            for j in range(0, copy.shape[-1] - 3, 2)
        ]
        assert len(crops) == 9 + 16
        best = sorted(crops, key=lambda crop: crop[0, 0, 0] + crop[0, 0, -1], reverse=True)[:9]
        kept = {tuple(crop.flatten().tolist()) for crop in seen[2:half][which::2]}
        assert kept == {tuple(crop.flatten().tolist()) for crop in best}


def test_where_there_are_few_crops_all_are_kept():
    seen = portraits.surest(pictures(2, 4), [pictures(2, 6)], lambda x: x.mean((1, 2, 3)))
    assert len(seen) == 2 * 2 * (1 + 4)


def test_surest_wants_larger_copies_of_each():
    with pytest.raises(ValueError, match=r"^larger: expected 2 pictures of 4 pixels or more, got \(2, 3, 3, 3\)"):
        portraits.surest(pictures(2, 4), [torch.zeros(2, 3, 3, 3)], lambda x: x.mean((1, 2, 3)))


def photograph(path, width, height, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.RandomState(width).randint(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)


def test_photographs_are_a_folders_and_say_what_was_seen(tmp_path):
    for name, size in (("a.jpg", (60, 40)), ("b.png", (90, 100)), ("c.jpg", (50, 50))):
        photograph(tmp_path / name, *size)
    seen = portraits.photographs(tmp_path, size=16)
    assert str(seen) == (
        "3 photographs of 60 × 40 to 90 × 100 pixels; the central square of each, 16 × 16; with crops and mirrors "
        "30 views"
    )
    assert seen.credit == ""
    assert seen.stored == ((60, 40), (90, 100), (50, 50))
    assert seen.whole.shape == (3, 3, 16, 16)
    assert torch.equal(seen.whole, data.to_signed(data.image_folder(tmp_path, 16).images))
    assert torch.equal(seen.views[:3], seen.whole)
    assert seen.views.shape == (30, 3, 16, 16)  # of 18 pixels, two crops down and across


def test_photographs_are_cropped_where_a_judge_is_sure(tmp_path):
    for name in ("a.png", "b.png"):
        photograph(tmp_path / name, 40, 50)
    seen = portraits.photographs(tmp_path, 16, sure=lambda x: -x.mean((1, 2, 3)))
    assert seen.views.shape == (2 * 2 * (1 + 9), 3, 16, 16)
    copies = [data.to_signed(data.image_folder(tmp_path, side).images) for side in (18, 20)]
    assert torch.equal(seen.views, portraits.surest(seen.whole, copies, lambda x: -x.mean((1, 2, 3))))


def test_one_grey_photograph_has_three_colours_and_one_size(tmp_path):
    photograph(tmp_path / "a.png", 40, 40, "L")
    seen = portraits.photographs(tmp_path, size=16)
    assert seen.views.shape[1:] == (3, 16, 16)
    assert str(seen).startswith("1 photograph of 40 × 40 pixels; ")


def test_a_dog_of_the_set_comes_with_its_credit(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        file = f"dreambooth/dog7/{number:02d}.jpg"
        photograph(tmp_path / file, 40 + number, 40)
        checksum = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        monkeypatch.setitem(downloads._CHECKSUMS, file, f"sha256:{checksum}")
    seen = portraits.photographs("dog7", size=16)
    assert seen.credit == "dog7, photographs by unsplash.com/@o5ky, DreamBooth data set, CC BY 4.0"
    assert seen.stored == tuple((40 + number, 40) for number in range(5))
    photograph(tmp_path / "dog7" / "mine.jpg", 33, 44)  # a reader's own folder of that name
    own = portraits.photographs("dog7", size=16)
    assert (own.stored, own.credit) == (((33, 44),), "")


def two(word=3):
    """A denoiser with a word more, one that was changed since, and both side by side."""
    known = portraits.new_word(denoiser(), like=1)
    taught = portraits.new_word(denoiser(), like=1)
    with torch.no_grad():
        for parameter in taught.network.parameters():
            parameter.mul_(1.1)
    return known, taught, portraits.beside(known, taught, word)


def test_beside_each_other_one_answers_for_the_word_and_one_for_all_else():
    known, taught, both = two()
    x, t = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(1, 7)
    labels = torch.tensor([3, 0, 3, 1, 4, 2])
    with torch.no_grad():
        mixed, of_known, of_taught = (each.network(x, t, labels) for each in (both, known, taught))
        assert torch.allclose(mixed, torch.where((labels == 3).view(-1, 1, 1, 1), of_taught, of_known), atol=1e-5)
        assert not torch.allclose(of_taught, of_known, atol=1e-2)
        # alone, to the bit
        old = torch.tensor([0, 1, 2, 4, 0, 1])
        assert torch.equal(both.network(x, t, old), known.network(x, t, old))
        assert torch.equal(both.network(x, t), known.network(x, t))
        new = torch.full((6,), 3)
        assert torch.equal(both.network(x, t, new), taught.network(x, t, new))


def test_beside_each_other_guidance_leads_from_the_one_to_the_other():
    known, taught, both = two()
    x, t, labels = (
        torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)),
        torch.tensor([9, 9]),
        [3, 3],
    )
    how = {"clip": False}
    with torch.no_grad():
        plain, told = known.eps_model(**how)(x, t), taught.eps_model(torch.tensor(labels), **how)(x, t)
        guided = both.eps_model(torch.tensor(labels), guidance_scale=3.0, **how)(x, t)
    assert torch.allclose(guided, plain + 3 * (told - plain), atol=1e-5)


@pytest.mark.parametrize(
    ("taught", "name"),
    [
        (lambda: denoiser(), "classes"),
        (lambda: replace(portraits.new_word(denoiser(), 1), predicts="eps"), "predicts"),
        (lambda: replace(portraits.new_word(denoiser(), 1), schedule=cosine(40)), "schedule"),
    ],
)
def test_beside_each_other_are_two_of_a_kind(taught, name):
    with pytest.raises(ValueError, match=rf"^taught: expected a denoiser with the same {name} as known"):
        portraits.beside(portraits.new_word(denoiser(), 1), taught(), 3)


@pytest.mark.parametrize("word", [-1, 4])
def test_a_word_of_a_network_of_its_own_is_one_of_its_labels(word):
    with pytest.raises(ValueError, match=rf"^word: expected a label, 0\.\.3, got {word}"):
        two(word)
