"""The official files of MNIST, CIFAR-10 and the DreamBooth dogs: fetched, known by their checksums, and read.

The only module that downloads. A file is fetched once, to the user's cache folder or to the folder that the
environment variable DIFFUSION_LESSON_DATA names (as `mnist/*.gz`, `cifar10/cifar-10-binary.tar.gz` and
`dreambooth/dog3/00.jpg`).
"""

import contextlib
import gzip
import hashlib
import io
import math
import os
import secrets
import struct
import tarfile
import time
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from diffusion_lesson.learning import dreambooth

_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
    "dreambooth": dreambooth.MIRRORS,
}
_CHECKSUMS = {
    "mnist/train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "mnist/train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "mnist/t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "mnist/t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "cifar10/cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",  # the one its authors publish
    **dreambooth.CHECKSUMS,
}
_BEGINS = {".gz": 0x1F, ".jpg": 0xFF}  # the first byte of such a file; a web page has another
_ROUNDS = 2  # times that every mirror is tried
_TIMEOUT = 30  # seconds without an answer
_PATIENCE, _SLOWEST = 60, 1000  # after so many seconds, fewer bytes a second are too few
_STALE = 3600  # seconds after which nobody writes on at what a killed process has left
LIMIT = 2**28  # bytes of a file, packed or not: more than any official one has
RENEW = "Delete it, and the next call downloads it again."
_ELSEWHERE = "The variable DIFFUSION_LESSON_DATA names another folder to look in."


def fetch(file: str) -> Path:
    """Where an official file such as "mnist/train-labels-idx1-ubyte.gz" lies, downloaded if it was not there.

    It is written under a temporary name in the same folder and renamed when its checksum is right, so whatever
    happens meanwhile there is the whole official file under this name, or none. Several processes may ask at once.

    ValueError if another file has this name; OSError if the file can't be had, or can't be written.
    """
    root = _root()
    (folder, name), path, failures = file.split("/", 1), root / file, {}
    if path.exists():
        return _checked(path, _CHECKSUMS[file])
    for attempt in range(_ROUNDS):
        time.sleep(attempt)
        for mirror in _MIRRORS[folder]:
            if path.exists():
                return _checked(path, _CHECKSUMS[file])
            url = mirror + name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                return _downloaded(url, path, _CHECKSUMS[file])
            except OSError as error:
                if error.errno and not path.exists():  # the disk's fault, not the mirror's
                    raise OSError(f"{path}: can't be written ({error}). {_ELSEWHERE}") from error
                failures[url] = str(error)
    if path.exists():  # another process was luckier meanwhile
        return _checked(path, _CHECKSUMS[file])
    reasons = "\n".join(f"  {url}: {error}" for url, error in failures.items())
    raise OSError(
        f"{path}: not there, and could not be downloaded:\n{reasons}\nConnect to the network and call again, or "
        f"put the file there yourself. {_ELSEWHERE}"
    )


def _root() -> Path:
    """The folder that holds all of them."""
    import pooch

    root = Path(os.environ.get("DIFFUSION_LESSON_DATA") or pooch.os_cache("diffusion-lesson"))
    try:
        return root.expanduser()
    except RuntimeError as error:
        raise OSError(f"{root}: there is no such home on this machine. {_ELSEWHERE}") from error


def _checked(path: Path, checksum: str) -> Path:
    """The path, of an official file. ValueError for someone's own: that is not ours to overwrite."""
    wrong = _mismatch(path, checksum)
    if wrong:
        raise ValueError(f"{path}: {wrong}. {RENEW}")
    return path


def _mismatch(path: Path, checksum: str) -> str:
    algorithm, expected = checksum.split(":")
    with path.open("rb") as file:
        came = hashlib.file_digest(file, algorithm).hexdigest()
    return "" if came == expected else f"its {algorithm} is {came}; expected {expected}"


