"""Read files that ask for far more memory than the limit, and print how much each took, in multiples of the limit.

python tests/learning/hostile_files.py FOLDER KIND
"""

import contextlib
import gzip
import json
import struct
import sys
import tarfile
import zlib
from pathlib import Path

from PIL import Image

from diffusion_lesson.learning import data, downloads, pictures, weights

KINDS = ["idx", "tar", "picture", "card"]
LIMIT = 2**23  # bytes
LARGE = 16 * LIMIT
MANY = 2**31


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def idx(folder):
    files = {
        "promises": gzip.compress(struct.pack(">4I", 0x803, MANY, MANY, 4)),
        "unpacks": gzip.compress(struct.pack(">4I", 0x803, LARGE, 1, 1) + bytes(LARGE)),
        "no gzip": bytes(LARGE),
    }
    for name, content in files.items():
        path = written(folder / name, content)
        yield name, lambda path=path: downloads.read_idx(path, 3)


def tar(folder):
    def archive(kind=tarfile.REGTYPE, size=LARGE):
        member = tarfile.TarInfo("data_batch_1.bin")
        member.size, member.type = size, kind
        return gzip.compress(member.tobuf() + bytes(LARGE))

    files = {
        "a file": archive(),
        "a long name": archive(tarfile.GNUTYPE_LONGNAME),
        "a long header": archive(tarfile.XHDTYPE),
        "holes": archive(tarfile.GNUTYPE_SPARSE),
        "promises": gzip.compress(archive(size=8**11 - 1)[:1000]),
        "many members": gzip.compress(tarfile.TarInfo("a").tobuf() * (LIMIT // 512)),
    }
    for name, content in files.items():
        path = written(folder / name, content)
        yield name, lambda path=path: downloads.read_members(path, ["data_batch_1.bin"])


def picture(folder):
    def png(width, height, raw, *chunks):
        head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
            for kind, content in (head, *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
        )

    side = int((LIMIT // 4) ** 0.5)  # the largest that is read: 4 bytes a pixel are the limit
    words = zlib.compress(bytes(LARGE))
    files = {
        "promises": png(MANY, MANY, b""),
        "too large": png(2 * side, 2 * side, bytes(LARGE)),
        "largest": png(side, side, bytes(side * (4 * side + 1))),
        "words": png(8, 8, bytes(264), (b"zTXt", b"a\0\0" + words)),
        "words in hexadecimal": png(8, 8, bytes(264), (b"zTXt", b"Raw profile type exif\0\0" + words)),
        "a large file": bytes(LARGE),
    }
    for name, content in files.items():
        path = written(folder / name / "a.png", content)
        yield name, lambda path=path: data.image_folder(path.parent, 8)


def card(folder):
    note = {
        "name": "a", "network": "UNet", "config": {"channels_in": 1, "width": 8},
        "schedule": {"kind": "cosine", "T": 10}, "predicts": "eps", "size": 8, "levels": 2, "data": "",
    }  # fmt: skip
    config = note["config"]
    cards = {
        "long": {"data": " " * LARGE},
        "many steps": {"schedule": {"kind": "linear", "T": 10**9}},
        "wide": {"config": config | {"width": 8 * 10**5}},
        "many levels": {"config": config | {"mults": [1] * 10**5}},
        "many classes": {"config": config | {"classes": 10**9}},
        "other weights": {},
    }
    for name, changes in cards.items():
        written(folder / f"{name}.json", json.dumps(note | changes).encode())
        written(folder / f"{name}.safetensors", struct.pack("<Q", 2**40) + bytes(LARGE))
        yield name, lambda path=folder / name: weights.load(path)
    written(folder / "deep.json", b"[" * 10**5)
    written(folder / "deep.safetensors", b"")
    yield "deep", lambda: weights.load(folder / "deep")


def peak():
    """The most memory that this process has had since it was last asked, in bytes."""
    status = Path("/proc/self/status").read_text("utf-8")
    found = int(status[status.index("VmHWM") :].split()[1]) * 1024
    with contextlib.suppress(OSError):  # then the peak only grows
        Path("/proc/self/clear_refs").write_text("5")
    return found


def main(folder, kind):
    downloads.LIMIT = pictures.MOST_BYTES = LIMIT
    Image.MAX_IMAGE_PIXELS = LIMIT // 4
    for name, read in globals()[kind](folder):
        peak()
        before = peak()
        try:
            read()
            said = "is read"
        except (ValueError, OSError) as error:
            said = str(error)[:90]
        print(f"{(peak() - before) / LIMIT:.2f} of the limit for {name}: {said}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
