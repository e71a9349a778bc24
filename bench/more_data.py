"""What more data buys: the recipe `mnist-60s`, trained on the 5,000 pictures that ship and on all 60,000.

    python -m bench.more_data           trains, draws, scores what more_data.json lacks; half an hour on one thread
    python -m bench.more_data small/0   that set and seed alone

Both get the same steps, so the 5,000 are seen more often. Each network draws 2,000 pictures as the recipe's row in
README.md does. Beside the Fréchet distance stand two scores of lesson 12, on 1,000 of these pictures and 1,000
test pictures, drawn at random: nearness (12.26), and the share of suspects (12.29), each to its own training set.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from bench import scores
from bench.contenders import Ours
from diffusion_lesson.learning import data, metrics
from diffusion_lesson.learning.files import replace_file

HERE = Path(__file__).parent
FILE = HERE / "more_data.json"
SETS = {"small": data.mnist_small, "all": data.mnist}
JOBS = [f"{name}/{seed}" for seed in range(3) for name in SETS]
DRAWN, NEAR = 2000, 1000


def perform(name: str, seed: int) -> dict[str, Any]:
    """Train on one set with one seed, draw, score."""
    images = SETS[name]()
    x, contender = data.to_signed(images.images), Ours("mnist-60s", seed)
    begun = time.process_time()
    for _ in contender.training(x, images.labels, seed):
        pass
    seconds = time.process_time() - begun
    drawn, _ = scores.drawing(contender, contender.best, DRAWN, seed, batch=250)
    drawn = data.to_signed(data.to_uint8(drawn))
    (distance,) = scores.distances(drawn, (DRAWN,)).values()
    return {
        "sampler": contender.best, "seconds": round(seconds), "distance": round(distance, 2), "n": DRAWN,
    } | copies(drawn, x)  # fmt: skip


def copies(drawn: Tensor, x: Tensor) -> dict[str, float]:
    """Lesson 12's nearness and share of suspects, of NEAR drawn pictures beside as many held-out ones."""
    test = data.to_signed(data.mnist("test").images)
    chosen, held_out = (pictures[scores.picked(NEAR, len(pictures))] for pictures in (drawn, test))
    d, yardstick = (metrics.nearest_neighbours(pictures, x)[0] for pictures in (chosen, held_out))
    nearer, same = d[:, None] < yardstick, d[:, None] == yardstick
    return {
        "nearness": round((nearer.double() + same.double() / 2).mean().item(), 3),
        "suspects": (d < yardstick.min()).double().mean().item(),
        "exact copies": int((d == 0).sum()),
    }


def read() -> dict[str, Any]:
    """All entries so far."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def _write(text: str, path: Path) -> None:
    path.write_text(text, "utf-8")


def main() -> None:
    """The jobs that are asked for, or those that the file lacks."""
    torch.set_num_threads(1)
    for job in sys.argv[1:] or [job for job in JOBS if job not in read()]:
        name, seed = job.split("/")
        entry = perform(name, int(seed))
        print(job, entry, flush=True)
        with FileLock(f"{FILE}.lock"):
            found = {key: (read() | {job: entry})[key] for key in JOBS if key in read() | {job: entry}}
            replace_file(FILE, partial(_write, json.dumps(found, indent=1) + "\n"))


if __name__ == "__main__":
    main()
