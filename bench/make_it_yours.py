"""Lesson 13 in earnest: a new digit from six pictures, three digits held out, three times six pictures each.

    python -m bench.make_it_yours          every run that make_it_yours.json lacks
    python -m bench.make_it_yours 7 4      those of these digits; several such commands may run at once
    python -m bench.make_it_yours_table    the page make_it_yours.md

Needs MNIST (data.mnist fetches it). For 7 it begins with the weights that ship; for the other digits it trains a
network without them by the recipe mnist-3min (but with AdamW), and keeps it under runs/. On one thread, an hour.
"""

import copy
import json
import sys
import time
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from bench import floors
from diffusion_lesson.learning import data, metrics, personalise, recipes, weights
from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.progress import track

RESULTS, RUNS = Path(__file__).with_suffix(".json"), Path("runs", "make_it_yours")
CLASSES, SEEDS = (7, 4, 2), (0, 1, 2)
TUNED_ON = (7, 0)  # the settings below were chosen on this digit and this six; all other runs are their test
DRAW: dict[str, Any] = {"guidance_scale": 1.0, "eta": 1.0, "steps": 10}  # no guidance: it would shrink variety
TUNE = TrainConfig(steps=300, batch_size=16, learning_rate=1e-3, ema=0.98, drop_labels=0.1)
WAYS = {"a": TUNE, "pile": TUNE, "b": TUNE, "c": replace(TUNE, learning_rate=0.1, drop_labels=0.0)}
OWN, NEW, OLD = 360, 90, 900  # pictures: the network's own to rehearse, and drawn to be scored


class World:
    """MNIST as one held-out digit divides it, and the classifier that judges."""

    def __init__(self, digit: int) -> None:
        self.digit, self.others = digit, torch.tensor([k for k in range(10) if k != digit])
        self.classifier, _ = weights.load_classifier("classifier-mnist")
        train_set, test_set = data.mnist("train"), data.mnist("test")
        kept = train_set.labels != digit
        self.x, self.labels = data.to_signed(train_set.images[kept]), train_set.labels[kept]
        self.new = data.to_signed(train_set.images[~kept])
        self.new_test = data.to_signed(test_set.images[test_set.labels == digit])
        self.real = self.moments(data.to_signed(test_set.images[test_set.labels != digit]))

    def moments(self, x: Tensor) -> metrics.Moments:
        """Of the classifier's features."""
        return metrics.moments(metrics.features(self.classifier, x))

    def read(self, x: Tensor) -> Tensor:
        """What the classifier takes each picture for."""
        with torch.no_grad():
            return torch.cat([self.classifier(part).argmax(1) for part in x.split(500)])

    def six(self, seed: int) -> Tensor:
        """Six training pictures of the held-out digit, drawn at random."""
        return self.new[torch.randperm(len(self.new), generator=torch.Generator().manual_seed(seed))[:6]]


def held_out(world: World) -> Denoiser:
    """One that never saw the digit: shipped, or trained here once and kept."""
    name = f"mnist-without-{world.digit}"
    if name in weights.names():
        return weights.load_shipped(name)[0]
    if not (RUNS / f"{name}.json").exists():
        _train_without(world, name)
    return weights.load(RUNS / name)[0]


def _train_without(world: World, name: str) -> None:
    recipe = recipes.RECIPES["mnist-3min"]
    config = replace(recipe.training, optimizer="adamw")  # as the network that ships, which is compared with it
    where = RUNS / f"{name}-run"
    loop = train(recipe.build(seed=0), world.x, config, labels=world.labels, checkpoint=where)
    denoiser = deque(track(loop, total=config.steps, label=name), maxlen=1).pop().denoiser
    assert isinstance(denoiser.network, UNet)
    card = Card(
        name=name, network="UNet", config=denoiser.network.config, schedule=recipe.schedule,
        predicts=denoiser.predicts, size=28, levels=256, data=f"MNIST, to train on, without {world.digit}",
        recipe=asdict(config),
    )  # fmt: skip
    weights.save(RUNS / name, denoiser, card)


