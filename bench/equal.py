"""At equal CPU-seconds: the recipes, the network that they had before, and a peer that is given our loop.

    python -m bench.equal                 what equal.json lacks, then its tables; an hour on one thread
    python -m bench.equal mnist-60s/1     this alone; several such commands may run at once
    python -m bench.equal --table         the tables alone

- mnist-60s: the recipe, as it is.
- patches: as it was. Its network saw patches of 2×2 pixels, and it made 650 steps of 32.
- peer, and what was tried for it: the recipe `mnist-60s` with diffusers' UNet2DModel in it, with about as many
  weights as patches has. On seed 0 its shape, rate and batch were chosen (TRIED). It makes as many steps as take
  the seconds that patches took with the same seed.

Our network and its batch were chosen on seeds 0 and 1 (README.md, "Every pixel").
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from bench import scores
from bench.contenders import Ours, patches_60s
from diffusion_lesson.learning import data
from diffusion_lesson.learning.files import replace_file

FILE = Path(__file__).with_suffix(".json")
CHOSEN_ON, SEEDS = 0, (1, 2, 3)
RECIPE = "mnist-60s"
COUNTS = (1000, 2000, 5000)  # a distance is taken on each of these that were drawn
DRAWN = {"patches": 2000, RECIPE: 5000, "peer": 1000}  # on seed 0: 1,000


@dataclass(frozen=True)
class Shape:
    """What is chosen for the peer: channels at 28×28, 14×14 and 7×7, attention, learning rate, pictures a step."""

    channels: tuple[int, ...] = (16, 32, 48)
    attention: bool = False
    learning_rate: float = 3e-3
    batch_size: int = 32


TRIED = {
    "peer": Shape(),
    "peer with attention": Shape(attention=True),
    "peer with more at 7×7": Shape(channels=(8, 24, 56)),
    "peer at half the rate": Shape(learning_rate=1.5e-3),
    "peer at twice the rate": Shape(learning_rate=6e-3),
    "peer in batches of 16": Shape(batch_size=16),
}
PEER = "peer"  # the best of these on seed 0
TITLES = {"patches": f"`{RECIPE}`, patches", RECIPE: f"`{RECIPE}`", "peer": "diffusers UNet2DModel in our loop"}
JOBS = [
    f"patches/{CHOSEN_ON}",
    *(f"{name}/{CHOSEN_ON}" for name in TRIED),
    *(f"{name}/{seed}" for seed in SEEDS for name in ("patches", RECIPE, PEER)),
]


class DiffusersUNet(nn.Module):
    """UNet2DModel called as ours is: its own table of labels has a row more, for "no label"."""

    classes = 10

    def __init__(self, shape: Shape) -> None:
        from diffusers import UNet2DModel

        super().__init__()
        lowest = ("AttnDownBlock2D", "AttnUpBlock2D") if shape.attention else ("DownBlock2D", "UpBlock2D")
        self.unet = UNet2DModel(
            sample_size=28, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=8,
            block_out_channels=shape.channels, num_class_embeds=self.classes + 1,
            down_block_types=("DownBlock2D", "DownBlock2D", lowest[0]),
            up_block_types=(lowest[1], "UpBlock2D", "UpBlock2D"), attention_head_dim=shape.channels[-1] // 4,
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """v̂ of pictures (B, 1, 28, 28) at the steps t (B,)."""
        told = torch.full_like(t, self.classes) if labels is None else labels
        answer: Tensor = self.unet(x, t, class_labels=told).sample
        return answer


def peer(shape: Shape, seed: int, steps: int) -> Ours:
    """The recipe with the other network in it."""
    contender = Ours(RECIPE, seed, steps=steps)
    contender.batch = shape.batch_size
    contender.config = replace(contender.config, learning_rate=shape.learning_rate, batch_size=shape.batch_size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        contender.denoiser = replace(contender.denoiser, network=DiffusersUNet(shape))
    return contender


def seconds_a_step(shape: Shape, x: Tensor, labels: Tensor, steps: int = 40) -> float:
    """The median of a few steps, in CPU-seconds."""
    each, last = [], time.process_time()
    for _ in peer(shape, 0, steps).training(x, labels, 0):
        each.append(time.process_time() - last)
        last = time.process_time()
    return sorted(each)[len(each) // 2]


def contender(name: str, seed: int, x: Tensor, labels: Tensor) -> Ours:
    """Who is meant. A peer needs the entry of patches with its seed."""
    if name == RECIPE:
        return Ours(RECIPE, seed)
    if name == "patches":
        return patches_60s(seed)
    shape = TRIED[name]
    return peer(shape, seed, round(read()[f"patches/{seed}"]["seconds"] / seconds_a_step(shape, x, labels)))


def perform(name: str, seed: int) -> dict[str, Any]:
    """Train one, draw its pictures, score them."""
    images = data.mnist()
    x = data.to_signed(images.images)
    one = contender(name, seed, x, images.labels)
    begun = time.process_time()
    for _ in one.training(x, images.labels, seed):
        pass
    seconds = time.process_time() - begun
    count = 1000 if seed == CHOSEN_ON else DRAWN[name]
    drawn, _ = scores.drawing(one, one.best, count, seed, batch=250)
    return {
        "seconds": round(seconds, 1), "steps": one.config.steps,
        "weights": sum(p.numel() for p in one.network.parameters()),
        "sampler": one.best, "distance": {n: round(d, 3) for n, d in scores.distances(drawn, COUNTS).items()},
    }  # fmt: skip


def read() -> dict[str, Any]:
    """All entries so far."""
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}


def rows(name: str) -> dict[int, dict[str, Any]]:
    """A contender's entries by seed, but for seed 0."""
    found = read()
    return {seed: found[f"{name}/{seed}"] for seed in SEEDS if f"{name}/{seed}" in found}


