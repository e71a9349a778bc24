"""Trained weights, each with its card: a .safetensors file and a .json beside it that says how it was made."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffusion_lesson.learning.config import current
from diffusion_lesson.learning.files import make_folder, replace_file
from diffusion_lesson.networks.classifier import Cifar10Classifier, DigitsClassifier, MnistClassifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.process.schedule import Schedule, named

SHIPPED = Path(__file__).with_name("trained")
NETWORKS: dict[str, type[nn.Module]] = {
    "UNet": UNet,
    "DigitsClassifier": DigitsClassifier,
    "MnistClassifier": MnistClassifier,
    "Cifar10Classifier": Cifar10Classifier,
}
CARD_BYTES = 2**20  # more than any card needs
_KINDS: dict[str, Any] = {
    "name": str, "network": str, "config": dict, "schedule": dict | None, "size": int, "levels": int, "data": str,
    "recipe": dict, "measured": dict, "sha256": str,
}  # fmt: skip
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WRAPPERS = (
    "_orig_mod",
    "module",
    "_fsdp_wrapped_module",
)  # what holds the network in its compiled or shared form


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
    recipe: dict[str, Any] = field(default_factory=dict)  # the fields of the TrainConfig, and what else is known
    measured: dict[str, Any] = field(default_factory=dict)  # results, each with its n
    sha256: str = ""  # of the .safetensors file
    classes: tuple[str, ...] = ()  # the names of labels 0, 1, …; () where they are not known or not learned

    def __post_init__(self) -> None:
        """Refuse what nobody could use, and names that are not one for each class."""
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name}: expected {kind}, got {getattr(self, name)!r}")
        if self.predicts not in (None, *get_args(Predicts)):
            raise ValueError(f"predicts: expected one of {', '.join(get_args(Predicts))}, got {self.predicts!r}")
        if self.size < 1 or self.levels not in range(2, 257):
            raise ValueError(f"size, levels: expected 1 or more, and 2..256, got {self.size} and {self.levels}")
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
        """The schedule it was trained with. ValueError where there is none with these arguments."""
        try:
            return None if self.schedule is None else named(**self.schedule)
        except Exception as error:  # whatever arithmetic makes of arguments that come from a file
            raise ValueError(f"schedule: {error}") from error


def names() -> list[str]:
    """The names of the weights that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def card(name: str) -> Card:
    """The card of weights that ship, without the weights. ValueError for other names."""
    return _card_of(_files(_shipped(name))[1].read_text("utf-8"))


def load(name: str, device: str | torch.device = "cpu") -> tuple[nn.Module, Schedule | None, Card]:
    """(model, schedule, card) of weights that ship; the raw network in eval mode. ValueError for other names."""
    return read(_shipped(name), device)


def read(path: str | Path, device: str | torch.device = "cpu") -> tuple[nn.Module, Schedule | None, Card]:
    """(model, schedule, card) from `path`.safetensors and `path`.json, as `save` wrote them; numbers are single.

    ValueError where a file is missing, or is not what its card says.
    """
    tensors, note = _files(Path(path))
    for file in (tensors, note):
        if not file.is_file():
            raise ValueError(f"path: there is no {file}; expected a .safetensors file with its .json beside it")
    try:
        if note.stat().st_size > CARD_BYTES:
            raise ValueError(f"it has more than {CARD_BYTES:,} bytes")
        card = _card_of(note.read_text("utf-8"))
        schedule, outline = card.make_schedule(), _outline(card)
    except ValueError as error:
        raise ValueError(f"path: {note} is not a card of weights ({error}); fetch or train them again") from error
    size, most = tensors.stat().st_size, 8 * sum(v.numel() for v in outline.state_dict().values()) + 2**20
    if size > most:
        raise ValueError(f"path: {tensors} has {size:,} bytes, its card's network {most:,} at most")
    with tensors.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != card.sha256:
            raise ValueError(f"path: {tensors} is not the file its card names by SHA-256; fetch or train it again")
    try:
        state = _filled(outline, load_file(tensors))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"path: {tensors} does not hold the network its card describes: {error}") from error
    model = NETWORKS[card.network](**card.config)
    model.load_state_dict(state)  # half precision on disk becomes single here
    return model.to(device).eval(), schedule, card


