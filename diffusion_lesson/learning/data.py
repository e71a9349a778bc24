"""Pictures to learn from: scikit-learn's digits, MNIST, CIFAR-10, seven dogs, and any folder of pictures.

All of MNIST, CIFAR-10 and the dogs are fetched once (see `downloads.py`); the rest needs no network. 5,000
pictures of MNIST ship with the package; `mnist_small/README.md` beside this file names their source and their
licence, CC BY-SA 3.0.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer, UInt8
from torch import Tensor

from diffusion_lesson.learning import dreambooth, folders
from diffusion_lesson.learning.downloads import RENEW, fetch, read_idx, read_members
from diffusion_lesson.learning.pictures import picture
from diffusion_lesson.shapes import floats, integers, kind

_DIGITS = tuple("0123456789")
MOST_SIDE = 2048  # pixels: larger pictures than anyone trains on here
_MOST_SHOWN = 20  # names in a line
_SMALL = Path(__file__).with_name("mnist_small")
SMALL_IMAGES, SMALL_LABELS = _SMALL / "images-idx3-ubyte.gz", _SMALL / "labels-idx1-ubyte.gz"
_REINSTALL = "Install the package again."


@dataclass(frozen=True, eq=False)  # eq: tensors have no single truth value
class ImageSet:
    """N pictures of C channels, H × W pixels with values 0..levels-1; picture i shows names[labels[i]].

    Labels of any integer type become int64. Raises ValueError where the fields do not fit together, or where there
    is no picture.
    """

    images: UInt8[Tensor, "N C H W"]
    labels: Integer[Tensor, " N"]
    names: tuple[str, ...]
    levels: int

    def __post_init__(self) -> None:
        """Hold the fields against one another."""
        images, labels = self.images, self.labels
        if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape:
            raise ValueError(f"images: got {kind(images)}; expected uint8 (N, C, H, W), none of them 0")
        labels = integers(labels)
        if labels.shape != images.shape[:1]:
            raise ValueError(f"labels: got {kind(labels)}; expected ({len(images)},), one for each picture")
        object.__setattr__(self, "labels", labels)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.names):
            raise ValueError(f"labels: got {low}..{high}; expected 0..{len(self.names) - 1}, places in names")
        _check_values(images, self.levels)

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, chosen: slice | Tensor) -> "ImageSet":
        """The set of the chosen pictures, by a slice, by indices, or by a mask: `images[:500]`."""
        return ImageSet(self.images[chosen], self.labels[chosen], self.names, self.levels)

    def __repr__(self) -> str:
        """One line for a notebook, not all the pixels."""
        count, *shape = self.images.shape
        size = " × ".join(map(str, shape))
        return f"ImageSet({count:,} pictures, {size}, {self.levels} levels, {len(self.names)} names)"

    def summary(self) -> str:
        """What was found, in one line: "12 classes: 0, 1, 2, …, 11; 48 pictures"."""
        shown = [name if name.isprintable() and name else repr(name) for name in self.names]
        if len(shown) > _MOST_SHOWN:
            shown[_MOST_SHOWN - 2 : -1] = ["…"]
        classes, pictures = len(self.names), len(self)
        return (
            f"{classes:,} {'class' if classes == 1 else 'classes'}: {', '.join(shown)}; "
            f"{pictures:,} {'picture' if pictures == 1 else 'pictures'}"
        )


def to_signed(images: UInt8[Tensor, "*dims"], levels: int = 256) -> Float32[Tensor, "*dims"]:
    """2·images/(levels-1) - 1: the pixel values 0..levels-1, spread evenly over [-1, 1]."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise ValueError(f"images: got {kind(images)}; expected uint8, pixel values not scaled yet")
    _check_values(images, levels)
    return 2 * images.float() / (levels - 1) - 1


