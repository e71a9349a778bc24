"""Make the weights that ship: train, score, and write them with their cards.

python -m tools.ship classifier-mnist digits mnist-without-7 mnist      # in this order; hours on two cores
python -m tools.ship --score digits mnist                               # no training: scores what ships anew

Needs MNIST (data.mnist fetches it). A training that was stopped goes on from its checkpoint under runs/ship.
"""

import copy
import platform
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bench import bound, floors
from bench.scores import picked
from diffusion_lesson.learning import data, fingerprints, metrics, recipes, weights
from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.learning.results import Result
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.classifier import MnistClassifier, train_classifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.progress import track
from diffusion_lesson.page.sheet import sheet
from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import EpsModel
from diffusion_lesson.process.schedule import Schedule

RUNS = Path("runs", "ship")
Walk = Callable[[Schedule, torch.Tensor, EpsModel, torch.Generator], Iterator[torch.Tensor]]
SHORT = recipes.RECIPES["mnist-3min"]
LONG = replace(SHORT.training, optimizer="adamw", ema=0.999)  # these were trained before the recipe took Muon
# name: (recipe, the class left out, the weights it begins with)
GENERATORS = {
    "digits": (recipes.RECIPES["digits-20s"], None, None),
    "mnist-without-7": (replace(SHORT, training=replace(LONG, steps=10_000)), 7, None),
    "mnist": (replace(SHORT, training=replace(LONG, steps=9_000, batch_size=64)), None, "mnist-without-7"),
}


def ship_classifier() -> None:
    """classifier-mnist, and the moments of the test pictures' features: fixed before any generator is scored."""
    train_set, test_set = data.mnist("train"), data.mnist("test")
    recipe: dict[str, Any] = {"epochs": 4, "batch_size": 128, "learning_rate": 3e-3, "seed": 0}
    torch.manual_seed(recipe["seed"])
    classifier = MnistClassifier()
    train_classifier(classifier, data.to_signed(train_set.images), train_set.labels, **recipe)
    save_classifier(classifier, recipe, train_set, test_set)


def save_classifier(
    classifier: torch.nn.Module, recipe: dict[str, Any], train_set: data.ImageSet, test_set: data.ImageSet
) -> None:
    """Write the weights in half precision, and score what a reader will load."""
    card = Card(
        name="classifier-mnist", network="MnistClassifier", config={}, schedule=None, predicts=None, size=28,
        levels=256, data=f"MNIST, 60,000 to train on, {data_hash(train_set)}", recipe=recipe,
    )  # fmt: skip
    card = weights.save(weights.SHIPPED / card.name, copy.deepcopy(classifier).half(), card)
    classifier, _ = weights.load_classifier(card.name)
    x = data.to_signed(test_set.images)
    with torch.no_grad():
        found = torch.cat([classifier(part).argmax(1) for part in x.split(500)])
    right = (found == test_set.labels).float().mean().item()
    test = metrics.moments(metrics.features(classifier, x))
    note = {"classifier": card.sha256, "data": "MNIST, 10,000 to test", "count": str(test.count)}
    path = weights.SHIPPED / "reference-mnist.safetensors"
    save_file({"mean": test.mean, "cov": test.cov}, path, metadata=note)
    accuracy = Result(metric="accuracy", values=(round(right, 4),), n=test.count, how="all test pictures")
    weights.save(
        weights.SHIPPED / card.name, copy.deepcopy(classifier).half(), replace(card, measured=(accuracy,))
    )
    floors.tell(card.name)


def ship_generator(name: str) -> None:
    """Train by the recipe above, from the weights it begins with, and write them."""
    recipe, left_out, begins_with = GENERATORS[name]
    images = getattr(data, recipe.data)("train")
    kept = images.labels != (-1 if left_out is None else left_out)
    x, labels = data.to_signed(images.images[kept], images.levels), images.labels[kept]
    denoiser = recipe.build(seed=0)
    if begins_with:
        denoiser, _ = weights.load_shipped(begins_with)
    begun = time.process_time()
    loop = train(
        denoiser, x, recipe.training, labels=labels if recipe.conditional else None, checkpoint=RUNS / name
    )
    last = deque(track(loop, total=recipe.training.steps), maxlen=1).pop()
    save_generator(name, last.denoiser, data_hash(images), time.process_time() - begun)


def save_generator(name: str, denoiser: Denoiser, hashed: str, seconds: float) -> None:
    """Write the weights in half precision with their card, and a grid of samples beside them."""
    recipe, left_out, begins_with = GENERATORS[name]
    assert isinstance(denoiser.network, UNet)
    size, levels = (8, 17) if recipe.data == "digits" else (28, 256)
    made = {
        "begins with": begins_with, "commit": commit(), "cpu_seconds": round(seconds),
        "threads": torch.get_num_threads(), "machine": f"{platform.machine()}, torch {torch.__version__}",
    }  # fmt: skip
    card = Card(
        name=name, network="UNet", config=denoiser.network.config, schedule=recipe.schedule,
        predicts=recipe.predicts, size=size, levels=levels,
        data=f"{recipe.data}, to train on" + (f", without {left_out}" if left_out else "") + f", {hashed}",
        recipe=asdict(recipe.training) | made,
    )  # fmt: skip
    path = weights.SHIPPED / name
    weights.save(path, halved(denoiser), card)
    denoiser, _ = weights.load(path)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 1, size, size, generator=generator)
    labels = torch.arange(60) % denoiser.classes if denoiser.classes else None
    drawn = draw(denoiser, noise, labels=labels, steps=50, generator=generator)
    sheet(data.to_uint8(drawn, levels), levels).save(path.with_suffix(".png"))


