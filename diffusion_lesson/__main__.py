"""From the shell: `python -m diffusion_lesson train` learns from pictures, `… sample` draws new ones."""

import argparse
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from diffusion_lesson.learning import data, recipes, training, weights
from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.learning.distributed import main_process
from diffusion_lesson.learning.files import check_writable, make_folder, replace_file
from diffusion_lesson.page.progress import interrupts, track
from diffusion_lesson.page.sheet import sheet

DATA_SETS = {"digits": data.digits, "mnist": data.mnist, "mnist_small": data.mnist_small, "cifar10": data.cifar10}
OPTIONS = {"learning_rate": "lr", "batch_size": "batch-size", "steps": "steps", "size": "size", "label": "label"}
FEW = 50  # pictures from which a network learns little, trained from nothing


def main(argv: list[str] | None = None) -> int:
    """Run one command; an error is one line on stderr, and exit status 1."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, FloatingPointError, torch.OutOfMemoryError) as error:
        print("error:", *map(_as_typed, str(error).splitlines()[:1]), file=sys.stderr)
        return 1
    except KeyboardInterrupt as stopped:
        last = "; the last checkpoint stays, if there was one" if arguments.run is train else ""
        print(f"stopped{str(stopped) or last}", file=sys.stderr)
        return 130
    return 0


def _as_typed(line: str) -> str:
    """An error that names an argument of the package, as one of the option that it was typed as."""
    name, colon, rest = line.partition(": ")
    return f"--{OPTIONS[name]}: {rest}" if colon and name in OPTIONS else line


def train(arguments: argparse.Namespace) -> None:
    """Train a U-Net by a recipe, resume where a checkpoint is found, and leave weights, card and a grid."""
    folder = arguments.folder
    if arguments.size is not None and folder is None:
        raise ValueError("--size: it is for pictures from a --folder; a recipe's own data have their size")
    recipe = recipes.RECIPES[arguments.recipe or ("digits-20s" if folder is None else "mnist-3min")]
    chosen = {key: getattr(arguments, key) for key in ("steps", "batch_size", "learning_rate", "seed")}
    config = replace(recipe.training, **{key: value for key, value in chosen.items() if value is not None})
    out = arguments.out or Path("runs", recipe.data if folder is None else folder.resolve().name)
    for file in (out / "model.safetensors", out / "model.json", out / "samples.png", out / "checkpoint" / "lock"):
        check_writable(file)  # whatever the end will write is tried before the first step
    images = DATA_SETS[recipe.data]() if folder is None else _from_folder(recipe, folder, arguments.size or 32)
    x, classes = data.to_signed(images.images, images.levels), len(images.names) if recipe.conditional else 0
    network = dict(recipe.network) | {"channels_in": x.shape[1]} | ({"classes": classes} if classes else {})
    denoiser = replace(recipe, network=network).build(config.seed)
    card = Card(
        name=out.name, network="UNet", config=getattr(denoiser.network, "config", {}), schedule=recipe.schedule,
        predicts=recipe.predicts, size=x.shape[-1], levels=images.levels,
        data=f"{recipe.data if folder is None else folder}, {len(x)} pictures",
        recipe=asdict(config), classes=images.names if classes else (),
    )  # fmt: skip
    loop = training.train(
        denoiser, x, config, labels=images.labels if classes else None, device=arguments.device,
        checkpoint=out / "checkpoint",
    )  # fmt: skip
    progress = _to_the_end(loop, config.steps)
    if not main_process():  # of several processes all train, and one writes
        return
    weights.save(out / "model", progress.denoiser, card)
    write_grid(
        out / "samples.png", _draw(progress.denoiser, card, count=64, steps=50, seed=config.seed), card.levels
    )
    print(f"loss {progress.loss:.3f} after {progress.step} steps; weights and samples.png are in {out}")


def _from_folder(recipe: recipes.Recipe, folder: Path, size: int) -> data.ImageSet:
    """The folder's pictures, once it is known that the network takes such a size; what was found is said."""
    multiple = replace(recipe, network=recipe.network | {"channels_in": 1}).unet().multiple
    if size % multiple:
        near = max(multiple, round(size / multiple) * multiple)
        raise ValueError(f"--size: expected a multiple of {multiple} for this network, such as {near}, got {size}")
    images = data.image_folder(folder, size)
    if main_process():
        print(images.summary(), flush=True)
        if len(images) < FEW:
            print("so few pictures teach a new network little; lesson 13 shows what to do with a few", flush=True)
    return images


