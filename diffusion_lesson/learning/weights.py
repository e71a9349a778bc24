"""Trained weights, each with its card: a .safetensors file and a .json beside it that says how it was made."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from diffusion_lesson.learning.files import replace_file
from diffusion_lesson.networks.classifier import DigitsClassifier, MnistClassifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import Schedule, named

SHIPPED = Path(__file__).with_name("trained")
NETWORKS: dict[str, type[nn.Module]] = {
    "UNet": UNet,
    "DigitsClassifier": DigitsClassifier,
    "MnistClassifier": MnistClassifier,
}


@dataclass(frozen=True)
class Card:
    """What one must know to use trained weights, and how they came to be."""

    name: str
    network: str  # a key of NETWORKS
    config: dict[str, Any]  # its arguments
    schedule: dict[str, Any] | None  # the arguments of schedule.named; None for a classifier
    predicts: Predicts | None  # "eps", "v" or "x0"; None for a classifier
    size: int  # height and width of the pictures
    levels: int  # of grey, for to_uint8
    data: str  # what it was trained on
    recipe: dict[str, Any] = field(default_factory=dict)  # the arguments of the training, and the seed
    measured: dict[str, Any] = field(default_factory=dict)  # results, each with its n
    sha256: str = ""  # of the .safetensors file
    classes: tuple[str, ...] = ()  # the names of labels 0, 1, …; () where they are not known or not learned

    def __post_init__(self) -> None:
        """Refuse names that are not one for each class."""
        named, count = self.classes, self.config.get("classes", 0)
        texts = isinstance(named, tuple) and all(isinstance(name, str) for name in named)
        if not texts or len(set(named)) != len(named) or len(named) not in (0, count):
            raise ValueError(f"classes: expected none or {count} names, no two alike, got {named!r}")

    def label(self, text: str) -> int:
        """The class of that name, or else of that number. ValueError that names `label` where there is none."""
        count = self.config.get("classes", 0)
        if not count:
            raise ValueError(f"label: {self.name} was trained without classes and takes none, got {text}")
        if text in self.classes:
            return self.classes.index(text)
        if text.isdecimal() and int(text) < count:
            return int(text)
        names = ", ".join(self.classes[:20]) + (", …" if len(self.classes) > 20 else "")
        raise ValueError(f"label: expected 0..{count - 1}{f' or one of {names}' if names else ''}, got {text}")

    def make_schedule(self) -> Schedule | None:
        """The schedule it was trained with."""
        return None if self.schedule is None else named(**self.schedule)


def names() -> list[str]:
    """The names of the weights that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def card(name: str) -> Card:
    """The card of weights that ship, without the weights. ValueError for other names."""
    return _read_card(_files(_shipped(name))[1])


def load(name: str, device: str | torch.device = "cpu") -> tuple[nn.Module, Schedule | None, Card]:
    """(model, schedule, card) of weights that ship; the raw network in eval mode. ValueError for other names."""
    return read(_shipped(name), device)


def read(path: str | Path, device: str | torch.device = "cpu") -> tuple[nn.Module, Schedule | None, Card]:
    """(model, schedule, card) from `path`.safetensors and `path`.json, as `save` wrote them.

    ValueError where a file is missing, or is not what its card says.
    """
    tensors, note = _files(Path(path))
    for file in (tensors, note):
        if not file.is_file():
            raise ValueError(f"path: there is no {file}; expected a .safetensors file with its .json beside it")
    card = _read_card(note)
    if _sha256(tensors) != card.sha256:
        raise ValueError(f"path: {tensors} is not the file its card names by SHA-256; fetch or train it again")
    if card.network not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {card.network!r} in {note}")
    try:
        schedule = card.make_schedule()
        model = NETWORKS[card.network](**card.config)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"path: {note} is not a card of weights ({error}); fetch or train them again") from error
    try:
        model.load_state_dict(load_file(tensors))  # half precision on disk becomes single here
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"path: {tensors} does not hold the network its card describes: {error}") from error
    return model.to(device).eval(), schedule, card


def save(path: str | Path, model: nn.Module, card: Card) -> Card:
    """Write `path`.safetensors and `path`.json; the card, with the file's hash in it, comes back."""
    tensors, note = _files(Path(path))
    tensors.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    replace_file(tensors, lambda file: file.write_bytes(to_bytes(state)))
    card = replace(card, sha256=_sha256(tensors))
    text = json.dumps(asdict(card), indent=1, ensure_ascii=False) + "\n"
    replace_file(note, lambda file: file.write_text(text, "utf-8"))
    return card


def _shipped(name: str) -> Path:
    if name not in names():
        raise ValueError(f"name: expected one of {', '.join(names())}, got {name!r}")
    return SHIPPED / name


def _read_card(note: Path) -> Card:
    try:
        fields = json.loads(note.read_text("utf-8"))
        return Card(**fields | {"classes": tuple(fields.get("classes", ()))})  # JSON knows no tuples
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"path: {note} is not a card of weights ({error}); fetch or train them again") from error


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
