"""Pictures: their values, their layout, and what is said when they can't be had."""

import gzip
import hashlib
import importlib.util
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import warnings
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from tqdm import tqdm

from diffusion_lesson.learning import data, downloads
from diffusion_lesson.learning.data import (
    ImageSet,
    cifar10,
    digits,
    image_folder,
    mnist,
    photographs,
    to_signed,
    to_uint8,
)

REAL = os.environ.get("DIFFUSION_LESSON_DATA")


@pytest.fixture(scope="module")
def unchecked():
    """The module as a reader has it: without beartype, which would refuse a wrong type before our own words."""
    spec = importlib.util.spec_from_file_location("unchecked_data", data.__file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


# The image set


def image_set(kind=ImageSet, **changes):
    fields = {
        "images": torch.arange(24, dtype=torch.uint8).reshape(2, 1, 3, 4),
        "labels": torch.tensor([1, 0]),
        "names": ("cat", "dog"),
        "levels": 24,
    }
    return kind(**(fields | changes))


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
        ({"labels": torch.tensor([1, 0, 0])}, r"^labels: got int64 \(3,\); expected int64 \(2,\)"),
        ({"labels": torch.tensor([[1], [0]])}, r"^labels: got int64 \(2, 1\); expected int64 \(2,\)"),
        ({"labels": torch.tensor([1.0, 0.0])}, r"^labels: got float32 \(2,\); expected int64 \(2,\)"),
        ({"labels": torch.tensor([1, 2])}, r"^labels: got 1..2; expected 0..1"),
        ({"labels": torch.tensor([-1, 1])}, r"^labels: got -1..1; expected 0..1"),
        ({"levels": 23}, r"^images: got the value 23; expected 0..22, as levels is 23"),
        ({"levels": 257}, r"^levels: got 257; expected 2..256"),
        ({"levels": 1}, r"^levels: got 1; expected 2..256"),
    ],
)
def test_an_image_set_says_what_does_not_fit(unchecked, changes, message):
    with pytest.raises(ValueError, match=message):
        image_set(unchecked.ImageSet, **changes)


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


def test_scaling_refuses_what_has_no_pixel_value(unchecked):
    with pytest.raises(ValueError, match=r"^x: got NaN in 1 of 3 places"):
        to_uint8(torch.tensor([0, torch.nan, 1]))
    with pytest.raises(ValueError, match=r"^images: got the value 17; expected 0..16, as levels is 17"):
        to_signed(torch.tensor([17], dtype=torch.uint8), levels=17)
    with pytest.raises(ValueError, match=r"^images: got float32 \(1,\); expected uint8"):
        unchecked.to_signed(torch.tensor([0.5]))
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