def _to_the_end(loop: Iterator[training.Progress], steps: int) -> training.Progress:
    """The last step's Progress. Ctrl-C ends it between two steps, with a checkpoint; a second one, at once."""
    shown = track(loop, total=steps, note=lambda p: f"loss {p.loss:.3f}") if main_process() else loop
    progress = None
    with interrupts() as asked:
        for progress in shown:
            if asked:
                progress.save()
                raise KeyboardInterrupt(f" after step {progress.step}; the same command goes on from there")
            if progress.step == steps:
                break
    if progress is None:
        raise ValueError(f"steps: expected the training to make {steps}, and it made none")
    loop.close()  # type: ignore[attr-defined]
    return progress


def sample(arguments: argparse.Namespace) -> None:
    """Draw pictures from weights that ship, or from a folder that `train` wrote, into one PNG."""
    if arguments.out.suffix.lower() != ".png":
        raise ValueError(f"--out: expected the name of a .png file, got {arguments.out}")
    check_writable(arguments.out)
    denoiser, card = _denoiser(arguments.model, arguments.device)
    if not 1 <= arguments.steps <= denoiser.schedule.T:
        raise ValueError(
            f"--steps: expected 1..{denoiser.schedule.T}, as the model was trained, got {arguments.steps}"
        )
    label = None if arguments.label is None else card.label(arguments.label)
    if not (0 <= arguments.guidance < math.inf):
        raise ValueError(
            f"--guidance: expected 0 (the label is ignored), 1 (plain) or more, got {arguments.guidance:g}"
        )
    if arguments.guidance != 1 and not denoiser.classes:
        raise ValueError(
            f"--guidance: {arguments.model} was trained without classes; there is nothing to guide towards"
        )
    pictures = _draw(
        denoiser, card, count=arguments.count, steps=arguments.steps, seed=arguments.seed, label=label,
        guidance_scale=arguments.guidance,
    )  # fmt: skip
    write_grid(arguments.out, pictures, card.levels)
    print(f"{'1 picture is' if arguments.count == 1 else f'{arguments.count} pictures are'} in {arguments.out}")


def _denoiser(name: str, device: str) -> tuple[Denoiser, Card]:
    """By the name of weights that ship, or by the folder that `train` wrote."""
    path = Path(name, "model")
    if name not in weights.names():
        if path.with_suffix(".safetensors").is_file():
            return weights.load(path, device)
        what = "no weights in it" if Path(name).is_dir() else "no such folder"
        ship = ", ".join(weights.names(weights.DENOISERS))
        raise ValueError(f"--model: {name}: {what}; expected a folder that train wrote, or one of {ship}")
    try:
        return weights.load_shipped(name, device)
    except ValueError as error:  # a classifier
        raise ValueError(f"--model: {str(error).removeprefix('name: ')}") from error


def _draw(
    denoiser: Denoiser,
    card: Card,
    *,
    count: int,
    steps: int,
    seed: int,
    label: int | None = None,
    guidance_scale: float = 1.0,
) -> Tensor:
    """`count` pictures, of one class or of all in turn, from the noise that `seed` names on this device."""
    device = next(denoiser.network.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    shape = (count, card.config["channels_in"], card.size, card.size)
    noise = torch.randn(shape, generator=generator, device=device)
    in_turn = torch.arange(count, device=device) % max(denoiser.classes, 1)
    labels = (in_turn if label is None else torch.full_like(in_turn, label)) if denoiser.classes else None
    return draw(
        denoiser, noise, labels=labels, guidance_scale=guidance_scale, steps=min(steps, denoiser.schedule.T),
        generator=generator, watch=lambda walk, steps: track(walk, total=steps),
    )  # fmt: skip


def write_grid(path: Path, pictures: Tensor, levels: int) -> None:
    """A PNG of the pictures in a near-square grid, black between them, enlarged to be seen."""
    image = sheet(data.to_uint8(pictures.cpu(), levels), levels)
    make_folder(path.parent)
    replace_file(path, lambda file: image.save(file, "PNG"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusion_lesson", description=__doc__)
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
        "--folder", type=Path, help="learn from the pictures in this folder; its subfolders are classes"
    )
    t.add_argument("--size", type=_positive, help="side of the pictures from a folder (32)")
    t.add_argument("--steps", type=_positive, help="optimiser steps (the recipe's)")
    t.add_argument("--batch-size", type=_positive, help="(the recipe's)")
    t.add_argument("--lr", type=float, dest="learning_rate", help="highest learning rate (the recipe's)")
    t.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    t.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    t.add_argument("--out", type=Path, help="folder for the results (runs/ and the name of the data)")
    t.set_defaults(run=train)

    s = commands.add_parser("sample", help="draw pictures from trained weights")
    s.add_argument("--model", required=True, help="a folder that train wrote, or the name of weights that ship")
    s.add_argument("--count", type=_positive, default=64, help="how many pictures (%(default)s)")
    s.add_argument("--steps", type=_positive, default=50, help="steps of the walk (%(default)s)")
    s.add_argument("--label", help="the class to draw, by name or number (all of them in turn)")
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