def to_uint8(x: Float[Tensor, "*dims"], levels: int = 256) -> UInt8[Tensor, "*dims"]:
    """(x + 1)(levels-1)/2, the inverse of `to_signed`, rounded, and clamped to 0..levels-1."""
    _check_levels(levels)
    floats(x, "x")
    if x.isnan().any():
        raise ValueError(f"x: got NaN in {int(x.isnan().sum())} of {x.numel()} places; expected numbers")
    return ((x.float() + 1) * (levels - 1) / 2).round().clamp(0, levels - 1).to(torch.uint8)


def digits(split: str = "train") -> ImageSet:
    """The 8×8 digits inside scikit-learn: 1,437 to train on or 360 to test, values 0..16. No network."""
    _check_split(split)
    from sklearn.datasets import load_digits  # here, because importing it takes a second

    data = load_digits()
    # RandomState's stream is frozen for good (NEP 19), so this split is the same everywhere.
    order = np.random.RandomState(0).permutation(1797)
    chosen = order[:1437] if split == "train" else order[1437:]
    images = torch.from_numpy(data.images[chosen].astype(np.uint8))[:, None]
    return ImageSet(images, torch.from_numpy(data.target[chosen].astype(np.int64)), _DIGITS, levels=17)


def photographs() -> ImageSet:
    """The two photographs inside scikit-learn, 3×427×640: material for the forward process. No network.

    Their names are title, author and licence (CC BY 2.0): show them beside the pictures.
    """
    from sklearn.datasets import load_sample_images

    data = load_sample_images()
    pictures = {Path(name).name: pixels for name, pixels in zip(data.filenames, data.images, strict=True)}
    images = torch.from_numpy(np.stack([pictures["china.jpg"], pictures["flower.jpg"]])).permute(0, 3, 1, 2)
    names = (
        "Pagoda in China, by danielbuechele (flickr.com/photos/danielbuechele/6061409035), CC BY 2.0",
        # scikit-learn's README names danielbuechele here too, but its links lead to vultilion.
        "Dahlia, by vultilion (flickr.com/photos/vultilion/6056698931), CC BY 2.0",
    )
    return ImageSet(images.contiguous(), torch.arange(2, device="cpu"), names, levels=256)


def mnist(split: str = "train") -> ImageSet:
    """MNIST's 28×28 grey digits, 60,000 to train on or 10,000 to test; 10 MB or 2 MB downloaded on first use.

    `mnist_small` has 5,000 of them without a download.

    Raises OSError where the files can't be had, and ValueError where a file is not the official one.
    """
    _check_split(split)
    part = "train" if split == "train" else "t10k"
    path = fetch(f"mnist/{part}-images-idx3-ubyte.gz")
    images = read_idx(path, dimensions=3)
    labels = read_idx(fetch(f"mnist/{part}-labels-idx1-ubyte.gz"), dimensions=1)
    return _from(path, images[:, None], labels, _DIGITS)


def mnist_small() -> ImageSet:
    """5,000 of MNIST's 60,000 training pictures, 500 of each class, all to train on. No network.

    They are the first 500 of each class in the official file, in its order and byte for byte. By Y. LeCun,
    C. Cortes and C. Burges, CC BY-SA 3.0; `mnist_small/README.md` beside this file says more.
    """
    images = read_idx(SMALL_IMAGES, dimensions=3, cure=_REINSTALL)
    labels = read_idx(SMALL_LABELS, dimensions=1, cure=_REINSTALL)
    return _from(SMALL_IMAGES, images[:, None], labels, _DIGITS, cure=_REINSTALL)


