"""Lesson 13's dog in earnest: seven dogs, three times each, from three or four photographs, in colour.

    python -m bench.dogs             every run that dogs.json lacks
    python -m bench.dogs dog3 dog8   those of these dogs; several such commands may run at once
    python -m bench.dogs --bf16      in bfloat16 where that is safe; the result says so
    python -m bench.dogs_table       the page dogs.md

Needs the photographs (data.dreambooth_dog fetches them). Pictures and taught networks are kept under runs/, and a
run that was stopped goes on from them. On one thread, an hour and a half.
"""

import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion_lesson.learning import data, dreambooth, metrics, personalise, portraits, weights
from diffusion_lesson.learning.config import Precision, TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.networks.classifier import Cifar10Classifier
from diffusion_lesson.page.progress import track

RESULTS, RUNS = Path(__file__).with_suffix(".json"), Path("runs", "dogs")
DOGS, SEEDS = tuple(dreambooth.PHOTOGRAPHERS), (0, 1, 2)
TRIED = ("dog2", 1)  # the settings below were chosen on this run; all others are their test
DRAW_NEW: dict[str, Any] = {"guidance_scale": 2.0, "steps": 20, "eta": 1.0}
DRAW_OLD: dict[str, Any] = {"guidance_scale": 1.5, "steps": 10, "eta": 0.0}
OWN, NEW, OLD = 180, 40, 200  # pictures: its own to rehearse, and drawn to be scored
SIZE, LARGER, COPY, LEFT_OUT = 32, 36, 0.1, 2
LAYER, ZOOMED = 7, (40, 48)  # of the nearest-dog test: how deep it looks, and how large copies it crops


def left_out(count: int, seed: int) -> list[int]:
    """Which of a dog's photographs one run keeps for the test: a pair, and the next pair for the next seed.

    So no pair has one of dog5's 02 and 03, which are each other's mirrors, without the other.
    """
    return [(LEFT_OUT * seed + k) % count for k in range(LEFT_OUT)]


class Photographs:
    """All dogs', as the networks see them, divided as one seed divides them."""

    def __init__(self, seed: int) -> None:
        self.learned, self.test, self.whole, self.known = {}, {}, {}, {}
        for dog in DOGS:
            whole, larger = (data.to_signed(data.dreambooth_dog(dog, side).images) for side in (SIZE, LARGER))
            out = left_out(len(whole), seed)
            kept = [k for k in range(len(whole)) if k not in out]
            self.learned[dog] = portraits.views(whole[kept], larger[kept])
            self.whole[dog], self.test[dog] = whole[kept], whole[out]
            self.known[dog] = torch.cat([whole[out], *(crops(dog, out, side) for side in ZOOMED)])