def save(path: str | Path, model: nn.Module, card: Card) -> Card:
    """Write `path`.safetensors and `path`.json; the card, with the file's hash in it, comes back.

    The network may be compiled or wrapped for several devices. ValueError where `read` could not read what would
    be written, before anything is.
    """
    tensors, note = _files(Path(path))
    while (inner := next((part for name, part in model.named_children() if name in _WRAPPERS), None)) is not None:
        model = inner
    state = _plain(model.state_dict())
    try:
        # each a copy of its own: tensors that share memory, or lie in steps, have no form on the disk
        raw = to_bytes(
            {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
        )
        filled = _filled(_outline(card), from_bytes(raw))
        endless = [key for key, value in filled.items() if not value.isfinite().all()]
        if endless:
            raise ValueError(f"not all numbers are finite in {', '.join(endless)}")
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:  # the last: of tensors without numbers
        raise ValueError(
            f"model: expected the network that its card describes ({card.network}): {error}"
        ) from error
    try:
        text = json.dumps(
            asdict(replace(card, sha256=hashlib.sha256(raw).hexdigest())), indent=1, ensure_ascii=False
        )
        card = _card_of(text)
        card.make_schedule()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"card: expected one that can be read again: {error}") from error
    make_folder(tensors.parent)
    replace_file(tensors, lambda file: file.write_bytes(raw))
    # What UTF-8 can't hold, such as a folder's name that is none, becomes \\udc80, which JSON reads back.
    replace_file(note, lambda file: file.write_bytes((text + "\n").encode("utf-8", "backslashreplace")))
    return card


def _shipped(name: str) -> Path:
    if name not in names():
        raise ValueError(f"name: expected one of {', '.join(names())}, got {name!r}")
    return SHIPPED / name


def _card_of(text: str) -> Card:
    try:
        fields = json.loads(text)
        if isinstance(fields.get("recipe"), dict):
            fields["recipe"] = current(fields["recipe"])
        return Card(**fields | {"classes": tuple(fields.get("classes", ()))})  # JSON knows no tuples
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _outline(card: Card) -> nn.Module:
    """The network that a card describes, without numbers: it costs nothing, however large it is said to be."""
    if card.network not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {card.network!r}")
    if any(isinstance(value, list) and len(value) > 32 for value in card.config.values()):
        raise ValueError("config: expected at most 32 levels")  # each is made, and each halves the picture
    try:
        with _Untouched(), torch.device("meta"):
            model = NETWORKS[card.network](**card.config)
    except Exception as error:  # whatever a layer makes of arguments that come from a file
        raise ValueError(f"config: {error}") from error
    if card.size % getattr(model, "multiple", 1):
        raise ValueError(f"size: expected a multiple of {model.multiple} for this network, got {card.size}")
    return model


class _Untouched(TorchFunctionMode):
    """Leaves out first weights. For numbers that are not there, drawing some makes torch import SymPy: seconds."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _filled(outline: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file by the network's names, known to fit it by name, shape and kind of number."""
    kinds = {key: value.dtype for key, value in outline.state_dict().items()}
    try:
        outline.load_state_dict(_plain(tensors), assign=True)
    except RuntimeError as error:  # which of them do not
        raise ValueError(str(error)) from error
    state = outline.state_dict()
    for key, value in state.items():
        if value.dtype not in (_FLOATS if kinds[key].is_floating_point else (kinds[key],)):
            raise ValueError(f"{key} is {str(value.dtype).removeprefix('torch.')}")
    return state


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the network's own names for them, whatever it was wrapped in when they were taken."""
    return {".".join(part for part in key.split(".") if part not in _WRAPPERS): state[key] for key in state}


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")
