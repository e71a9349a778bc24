"""From the shell: `python -m diffusion_lesson train` learns from pictures, `… sample` draws new ones."""

import argparse
import io
import math
import os
import signal
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
from diffusion_lesson.options import about, as_typed, parser
from diffusion_lesson.page.progress import Stopped, interrupts, terminations, track
from diffusion_lesson.page.sheet import most, sheet

DATA_SETS = {"digits": data.digits, "mnist": data.mnist, "mnist_small": data.mnist_small, "cifar10": data.cifar10}
_LESS = {"train": "a smaller --batch-size or --size", "sample": "a smaller --count"}
FEW = 50  # pictures from which a network learns little, trained from nothing


def main(argv: list[str] | None = None) -> int:
    """Run one command. An error is one line on stderr, and exit status 1; after a signal it is 128 and more."""
    arguments = parser(__doc__, train, sample).parse_args(argv)
    command = arguments.run.__name__
    try:
        with terminations():
            arguments.run(arguments)
    except (ValueError, OSError, FloatingPointError, MemoryError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines()] or [""]
        line = " ".join(lines)
        if isinstance(error, MemoryError | RuntimeError):
            if not _out_of_memory(error):
                raise
            line = f"not enough memory; {_LESS[command]} takes less ({lines[0]})"
        print("error:", as_typed(command, line), file=sys.stderr)
        return 1
    except KeyboardInterrupt as stopped:
        last = "; the last checkpoint stays, if there was one" if arguments.run is train else ""
        print(f"stopped{str(stopped) or last}", file=sys.stderr)
        return 128 + (stopped.number if isinstance(stopped, Stopped) else signal.SIGINT)
    return 0


def _out_of_memory(error: Exception) -> bool:
    """Whether memory is what it lacked. PyTorch has a class for that on a GPU, and only words on a CPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def train(arguments: argparse.Namespace) -> None:
    """Train a U-Net by a recipe, resume where a checkpoint is found, and leave weights, card and a grid."""
    folder = arguments.folder
    if arguments.size is not None and folder is None:
        raise ValueError("--size: it is for pictures from a --folder; a recipe's own data have their size")
    recipe = recipes.RECIPES[arguments.recipe or ("digits-20s" if folder is None else "mnist-3min")]
    chosen = {key: getattr(arguments, key) for key in ("steps", "batch_size", "learning_rate", "seed")}
    config = replace(recipe.training, **{key: value for key, value in chosen.items() if value is not None})
    out = arguments.out or Path("runs", recipe.data if folder is None else folder.resolve().name)
    if folder is not None and out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"--out: {out} is inside {folder}, so that the next run would learn from its samples.png")
    images = DATA_SETS[recipe.data]() if folder is None else _from_folder(recipe, folder, arguments.size or 32)
    with about("out"):
        for file in ("model.safetensors", "model.json", "samples.png", "checkpoint/lock"):
            check_writable(out / file)  # whatever the end will write is tried before the first step
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
    drawn = _draw(progress.denoiser, card, count=min(64, most(card.size)), steps=50, seed=config.seed)
    write_grid(out / "samples.png", drawn, card.levels)
    _say(f"loss {progress.loss:.3f} after {progress.step} steps; weights and samples.png are in {out}")


def _from_folder(recipe: recipes.Recipe, folder: Path, size: int) -> data.ImageSet:
    """The folder's pictures, once it is known that the network takes such a size; what was found is said."""
    multiple = replace(recipe, network=recipe.network | {"channels_in": 1}).unet().multiple
    if size % multiple or size > data.MOST_SIDE:
        near = min(max(multiple, round(size / multiple) * multiple), data.MOST_SIDE)
        raise ValueError(
            f"--size: expected a multiple of {multiple} for this network, up to {data.MOST_SIDE}, such as {near}, "
            f"got {size}"
        )
    with about("folder"):
        images = data.image_folder(folder, size)
    if main_process():
        _say(images.summary())
        if len(images) < FEW:
            _say("so few pictures teach a new network little; lesson 13 shows what to do with a few")
    return images


def _to_the_end(loop: Iterator[training.Progress], steps: int) -> training.Progress:
    """The last step's Progress. A signal to stop ends it after a step, with a checkpoint; a second, at once."""
    shown = track(loop, total=steps, note=lambda p: f"loss {p.loss:.3f}") if main_process() else loop
    progress = None
    with interrupts() as asked:
        for progress in shown:
            if asked:
                progress.save()
                raise Stopped(asked[0], f" after step {progress.step}; the same command goes on from there")
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
    with about("out"):
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
    if arguments.count > most(card.size):
        raise ValueError(
            f"--count: expected 1..{most(card.size):,}, as many as one image file takes, got {arguments.count:,}"
        )
    pictures = _draw(
        denoiser, card, count=arguments.count, steps=arguments.steps, seed=arguments.seed, label=label,
        guidance_scale=arguments.guidance,
    )  # fmt: skip
    write_grid(arguments.out, pictures, card.levels)
    _say(f"{'1 picture is' if arguments.count == 1 else f'{arguments.count} pictures are'} in {arguments.out}")


def _denoiser(name: str, device: str) -> tuple[Denoiser, Card]:
    """By the name of weights that ship, or by the folder that `train` wrote or either of its two files."""
    if name in weights.names():
        try:
            return weights.load_shipped(name, device)
        except ValueError as error:  # a classifier
            raise ValueError(f"--model: {str(error).removeprefix('name: ')}") from error
    given = Path(name)
    alone = given.with_name(given.name.removesuffix(".safetensors").removesuffix(".json")) if given.name else given
    for path in (given / "model", alone):
        if path.name and path.with_name(path.name + ".safetensors").is_file():
            with about("model"):
                return weights.load(path, device)
    what = "no weights in it" if given.is_dir() else "no weights there" if given.exists() else "no such folder"
    ship = ", ".join(weights.names(weights.DENOISERS))
    raise ValueError(f"--model: {name}: {what}; expected a folder that train wrote, or one of {ship}")


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


def _say(line: str) -> None:
    """Print it at once, where somebody listens: `… | head` and a closed stdout lose a line, and no work."""
    try:
        print(line, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it would be tried once more at the end
        print(f"stdout: {error.strerror}; it was to say: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # None where it is closed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a shell without UTF-8 reads ? for β, and no traceback
    sys.exit(main())