def drawn(denoiser: Denoiser, labels: Tensor, seed: int) -> Tensor:
    """One picture for each label, with the guidance and the steps of this bench."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(labels), 1, 28, 28, generator=g)
    return draw(denoiser, noise, labels=labels, generator=g, **DRAW)


def taught(way: str, world: World, denoiser: Denoiser, six: Tensor, seed: int) -> Denoiser:
    """The denoiser after it learned the digit from the six, one of four ways."""
    learner = replace(denoiser, network=copy.deepcopy(denoiser.network).requires_grad_(True))
    digit, config = world.digit, replace(WAYS[way], seed=seed)
    x, labels = six, torch.full((len(six),), digit)
    if way == "c":
        learner = personalise.freeze_all_but_label(denoiser, digit)
    if way in ("a", "pile"):
        own_labels = world.others.repeat(OWN // 9)
        own = drawn(denoiser, own_labels, 100 + seed)
        x, labels = personalise.prior_preservation_set(six, digit, own, own_labels)
    if way == "a":
        loop = personalise.rehearse(learner, six, digit, own, own_labels, config)
    else:
        loop = train(learner, x, config, labels=labels)
    return deque(track(loop, total=TUNE.steps, label=f"{digit} {way}"), maxlen=1).pop().denoiser


def score(world: World, denoiser: Denoiser, six: Tensor) -> dict[str, float]:
    """Does it draw the new digit, and does it copy? Same noise each time."""
    new = drawn(denoiser, torch.full((NEW,), world.digit), 200)
    return {
        "new": (world.read(new) == world.digit).float().mean().item(),
        "to the six": metrics.nearest_neighbours(new, six)[0].median().item(),
        "real to the six": metrics.nearest_neighbours(world.new_test, six)[0].median().item(),
    }


def score_old(world: World, denoiser: Denoiser) -> dict[str, float]:
    """Does it still draw the others? Same noise each time."""
    labels = world.others.repeat(OLD // 9)
    old = drawn(denoiser, labels, 300)
    return {
        "old": (world.read(old) == labels).float().mean().item(),
        "old fd": metrics.moments_distance(world.moments(old), world.real),
    }


def run(digit: int, ways: list[str], keep: Path) -> None:
    """All that is missing of one digit; each result is written as it comes."""
    results = known(keep)
    jobs = [("before", 0), *((way, seed) for seed in SEEDS for way in ways)]
    missing = [(way, seed) for way, seed in jobs if key(digit, way, seed) not in results]
    if not missing:
        return
    world = World(digit)
    denoiser = held_out(world)
    rows = metrics.features(world.classifier, world.x)
    floor = {f"{digit} floor": floors.floor(rows, world.labels, world.real, OLD, "classes in turn")["mean"]}
    for way, seed in missing:
        six, begun = world.six(seed), time.process_time()
        learner = denoiser if way == "before" else taught(way, world, denoiser, six, seed)
        seconds = round(time.process_time() - begun, 1)
        found = score(world, learner, six) | {"cpu seconds": seconds}
        if way == "c":  # no other label can have changed
            found |= {name: known(keep)[key(digit, "before", 0)][name] for name in ("old", "old fd")}
        else:
            found |= score_old(world, learner)
        with FileLock(RUNS / "results.lock"):  # another command may be at it too
            results = known(keep) | floor | {key(digit, way, seed): found}
            keep.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        print(digit, way, seed, found, flush=True)


def known(keep: Path) -> dict[str, Any]:
    """All that was measured so far."""
    return json.loads(keep.read_text("utf-8")) if keep.exists() else {}


def key(digit: int, way: str, seed: int) -> str:
    """What a result is called."""
    return f"{digit} before" if way == "before" else f"{digit} {way} {seed}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in (["a"], ["b", "c"], ["pile"]):
        for held in map(int, sys.argv[1:] or CLASSES):
            run(held, part, RESULTS)
