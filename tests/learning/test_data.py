"""Pictures: their values, their layout, and what is said when they can't be had."""

import gzip
import hashlib
import importlib.util
import io
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from diffusion_lesson.learning import data, downloads, dreambooth
from diffusion_lesson.learning.data import (
    ImageSet,
    cifar10,
    digits,
    dreambooth_dog,
    mnist,
    mnist_small,
    photographs,
    to_signed,
    to_uint8,
)

REAL = os.environ.get("DIFFUSION_LESSON_DATA")
WITH_MNIST = pytest.mark.skipif(
    not REAL or not (Path(REAL) / "mnist").is_dir(),
    reason="DIFFUSION_LESSON_DATA names no folder with mnist/ in it",
)
TOOLS = Path(__file__).parents[2] / "tools"


# The image set


def image_set(**changes):
    fields = {
        "images": torch.arange(24, dtype=torch.uint8).reshape(2, 1, 3, 4),
        "labels": torch.tensor([1, 0]),
        "names": ("cat", "dog"),
        "levels": 24,
    }
    return ImageSet(**(fields | changes))


def test_an_image_set_has_a_length_and_one_line():
    assert len(image_set()) == 2
    assert repr(image_set()) == "ImageSet(2 pictures, 1 × 3 × 4, 24 levels, 2 names)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": torch.zeros(2, 1, 3, 4)},
            r"^images: got float32 \(2, 1, 3, 4\); expected uint8 \(N, C, H, W\)",
        ),
        ({"images": torch.zeros(2, 3, 4, dtype=torch.uint8)}, r"^images: got uint8 \(2, 3, 4\); expected"),
        ({"images": torch.zeros(0, 1, 3, 4, dtype=torch.uint8)}, r"^images: got uint8 \(0, 1, 3, 4\); expected"),
        ({"labels": torch.tensor([1, 0, 0])}, r"^labels: got int64 \(3,\); expected \(2,\)"),
        ({"labels": torch.tensor([[1], [0]])}, r"^labels: got int64 \(2, 1\); expected \(2,\)"),
        ({"labels": torch.tensor([1.0, 0.0])}, r"^labels: got float32 \(2,\); expected integers"),
        ({"labels": torch.tensor([True, False])}, r"^labels: got bool \(2,\); expected integers"),
        ({"labels": torch.tensor([1, 0]).cfloat()}, r"^labels: got complex64 \(2,\); expected integers"),
        ({"labels": torch.tensor([1, 2])}, r"^labels: got 1..2; expected 0..1"),
        ({"labels": torch.tensor([-1, 1])}, r"^labels: got -1..1; expected 0..1"),
        ({"levels": 23}, r"^images: got the value 23; expected 0..22, as levels is 23"),
        ({"levels": 257}, r"^levels: got 257; expected 2..256"),
        ({"levels": 1}, r"^levels: got 1; expected 2..256"),
    ],
)
def test_an_image_set_says_what_does_not_fit(without_type_checks, changes, message):
    with pytest.raises(ValueError, match=message):
        image_set(**changes)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint64])
def test_labels_of_any_integer_type_become_int64(dtype):
    labels = image_set(labels=torch.tensor([1, 0]).to(dtype)).labels
    assert (labels.dtype, labels.tolist()) == (torch.int64, [1, 0])


def test_some_of_an_image_set_are_an_image_set():
    whole = image_set()
    for chosen in (slice(1, None), torch.tensor([1]), whole.labels == 0):
        some = whole[chosen]
        assert torch.equal(some.images, whole.images[1:])
        assert some.labels.tolist() == [0]
        assert (some.names, some.levels) == (whole.names, whole.levels)
    with pytest.raises(ValueError, match=r"^images: got uint8 \(0, 1, 3, 4\); expected"):
        whole[5:]


# Scaling


def test_scaling_known_values():
    signed = to_signed(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert signed.dtype == torch.float32
    torch.testing.assert_close(signed, torch.tensor([-1.0, -0.6, 1.0]))
    torch.testing.assert_close(
        to_signed(torch.tensor([0, 4, 8, 16], dtype=torch.uint8), 17), torch.tensor([-1, -0.5, 0, 1])
    )
    assert signed[0] == -1
    assert signed[2] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scaling_back_rounds_and_clamps(dtype):
    x = torch.tensor([-3, -1, -0.26, -0.24, 0, 0.49, 1, 7, torch.inf, -torch.inf], dtype=dtype)
    back = to_uint8(x, levels=5)
    assert back.dtype == torch.uint8
    assert back.tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 4, 0]


def test_scaling_there_and_back_loses_nothing():
    for levels in range(2, 257):
        values = torch.arange(levels).to(torch.uint8)
        assert torch.equal(to_uint8(to_signed(values, levels), levels), values)
    nothing = torch.zeros(0, 1, 8, 8, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_signed(nothing)), nothing)


