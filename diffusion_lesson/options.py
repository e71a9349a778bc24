"""What may be typed after `python -m diffusion_lesson`, and errors in the words that were typed."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from diffusion_lesson.devices import usable
from diffusion_lesson.learning import recipes
from diffusion_lesson.learning.config import SEEDS

Command = Callable[[argparse.Namespace], None]
_TYPED = {  # the package's arguments, as the options that they come from
    "train": {
        "learning_rate": "lr", "batch_size": "batch-size", "steps": "steps", "size": "size", "seed": "seed",
        "path": "folder", "checkpoint": "out",
    },
    "sample": {"label": "label", "steps": "steps", "guidance_scale": "guidance", "path": "model"},
}  # fmt: skip


def as_typed(command: str, line: str) -> str:
    """An error that names an argument of the package, as one of the option that it was typed as."""
    name, colon, rest = line.partition(": ")
    option = _TYPED[command].get(name)
    return f"--{option}: {rest}" if colon and option else line


@contextmanager
def about(option: str) -> Iterator[None]:
    """An OSError that comes of what an option was given, as a ValueError that speaks of it."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # one of the package's own, which names its argument
            raise
        raise ValueError(f"--{option}: {error.filename}: {error.strerror}") from error


def parser(about: str | None, train: Command, sample: Command) -> argparse.ArgumentParser:
    """What reads both commands' options, and gives their functions as `run`."""
    parser = argparse.ArgumentParser(prog="python -m diffusion_lesson", description=about)
    commands = parser.add_subparsers(required=True)
    cuda = "cuda" if torch.cuda.is_available() else "cpu"

    t = commands.add_parser(
        "train",
        help="train a U-Net; run again, it goes on where it stopped",
        description="Train a U-Net. Run again, it goes on where it stopped; with more --steps, further.",
        epilog=f"{recipes.in_words()}\n\nexample: {parser.prog} train --recipe mnist-3min --out runs/mnist",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    t.add_argument(
        "--recipe",
        choices=recipes.RECIPES,
        metavar="NAME",
        help="one of those below (digits-20s, or with a folder mnist-3min)",
    )
    t.add_argument(
        "--folder", type=_path, help="learn from the pictures in this folder; its subfolders are classes"
    )
    t.add_argument("--size", type=_positive, help="side of the pictures from a folder (32)")
    t.add_argument("--steps", type=_positive, help="optimiser steps (the recipe's)")
    t.add_argument("--batch-size", type=_positive, help="(the recipe's)")
    t.add_argument("--lr", type=_number, dest="learning_rate", help="highest learning rate (the recipe's)")
    t.add_argument("--seed", type=_seed, default=0, help="(%(default)s)")
    t.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    t.add_argument("--out", type=_path, help="folder for the results (runs/ and the name of the data)")
    t.set_defaults(run=train)

    s = commands.add_parser("sample", help="draw pictures from trained weights")
    s.add_argument("--model", required=True, help="a folder that train wrote, or the name of weights that ship")
    s.add_argument("--count", type=_positive, default=64, help="how many pictures (%(default)s)")
    s.add_argument("--steps", type=_positive, default=50, help="steps of the walk (%(default)s)")
    s.add_argument("--label", help="the class to draw, by name or number (all of them in turn)")
    s.add_argument("--guidance", type=_number, default=1.0, help="above 1: more typical (%(default)s)")
    s.add_argument("--seed", type=_seed, default=0, help="(%(default)s)")
    s.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    s.add_argument("--out", type=_path, default=Path("samples.png"), help="the PNG to write (%(default)s)")
    s.set_defaults(run=sample)
    return parser


def _path(text: str) -> Path:
    if not text:  # as of a variable that is not set; to Path it would be the folder that one is in
        raise argparse.ArgumentTypeError("expected a path, got nothing")
    return Path(text)


def _positive(text: str) -> int:
    return _whole(text, 1, None, "1 or more")


def _seed(text: str) -> int:
    return _whole(text, 0, SEEDS, f"0 to {SEEDS - 1}")


def _whole(text: str, least: int, end: int | None, words: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least or (end is not None and value >= end):
        raise argparse.ArgumentTypeError(f"expected a whole number, {words}, got {text}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text}") from None


def _device(text: str) -> str:
    try:
        usable(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("device: ")) from error
    return text
