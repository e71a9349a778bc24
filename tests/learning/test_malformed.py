"""Files that are none, made at random: the right result, or a ValueError or OSError that names the file.

MALFORMED=2000 tries so many of each kind; unless told, it is enough for every change.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save as to_bytes

from diffusion_lesson.learning import data, downloads, weights
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine
from tests.learning import hostile_files

COUNT = int(os.environ.get("MALFORMED", "60"))
LIMIT = 2**16  # bytes that a file may have here
tried = settings(max_examples=COUNT, deadline=None, derandomize=True, database=None)

EXTREMES = (0, 1, 2, 3, 28, 127, 128, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
numbers = st.sampled_from(EXTREMES) | st.integers(0, 40)


@st.composite
def damaged(draw, content):
    """Some bytes of it lost, changed, moved or added."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(content), 80)) | st.integers(0, len(content)))
        length = draw(st.integers(1, 40))
        match draw(st.sampled_from(["cut", "lose", "byte", "word", "repeat", "insert", "zero"])):
            case "cut":
                del content[at:]
            case "lose":
                del content[at : at + length]
            case "byte":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "word":
                order, size = draw(st.sampled_from(["big", "little"])), draw(st.sampled_from([2, 4, 8]))
                content[at : at + size] = (draw(numbers) % 256**size).to_bytes(size, order)
            case "repeat":
                content[at:at] = content[at : at + length] * draw(st.integers(1, 9))
            case "insert":
                content[at:at] = draw(st.binary(max_size=length))
            case "zero":
                content[at : at + length] = bytes(length)
    return bytes(content)


wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | numbers
    | st.sampled_from([10**30, -1, 1e308])
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


oftener = st.integers(0, 4).map(bool)  # than not


@st.composite
def changed(draw, note):
    """A JSON text: some of its values are others, or missing, or it is damaged."""
    note = json.loads(json.dumps(note))
    for _ in range(draw(st.integers(0, 3))):
        inside = note
        for _ in range(draw(st.integers(0, 2))):
            below = [value for value in inside.values() if isinstance(value, dict) and value]
            inside = draw(st.sampled_from(below)) if below else inside
        key = draw(st.sampled_from(sorted(inside))) if inside and draw(oftener) else draw(st.text(max_size=5))
        if draw(oftener):
            inside[key] = draw(numbers | st.lists(numbers, max_size=3) | wild)
        else:
            inside.pop(key, None)
    text = json.dumps(note).encode()
    if draw(oftener):
        return text
    return draw(damaged(text) | wild.map(lambda value: json.dumps(value).encode()))


@contextlib.contextmanager
def named(path):
    """Only an error of ours may leave, and it says which file is at fault."""
    try:
        yield
    except (ValueError, OSError) as error:
        if str(path) not in str(error):
            raise AssertionError("it does not name the file") from error


@pytest.fixture(scope="module", autouse=True)
def as_readers_with_small_limits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, "LIMIT", LIMIT)
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 2**16)
        jaxtyping.config.update("jaxtyping_disable", True)  # as a reader runs it
        yield
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("malformed")


# MNIST's


@st.composite
def idx_files(draw, dimensions):
    shape = draw(st.lists(numbers, min_size=dimensions, max_size=dimensions))
    promised = 1
    for side in shape:
        promised *= side
    values = draw(st.sampled_from([promised, promised - 1, promised + 1, 0]) | st.integers(0, 99))
    magic = draw(st.just(0x800 + dimensions) | numbers)
    raw = struct.pack(f">{1 + dimensions}I", magic, *shape) + bytes(max(0, min(values, 2 * LIMIT)))
    packed = gzip.compress(draw(st.just(raw) | damaged(raw)))
    return draw(st.just(packed) | damaged(packed) | st.just(packed + packed) | st.just(raw))


