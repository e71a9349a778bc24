"""From the shell: `python -m diffusion_lesson train` learns from pictures, `… sample` draws new ones."""

import argparse
import io
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints, data, recipes, training, weights
from diffusion_lesson.page.progress import track
from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import as_eps, clipped, guided
from diffusion_lesson.process.schedule import Schedule

T = TypeVar("T")
DATA_SETS = {"digits": data.digits, "mnist": data.mnist, "cifar10": data.cifar10}


def main(argv: list[str] | None = None) -> int:
    """Run one command; an error is one line on stderr, and exit status 1."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from the last checkpoint" if arguments.run is train else ""
        print(f"stopped{goes_on}", file=sys.stderr)
        return 130
    return 0


def train(arguments: argparse.Namespace) -> None:
    """Train a U-Net by a recipe, resume where a checkpoint is found, and leave weights, card and a grid."""
    folder = arguments.folder
    recipe = recipes.ALL[arguments.recipe or ("digits-20s" if folder is None else "mnist-3min")]
    images = DATA_SETS[recipe.data]("train") if folder is None else data.image_folder(folder, arguments.size)
    out = arguments.out or Path("runs", recipe.data if folder is None else folder.resolve().name)
    x, classes = data.to_signed(images.images, images.levels), len(images.names) if recipe.conditional else 0
    network = dict(recipe.network) | {"channels_in": x.shape[1]} | ({"classes": classes} if classes else {})
    chosen = {key: getattr(arguments, key) for key in ("steps", "batch_size", "lr")}
    training_ = dict(recipe.training) | {key: value for key, value in chosen.items() if value is not None}
    model, schedule = replace(recipe, network=network).build(arguments.seed)
    card = weights.Card(
        name=out.name, network="UNet", config=model.config, schedule=recipe.schedule,
        predicts=training_["predicts"], size=x.shape[-1], levels=images.levels,
        data=f"{recipe.data if folder is None else folder}, {len(x)} pictures",
        recipe=training_ | {"seed": arguments.seed},
    )  # fmt: skip
    loop = training.train(
        model, x, schedule, **training_, labels=images.labels if classes else None, seed=arguments.seed,
        device=arguments.device, checkpoint=out / "checkpoint",
    )  # fmt: skip
    if not training.main_process():  # of several processes all train, and one shows and writes
        _last(loop)
        return
    progress = _last(track(loop, total=training_["steps"], note=lambda p: f"loss {p.loss:.3f}"))
    weights.save(out / "model", progress.averaged, card)
    pictures = draw(progress.averaged, schedule, card, count=64, steps=50, seed=arguments.seed)
    write_grid(out / "samples.png", pictures, card.levels)
    print(f"loss {progress.loss:.3f} after {progress.step} steps; weights and samples.png are in {out}")


def sample(arguments: argparse.Namespace) -> None:
    """Draw pictures from weights that ship, or from a folder that `train` wrote, into one PNG."""
    if arguments.model in weights.names():
        model, schedule, card = weights.load(arguments.model, arguments.device)
    else:
        model, schedule, card = weights.read(Path(arguments.model) / "model", arguments.device)
    if schedule is None:
        raise ValueError(f"model: {arguments.model} is a {card.network}; expected a network that draws")
    pictures = draw(
        model, schedule, card, count=arguments.count, steps=arguments.steps, seed=arguments.seed,
        label=arguments.label, guidance=arguments.guidance,
    )  # fmt: skip
    write_grid(arguments.out, pictures, card.levels)
    print(f"{arguments.count} pictures are in {arguments.out}")


def draw(
    model: nn.Module,
    schedule: Schedule,
    card: weights.Card,
    *,
    count: int,
    steps: int,
    seed: int,
    label: int | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """`count` pictures by DDIM with eta = 1 and x̂_0 kept in [−1, 1]: (count, C, size, size).

    A network with classes draws the class `label`, or all of them in turn, with that guidance weight.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    shape = (count, card.config["channels_in"], card.size, card.size)
    xT = torch.randn(shape, generator=generator, device=device)
    predicts, classes = card.predicts or "eps", card.config.get("classes", 0)
    if label is not None and not 0 <= label < classes:
        raise ValueError(f"label: expected a class below {classes} of this network, got {label}")
    eps_model = unconditional = as_eps(schedule, model, predicts=predicts)
    if classes:
        in_turn = torch.arange(count, device=device) % classes
        labels = in_turn if label is None else torch.full_like(in_turn, label)
        eps_model = as_eps(schedule, model, predicts=predicts, labels=labels)
        if guidance != 1:
            eps_model = guided(eps_model, unconditional, guidance)
    steps = min(steps, schedule.T)
    walk = samplers.ddim(schedule, xT, clipped(schedule, eps_model), steps=steps, eta=1.0, generator=generator)
    return _last(track(walk, total=steps))


def write_grid(path: Path, pictures: Tensor, levels: int) -> None:
    """A PNG of the pictures in a near-square grid, black between them, enlarged to be seen."""
    grey = data.to_uint8(pictures.cpu(), levels).numpy() * np.float64(255 / (levels - 1))
    count, channels, height, width = grey.shape
    columns = int(np.ceil(count**0.5))
    rows = -(-count // columns)
    grid = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for k, picture in enumerate(grey):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        grid[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    image = Image.fromarray(grid.round().astype(np.uint8).squeeze())
    zoom = max(1, 64 // width)
    path.parent.mkdir(parents=True, exist_ok=True)
    enlarged = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    checkpoints.replace_file(path, lambda file: enlarged.save(file, "PNG"))


def _last(items: Iterable[T]) -> T:
    """The last of them, none of the others kept."""
    return deque(items, maxlen=1).pop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusion_lesson", description=__doc__)
    commands = parser.add_subparsers(required=True)
    cuda = "cuda" if torch.cuda.is_available() else "cpu"

    t = commands.add_parser("train", help="train a U-Net; run again, it goes on where it stopped")
    t.add_argument("--recipe", choices=recipes.ALL, help="digits-20s, or with a folder mnist-3min, unless told")
    t.add_argument("--folder", type=Path, help="learn from the pictures in this folder")
    t.add_argument("--size", type=_positive, default=32, help="side of the pictures from a folder (%(default)s)")
    t.add_argument("--steps", type=_positive, help="optimiser steps (the recipe's)")
    t.add_argument("--batch-size", type=_positive, help="(the recipe's)")
    t.add_argument("--lr", type=float, help="highest learning rate (the recipe's)")
    t.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    t.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    t.add_argument("--out", type=Path, help="folder for the results (runs/ and the name of the data)")
    t.set_defaults(run=train)

    s = commands.add_parser("sample", help="draw pictures from trained weights")
    s.add_argument("--model", required=True, help="a folder that train wrote, or the name of weights that ship")
    s.add_argument("--count", type=_positive, default=64, help="how many pictures (%(default)s)")
    s.add_argument("--steps", type=_positive, default=50, help="network calls (%(default)s)")
    s.add_argument("--label", type=int, help="the class to draw (all of them in turn)")
    s.add_argument("--guidance", type=float, default=1.0, help="above 1: more typical (%(default)s)")
    s.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    s.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    s.add_argument("--out", type=Path, default=Path("samples.png"), help="the PNG to write (%(default)s)")
    s.set_defaults(run=sample)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _device(text: str) -> str:
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where torch was built without CUDA
        raise argparse.ArgumentTypeError(f"expected a device of this machine, got {text!r}") from error
    return text


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a shell without UTF-8 reads ? for β, and no traceback
    sys.exit(main())