def _downloaded(url: str, path: Path, checksum: str) -> Path:
    """The path, when what lies at `url` lies there too. OSError, with an errno only where the disk is at fault."""
    for old in path.parent.glob(path.name + ".*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _STALE:
                old.unlink()
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        _download(url, temporary, _BEGINS[path.suffix])
        wrong = _mismatch(temporary, checksum)
        if wrong:
            raise OSError(f"what came is another file: {wrong}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _download(url: str, file: Path, first: int) -> None:
    """Write what lies at `url`, whose first byte is known, into `file`, with a bar that goes when it is done."""
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    # identity: the files are packed already. What a server packs or calls packed is not unpacked here either.
    kept = {"Accept-Encoding": "identity"}
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT, headers=kept) as response, file.open("xb") as out:
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            read = getattr(response.raw, "read1", response.raw.read)  # read1 waits for no more than has come
            begun, done = time.monotonic(), 0
            with tqdm(desc=file.name.split(".")[0], total=total, unit="B", unit_scale=True, leave=False) as bar:
                while chunk := read(2**16, decode_content=False):
                    if not done and chunk[0] != first:
                        raise OSError(f"not the file, but what begins with {chunk[:40]!r} came (a log-in page?)")
                    done, waited = done + len(chunk), time.monotonic() - begun
                    if done > LIMIT:
                        raise OSError(f"more than {LIMIT:,} bytes came")
                    if waited > _PATIENCE and done < _SLOWEST * waited:
                        raise OSError(f"too slow: {done:,} bytes in {waited:.0f} seconds")
                    out.write(chunk)
                    bar.update(len(chunk))
    except (requests.RequestException, HTTPError) as error:  # these have no errno
        raise OSError(str(error)) from error


def read_idx(path: Path, dimensions: int, *, cure: str = RENEW) -> np.ndarray:
    """The array of unsigned bytes in a gzipped IDX file: magic 0x0800 + dimensions, the sizes, the values.

    A ValueError names the file, and ends with `cure`: what to do about it.
    """
    header = struct.Struct(f">{1 + dimensions}I")
    raw = _unpacked(path, "gzipped IDX file", cure)
    try:
        magic, *shape = header.unpack_from(raw)
    except struct.error as error:
        raise ValueError(f"{path}: not a whole gzipped IDX file ({error}). {cure}") from error
    expected = 0x0800 + dimensions
    if magic != expected:
        raise ValueError(f"{path}: its magic number is {magic:#06x}; expected {expected:#06x}. {cure}")
    count = len(raw) - header.size
    if count != math.prod(shape):
        raise ValueError(f"{path}: holds {count} values; its header promises {shape}. {cure}")
    return np.frombuffer(raw, np.uint8, offset=header.size).reshape(shape)


def read_members(path: Path, names: list[str]) -> list[memoryview]:
    """The contents of the named files in a gzipped tar, never unpacked to the disk."""
    raw = memoryview(bytes(_unpacked(path, ".tar.gz archive")))
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw.obj), mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # each would be kept
                name, plain = PurePosixPath(member.name).name, member.isreg() and not member.issparse()
                if name in names and plain:
                    found[name] = raw[member.offset_data : member.offset_data + member.size]
                    if len(found[name]) != member.size:
                        raise ValueError(f"{name} is cut short")
    except Exception as error:  # tarfile has many for a header that is none
        raise ValueError(f"{path}: not a whole .tar.gz archive ({error}). {RENEW}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}. {RENEW}")
    return [found[name] for name in names]


def _unpacked(path: Path, kind: str, cure: str = RENEW) -> bytearray:
    """What a gzip file holds, in memory that torch may write to; ValueError for more than LIMIT bytes."""
    out = bytearray()
    try:
        with gzip.open(path) as packed:
            while chunk := packed.read(2**16):
                out += chunk
                if len(out) > LIMIT:
                    raise ValueError(f"{path}: unpacks to more than {LIMIT:,} bytes. {cure}")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole {kind} ({error}). {cure}") from error
    return out
