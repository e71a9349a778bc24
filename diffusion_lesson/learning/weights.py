"""Trained weights, each with its card: a .safetensors file and a .json beside it that says how it was made.

A denoiser has its loaders, which give a `Denoiser`, and a classifier has its own. Neither passes for the other.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffusion_lesson.devices import usable
from diffusion_lesson.learning.cards import Card, from_json
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.files import make_folder, replace_file
from diffusion_lesson.networks.classifier import Cifar10Classifier, Classifier, DigitsClassifier, MnistClassifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.prediction import Predicts
from diffusion_lesson.shapes import instance

Network = TypeVar("Network", bound=nn.Module)
SHIPPED = Path(__file__).with_name("trained")
DENOISERS: dict[str, type[nn.Module]] = {"UNet": UNet}
CLASSIFIERS: dict[str, type[Classifier]] = {
    "DigitsClassifier": DigitsClassifier,
    "MnistClassifier": MnistClassifier,
    "Cifar10Classifier": Cifar10Classifier,
}
NETWORKS: dict[str, type[nn.Module]] = {**DENOISERS, **CLASSIFIERS}
CARD_BYTES = 2**20  # more than any card needs
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module")  # what holds a compiled or a shared network


def names(kinds: Collection[str] = ()) -> list[str]:
    """The names of the weights that ship with the package: all, or those of these kinds, such as DENOISERS."""
    found = sorted(path.stem for path in SHIPPED.glob("*.json"))
    return [name for name in found if card(name).network in kinds] if kinds else found


def card(name: str) -> Card:
    """The card of weights that ship, without the weights. ValueError for other names."""
    if name not in names():
        raise ValueError(f"name: expected one of {', '.join(names())}, got {name!r}")
    return from_json(_files(SHIPPED / name)[1].read_text("utf-8"))


def load_shipped(name: str, device: str | torch.device = "cpu") -> tuple[Denoiser, Card]:
    """(denoiser, card) of weights that ship, in eval mode. ValueError for other names, and for a classifier's."""
    _refuse_another(name, "a network that draws", DENOISERS, "load_classifier")
    return load(SHIPPED / name, device)


def load(path: str | Path, device: str | torch.device = "cpu") -> tuple[Denoiser, Card]:
    """(denoiser, card) from `path`.safetensors and `path`.json, as `save` wrote them; numbers are single.

    ValueError where a file is missing, or is not what its card says, and for a classifier's.
    """
    device, card = usable(device), _card_beside(path)
    if card.predicts is None:
        raise ValueError(
            f"path: expected a network that draws, {path} is a {card.network}; load_classifier reads it"
        )
    network = _network(path, card, DENOISERS).to(device)
    return Denoiser(network, card.make_schedule(), card.predicts, card.config.get("classes", 0)), card


def load_classifier(name: str | Path, device: str | torch.device = "cpu") -> tuple[Classifier, Card]:
    """(classifier, card) of weights that ship, or from `name`.safetensors and `name`.json; in eval mode.

    ValueError as of `load`, for a name that is neither, and for a denoiser's.
    """
    path = Path(name)
    if name in names() or not _files(path)[1].is_file():
        _refuse_another(str(name), "a classifier", CLASSIFIERS, "load_shipped")
        path = SHIPPED / name
    device, card = usable(device), _card_beside(path)
    if card.predicts is not None:
        raise ValueError(f"name: expected a classifier, {path} is a {card.network} that draws; load reads it")
    return _network(path, card, CLASSIFIERS).to(device), card


def save(path: str | Path, model: Denoiser | nn.Module, card: Card) -> Card:
    """Write `path`.safetensors and `path`.json; the card, with the file's hash in it, comes back.

    model: a denoiser, or a network alone; it may be compiled or wrapped for several devices. ValueError where it
    is not what the card says, or could not be loaded again, before anything is written.
    """
    tensors, note = _files(path)
    instance(card, Card, "card")
    if isinstance(model, Denoiser):
        _refuse_other_words(model, card)
        model = model.network
    instance(model, nn.Module, "model")
    while (inner := next((part for name, part in model.named_children() if name in _WRAPPERS), None)) is not None:
        model = inner
    state = _plain(model.state_dict())
    try:
        # each a copy of its own: tensors that share memory, or lie in steps, have no form on the disk
        copies = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.items()}
        _filled(_outline(card), copies)
        raw = to_bytes(copies)
        _filled(_outline(card), from_bytes(raw))
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:  # the last: of tensors without numbers
        raise ValueError(
            f"model: expected the network that its card describes ({card.network}): {error}"
        ) from error
    try:
        text = replace(card, sha256=hashlib.sha256(raw).hexdigest()).to_json()
        card = from_json(text)
        if card.predicts is not None:
            card.make_schedule()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"card: expected one that can be read again: {error}") from error
    make_folder(tensors.parent)
    replace_file(tensors, lambda file: file.write_bytes(raw))
    # What UTF-8 can't hold, such as a folder's name that is none, becomes \\udc80, which JSON reads back.
    replace_file(note, lambda file: file.write_bytes(text.encode("utf-8", "backslashreplace")))
    return card


