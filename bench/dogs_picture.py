"""dogs.jpg: what the runs of one seed drew, best and typical, from what bench.dogs keeps under runs/.

python -m bench.dogs_picture       writes it anew
"""

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

from bench import dog_judge, dogs
from diffusion_lesson.learning import data
from diffusion_lesson.page import plots

SEED, SUREST, CAME = 0, 3, 8
TILE, PIXELS = 0.5, 64  # inches and pixels across a drawn picture


def row(judge: dog_judge.Judge, x: Tensor) -> Tensor:
    """The three that are read as a dog with most certainty, a gap, and the first eight as they came."""
    gap = torch.ones_like(x[:1])
    return torch.cat([x[judge.sure(x).argsort(descending=True)[:SUREST]], gap, x[:CAME]])


def picture() -> Figure:
    """A row for each dog that was run."""
    judge, found = dog_judge.Judge(), {}
    for dog in dog_judge.DOGS:
        file = dogs.RUNS / f"{dog} {SEED}-new.safetensors"
        if file.exists():
            found[dog] = row(judge, data.to_signed(load_file(file)["x"]))
    return plots.image_grid(
        torch.cat([*found.values()]), columns=SUREST + 1 + CAME, row_titles=[*found], tile=TILE
    )


if __name__ == "__main__":
    file, how = dogs.RESULTS.with_suffix(".jpg"), {"quality": 85}
    picture().savefig(file, dpi=PIXELS / TILE, bbox_inches="tight", pad_inches=0.05, pil_kwargs=how)
