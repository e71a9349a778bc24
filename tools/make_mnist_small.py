"""Writes the 5,000 pictures of MNIST that ship with the package, out of the official training file.

    python tools/make_mnist_small.py

They are the first 500 of each class, in the file's order, and packed as that file is: gzipped IDX. The official
files are looked for in the folder that DIFFUSION_LESSON_DATA names, else downloaded; either way their checksums
are looked at. None may be in the test file too. What is unpacked is the same everywhere; the packed bytes are
zlib's, whose versions differ.
"""

import gzip
import struct
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusion_lesson.learning import data
from diffusion_lesson.learning.files import replace_file

EACH = 500  # of a class


def first_of_each(labels: Tensor, each: int) -> Tensor:
    """The places of the first `each` pictures of every class, ascending; ValueError where a class has fewer."""
    places = [(labels == k).nonzero().flatten()[:each] for k in labels.unique()]
    if (fewest := min(map(len, places))) < each:
        raise ValueError(f"labels: expected {each} or more of each class, got a class of {fewest}")
    return torch.cat(places).sort().values


def idx(values: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes: magic 0x0800 + dimensions, the sizes, the values."""
    return struct.pack(f">{1 + values.ndim}I", 0x0800 + values.ndim, *values.shape) + values.tobytes()


def small() -> tuple[Tensor, Tensor]:
    """((5000, 28, 28) pictures, (5000,) labels, both uint8); ValueError if one is in the test file too."""
    official, test = data.mnist("train"), data.mnist("test")
    chosen = first_of_each(official.labels, EACH)
    images, labels = official.images[chosen, 0], official.labels[chosen].to(torch.uint8)
    held_out = {picture.numpy().tobytes() for picture in test.images}
    if twice := sum(picture.numpy().tobytes() in held_out for picture in images):
        raise ValueError(f"{twice} of the pictures are in the test file")
    return images, labels


if __name__ == "__main__":
    for values, file in zip(small(), (data.SMALL_IMAGES, data.SMALL_LABELS), strict=True):
        packed = gzip.compress(idx(values.numpy()), 9, mtime=0)
        replace_file(file, partial(Path.write_bytes, data=packed))
        print(f"{file.name}: {len(packed):,} bytes")
