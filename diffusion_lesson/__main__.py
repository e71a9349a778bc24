"""From the shell: `python -m diffusion_lesson train` learns from pictures, `… sample` draws new ones."""

import argparse
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from diffusion_lesson.learning import checkpoints, data, training, weights
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.progress import track
from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import as_eps, clipped
from diffusion_lesson.process.schedule import Schedule

T = TypeVar("T")
DATA_SETS = {"digits": data.digits, "mnist": data.mnist, "cifar10": data.cifar10}
# What differs by the size of the pictures: the embedded digits are 8×8, all others 28×28 or larger.
SMALL: dict[str, Any] = {"network": {"width": 16}, "schedule": {"kind": "cosine", "T": 200}}
LARGE: dict[str, Any] = {"network": {"width": 32, "patch": 2}, "schedule": {"kind": "cosine", "T": 1000}}


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
    """Train a U-Net to predict ε, resume where a checkpoint is found, and leave weights, card and a grid."""
    out = arguments.out or Path("runs", Path(arguments.dataset).resolve().name)
    made = DATA_SETS.get(arguments.dataset)
    images = made("train") if made else data.image_folder(arguments.dataset, arguments.size)
    x = data.to_signed(images.images, images.levels)
    setup = SMALL if x.shape[-1] < 16 else LARGE
    config = {"channels_in": x.shape[1]} | setup["network"]
    recipe = {
        "steps": arguments.steps, "batch_size": arguments.batch_size, "lr": arguments.lr, "seed": arguments.seed,
    }  # fmt: skip
    card = weights.Card(
        name=out.name, network="UNet", config=config, schedule=setup["schedule"], predicts="eps",
        size=x.shape[-1], levels=images.levels, data=f"{arguments.dataset}, {len(x)} pictures", recipe=recipe,
    )  # fmt: skip
    torch.manual_seed(arguments.seed)
    model, schedule = UNet(**config), card.make_schedule()
    assert schedule is not None
    loop = training.train(model, x, schedule, **recipe, device=arguments.device, checkpoint=out / "checkpoint")
    progress = _last(track(loop, total=arguments.steps, note=lambda p: f"loss {p.loss:.3f}"))
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
    pictures = draw(model, schedule, card, count=arguments.count, steps=arguments.steps, seed=arguments.seed)
    write_grid(arguments.out, pictures, card.levels)
    print(f"{arguments.count} pictures are in {arguments.out}")


def draw(model: nn.Module, schedule: Schedule, card: weights.Card, *, count: int, steps: int, seed: int) -> Tensor:
    """`count` pictures by DDIM with eta = 1 and x̂_0 kept in [−1, 1]: (count, C, size, size)."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    shape = (count, card.config["channels_in"], card.size, card.size)
    xT = torch.randn(shape, generator=generator, device=device)
    eps_model = clipped(schedule, as_eps(schedule, model, predicts=card.predicts or "eps"))
    steps = min(steps, schedule.T)
    walk = samplers.ddim(schedule, xT, eps_model, steps=steps, eta=1.0, generator=generator)
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
    t.add_argument(
        "--dataset", default="digits", help="digits (embedded), mnist, cifar10, or a folder of pictures"
    )
    t.add_argument("--size", type=_positive, default=32, help="side of the pictures from a folder (%(default)s)")
    t.add_argument("--steps", type=_positive, default=1400, help="optimiser steps (%(default)s)")
    t.add_argument("--batch-size", type=_positive, default=32, help="(%(default)s)")
    t.add_argument("--lr", type=float, default=3e-3, help="highest learning rate (%(default)s)")
    t.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    t.add_argument("--device", type=_device, default=cuda, help="(%(default)s)")
    t.add_argument("--out", type=Path, help="folder for the results (runs/ and the name of the data set)")
    t.set_defaults(run=train)

    s = commands.add_parser("sample", help="draw pictures from trained weights")
    s.add_argument("--model", required=True, help="a folder that train wrote, or the name of weights that ship")
    s.add_argument("--count", type=_positive, default=64, help="how many pictures (%(default)s)")
    s.add_argument("--steps", type=_positive, default=50, help="network calls (%(default)s)")
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
    sys.exit(main())
