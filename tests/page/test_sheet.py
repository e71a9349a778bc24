"""The sheet of many pictures: it stays a file that every program opens, and whoever asks knows how many fit."""

import numpy as np
import pytest

from diffusion_lesson.page.sheet import most, sheet

OPENS = 89_478_485  # pixels: Pillow warns of more, taking it for a decompression bomb


@pytest.mark.parametrize(("side", "count"), [(8, 910**2), (28, 282**2), (2731, 4), (8192, 1), (100_000, 1)])
def test_the_most_that_fit(side, count):
    assert most(side) == count


@pytest.mark.parametrize("count", [1, 12_000, 100_000])
def test_small_pictures_are_enlarged_as_far_as_there_is_room(count):
    image = sheet(np.zeros((count, 1, 8, 8), np.uint8), 17)
    columns = int(np.ceil(count**0.5))
    zoom, rest = divmod(image.width, 9 * columns - 1)
    assert rest == 0
    assert zoom == {1: 8, 12_000: 8, 100_000: 2}[count]
    assert image.width * image.height < OPENS