def test_scaling_refuses_what_has_no_pixel_value(without_type_checks):
    with pytest.raises(ValueError, match=r"^x: got NaN in 1 of 3 places"):
        to_uint8(torch.tensor([0, torch.nan, 1]))
    with pytest.raises(ValueError, match=r"^images: got the value 17; expected 0..16, as levels is 17"):
        to_signed(torch.tensor([17], dtype=torch.uint8), levels=17)
    with pytest.raises(ValueError, match=r"^images: got float32 \(1,\); expected uint8"):
        data.to_signed(torch.tensor([0.5]))
    with pytest.raises(ValueError, match=r"^levels: got 1;"):
        to_signed(torch.tensor([0], dtype=torch.uint8), levels=1)
    with pytest.raises(ValueError, match=r"^levels: got 300;"):
        to_uint8(torch.tensor([0.0]), levels=300)


# Inside scikit-learn


def test_digits_are_all_of_scikit_learns_each_once_with_its_label():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1437, 360)
    for part in (train, test):
        assert part.images.shape[1:] == (1, 8, 8)
        assert (part.levels, part.names) == (17, tuple("0123456789"))
        assert part.labels.bincount().min() > 20
    source = load_digits()
    ours = torch.cat(
        [torch.cat([s.images.flatten(1), s.labels[:, None].to(torch.uint8)], 1) for s in (train, test)]
    )
    theirs = np.concatenate([source.data, source.target[:, None]], 1)
    assert sorted(ours.tolist()) == sorted(theirs.astype(int).tolist())


def test_digits_are_split_the_same_way_everywhere():
    assert digits().labels[:12].tolist() == [2, 8, 2, 6, 6, 7, 1, 9, 8, 5, 2, 8]
    assert digits("test").labels[:12].tolist() == [7, 9, 4, 7, 0, 2, 6, 1, 3, 1, 3, 7]


def test_photographs_are_pictures_with_credits():
    shown = photographs()
    assert shown.images.shape == (2, 3, 427, 640)
    assert shown.images.is_contiguous()
    assert shown.levels == 256
    for name, author in zip(shown.names, ("danielbuechele", "vultilion"), strict=True):
        assert author in name
        assert "CC BY 2.0" in name
    sky, petals = shown.images[0, :, 10, 10], shown.images[1, :, 200, 300]
    assert sky[2] > sky[0], "the sky is blue: channels are R, G, B"
    assert petals[0] > petals[2], "the flower is orange"


@pytest.mark.parametrize("load", [digits, mnist, cifar10])
@pytest.mark.parametrize("split", ["valid", "Train", ""])
def test_an_unknown_split_is_named(load, split):
    with pytest.raises(ValueError, match=rf"^split: got '{split}'; expected \"train\" or \"test\""):
        load(split)


# The pictures of MNIST that ship


@pytest.fixture(scope="module")
def maker():
    """tools/make_mnist_small.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("make_mnist_small", TOOLS / "make_mnist_small.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mnist_small_needs_no_network_and_has_500_of_each_class(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "_MIRRORS", {"mnist": ()})
    small = mnist_small()
    assert small.images.shape == (5000, 1, 28, 28)
    assert (small.names, small.levels) == (tuple("0123456789"), 256)
    assert small.labels.bincount().tolist() == [500] * 10
    assert small.labels[:12].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5]
    assert len(small.images.flatten(1).unique(dim=0)) == 5000
    assert small.images.float().mean() / 255 == pytest.approx(0.1307, abs=0.002), "as all 60,000"
    assert data.SMALL_IMAGES.stat().st_size + data.SMALL_LABELS.stat().st_size < 1_200_000
    assert "CC BY-SA 3.0" in data.SMALL_IMAGES.with_name("README.md").read_text("utf-8")


@WITH_MNIST
def test_mnist_small_is_the_first_500_of_each_class_of_the_official_file_and_nothing_of_the_test_file(maker):
    small, official, test = mnist_small(), mnist("train"), mnist("test")
    places = [(official.labels == k).nonzero()[:500, 0] for k in range(10)]
    places = torch.cat(places).sort().values
    assert (places[0], places[-1]) == (0, 5847)
    assert torch.equal(small.images, official.images[places])
    assert torch.equal(small.labels, official.labels[places])
    rows = torch.cat([small.images, test.images]).flatten(1)
    assert len({row.numpy().tobytes() for row in rows}) == 15_000
    for values, file in zip(maker.small(), (data.SMALL_IMAGES, data.SMALL_LABELS), strict=True):
        assert gzip.decompress(file.read_bytes()) == maker.idx(values.numpy())


def test_its_maker_takes_the_first_of_each_class_in_the_files_order(maker):
    labels = torch.tensor([1, 1, 0, 1, 0, 2, 2, 0])
    assert maker.first_of_each(labels, 2).tolist() == [0, 1, 2, 4, 5, 6]
    with pytest.raises(ValueError, match=r"^labels: expected 3 or more of each class, got a class of 2"):
        maker.first_of_each(labels, 3)


def test_a_damaged_file_that_ships_is_named_with_another_cure(tmp_path, monkeypatch):
    broken = tmp_path / "images-idx3-ubyte.gz"
    for content in (idx(0x803, (1, 2, 2), range(3)), idx(0x801, (4,), range(4)), b"no gzip", b""):
        broken.write_bytes(content)
        monkeypatch.setattr(data, "SMALL_IMAGES", broken)
        with pytest.raises(ValueError, match=r"\. Install the package again\.$") as error:
            mnist_small()
        assert str(error.value).startswith(f"{broken}: ")


# MNIST and CIFAR-10 from files made here


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Put bytes where an official file belongs, as if they were official; no mirror answers."""
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "_MIRRORS", {"mnist": (), "cifar10": (), "dreambooth": ()})

    def put(file, content):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        monkeypatch.setitem(downloads._CHECKSUMS, file, f"md5:{hashlib.md5(content).hexdigest()}")
        return path

    return put