@tried
@given(images=idx_files(3), labels=idx_files(1))
def test_idx(folder, images, labels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "fetch", lambda file: folder / file.partition("/")[2])
        (folder / "train-images-idx3-ubyte.gz").write_bytes(images)
        (folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
        with named(folder):
            data.mnist()


# CIFAR-10's


@st.composite
def tar_files(draw):
    names = ["batches.meta.txt", *(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    packed = io.BytesIO()
    form = draw(st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name in draw(st.permutations(names)):
            member = tarfile.TarInfo(draw(st.just(name) | st.just("x" * 120 + "/" + name)))
            content = b"one\ntwo\n" if "meta" in name else bytes([draw(st.integers(0, 3))]) * 3073
            content = draw(st.just(content) | damaged(content))
            member.size = len(content)
            member.type = draw(
                st.just(tarfile.REGTYPE) | st.sampled_from([bytes([kind]) for kind in b"0123457LKSxgAV"])
            )
            archive.addfile(member, io.BytesIO(content))
    raw = packed.getvalue()
    for _ in range(draw(st.integers(0, 2))):  # headers that lie, with checksums that are right
        raw = bytearray(raw)
        at = 512 * draw(st.integers(0, len(raw) // 512 - 1))
        field = draw(st.sampled_from([(0, 100), (124, 12), (156, 1), (345, 155), (386, 100)]))
        value = draw(
            st.binary(max_size=field[1])
            | st.sampled_from([b"77777777777", b"-0000000001", b"\x80" + b"\xff" * 11])
        )
        raw[at + field[0] : at + sum(field)] = value.ljust(field[1], b"\0")[: field[1]]
        head = raw[at : at + 512]
        head[148:156] = b"        "
        raw[at + 148 : at + 156] = b"%06o\0 " % (sum(head) & 0o777777)
        raw = bytes(raw)
    packed = gzip.compress(draw(st.just(raw) | damaged(raw)))
    return draw(st.just(packed) | damaged(packed))


@tried
@given(content=tar_files())
def test_cifar10(folder, content):
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, named(path):
        patch.setattr(data, "fetch", lambda file: path)
        data.cifar10("train")


# Pictures


def picture(kind, mode="RGB", **options):
    content = io.BytesIO()
    noise = Image.effect_noise((24, 20), 90).convert(mode)
    noise.save(content, kind, **options)
    return content.getvalue()


PICTURES = [
    picture("PNG"), picture("PNG", "1"), picture("PNG", "P", transparency=3), picture("PNG", "LA"),
    picture("PNG", "I;16", transparency=9), picture("JPEG"), picture("JPEG", "CMYK"),
    picture("JPEG", "L", progressive=True),
    picture("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"), picture("WEBP"),
    picture("WEBP", "RGBA", lossless=True), picture("GIF", "L"), b"",
]  # fmt: skip


@st.composite
def png_files(draw):
    """Chunks of nonsense, with checksums that are right."""
    size = draw(st.tuples(numbers, numbers))
    depth, kind = draw(st.sampled_from([1, 2, 4, 8, 16, 3])), draw(st.sampled_from([0, 2, 3, 4, 6, 1]))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, draw(st.integers(0, 2))))]
    for name in draw(
        st.lists(st.sampled_from([b"PLTE", b"tRNS", b"eXIf", b"zTXt", b"acTL", b"fdAT", b"ABCD"]), max_size=4)
    ):
        chunks.append((name, draw(st.binary(max_size=60))))
    pixels = zlib.compress(draw(st.binary(max_size=400)) * 9)
    chunks += [(b"IDAT", draw(st.just(pixels) | damaged(pixels))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


@tried
@given(
    content=st.sampled_from(PICTURES).flatmap(damaged) | png_files(),
    suffix=st.sampled_from(["jpg", "PNG", "webp"]),
)
def test_pictures(folder, content, suffix):
    path = folder / "pictures" / f"a.{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        with named(path):
            found = data.image_folder(path.parent, 8)
            assert found.images.shape[-2:] == (8, 8)
    finally:
        path.unlink()


# Weights and cards


def network():
    torch.manual_seed(0)
    return UNet(1, 4, mults=(1, 2), classes=2)


CARD = {
    "name": "small", "network": "UNet", "config": network().config, "schedule": {"kind": "cosine", "T": 20},
    "predicts": "v", "size": 8, "levels": 17, "data": "none", "recipe": {"steps": 3},
    "measured": [{"metric": "loss", "values": [0.5], "n": 3, "parts": {"error": 0.1}}],
    "classes": ["cat", "dog"],
}  # fmt: skip
TENSORS = to_bytes(network().state_dict())


@st.composite
def tensor_files(draw, content=TENSORS):
    """Damaged bytes, or a header that lies."""
    if draw(st.booleans()):
        return draw(damaged(content))
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    text = draw(changed(header))
    return draw(st.just(len(text)) | numbers).to_bytes(8, "little") + text + draw(st.just(body) | damaged(body))


@tried
@given(tensors=tensor_files(), honest=st.booleans())
def test_weights(folder, tensors, honest):
    path = folder / "weights"
    path.with_suffix(".safetensors").write_bytes(tensors)
    digest = hashlib.sha256(tensors if honest else TENSORS).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(CARD | {"sha256": digest}), "utf-8")
    with named(path):
        weights.load(path)


@tried
@given(text=changed(CARD | {"sha256": hashlib.sha256(TENSORS).hexdigest()}))
def test_cards(folder, text):
    path = folder / "card"
    path.with_suffix(".safetensors").write_bytes(TENSORS)
    path.with_suffix(".json").write_bytes(text)
    with named(path):
        weights.load(path)


# Checkpoints


def training(path):
    denoiser, config = Denoiser(network(), cosine(20), "eps", classes=2), TrainConfig(steps=3, batch_size=2)
    return train(denoiser, torch.zeros(4, 1, 8, 8), config, checkpoint=path, checkpoint_every=1)


@pytest.fixture(scope="module")
def checkpoint(folder):
    """What is in the folder of a training that was stopped after two of three steps."""
    path = folder / "checkpoint"
    loop = training(path)
    next(loop), next(loop)
    loop.close()
    (tensors,) = path.glob("*.safetensors")
    return tensors.name, (path / "checkpoint.json").read_bytes(), tensors.read_bytes()


@tried
@given(choices=st.data())
def test_checkpoints(folder, checkpoint, choices):
    name, note, tensors = checkpoint
    note = choices.draw(changed(json.loads(note)) | st.just(note))
    tensors = choices.draw(tensor_files(tensors) | st.just(tensors))
    path = folder / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / "checkpoint.json").write_bytes(note)
    (path / name).write_bytes(tensors)
    with named(path):
        list(training(path))


# Memory

STATUS = Path("/proc/self/status")
TELLS_PEAK = STATUS.exists() and "VmHWM" in STATUS.read_text("utf-8")


@pytest.mark.skipif(not TELLS_PEAK, reason="this system does not tell the peak of a process's memory")
@pytest.mark.parametrize("kind", hostile_files.KINDS)
def test_no_file_takes_four_times_the_limit(tmp_path, kind):
    """Files that promise, or unpack to, a multiple of the limit, read in a process of their own."""
    command = [sys.executable, hostile_files.__file__, tmp_path, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert max(float(line.split()[0]) for line in done.stdout.splitlines()) < 4, done.stdout
