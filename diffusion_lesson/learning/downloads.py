"""The official files of MNIST and CIFAR-10: fetched, known to be whole by their checksums, and read.

The only module that downloads. A file is fetched once, to the user's cache folder or to the folder that the
environment variable DIFFUSION_LESSON_DATA names (as `mnist/*.gz` and `cifar10/cifar-10-binary.tar.gz`).
"""

import gzip
import os
import struct
import tarfile
import time
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
}
_CHECKSUMS = {
    "mnist/train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "mnist/train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "mnist/t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "mnist/t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "cifar10/cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530",  # the one its authors publish
}
_ROUNDS = 2  # times that every mirror is tried
RENEW = "Delete it, and the next call downloads it again."


def fetch(file: str) -> Path:
    """Where an official file such as "mnist/train-labels-idx1-ubyte.gz" lies, downloaded if it was not there.

    pooch writes under a temporary name in the same folder and renames when the checksum is right, so whatever
    happens meanwhile there is the whole official file under this name, or none.
    """
    import pooch

    root = Path(os.environ.get("DIFFUSION_LESSON_DATA") or pooch.os_cache("diffusion-lesson")).expanduser()
    path, checksum = root / file, _CHECKSUMS[file]
    if path.exists():
        algorithm, expected = checksum.split(":")
        came = pooch.file_hash(str(path), alg=algorithm)
        if came != expected:  # perhaps someone's own file: not ours to overwrite
            raise ValueError(f"{path}: its {algorithm} is {came}; expected {expected}. {RENEW}")
        return path

    failures = {}
    for attempt in range(_ROUNDS):
        time.sleep(attempt)
        for mirror in _MIRRORS[path.parent.name]:
            url = mirror + path.name
            try:
                pooch.retrieve(url, checksum, fname=path.name, path=path.parent, downloader=_download)
                return path
            except (OSError, ValueError) as error:  # a failed connection, a wrong checksum
                failures[url] = str(error)
    reasons = "\n".join(f"  {url}: {error}" for url, error in failures.items())
    raise OSError(
        f"{path}: not there, and could not be downloaded:\n{reasons}\nConnect to the network and call again, or "
        "put the file there yourself. The variable DIFFUSION_LESSON_DATA names another folder to look in."
    )


def _download(url: str, file: str, pooch: object) -> None:
    """Write what lies at `url` into `file`, which pooch chooses, with a bar that goes when it is done.

    pooch's own downloader would leave the connection to a failing server open, and can't name the file.
    """
    import requests
    from tqdm import tqdm

    # identity: the files are packed already, and what a server packs once more would be unpacked all the way
    kept = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=30, headers=kept) as response, open(file, "wb") as out:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0)) or None
        with tqdm(desc=url.rpartition("/")[2], total=total, unit="B", unit_scale=True, leave=False) as bar:
            for chunk in response.iter_content(2**16):
                out.write(chunk)
                bar.update(len(chunk))


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of unsigned bytes in a gzipped IDX file: magic 0x0800 + dimensions, the sizes, the values."""
    header = struct.Struct(f">{1 + dimensions}I")
    try:
        raw = gzip.decompress(path.read_bytes())
        magic, *shape = header.unpack_from(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"{path}: not a whole gzipped IDX file ({error}). {RENEW}") from error
    expected = 0x0800 + dimensions
    if magic != expected:
        raise ValueError(f"{path}: its magic number is {magic:#06x}; expected {expected:#06x}. {RENEW}")
    values = np.frombuffer(
        bytearray(raw[header.size :]), np.uint8
    )  # bytearray: torch wants memory it can write to
    if values.size != np.prod(shape):
        raise ValueError(f"{path}: holds {values.size} values; its header promises {shape}. {RENEW}")
    return values.reshape(shape)


def read_members(path: Path, names: list[str]) -> list[bytes]:
    """The contents of the named files in a gzipped tar, read in one pass and never unpacked to the disk."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if name in names else None
                if content is not None:
                    found[name] = content.read()
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole .tar.gz archive ({error}). {RENEW}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}. {RENEW}")
    return [found[name] for name in names]
