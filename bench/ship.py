"""Make the weights that ship: train, score, and write them with their cards.

python bench/ship.py classifier-mnist digits mnist-without-7 mnist      # in this order; hours on two cores

Needs MNIST (data.mnist fetches it). A training that was stopped goes on from its checkpoint under runs/ship.
"""

import copy
import platform
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from diffusion_lesson.__main__ import draw, write_grid
from diffusion_lesson.learning import checkpoints, data, metrics, recipes, weights
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.classifier import MnistClassifier, train_classifier
from diffusion_lesson.page.progress import track

RUNS = Path("runs", "ship")
SHORT = recipes.ALL["mnist-3min"]
# name: (recipe, the class left out, the weights it begins with)
GENERATORS = {
    "digits": (recipes.ALL["digits-20s"], None, None),
    "mnist-without-7": (replace(SHORT, training=SHORT.training | {"steps": 10_000, "ema": 0.999}), 7, None),
    "mnist": (
        replace(SHORT, training=SHORT.training | {"steps": 9_000, "batch_size": 64, "ema": 0.999}),
        None,
        "mnist-without-7",
    ),
}


def ship_classifier() -> None:
    """classifier-mnist, and the moments of the test pictures' features: fixed before any generator is scored."""
    train_set, test_set = data.mnist("train"), data.mnist("test")
    recipe = {"epochs": 4, "batch_size": 128, "lr": 3e-3, "seed": 0}
    torch.manual_seed(recipe["seed"])
    classifier = MnistClassifier()
    train_classifier(classifier, data.to_signed(train_set.images), train_set.labels, **recipe)
    save_classifier(classifier, recipe, train_set, test_set)


def save_classifier(classifier: torch.nn.Module, recipe: dict, train_set: data.ImageSet, test_set: data.ImageSet):
    """Write the weights in half precision, and score what a reader will load."""
    card = weights.Card(
        name="classifier-mnist", network="MnistClassifier", config={}, schedule=None, predicts=None, size=28,
        levels=256, data=f"MNIST, 60,000 to train on, {data_hash(train_set)}", recipe=recipe,
    )  # fmt: skip
    card = weights.save(weights.SHIPPED / card.name, copy.deepcopy(classifier).half(), card)
    classifier, _, _ = weights.load(card.name)
    x = data.to_signed(test_set.images)
    with torch.no_grad():
        found = torch.cat([classifier(part).argmax(1) for part in x.split(500)])
    right = (found == test_set.labels).float().mean().item()
    test = metrics.moments(metrics.features(classifier, x))
    note = {"classifier": card.sha256, "data": "MNIST, 10,000 to test", "count": str(test.count)}
    path = weights.SHIPPED / "reference-mnist.safetensors"
    save_file({"mean": test.mean, "cov": test.cov}, path, metadata=note)
    picked = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:5000]
    real = metrics.features(classifier, data.to_signed(train_set.images[picked]))
    floors = {
        f"floor: {n} of the training set against the 10,000": round(distance, 2)
        for n in (500, 1000, 2000, 5000)
        for distance in [metrics.moments_distance(test, metrics.moments(real[:n]))]
    }
    measured = {"accuracy, 10,000 to test": round(right, 4)} | floors
    weights.save(weights.SHIPPED / card.name, copy.deepcopy(classifier).half(), replace(card, measured=measured))


def ship_generator(name: str) -> None:
    """Train by the recipe above, from the weights it begins with, and write them."""
    recipe, left_out, begins_with = GENERATORS[name]
    images = getattr(data, recipe.data)("train")
    kept = images.labels != (-1 if left_out is None else left_out)
    x, labels = data.to_signed(images.images[kept], images.levels), images.labels[kept]
    model, schedule = recipe.build(seed=0)
    if begins_with:
        model = weights.load(begins_with)[0].requires_grad_(True)
    begun = time.process_time()
    loop = train(
        model, x, schedule, **recipe.training, labels=labels if recipe.conditional else None, seed=0,
        checkpoint=RUNS / name,
    )  # fmt: skip
    last = deque(track(loop, total=recipe.training["steps"]), maxlen=1).pop()
    save_generator(name, last.averaged, data_hash(images), time.process_time() - begun)


def save_generator(name: str, model: torch.nn.Module, hashed: str, seconds: float) -> None:
    """Write the weights in half precision with their card, and a grid of samples beside them."""
    recipe, left_out, begins_with = GENERATORS[name]
    size, levels = (8, 17) if recipe.data == "digits" else (28, 256)
    made = {
        "begins with": begins_with, "seed": 0, "commit": commit(), "cpu_seconds": round(seconds),
        "threads": torch.get_num_threads(), "machine": f"{platform.machine()}, torch {torch.__version__}",
    }  # fmt: skip
    card = weights.Card(
        name=name, network="UNet", config=model.config, schedule=recipe.schedule,
        predicts=recipe.training["predicts"], size=size, levels=levels,
        data=f"{recipe.data}, to train on" + (f", without {left_out}" if left_out else "") + f", {hashed}",
        recipe=recipe.training | made,
    )  # fmt: skip
    path = weights.SHIPPED / name
    weights.save(path, copy.deepcopy(model).half(), card)
    model, schedule, card = weights.read(path)
    pictures = draw(model, schedule, card, count=60, steps=50, seed=0)
    write_grid(path.with_suffix(".png"), pictures, levels)


def data_hash(images: data.ImageSet) -> str:
    """The short hash of pictures and labels."""
    return "SHA-256 " + checkpoints.digest(images.images, images.labels)


def commit() -> str:
    """The commit that the code stands at."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    for job in sys.argv[1:]:
        ship_classifier() if job == "classifier-mnist" else ship_generator(job)
