"""Colour: what the yardstick of CIFAR-10 is worth, what JPEG copies cost, and how good the shipped pictures are.

    python -m bench.colour                  measures what colour.json lacks; writes colour.md and the cards
    python -m bench.colour --data FOLDER    with the pictures in FOLDER/train and FOLDER/test, one folder a class

Without --data the pictures are CIFAR-10's (data.cifar10 fetches 170 MB), and the copies are made here, by Pillow.
With it, FOLDER/originals holds originals that were also trained on, and FOLDER/copies their copies under the same
names, if there are any. Half an hour on one core. It can be stopped: what was done stays in runs/colour.
"""

import argparse
import io
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import colour_page, floors
from diffusion_lesson.learning import data, metrics, weights
from diffusion_lesson.learning.denoiser import draw
from diffusion_lesson.learning.results import Result
from diffusion_lesson.networks.classifier import Classifier

HERE, RUNS = Path(__file__).parent, Path("runs", "colour")
ORIGINALS = 4000  # that are compared with their copies
AGAINST = {
    "as they are": "drawn on a CPU, against the test copies",
    "and mirrored": "against the test copies and their mirror images",
}
TURN = "classes in turn"
COUNT, PIECE, STEPS, SCALE = 500, 50, 25, 1.5  # pictures drawn, at a time; DDIM with eta = 1, guided


def copied(images: Tensor, quality: int = 75) -> Tensor:
    """Each picture (N, 3, H, W) as its JPEG copy shows it."""
    out = []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        with Image.open(file) as opened:
            out.append(torch.frombuffer(bytearray(opened.tobytes()), dtype=torch.uint8).view(image.shape))
    return torch.stack(out).permute(0, 3, 1, 2).contiguous()