def tables() -> str:
    """Both tables of README.md: side by side, and what was tried for the peer."""
    lines = [
        "| | weights | steps | CPU-s | seeds | FD, n = 1,000 | n = 2,000 | n = 5,000 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("patches", RECIPE, PEER):
        if not (found := rows(name)):
            continue
        entries = list(found.values())
        far = [
            ", ".join(f"{entry['distance'][n]:.1f}" for entry in entries if n in entry["distance"]) or "–"
            for n in map(str, COUNTS)
        ]
        seconds = ", ".join(f"{entry['seconds']:.0f}" for entry in entries)
        cells = [TITLES[name], f"{entries[0]['weights'] / 1e6:.2f} M", _range([e["steps"] for e in entries])]
        lines.append(f"| {' | '.join([*cells, seconds, ', '.join(map(str, found)), *far])} |")
    lines += ["", "| on seed 0 | weights | steps | CPU-s | FD, n = 1,000 |", "|---|---|---|---|---|"]
    for name in ("patches", *TRIED):
        if (row := read().get(f"{name}/{CHOSEN_ON}")) is not None:
            cells = [name, f"{row['weights'] / 1e6:.2f} M", str(row["steps"]), f"{row['seconds']:.0f}"]
            lines.append(f"| {' | '.join(cells)} | {row['distance']['1000']:.1f} |")
    return "\n".join(lines)


def _range(values: list[int]) -> str:
    low, high = f"{min(values):,}", f"{max(values):,}"
    return low if low == high else f"{low}–{high}"


def _write(text: str, path: Path) -> None:
    path.write_text(text, "utf-8")


def main() -> None:
    """The jobs that are asked for, or those that the file lacks."""
    torch.set_num_threads(1)
    asked = sys.argv[1:]
    for job in [] if asked == ["--table"] else asked or [job for job in JOBS if job not in read()]:
        name, seed = job.rsplit("/", 1)
        entry = perform(name, int(seed))
        print(job, entry, flush=True)
        with FileLock(f"{FILE}.lock"):
            everything = read() | {job: entry}
            ordered = {key: everything[key] for key in JOBS if key in everything}
            replace_file(FILE, partial(_write, json.dumps(ordered, indent=1) + "\n"))
    print(tables())


if __name__ == "__main__":
    main()
