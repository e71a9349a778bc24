"""The pictures that a folder holds, and of which class each is: the subfolder it is in. None is lost silently."""

import os
import re
import stat
import unicodedata
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from diffusion_lesson.learning.pictures import picture

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")
_OTHERS = (
    ".apng", ".avif", ".bmp", ".dib", ".dng", ".exr", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jxl", ".pbm",
    ".pgm", ".pjpeg", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff",
)  # fmt: skip
_LEARN, _JUDGE = r"train|training", r"test|testing|val|valid|validation|dev|eval|evaluation|holdout"
_PART = rf"(?P<of>[^-_ ]+[-_ ])?(?:(?P<learn>{_LEARN})|{_JUDGE})(?:[-_ ]?(?:set|data|images?|imgs?|\d+))*"


def pictures(root: Path) -> list[tuple[str, ...]]:
    """The paths below `root`, in parts and sorted, of all JPEG, PNG and WebP pictures.

    Links are followed; a folder that is reached in several ways counts once in a class. Hidden files and other
    files are passed over. A warning names pictures of other kinds, and folders that would be classes but hold no
    picture. ValueError where a link leads nowhere, and where folders are called like parts of a data set (train,
    test, …); OSError for a folder that can't be read.
    """
    found, others = [], []
    todo: list[tuple[str, ...]] = [()]
    seen: set[tuple[str, str]] = set()  # (class, folder)
    here = Path(os.path.realpath(root))
    while todo:
        parts = todo.pop()
        with os.scandir(root.joinpath(*parts)) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        for name in names:
            path, suffix = root.joinpath(*parts, name), os.path.splitext(name)[1].lower()
            kind = _kind(path)
            if stat.S_ISDIR(kind):
                real, label = os.path.realpath(path), (*parts, name)[0]
                circle = here.is_relative_to(real)  # it holds the folder that is being read
                if not circle and (label, real) not in seen:
                    seen.add((label, real))
                    todo.append((*parts, name))
            elif suffix in SUFFIXES:
                if not stat.S_ISREG(kind):
                    raise ValueError(f"path: {path} is neither a file nor a folder; remove it")
                found.append((*parts, name))
            elif suffix in _OTHERS:
                others.append(path)
    if others:
        count = f"{len(others)} pictures" if len(others) > 1 else "1 picture"
        expected = ", ".join(SUFFIXES)
        warnings.warn(
            f"path: {count} of other kinds passed over, such as {others[0]}; expected {expected}", stacklevel=3
        )
    _refuse_parts(root, found)
    classes = {parts[0] for parts in found if len(parts) > 1}
    if found and (empty := sorted({label for label, _ in seen} - classes)):
        warnings.warn(
            f"path: no class comes of {', '.join(empty[:9])}: no picture to learn from there", stacklevel=3
        )
    return sorted(found)


def read(root: Path, found: list[tuple[str, ...]], size: int) -> np.ndarray:
    """(N, C, size, size) bytes; C is 1 if every picture is stored as grey. ValueError names what can't be read."""
    arrays = []
    for parts in found:
        file = root.joinpath(*parts)
        try:
            arrays.append(picture(file, size))
        except Exception as error:  # each decoder has its own: OSError, SyntaxError, struct.error, …
            raise ValueError(
                f"{file}: can't be read as a picture ({error}). Repair, shrink or remove it"
            ) from error
    images = np.empty((len(arrays), max(len(array) for array in arrays), size, size), np.uint8)
    for image, array in zip(images, arrays, strict=True):
        image[:] = array  # a grey one among colours is copied to all three
    return images


def classes(root: Path, found: list[tuple[str, ...]]) -> tuple[list[int], tuple[str, ...]]:
    """(the class of each as a place in the names, the names in order, numbers as numbers).

    A class is its subfolder's name, or the folder's own for a picture straight in it, as it is typed (Unicode's
    form C), whatever the disk keeps.
    """
    own = os.path.basename(os.path.realpath(root))
    shown = [unicodedata.normalize("NFC", parts[0] if len(parts) > 1 else own) for parts in found]
    names = tuple(sorted(set(shown), key=_by_number))
    index = {name: i for i, name in enumerate(names)}
    return [index[name] for name in shown], names


def _by_number(name: str) -> tuple[list[str | int], str]:
    """A key to sort names by, in which numbers count as numbers: "2" before "10", "class9" before "class10"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def _kind(path: Path) -> int:
    """What is there, at the other end if it is a link."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            raise ValueError(
                f"path: {path} is a link that leads nowhere ({os.readlink(path)}); mend or remove it"
            ) from error
        raise


def _refuse_parts(root: Path, found: list[tuple[str, ...]]) -> None:
    """ValueError where the folders are no classes but parts of a data set, of which one is to be learned from."""
    inside: dict[Path, set[str]] = defaultdict(set)
    for parts in found:
        for depth in range(len(parts) - 1):
            inside[root.joinpath(*parts[:depth])].add(parts[depth])
    for folder, names in inside.items():
        sets: dict[str | None, dict[str, bool]] = defaultdict(dict)  # what it is of, as in "pets_train": names, …
        for name in sorted(names):
            if match := re.fullmatch(_PART, name.lower()):
                sets[match["of"]][name] = bool(match["learn"])  # … and whether to learn from it
        for of, split in sets.items():
            learn = [name for name, learned in split.items() if learned]
            if (folder == root and of is None and len(split) == len(names)) or 0 < len(learn) < len(split):
                one = folder / (learn or list(split))[0]
                raise ValueError(
                    f"path: {folder} holds {', '.join(split)}: parts of a data set, not classes. "
                    f"Give one of them, such as {one}, or call them otherwise"
                )
