"""Many pictures on one sheet, as an image file holds them."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

_SIDE = 64  # pictures smaller than this are enlarged, to be seen


def sheet(pictures: UInt8[Tensor, "N C H W"], levels: int) -> Image.Image:
    """Pictures of values 0..levels−1 in a near-square grid, row by row, black between them."""
    grey = pictures.numpy() * np.float64(255 / (levels - 1))
    count, channels, height, width = grey.shape
    columns = int(np.ceil(count**0.5))
    rows = -(-count // columns)
    grid = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for k, picture in enumerate(grey):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        grid[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    image = Image.fromarray(grid.round().astype(np.uint8).squeeze())
    zoom = max(1, _SIDE // width)
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