def _refuse_another(name: str, what: str, kinds: Collection[str], other: str) -> None:
    """ValueError unless weights of these kinds ship under the name."""
    known = {shipped: card(shipped).network for shipped in names()}
    fit = ", ".join(shipped for shipped in known if known[shipped] in kinds)
    if name not in known:
        raise ValueError(f"name: expected one of {fit}, got {name!r}")
    if known[name] not in kinds:
        raise ValueError(
            f"name: {name} is a {known[name]}; expected {what}, one of {fit} ({other} gives this one)"
        )


def _refuse_other_words(denoiser: Denoiser, card: Card) -> None:
    """ValueError where a card says otherwise than its denoiser what is predicted, or under which schedule."""
    if card.predicts != denoiser.predicts:
        raise ValueError(f"card: expected predicts={denoiser.predicts!r}, as the denoiser, got {card.predicts!r}")
    betas = card.make_schedule().betas
    if not torch.equal(betas, denoiser.schedule.betas.to(betas)):
        raise ValueError(f"card: expected the schedule of the denoiser, got another: {card.schedule}")


def _card_beside(path: str | Path) -> Card:
    """The card of the weights at `path`, known to describe a network and, for a denoiser, a schedule."""
    tensors, note = _files(path)
    for file in (tensors, note):
        if not file.is_file():
            shipped = f"; load_shipped({str(path)!r}) gives what ships" if str(path) in names() else ""
            raise ValueError(
                f"path: there is no {file}; expected a .safetensors file with its .json beside it{shipped}"
            )
    try:
        if note.stat().st_size > CARD_BYTES:
            raise ValueError(f"it has more than {CARD_BYTES:,} bytes")
        card = from_json(note.read_text("utf-8"))
        _outline(card)
        if card.predicts is not None:
            card.make_schedule()
    except ValueError as error:
        raise ValueError(f"path: {note} is not a card of weights ({error}); fetch or train them again") from error
    return card


def _network(path: str | Path, card: Card, kinds: Mapping[str, type[Network]]) -> Network:
    """The network at `path`, in eval mode, known to be what its card says."""
    tensors, outline = _files(path)[0], _outline(card)
    size, most = tensors.stat().st_size, 8 * sum(v.numel() for v in outline.state_dict().values()) + 2**20
    if size > most:
        raise ValueError(f"path: {tensors} has {size:,} bytes, its card's network {most:,} at most")
    with tensors.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != card.sha256:
            raise ValueError(
                f"path: {tensors} is not the file its card names by SHA-256, as after a save that was cut off; "
                "save or fetch both again, or run the same train command, which writes them anew"
            )
    try:
        state = _filled(outline, load_file(tensors))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"path: {tensors} does not hold the network its card describes: {error}") from error
    model = kinds[card.network](**card.config)
    model.load_state_dict(state)  # half precision on disk becomes single here
    return model.eval()


def _outline(card: Card) -> nn.Module:
    """The network that a card describes, without numbers: it costs nothing, however large it is said to be."""
    if card.network not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {card.network!r}")
    if (card.network in DENOISERS) != (card.predicts is not None):
        expected = "None" if card.predicts else f"one of {', '.join(get_args(Predicts))}"
        raise ValueError(f"predicts: expected {expected} for a {card.network}, got {card.predicts!r}")
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
    """The tensors of a file by the network's names, known to fit it by name, shape and kind; and finite."""
    kinds = {key: value.dtype for key, value in outline.state_dict().items()}
    try:
        outline.load_state_dict(_plain(tensors), assign=True)
    except RuntimeError as error:  # which of them do not
        raise ValueError(" ".join(str(error).split())) from error
    state = outline.state_dict()
    for key, value in state.items():
        if value.dtype not in (_FLOATS if kinds[key].is_floating_point else (kinds[key],)):
            raise ValueError(f"{key} is {str(value.dtype).removeprefix('torch.')}")
    if endless := [key for key, value in state.items() if not value.isfinite().all()]:
        raise ValueError(f"not all numbers are finite in {', '.join(endless[:9])}")
    return state


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the network's own names for them, whatever it was wrapped in when they were taken."""
    return {".".join(part for part in key.split(".") if part not in _WRAPPERS): state[key] for key in state}


def _files(path: str | Path) -> tuple[Path, Path]:
    if not isinstance(path, str | Path) or Path(path).name in ("", ".."):
        raise ValueError(f"path: expected a path that ends in the name of the weights, got {str(path)!r}")
    path = Path(path)
    return path.with_name(path.name + ".safetensors"), path.with_name(path.name + ".json")