class Pictures:
    """(images, labels) of the copies, and of the originals, from a folder or from the official files."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def copies(self, split: str) -> tuple[Tensor, Tensor]:
        """The copies to train on, or to test."""
        if self.folder:
            found = data.image_folder(self.folder / split, 32)
            return found.images, found.labels
        found = data.cifar10(split)
        return copied(found.images), found.labels

    def pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        """(originals, their copies, labels): pictures of the training set."""
        if self.folder is None:
            found = data.cifar10("train")
            originals, labels = found.images[:ORIGINALS], found.labels[:ORIGINALS]
            return originals, copied(originals), labels
        found, beside = data.image_folder(self.folder / "originals", 32), self.folder / "copies"
        given = data.image_folder(beside, 32).images if beside.is_dir() else copied(found.images)
        return found.images, given, found.labels


def kept(name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` gives, made once."""
    path = RUNS / f"{name}.safetensors"
    if not path.is_file():
        made = make()
        RUNS.mkdir(parents=True, exist_ok=True)
        save_file(made, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return load_file(path)


@cache
def classifier() -> Classifier:
    """The yardstick that ships."""
    return weights.load_classifier("classifier-cifar10")[0]


def rows(images: Tensor) -> Tensor:
    """The yardstick's features of pictures of 0..255."""
    return metrics.features(classifier(), data.to_signed(images))


def right(features: Tensor, labels: Tensor) -> float:
    """The share of pictures that the yardstick reads as what they show."""
    with torch.no_grad():
        return (classifier().to_logits(features).argmax(1) == labels).float().mean().item()


def real(pictures: Pictures, split: str) -> dict[str, Tensor]:
    """Features of the copies and of their mirror images, and their labels."""

    def make() -> dict[str, Tensor]:
        images, labels = pictures.copies(split)
        return {"plain": rows(images), "mirrored": rows(images.flip(-1)), "labels": labels}

    return kept(f"real-{split}", make)


def references(pictures: Pictures) -> dict[str, metrics.Moments]:
    """The test copies as they are, and together with their mirror images."""
    test = real(pictures, "test")
    both = torch.cat([test["plain"], test["mirrored"]])
    return {"as they are": metrics.moments(test["plain"]), "and mirrored": metrics.moments(both)}


def some_mirrored(found: dict[str, Tensor]) -> Tensor:
    """Features of pictures of which half, drawn at random with seed 0, are mirrored."""
    turned = torch.rand(len(found["labels"]), generator=torch.Generator().manual_seed(0)) < 0.5
    return torch.where(turned[:, None], found["mirrored"], found["plain"])


def yardstick(pictures: Pictures) -> dict[str, Any]:
    """Its accuracy, and the floors: of training pictures, which it has seen, and of test pictures."""
    both = {split: real(pictures, split) for split in ("train", "test")}
    train, test, against = both["train"], both["test"], references(pictures)
    counts = (500, 1000, 2000, 5000)
    return {
        "accuracy": {split: right(found["plain"], found["labels"]) for split, found in both.items()},
        "floors": floors.floors(train["plain"], train["labels"], against["as they are"], counts),
        "floors, mirrored": floors.floors(some_mirrored(train), train["labels"], against["and mirrored"], counts),
        "test pictures against others, n = 5000": 2 * floors.against_itself(test["plain"]),
    }


def copies(pictures: Pictures) -> dict[str, Any]:
    """Originals that were trained on as copies, beside these copies."""

    def make() -> dict[str, Tensor]:
        originals, copies, labels = pictures.pairs()
        off = (originals.float() - copies.float()).square().flatten(1).mean(1).sqrt()
        return {"originals": rows(originals), "copies": rows(copies), "labels": labels, "rms": off}

    found, test = kept("pairs", make), references(pictures)["as they are"]
    sets = {name: found[name] for name in ("originals", "copies")}
    n, train = len(found["labels"]), real(pictures, "train")
    return {
        "n": n,
        "grey levels, rms": found["rms"].mean().item(),
        "accuracy": {name: right(each, found["labels"]) for name, each in sets.items()},
        "distance to the test copies": {
            name: metrics.moments_distance(test, metrics.moments(each)) for name, each in sets.items()
        },
        "distance between the two": metrics.frechet_distance(*sets.values()),
        "distance of others as many, copies and copies": metrics.frechet_distance(
            *(train["plain"][part] for part in floors.draws(train["labels"], n, "at random")[:2])
        ),
    }


def own() -> tuple[Tensor, Tensor]:
    """(pictures, labels) by the shipped network, the classes in turn; those that are missing are drawn."""
    denoiser, card = weights.load_shipped("cifar10")
    labels = torch.arange(COUNT) % denoiser.classes

    def piece(number: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(number)
        piece = labels.split(PIECE)[number]
        noise = torch.randn(len(piece), 3, card.size, card.size, generator=generator)
        x = draw(denoiser, noise, labels=piece, guidance_scale=SCALE, steps=STEPS, generator=generator)
        print(f"{(number + 1) * PIECE} of {COUNT} drawn", flush=True)
        return {"pictures": data.to_uint8(x)}

    pieces = [kept(f"drawn-{k:02}", partial(piece, k))["pictures"] for k in range(COUNT // PIECE)]
    return torch.cat(pieces), labels


def drawn(pictures: Pictures) -> dict[str, Any]:
    """How far the network's own pictures are from real ones, and how many are read as what was asked for."""
    found, labels = own()
    features = rows(found)
    ours, against = metrics.moments(features), references(pictures)
    each = {words: metrics.moments_distance(moments, ours) for words, moments in against.items()}
    share = right(features, labels)
    return {"n": COUNT, "steps": STEPS, "guidance": SCALE, "distance": each, "read as told": share}


def tell(results: dict[str, Any]) -> None:
    """Write into the two cards what was measured here; what was measured elsewhere stays."""
    ruler, ours = results["yardstick"], results["drawn"]
    plain, n = ruler["floors"], ours["n"]
    records = [
        floors.record_of(entry["mean"], int(k), way) for way, row in plain.items() for k, entry in row.items()
    ]
    share = round(ruler["accuracy"]["test"], 4)
    accuracy = Result(metric="accuracy", values=(share,), n=10_000, how="all test copies")
    floors.write("classifier-cifar10", [accuracy, *records])
    drawn_by = {"n": n, "sampler": "DDIM η = 1", "steps": ours["steps"], "guidance_scale": ours["guidance"]}
    found = [
        Result(metric="frechet_distance", values=(round(value, 2),), how=AGAINST[words], **drawn_by)
        for words, value in ours["distance"].items()
    ]
    rest = [r for r in weights.card("cifar10").measured if r.metric == "frechet_distance" and not r.how]
    for k in sorted({record.n for record in rest if record.n} | {n}):
        found.append(floors.record_of(plain[TURN][str(k)]["mean"], k, TURN))
    both = ruler["floors, mirrored"][TURN][str(n)]["mean"]
    found.append(floors.record_of(both, n, f"{TURN}, {AGAINST['and mirrored']}"))
    floors.write("cifar10", rest + found)


def write(folder: Path) -> None:
    """The drawn pictures as PNG files, for whoever scores them otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, picture in enumerate(own()[0].permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(folder / f"{k:04}.png")


JOBS = {"yardstick": yardstick, "copies": copies, "drawn": drawn}


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with the pictures")
    parser.add_argument("--write", type=Path, help="write the drawn pictures into this folder, too")
    asked = parser.parse_args()
    pictures, path = Pictures(asked.data), HERE / "colour.json"
    results = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for name, job in JOBS.items():
        if name not in results:
            results[name] = job(pictures)
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(name, json.dumps(results[name], ensure_ascii=False)[:400], flush=True)
    (HERE / "colour.md").write_text(colour_page.report(results), "utf-8")
    tell(results)
    if asked.write:
        write(asked.write)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