# MNIST and CIFAR-10 from files made here


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Put bytes where an official file belongs, as if they were official; no mirror answers."""
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "_MIRRORS", {"mnist": (), "cifar10": ()})

    def put(file, content):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
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


# Downloads, from servers on this machine

LABELS = "mnist/t10k-labels-idx1-ubyte.gz"
CONTENT = gzip.compress(os.urandom(300_000))  # a few chunks


class Mirrors:
    """A server whose first path element says how it answers; remembers what it was asked for."""

    def __init__(self):
        self.asked, self.during = [], lambda: None
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                kind = self.path.split("/")[1]
                mirrors.asked.append(kind)
                mirrors.headers = self.headers
                if kind == "missing":
                    return self.send_error(404)
                if kind == "flaky" and mirrors.asked.count("flaky") < 2:
                    return self.send_error(503)
                body = b"<html>log in first</html>" if kind == "wrong" else CONTENT
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                mirrors.during()
                if kind != "truncated":
                    self.wfile.write(body[len(body) // 2 :])
                return None

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, kind):
        return f"http://127.0.0.1:{self.server.server_port}/{kind}/"


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(downloads._CHECKSUMS, LABELS, "sha256:" + hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    served = Mirrors()

    def use(*kinds):
        monkeypatch.setitem(downloads._MIRRORS, "mnist", tuple(served.url(kind) for kind in kinds))

    served.use = use
    yield served
    served.server.shutdown()
    served.server.server_close()


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_kept(mirrors, tmp_path):
    mirrors.use("whole")
    path = downloads.fetch(LABELS)
    assert path == tmp_path / LABELS
    assert path.read_bytes() == CONTENT
    assert downloads.fetch(LABELS) == path
    assert mirrors.asked == ["whole"], "the second time it comes from the disk"
    assert mirrors.headers["Accept-Encoding"] == "identity"
    assert files_in(tmp_path) == [Path(LABELS).name]


@pytest.mark.parametrize("bad", ["truncated", "wrong", "missing"])
def test_the_next_mirror_stands_in_for_a_bad_one(mirrors, tmp_path, bad):
    mirrors.use(bad, "whole")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    assert mirrors.asked == [bad, "whole"]
    assert files_in(tmp_path) == [Path(LABELS).name]


def test_a_mirror_is_tried_again(mirrors):
    mirrors.use("flaky")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT
    assert mirrors.asked == ["flaky", "flaky"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("truncated", "IncompleteRead"), ("wrong", "does not match the known hash"), ("missing", "404")],
)
def test_a_download_that_fails_everywhere_leaves_nothing_and_says_why(mirrors, tmp_path, bad, reason):
    mirrors.use(bad, "missing")
    with pytest.raises(OSError, match=reason) as error:
        downloads.fetch(LABELS)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / LABELS}: not there, and could not be downloaded:")
    assert mirrors.url(bad) in message
    assert mirrors.url("missing") in message
    assert "DIFFUSION_LESSON_DATA" in message
    assert files_in(tmp_path) == []


def test_a_half_written_file_never_has_the_final_name(mirrors, tmp_path):
    seen = []
    mirrors.during = lambda: seen.append(Path(LABELS).name in files_in(tmp_path))
    mirrors.use("truncated", "whole")
    downloads.fetch(LABELS)
    assert seen == [False, False]


def test_an_interrupted_download_leaves_nothing(mirrors, tmp_path, monkeypatch):
    def interrupt(self, n=1):
        assert any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()), "something is written"
        raise KeyboardInterrupt

    mirrors.use("whole")
    monkeypatch.setattr(tqdm, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        downloads.fetch(LABELS)
    assert files_in(tmp_path) == []


def test_a_killed_download_starts_over(mirrors, tmp_path):
    halfway, done = threading.Event(), threading.Event()
    mirrors.during = lambda: (halfway.set(), done.wait(30))
    program = (
        "import sys; from diffusion_lesson.learning import downloads\n"
        "downloads._MIRRORS['mnist'] = (sys.argv[1],)\n"
        "downloads.fetch(sys.argv[2])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, mirrors.url("whole"), LABELS], stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        assert halfway.wait(60)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        done.set()
    assert not (tmp_path / LABELS).exists()
    mirrors.during = lambda: None
    mirrors.use("whole")
    assert downloads.fetch(LABELS).read_bytes() == CONTENT


def test_without_network_and_cache(monkeypatch, mirrors, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setitem(downloads._MIRRORS, "mnist", (f"http://127.0.0.1:{port}/mnist/",))
    with pytest.raises(
        OSError, match=rf"127.0.0.1:{port}/mnist/t10k-images(.|\n)*Connect to the network"
    ) as error:
        mnist("test")
    assert str(error.value).startswith(str(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"))


def test_a_cached_file_with_a_wrong_checksum_is_named_and_kept(mirrors, tmp_path):
    mirrors.use("whole")
    path = tmp_path / LABELS
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=r"its sha256 is [0-9a-f]{64}; expected [0-9a-f]{64}. Delete it") as error:
        downloads.fetch(LABELS)
    assert str(error.value).startswith(f"{path}: ")
    assert path.read_bytes() == CONTENT[:-1]
    assert mirrors.asked == []


def test_a_folder_that_cannot_be_written_is_a_reason(mirrors, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path / "file"))
    mirrors.use("whole")
    with pytest.raises(OSError, match="Not a directory"):
        downloads.fetch(LABELS)
    assert mirrors.asked == []


@pytest.mark.parametrize("value", [None, ""])
def test_the_users_cache_folder_is_the_usual_place(mirrors, tmp_path, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("DIFFUSION_LESSON_DATA")
    else:
        monkeypatch.setenv("DIFFUSION_LESSON_DATA", value)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    mirrors.use("whole")
    assert downloads.fetch(LABELS) == tmp_path / "cache" / "diffusion-lesson" / LABELS


def test_every_official_file_has_mirrors():
    for file in downloads._CHECKSUMS:
        assert len(downloads._MIRRORS[file.split("/")[0]]) >= 2
    for mirror in sum(downloads._MIRRORS.values(), ()):
        assert mirror.startswith("https://")
        assert mirror.endswith("/")


@pytest.mark.skipif(
    not REAL or not (Path(REAL) / "mnist").is_dir(),
    reason="DIFFUSION_LESSON_DATA names no folder with mnist/ in it",
)
def test_the_real_mnist():
    train, test = mnist("train"), mnist("test")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.float().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert train.images.float().std() / 255 == pytest.approx(0.3081, abs=5e-5)


# A folder of pictures


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)


def only(folder, size):
    """The one picture in a folder, (H, W) or (H, W, 3)."""
    (image,) = image_folder(folder, size).images.numpy()
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def test_subfolders_are_labels_in_sorted_order(tmp_path):
    for i, name in enumerate(["dog/2.png", "cat-b/1.PNG", "dog/deep/1.png", "cat/10.png", "cat/9.png"]):
        save(tmp_path / name, np.full((4, 4), i, np.uint8), format="PNG")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "album.png").mkdir()
    save(tmp_path / "dog" / ".thumbnails" / "1.png", noise(4, 4, 3))
    (tmp_path / "dog" / "._2.png").write_bytes(b"what macOS leaves on other disks")
    pictures = image_folder(tmp_path, 4)
    assert pictures.names == ("cat", "cat-b", "dog")
    assert pictures.images[:, 0, 0, 0].tolist() == [3, 4, 1, 0, 2]
    assert pictures.labels.tolist() == [0, 0, 1, 2, 2]
    assert pictures.levels == 256


def test_a_flat_folder_is_one_label(tmp_path, monkeypatch):
    for name in ("b.png", "a.png"):
        save(tmp_path / "holiday" / name, noise(4, 4))
    for path in (str(tmp_path / "holiday"), tmp_path / "holiday"):
        pictures = image_folder(path, 4)
        assert (pictures.names, pictures.labels.tolist()) == (("holiday",), [0, 0])
    monkeypatch.chdir(tmp_path / "holiday")
    assert image_folder(".", 4).names == ("holiday",)
    save(tmp_path / "holiday" / "beach" / "c.png", noise(4, 4))
    pictures = image_folder(tmp_path / "holiday", 4)
    assert pictures.names == ("beach", "holiday")
    assert pictures.labels.tolist() == [1, 1, 0]


def test_colour_planes_and_rows(tmp_path):
    pixels = noise(5, 5, 3)
    save(tmp_path / "a.png", pixels)
    images = image_folder(tmp_path, 5).images
    assert images.shape == (1, 3, 5, 5)
    assert torch.equal(images[0], torch.from_numpy(pixels.transpose(2, 0, 1).copy()))


def test_grey_stays_grey_until_one_has_colour(tmp_path):
    grey, colour = noise(4, 4), noise(4, 4, 3)
    save(tmp_path / "1.png", grey)
    assert image_folder(tmp_path, 4).images.tolist() == [[grey.tolist()]]
    save(tmp_path / "2.png", colour)
    images = image_folder(tmp_path, 4).images
    assert images[0].tolist() == [grey.tolist()] * 3
    assert images[1].tolist() == colour.transpose(2, 0, 1).tolist()


@pytest.mark.parametrize("shape", [(4, 12), (12, 4), (4, 5), (5, 4)])
def test_the_central_square_is_kept(tmp_path, shape):
    pixels = noise(*shape)
    save(tmp_path / "a.png", pixels)
    top, left = ((length - 4) // 2 for length in shape)
    assert np.array_equal(only(tmp_path, 4), pixels[top : top + 4, left : left + 4])


def test_resizing_averages(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    save(tmp_path / "a.png", board.astype(np.uint8))
    assert np.abs(only(tmp_path, 8).astype(int) - 127).max() <= 3, "not every eighth pixel, which is black"
    assert only(tmp_path, 100).shape == (100, 100)


def test_a_large_jpeg_keeps_its_colours_and_its_middle(tmp_path):
    ramp = np.linspace(0, 255, 640)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:480, None], 90.0), -1)
    save(tmp_path / "a.jpg", pixels.round().astype(np.uint8), quality=95)
    found = only(tmp_path, 24).astype(float)
    middle = pixels[:, 80:560].reshape(24, 20, 24, 20, 3).mean((1, 3))
    assert np.abs(found - middle).max() < 5


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("suffix", "options"), [("png", {}), ("webp", {"lossless": True}), ("jpg", {"quality": 95})]
)
def test_a_picture_stands_as_its_camera_was_held(tmp_path, orientation, suffix, options):
    pixels = np.kron(noise(2, 2, 3, seed=1), np.ones((8, 8, 1), np.uint8))  # four coloured quarters
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{suffix}", pixels, exif=exif, **options)
    error = np.abs(only(tmp_path, 16).astype(int) - UPRIGHT[orientation](pixels))
    assert error.mean() <= (8 if suffix == "jpg" else 0)  # JPEG blurs colours where the quarters meet


def test_modes_of_storage(tmp_path):
    colour, grey = noise(6, 6, 3), noise(6, 6)
    quantized = Image.fromarray(colour).quantize(16)
    save(tmp_path / "palette" / "a.png", quantized)
    assert np.array_equal(only(tmp_path / "palette", 6), np.asarray(quantized.convert("RGB")))
    save(tmp_path / "bits" / "a.png", Image.fromarray(grey).convert("1"))
    bits = only(tmp_path / "bits", 6)
    assert bits.ndim == 2
    assert set(bits.flat) == {0, 255}
    save(tmp_path / "cmyk" / "a.jpg", Image.new("CMYK", (6, 6), (0, 255, 255, 0)))
    assert np.abs(only(tmp_path / "cmyk", 6).astype(int) - [255, 0, 0]).max() < 12
    save(tmp_path / "webp" / "a.webp", colour, lossless=True)
    assert np.array_equal(only(tmp_path / "webp", 6), colour)
    save(tmp_path / "jpeg" / "a.jpeg", np.full((6, 6), 77, np.uint8))
    assert only(tmp_path / "jpeg", 6).tolist() == [[77] * 6] * 6
    save(tmp_path / "misnamed" / "a.jpg", colour, format="PNG")
    assert np.array_equal(only(tmp_path / "misnamed", 6), colour)


def test_sixteen_bits_of_grey_are_scaled_not_cut(tmp_path):
    deep = np.array([[0, 257, 128 * 257, 65535]] * 4, np.uint16)
    save(tmp_path / "a.png", deep)
    assert only(tmp_path, 4).tolist() == [[0, 1, 128, 255]] * 4


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0], rgba[0, 1], rgba[1, 0], rgba[1, 1] = (
        (255, 0, 0, 255),
        (255, 0, 0, 51),
        (9, 9, 9, 0),
        (0, 0, 255, 255),
    )
    save(tmp_path / "rgba" / "a.png", rgba)
    assert only(tmp_path / "rgba", 2).tolist() == [[[255, 0, 0], [255, 204, 204]], [[255, 255, 255], [0, 0, 255]]]
    grey = Image.merge("LA", [Image.fromarray(rgba[..., 0]), Image.fromarray(rgba[..., 3])])
    save(tmp_path / "grey" / "a.png", grey)
    assert only(tmp_path / "grey", 2).tolist() == [[255, 255], [255, 0]]
    # One colour of a picture without alpha may also mean "nothing here".
    save(tmp_path / "key" / "a.png", np.array([[[1, 2, 3], [4, 5, 6]]] * 2, np.uint8), transparency=(1, 2, 3))
    assert only(tmp_path / "key", 2).tolist() == [[[255, 255, 255], [4, 5, 6]]] * 2
    save(tmp_path / "greykey" / "a.png", np.array([[1, 2]] * 2, np.uint8), transparency=1)
    assert only(tmp_path / "greykey", 2).tolist() == [[255, 2]] * 2
    palette = Image.fromarray(np.array([[0, 1]] * 2, np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    save(tmp_path / "palette" / "a.png", palette, transparency=0)
    assert only(tmp_path / "palette", 2).tolist() == [[[255, 255, 255], [40, 50, 60]]] * 2


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b"")
    )


def packed(kind):
    content = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jpg", b"this is a text file", "cannot identify image file"),
        ("a.webp", b"", "cannot identify image file"),
        ("a.jpg", packed("JPEG")[:1500], "truncated"),
        ("a.png", png_header(40, 40), "truncated|not enough"),
        ("a.png", png_header(20_000, 20_000), "decompression bomb"),
        ("a.png", png_header(10_000, 10_000), "decompression bomb"),
        ("a.png", packed("GIF"), "cannot identify image file"),
    ],
    ids=["text", "empty", "truncated", "no pixels", "bomb", "smaller bomb", "other format"],
)
def test_a_picture_that_cannot_be_read_is_named(tmp_path, name, content, reason):
    save(tmp_path / "0.png", noise(4, 4))
    path = tmp_path / name
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside the tests, where a warning is no error
        with pytest.raises(ValueError, match=reason) as error:
            image_folder(tmp_path, 4)
    assert str(error.value).startswith(f"{path}: can't be read as a picture (")
    assert str(error.value).endswith("Repair, shrink or remove it")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(ValueError, match="No such file") as error:
        image_folder(tmp_path, 4)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    save(tmp_path / "a.png", noise(4, 4))
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ValueError, match="Permission denied"):
        image_folder(tmp_path, 4)


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(
        ValueError, match=r"^path: got '.*', which holds no picture; expected .jpg, .jpeg, .png, .webp"
    ):
        image_folder(tmp_path, 4)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match="which holds no picture"):
        image_folder(tmp_path, 4)
    with pytest.raises(FileNotFoundError, match=r"^path: got '.*gone', which is not a folder"):
        image_folder(tmp_path / "gone", 4)
    with pytest.raises(FileNotFoundError, match=r"^path: got '.*a.txt', which is not a folder"):
        image_folder(tmp_path / "a.txt", 4)


@pytest.mark.parametrize("size", [0, -3, True, 8.0, "8", None])
def test_a_size_that_is_no_size(tmp_path, unchecked, size):
    with pytest.raises(ValueError, match=rf"^size: got {size!r}; expected a positive integer"):
        unchecked.image_folder(tmp_path, size)