def idx(magic, shape, values):
    return gzip.compress(struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(values))


def test_mnist_is_read_from_idx(place):
    place("mnist/train-images-idx3-ubyte.gz", idx(0x803, (2, 3, 4), range(24)))
    place("mnist/train-labels-idx1-ubyte.gz", idx(0x801, (2,), [7, 3]))
    place("mnist/t10k-images-idx3-ubyte.gz", idx(0x803, (1, 2, 2), [9, 8, 7, 255]))
    place("mnist/t10k-labels-idx1-ubyte.gz", idx(0x801, (1,), [4]))
    train, test = mnist(), mnist("test")
    assert train.images.tolist() == np.arange(24).reshape(2, 1, 3, 4).tolist()
    assert train.labels.tolist() == [7, 3]
    assert (train.names, train.levels) == (tuple("0123456789"), 256)
    assert test.images.tolist() == [[[[9, 8], [7, 255]]]]
    assert test.labels.tolist() == [4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(0x801, (20,), range(20)), "its magic number is 0x0801; expected 0x0803"),
        (idx(0x803, (1, 2, 2), range(3)), r"holds 3 values; its header promises \[1, 2, 2\]"),
        (idx(0x803, (1, 2, 2), range(5)), r"holds 5 values; its header promises \[1, 2, 2\]"),
        (gzip.compress(b""), "not a whole gzipped IDX file"),
        (gzip.compress(b"\0\0\x08\x03"), "not a whole gzipped IDX file"),
        (idx(0x803, (1, 2, 2), range(4))[:-12], "not a whole gzipped IDX file"),
        (b"not gzip at all", "not a whole gzipped IDX file"),
        (idx(0x803, (1, 28, 28), bytes(784))[:10] + b"\xff" * 20, "not a whole gzipped IDX file"),
    ],
    ids=["labels", "short", "long", "empty", "header", "truncated", "text", "garbled"],
)
def test_a_damaged_idx_file_is_named(place, content, message):
    path = place("mnist/train-images-idx3-ubyte.gz", content)
    place("mnist/train-labels-idx1-ubyte.gz", idx(0x801, (1,), [4]))
    with pytest.raises(ValueError, match=message) as error:
        mnist("train")
    assert str(error.value).startswith(f"{path}: ")
    assert "Delete it, and the next call downloads it again." in str(error.value)


# The seven dogs, from photographs made here


