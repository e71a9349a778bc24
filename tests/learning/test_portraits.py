"""A word for one thing in a few photographs: what is seen of each, its first row, and what is rehearsed."""

import hashlib

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


def test_own_pictures_are_drawn_once_and_kept(tmp_path):
    labels, walks = torch.arange(4) % 3, []

    def watch(walk, steps):
        walks.append(steps)
        return walk

    drawn = portraits.own_pictures(denoiser(), labels, 8, folder=tmp_path / "new", watch=watch)
    again = portraits.own_pictures(denoiser(), labels, 8, folder=tmp_path / "new", watch=watch)
    assert walks == [25]
    assert torch.equal(again, drawn)
    assert drawn.shape == (4, 3, 8, 8)
    assert drawn.abs().max() <= 1
    with pytest.raises(ValueError, match=r"^folder: .*own\.safetensors holds pictures of other labels or sizes"):
        portraits.own_pictures(denoiser(), labels[:3], 8, folder=tmp_path / "new")