def crops(dog: str, which: list[int], side: int) -> Tensor:
    """Nine squares, corners, edges and middle, out of copies that are `side` pixels wide."""
    copies, margin = data.to_signed(data.dreambooth_dog(dog, side).images[which]), side - SIZE
    starts = (0, margin // 2, margin)
    return torch.cat([copies[..., i : i + SIZE, j : j + SIZE] for i in starts for j in starts])


class Judge:
    """The classifier that ships, and a nearest-dog test on what it sees on the way."""

    def __init__(self) -> None:
        classifier, self.card = weights.load_classifier("classifier-cifar10")
        assert isinstance(classifier, Cifar10Classifier)
        self.classifier, self.real = classifier, metrics.reference("cifar10")

    @torch.no_grad()
    def read(self, x: Tensor) -> Tensor:
        """What the classifier takes each picture for."""
        return torch.cat([self.classifier(part).argmax(1) for part in x.split(100)])

    @torch.no_grad()
    def looks(self, x: Tensor) -> Tensor:
        """What a middle layer sees in the middle of a picture: colours, fur, edges. A direction.

        The 128 features at the end say that it is a dog, and hardly which.
        """
        assert isinstance(self.classifier.convolutions, torch.nn.Sequential)
        maps = torch.cat([self.classifier.convolutions[:LAYER](part) for part in x.split(100)])
        edge = maps.shape[-1] // 4
        middle = maps[..., edge:-edge, edge:-edge]
        return F.normalize(torch.cat([middle.mean((2, 3)), middle.std((2, 3))], 1), dim=1)

    @torch.no_grad()
    def last(self, x: Tensor) -> Tensor:
        """The 128 features, as a direction."""
        return F.normalize(metrics.features(self.classifier, x), dim=1)

    def distance(self, x: Tensor) -> float:
        """Fréchet, from CIFAR-10's test pictures."""
        return metrics.moments_distance(metrics.moments(metrics.features(self.classifier, x)), self.real)


def nearest_dog(x: Tensor, known: dict[str, Tensor], by: Callable[[Tensor], Tensor]) -> Tensor:
    """The place in DOGS of the dog that each picture's nearest known view shows, mirrored or not."""
    views = [by(torch.cat([pictures, pictures.flip(-1)])) for pictures in known.values()]
    dogs = torch.arange(len(views)).repeat_interleave(torch.tensor([len(each) for each in views]))
    return dogs[torch.cdist(by(x), torch.cat(views)).argmin(1)]


def base() -> Denoiser:
    """The network that knows dogs in general, with a word more, which means dog so far."""
    known, card = weights.load_shipped("cifar10")
    return portraits.new_word(known, card.label("dog"))


def teach(seed: int, precision: Precision) -> TrainConfig:
    """How each run learns."""
    return TrainConfig(steps=150, batch_size=16, learning_rate=1.5e-3, ema=0.98, seed=seed, precision=precision)


def computing(precision: Precision) -> torch.autocast:
    """What a network computes in that draws."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def drawn(
    denoiser: Denoiser, labels: Tensor, seed: int, how: dict[str, Any], precision: Precision = "fp32"
) -> Tensor:
    """One picture for each label, from the noise of this seed."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(labels), 3, SIZE, SIZE, generator=g)
    with computing(precision):
        return draw(denoiser, noise, labels=labels, generator=g, batch_size=60, **how)


def own_pictures(denoiser: Denoiser) -> tuple[Tensor, Tensor]:
    """(pictures, labels): what every run rehearses; drawn once."""
    labels = torch.arange(OWN) % (denoiser.classes - 1)
    with FileLock(RUNS / "own.lock"):
        return portraits.own_pictures(denoiser, labels, SIZE, folder=RUNS), labels


def taught(dog: str, seed: int, photographs: Photographs, precision: Precision) -> tuple[Denoiser, float]:
    """(the network after it learned the dog, CPU-seconds that took); kept, so that it can be scored later."""
    denoiser, kept, notes = base(), RUNS / f"{dog} {seed}.safetensors", RUNS / f"{dog} {seed}-run"
    if not kept.exists():
        own, labels = own_pictures(denoiser)
        learned, word, config = photographs.learned[dog], denoiser.classes - 1, teach(seed, precision)
        begun = time.process_time()
        loop = personalise.rehearse(denoiser, learned, word, own, labels, config, checkpoint=notes)
        last = deque(track(loop, total=config.steps, label=f"{dog} {seed}"), maxlen=1).pop()
        spent = torch.tensor(time.process_time() - begun)
        save_file({**last.averaged.state_dict(), "seconds": spent}, kept)
        shutil.rmtree(notes)
    state = load_file(kept)
    seconds = state.pop("seconds").item()
    denoiser.network.load_state_dict(state)
    denoiser.network.eval().requires_grad_(False)
    return denoiser, seconds


def score(judge: Judge, x: Tensor, dog: str, photographs: Photographs) -> dict[str, float]:
    """Is it a dog, is it this dog, and is it a copy?"""
    learned, test, place = photographs.learned[dog], photographs.test[dog], DOGS.index(dog)
    gap, _ = metrics.nearest_neighbours(x, learned)
    normal, _ = metrics.nearest_neighbours(torch.cat([test, test.flip(-1)]), learned)
    which = nearest_dog(x, photographs.known, judge.looks)
    return {
        "dog": (judge.read(x) == weights.card("cifar10").label("dog")).float().mean().item(),
        "this dog": (which == place).float().mean().item(),
        "copies": (gap < COPY).float().mean().item(),
        "to the learned": gap.median().item(),
        "left out to the learned": normal.median().item(),
        "nearer than any left out": (gap < normal.min()).float().mean().item(),
    }


def score_new(judge: Judge, dog: str, seed: int, precision: Precision) -> dict[str, Any]:
    """Of NEW pictures told the new word."""
    photographs, file = Photographs(seed), RUNS / f"{dog} {seed}-new.safetensors"
    denoiser, seconds = taught(dog, seed, photographs, precision)
    if not file.exists():
        x = drawn(denoiser, torch.full((NEW,), denoiser.classes - 1), 200, DRAW_NEW, precision)
        save_file({"x": data.to_uint8(x)}, file)
    x = data.to_signed(load_file(file)["x"])
    return score(judge, x, dog, photographs) | {"cpu seconds": seconds, "computed in": precision}


def score_old_after(judge: Judge, dog: str, seed: int, precision: Precision) -> dict[str, float]:
    """`score_old` of the network that learned the dog."""
    return score_old(judge, taught(dog, seed, Photographs(seed), precision)[0])


def score_old(judge: Judge, denoiser: Denoiser) -> dict[str, float]:
    """Does it still draw all else? Same noise each time; in bfloat16, before and after alike."""
    labels = torch.arange(OLD) % (denoiser.classes - 1)
    x = drawn(denoiser, labels, 300, DRAW_OLD, "bf16")
    return {"old": (judge.read(x) == labels).float().mean().item(), "old fd": judge.distance(x)}


def score_before(judge: Judge) -> dict[str, Any]:
    """What the network draws of dogs in general, and how the tests read real photographs."""
    denoiser, a_dog = base(), weights.card("cifar10").label("dog")
    x = drawn(denoiser, torch.full((NEW,), denoiser.classes - 1), 200, DRAW_NEW)
    found: dict[str, Any] = {"dog": (judge.read(x) == a_dog).float().mean().item()}
    for seed in SEEDS:
        photographs = Photographs(seed)
        real, counts = torch.cat([*photographs.whole.values()]), [len(x) for x in photographs.whole.values()]
        right = {
            "this dog": nearest_dog(x, photographs.known, judge.looks).expand(len(DOGS), -1),
            "real": nearest_dog(real, photographs.known, judge.looks).split(counts),
            "real by the last features": nearest_dog(real, photographs.known, judge.last).split(counts),
        }
        reads = (judge.read(real) == a_dog).split(counts)
        for place, dog in enumerate(DOGS):
            shares = {name: (which[place] == place).float().mean().item() for name, which in right.items()}
            read = {"real read as dog": reads[place].float().mean().item(), "photographs": counts[place]}
            found.setdefault(str(seed), {})[dog] = shares | read
    return found


def keep(key: str, make: Callable[[], dict[str, Any]]) -> None:
    """Make what the file lacks, and write it down at once; another command may be at it too."""
    if key in known():
        return
    found = make()
    with FileLock(RUNS / "results.lock"):
        RESULTS.write_text(json.dumps(known() | {key: found}, indent=1) + "\n", "utf-8")
    print(key, found, flush=True)


def known() -> dict[str, Any]:
    """All that was measured so far."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def measure(dogs: tuple[str, ...], seeds: tuple[int, ...], precision: Precision) -> None:
    """Every run, seed by seed, first the new word and then the old ones."""
    RUNS.mkdir(parents=True, exist_ok=True)
    judge, runs = Judge(), [(dog, seed) for seed in seeds for dog in dogs]
    keep("before", lambda: score_before(judge))
    for run in runs:
        keep(f"{run[0]} {run[1]}", partial(score_new, judge, *run, precision))
    keep("old before", lambda: score_old(judge, base()))
    for run in runs:
        keep(f"{run[0]} {run[1]} old", partial(score_old_after, judge, *run, precision))


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure(
        tuple(name for name in sys.argv[1:] if name in DOGS) or DOGS,
        SEEDS,
        "bf16" if "--bf16" in sys.argv else "fp32",
    )