def jpeg(colour, size=(60, 40)):
    """Of one colour, with a black border left and right of the central square."""
    out, square = io.BytesIO(), Image.new("RGB", size)
    square.paste(colour, ((size[0] - size[1]) // 2, 0, (size[0] + size[1]) // 2, size[1]))
    square.save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture
def dog8(place):
    return [place(f"dreambooth/dog8/{k:02d}.jpg", jpeg((40 * k, 100, 200))) for k in range(5)]


def test_a_dog_is_its_photographs_in_order_and_their_credit(dog8):
    dog = dreambooth_dog("dog8", size=8)
    assert dog.images.shape == (5, 3, 8, 8)
    middle = dog.images[:, :, 4, 4].float()
    wanted = torch.tensor([[40.0 * k, 100, 200] for k in range(5)])
    torch.testing.assert_close(middle, wanted, atol=6, rtol=0)
    assert dog.names == ("dog8, photographs by unsplash.com/@marslady, DreamBooth data set, CC BY 4.0",)
    assert dog.labels.tolist() == [0] * 5
    assert dreambooth_dog("dog8").images.shape == (5, 3, 32, 32)


def test_there_are_seven_dogs_of_five_or_six_photographs():
    counts = {dog: len(dreambooth.files(dog)) for dog in dreambooth.PHOTOGRAPHERS}
    assert counts == {"dog": 5, "dog2": 6, "dog3": 6, "dog5": 5, "dog6": 5, "dog7": 5, "dog8": 5}
    assert sum(counts.values()) == len(dreambooth.CHECKSUMS) == len(set(dreambooth.CHECKSUMS.values()))
    assert dreambooth.files("dog3")[:2] == ["dreambooth/dog3/00.jpg", "dreambooth/dog3/01.jpg"]


@pytest.mark.parametrize("name", ["dog4", "cat", ""])
def test_another_dog_is_refused(name):
    with pytest.raises(ValueError, match=f"^name: expected one of dog, dog2, .*, dog8, got '{name}'"):
        dreambooth_dog(name)


@pytest.mark.parametrize("size", [0, -1, True])
def test_a_dog_has_at_least_a_pixel(dog8, size):
    with pytest.raises(ValueError, match=f"^size: got {size}; expected a positive integer"):
        dreambooth_dog("dog8", size)


def test_a_dogs_photograph_that_is_another_file_is_named(dog8):
    dog8[3].write_bytes(jpeg((1, 2, 3)))
    with pytest.raises(ValueError, match="its md5 is") as error:
        dreambooth_dog("dog8")
    assert str(error.value).startswith(f"{dog8[3]}: ")


def test_a_dog_that_cannot_be_had_says_where_it_should_lie(place, tmp_path):
    with pytest.raises(OSError, match="Connect to the network and call again") as error:
        dreambooth_dog("dog3")
    assert str(error.value).startswith(f"{tmp_path / 'dreambooth' / 'dog3' / '00.jpg'}: not there")


def archive(members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def record(label, first):
    """One picture, black but for first + 10·channel in its corner, one more right of it and two more below it."""
    planes = np.zeros((3, 1024), np.uint8)
    planes[:, 0], planes[:, 1], planes[:, 32] = (first + 10 * np.arange(3) + step for step in (0, 1, 2))
    return bytes([label]) + planes.tobytes()


BATCHES = {
    "batches.meta.txt": b"airplane\nautomobile\nbird\ncat\n\n",
    "test_batch.bin": record(3, 200),
    # not in their order: the names decide, not the places in the archive
    **{f"data_batch_{i}.bin": record(i % 4, 10 * i) for i in (5, 1, 2, 4, 3)},
    "readme.html": b"<html>",
}


def test_cifar10_is_read_from_the_binary_archive(place):
    path = place("cifar10/cifar-10-binary.tar.gz", archive(BATCHES))
    train, test = cifar10("train"), cifar10("test")
    assert train.labels.tolist() == [1, 2, 3, 0, 1]
    assert train.images.shape == (5, 3, 32, 32)
    assert train.images[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50]
    assert (train.names, train.levels) == (("airplane", "automobile", "bird", "cat"), 256)
    assert test.labels.tolist() == [3]
    picture = test.images[0]
    assert picture[:, 0, 0].tolist() == [200, 210, 220], "red, green, blue"
    assert picture[:, 0, 1].tolist() == [201, 211, 221], "one to the right"
    assert picture[:, 1, 0].tolist() == [202, 212, 222], "one down"
    assert picture.count_nonzero() == 9
    assert list(path.parent.iterdir()) == [path], "nothing unpacked"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            archive(BATCHES | {"test_batch.bin": record(3, 0)[:-1]}),
            "3072 bytes of pictures are not whole records of 3073",
        ),
        (archive({k: v for k, v in BATCHES.items() if k != "test_batch.bin"}), "lacks test_batch.bin"),
        (archive(BATCHES)[:300], "not a whole .tar.gz archive"),
        (b"a page that says: log in first", "not a whole .tar.gz archive"),
        (gzip.compress(b"a page that says: log in first" * 100), "not a whole .tar.gz archive"),
    ],
    ids=["short", "lacking", "truncated", "text", "no tar"],
)
def test_a_damaged_archive_is_named(place, content, message):
    path = place("cifar10/cifar-10-binary.tar.gz", content)
    with pytest.raises(ValueError, match=message) as error:
        cifar10("test")
    assert str(error.value).startswith(f"{path}: ")
    assert "Delete it" in str(error.value)


def test_a_directory_in_the_archive_is_not_a_file(place):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("test_batch.bin")
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    place("cifar10/cifar-10-binary.tar.gz", packed.getvalue())
    with pytest.raises(ValueError, match=r"lacks batches.meta.txt, test_batch.bin"):
        cifar10("test")


@WITH_MNIST
def test_the_real_mnist():
    train, test = mnist("train"), mnist("test")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.float().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert train.images.float().std() / 255 == pytest.approx(0.3081, abs=5e-5)