def cifar10(split: str = "train") -> ImageSet:
    """CIFAR-10's 32×32 colour pictures, 50,000 to train on or 10,000 to test; 170 MB downloaded on first use.

    Raises OSError where the archive can't be had, and ValueError where it is not the official one.
    """
    _check_split(split)
    path = fetch("cifar10/cifar-10-binary.tar.gz")
    batches = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    names, *records = read_members(path, ["batches.meta.txt", *batches])
    if odd := [len(raw) for raw in records if len(raw) % 3073]:
        raise ValueError(f"{path}: {odd[0]} bytes of pictures are not whole records of 3073. {RENEW}")
    # A record is one label and 3072 pixel values: all red ones row by row, then green, then blue.
    tables = [np.frombuffer(raw, np.uint8).reshape(-1, 3073) for raw in records]
    images = np.concatenate([table[:, 1:] for table in tables]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([table[:, 0] for table in tables])
    return _from(path, images, labels, tuple(bytes(names).decode("ascii", "replace").split()))


def dreambooth_dog(name: str, size: int = 32) -> ImageSet:
    """Five or six photographs of one dog, their squares resized to size × size; 0.5 to 7 MB are fetched once.

    name: dog, dog2, dog3, dog5, dog6, dog7 or dog8, as in the DreamBooth data set (CC BY 4.0). The set's one name
    says whose photographs they are: show it beside the pictures, and beside what is drawn after them.

    Raises ValueError for other names, for a size that is not a positive integer, and where a file is not the one
    of the data set; OSError where the photographs can't be had.
    """
    files = dreambooth.files(name)
    _check_size(size)
    images = np.stack([picture(fetch(file), size) for file in files])
    credit = f"{name}, photographs by {dreambooth.PHOTOGRAPHERS[name]}, DreamBooth data set, CC BY 4.0"
    labels = torch.zeros(len(files), dtype=torch.int64, device="cpu")
    return ImageSet(torch.from_numpy(images), labels, (credit,), levels=256)


def _from(
    path: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...], *, cure: str = RENEW
) -> ImageSet:
    """The set of an official file, whose name an error has in front, and behind what to do about it."""
    try:
        return ImageSet(torch.from_numpy(images), torch.from_numpy(labels), names, levels=256)
    except ValueError as error:
        raise ValueError(f"{path}: {error}. {cure}") from error


def image_folder(path: str | os.PathLike[str], size: int) -> ImageSet:
    """Every JPEG, PNG and WebP picture under a folder: its central square, resized to size × size pixels.

    Labels are the names of the folder's subfolders; a picture straight in the folder has the folder's own name.
    Names are in order, numbers as numbers; pictures in that of their sorted paths. Links are followed. Hidden and
    other files are passed over, with a warning for pictures of other kinds. Alpha is laid on white. The result is
    grey (C = 1) if every picture is stored as grey, otherwise colour (C = 3).

    Raises ValueError for a size that is not a positive integer, a folder without pictures, a link that leads
    nowhere, subfolders called like parts of a data set (train, test, …), and a picture that can't be read or is so
    large that Pillow takes it for a decompression bomb; OSError for what is no folder or can't be read.
    """
    _check_size(size)
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"path: got {str(root)!r}, which is not a folder; expected a folder of pictures")
    files = folders.pictures(root)
    if not files:
        kinds = ", ".join(folders.SUFFIXES)
        raise ValueError(f"path: got {str(root)!r}, which holds no picture; expected {kinds} files in it")
    images = folders.read(root, files, size)
    places, names = folders.classes(root, files)
    return ImageSet(torch.from_numpy(images), torch.tensor(places, device="cpu"), names, levels=256)


def _check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f'split: got {split!r}; expected "train" or "test"')


def _check_size(size: int) -> None:
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_SIDE:
        raise ValueError(
            f"size: got {size!r}; expected a positive integer, the pixels along one side, up to {MOST_SIDE}"
        )


def _check_levels(levels: int) -> None:
    if levels not in range(2, 257):
        raise ValueError(f"levels: got {levels!r}; expected 2..256, how many values a pixel can have")


def _check_values(images: Tensor, levels: int) -> None:
    _check_levels(levels)
    highest = int(images.max()) if images.numel() else 0  # int: beside a uint8 tensor 256 would wrap to 0
    if highest >= levels:
        raise ValueError(f"images: got the value {highest}; expected 0..{levels - 1}, as levels is {levels}")
