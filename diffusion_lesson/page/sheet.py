"""Many pictures on one sheet: where each stands, and the sheet itself, as a page or an image file holds it."""

import math
from typing import Any

import numpy as np
from PIL import Image

_SIDE = 64  # pictures smaller than this are enlarged, to be seen
_MOST = 2**13  # pixels along a side of a sheet; some programs refuse an image with more than 89 million pixels
Number = int | float  # beartype takes `float` at its word
Size = tuple[Number, Number]


def places(count: int, columns: int, size: Size, *, gap: Number, head: Number = 0) -> tuple[Size, list[Size]]:
    """((height, width) of the sheet, (top, left) of each picture), row by row.

    size: height and width of one picture. gap: what lies between two of them; head: what lies above each.
    """
    height, width = size
    columns = min(columns, count)
    down, across = height + gap + head, width + gap
    corners = [(k // columns * down + head, k % columns * across) for k in range(count)]
    return (math.ceil(count / columns) * down - gap, columns * across - gap), corners


def tiled(pictures: np.ndarray, columns: int, *, line: int, ground: int) -> np.ndarray:
    """T sheets of N pictures each: bytes (T, height, width) or (T, height, width, 3), with lines of `ground`.

    pictures: bytes (T, N, H, W) or (T, N, H, W, 3).
    """
    times, count, height, width = pictures.shape[:4]
    size, corners = places(count, columns, (height, width), gap=line)
    sheets = np.full((times, *size, *pictures.shape[4:]), ground, np.uint8)
    for k, (top, left) in enumerate(corners):
        sheets[:, top : top + height, left : left + width] = pictures[:, k]
    return sheets


def sheet(pictures: Any, levels: int) -> Image.Image:
    """Pictures (N, C, H, W) of values 0..levels−1 in a near-square grid, row by row, black between them.

    Small ones are enlarged, as far as the sheet has room.
    """
    grey = (np.asarray(pictures) * np.float64(255 / (levels - 1))).round().astype(np.uint8)
    grid = tiled(grey.transpose(0, 2, 3, 1)[None], math.ceil(len(grey) ** 0.5), line=1, ground=0)[0]
    image = Image.fromarray(grid.squeeze())
    zoom = max(1, min(_SIDE // grey.shape[3], _MOST // max(image.size)))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)


def most(side: int) -> int:
    """How many pictures of side × side pixels go on one sheet."""
    return max(1, (_MOST + 1) // (side + 1)) ** 2