def score(name: str) -> None:
    """Measure what ships, as a reader would load it, and write the results into its card."""
    denoiser, card = weights.load_shipped(name)
    measured: list[Result] = []
    kind = "digits" if name == "digits" else "mnist"
    classifier, _ = weights.load_classifier(f"classifier-{kind}")
    test = getattr(data, kind)("test")
    classes = [k for k in range(10) if k != GENERATORS[name][1]]
    test_x, kept = data.to_signed(test.images, test.levels), torch.isin(test.labels, torch.tensor(classes))
    real = metrics.moments(metrics.features(classifier, test_x[kept]))
    if kind == "digits":  # as lesson 10: all 1,797 real digits
        train_x = data.to_signed(data.digits("train").images, 17)
        real = metrics.moments(metrics.features(classifier, torch.cat([train_x, test_x])))
    for words, count, walk, steps, scale in SAMPLERS[kind]:
        x = pictures(denoiser, card.size, classes, count=count, walk=walk, guidance_scale=scale or 1.0)
        rows = metrics.features(classifier, data.to_signed(data.to_uint8(x, card.levels), card.levels))
        distance = metrics.moments_distance(real, metrics.moments(rows))
        found = Result(
            metric="frechet_distance", values=(round(distance, 2),), n=count, sampler=words, steps=steps,
            guidance_scale=scale,
        )  # fmt: skip
        measured.append(found)
        print(name, found, flush=True)
    chosen = picked(bound.PICTURES, int(kept.sum()))
    each = bound.coded(denoiser, card, test_x[kept][chosen], test.labels[kept][chosen])
    measured.append(bound.record(card, each, out_of=int(kept.sum())))
    weights.save(weights.SHIPPED / name, halved(denoiser), replace(card, measured=tuple(measured)))
    floors.tell(name)


def halved(denoiser: Denoiser) -> Denoiser:
    """With its weights in half precision, as they ship."""
    return replace(denoiser, network=copy.deepcopy(denoiser.network).half())


def pictures(
    denoiser: Denoiser, size: int, classes: list[int], *, count: int, walk: Walk, guidance_scale: float
) -> torch.Tensor:
    """`count` pictures, the classes in turn, 250 at a time; x̂_0 kept in [−1, 1]."""
    generator, out = torch.Generator().manual_seed(1), []
    in_turn = torch.tensor(classes)[torch.arange(count) % len(classes)]
    for labels in in_turn.split(250):
        xT = torch.randn(len(labels), 1, size, size, generator=generator)
        eps_model = denoiser.eps_model(labels if denoiser.classes else None, guidance_scale=guidance_scale)
        out.append(samplers.last(walk(denoiser.schedule, xT, eps_model, generator)))
    return torch.cat(out)


def _ddpm(
    schedule: Schedule, xT: torch.Tensor, eps_model: EpsModel, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    return samplers.ddpm(schedule, xT, eps_model, variance="beta_tilde", generator=generator)


def _ddim(
    schedule: Schedule, xT: torch.Tensor, eps_model: EpsModel, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    return samplers.ddim(schedule, xT, eps_model, steps=25, eta=1.0, generator=generator)


def _dpm(
    schedule: Schedule, xT: torch.Tensor, eps_model: EpsModel, generator: torch.Generator, *, steps: int
) -> Iterator[torch.Tensor]:
    return samplers.dpm_solver(schedule, xT, eps_model, steps=steps)


# (its name, pictures, walk, its steps, guidance scale where there are labels)
SAMPLERS: dict[str, list[tuple[str, int, Walk, int, float | None]]] = {
    "digits": [("DDPM", 1797, _ddpm, 200, None)],
    "mnist": [
        ("DDIM η = 1", 5000, _ddim, 25, 1.0),
        ("DPM-Solver++", 5000, partial(_dpm, steps=10), 10, 1.0),
        ("DPM-Solver++", 5000, partial(_dpm, steps=5), 5, 1.5),
    ],
}


def data_hash(images: data.ImageSet) -> str:
    """The short hash of pictures and labels."""
    return "SHA-256 " + fingerprints.of_bits(images.images, images.labels)


def commit() -> str:
    """The commit that the code stands at."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    jobs, only_score = [job for job in sys.argv[1:] if job != "--score"], "--score" in sys.argv
    for job in jobs:
        if job == "classifier-mnist":
            ship_classifier()
        else:
            if not only_score:
                ship_generator(job)
            score(job)
