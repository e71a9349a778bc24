"""Checkpoints: what changes while training, written so that a kill at any moment leaves a whole one."""

import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from diffusion_lesson.learning import fingerprints
from diffusion_lesson.learning.config import ADDED, current
from diffusion_lesson.learning.files import make_folder, replace_file
from diffusion_lesson.networks.names import current_name, earlier_name
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.shapes import kind

_DAMAGE = (  # what reading a file may raise that is not as it was written
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, SafetensorError,
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """Everything that changes while training, as one flat dictionary of tensors."""

    model: nn.Module
    averaged: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    generator: torch.Generator

    def tensors(self) -> dict[str, Tensor]:
        """All of it; names such as "model/head.weight" say what is whose."""
        out = {"generator": self.generator.get_state()}
        for name, module in (("model", self.model), ("averaged", self.averaged)):
            out |= {f"{name}/{key}": value.contiguous() for key, value in module.state_dict().items()}
        for place, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                out |= {f"optimizer{place}/{index}/{key}": value.contiguous() for key, value in moments.items()}
        return out

    def load(self, tensors: dict[str, Tensor]) -> bool:
        """Put everything back where `tensors` took it from, or nothing: ValueError where something does not fit.

        Whether the random numbers go on as well. They can't where the generator was that of another kind of
        device; then it is left as it is.
        """
        rename = current_name if isinstance(self.model, UNet) else str
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            parts[part][rename(key) if part in ("model", "averaged") else key] = value
        for part, module in (("model", self.model), ("averaged", self.averaged)):
            _compare(part, parts[part], module.state_dict())
        moments = [_moments(o, parts.pop(f"optimizer{k}", {})) for k, o in enumerate(self.optimizers)]
        if more := parts.keys() - {"model", "averaged", "generator"}:
            raise ValueError(f"{min(more)!r} belongs to nothing that is trained")
        random = tensors["generator"].cpu()
        same_kind = _of_its_kind(random, self.generator)
        self.model.load_state_dict(parts["model"])
        self.averaged.load_state_dict(parts["averaged"])
        for optimizer, state in zip(self.optimizers, moments, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        if same_kind:
            self.generator.set_state(random)
        return same_kind


def _of_its_kind(random: Tensor, generator: torch.Generator) -> bool:
    """Whether `random` is a state that this generator takes, rather than that of another kind of device."""
    if random.dtype != torch.uint8:
        raise ValueError(f"the generator's state is {kind(random)}, expected bytes")
    if random.shape != generator.get_state().shape:
        return False
    try:
        torch.Generator(generator.device).set_state(random)
    except RuntimeError as error:
        raise ValueError(f"the generator's state is none: {error}") from error
    return True


def _compare(part: str, given: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    if given.keys() != own.keys():
        names = sorted(given.keys() ^ own.keys())
        raise ValueError(f"the {part}'s {names[0]!r} is not in both")
    for key, value in own.items():
        if given[key].shape != value.shape or given[key].dtype != value.dtype:
            raise ValueError(f"the {part}'s {key!r} is {kind(given[key])}, expected {kind(value)}")


def _moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """`tensors` is named by parameter and moment, such as "3/exp_avg"."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise ValueError(f"the optimizer's {name!r} belongs to no weight")
        # Moments lie in memory as their parameter does: a fused optimiser takes that for granted. (The clone
        # is there since the original lives in the mapped file.)
        like = parameters[int(index)] if key != "step" else torch.zeros((), dtype=torch.float32)
        if value.shape != like.shape or value.dtype != like.dtype:
            raise ValueError(f"the optimizer's {name!r} is {kind(value)}, expected {kind(like)}")
        moments[int(index)][key] = value.clone() if key == "step" else torch.empty_like(like).copy_(value)
    if len({frozenset(of_one) for of_one in moments.values()}) != 1:
        raise ValueError("the optimizer's moments are not alike for all weights")
    return dict(moments)


def folder_of(checkpoint: str | Path | None) -> Path | None:
    """The folder, where one is given. ValueError for "", as of a variable that is not set: to Path it is here."""
    if checkpoint == "" or not isinstance(checkpoint, str | Path | None):
        raise ValueError(f"checkpoint: expected the path of a folder, or None, got {checkpoint!r}")
    return None if checkpoint is None else Path(checkpoint)


def save(folder: Path, state: State, note: dict[str, Any]) -> None:
    """Write the tensors, then checkpoint.json that names them. The rename of the JSON is the moment it counts.

    Killed before that moment, the last checkpoint stands; killed after it, the new one does.
    """
    make_folder(folder)
    name, tensors = _file(note["step"]), state.tensors()
    replace_file(folder / name, lambda path: path.write_bytes(to_bytes(tensors)))
    text = json.dumps(note | {"tensors": name, "contents": _contents(tensors)}, indent=1)
    replace_file(folder / "checkpoint.json", lambda path: path.write_text(text, "utf-8"))
    for old in folder.glob("step-*"):
        if old.name < name:
            old.unlink(missing_ok=True)


def resume(folder: Path, state: State, settings: dict[str, Any]) -> tuple[int, int, float]:
    """Load the folder's checkpoint into `state`, if it holds one: (steps done, where this stage began, last loss).

    More steps than a finished run was to make are a new stage, which begins where that one ended. ValueError, and
    nothing is loaded, where the checkpoint is damaged or was written with other settings.
    """
    if not (folder / "checkpoint.json").exists():
        return 0, 0, float("nan")
    with _damage_told(folder):
        note, tensors = _read(folder)
    written, step, start = note["settings"], note["step"], note["start"]
    longer = settings["steps"] > written["steps"]
    if longer and step < written["steps"]:
        raise ValueError(
            f"steps: {folder} has made {step} of {written['steps']} steps; let it end with these, "
            f"and then train on to {settings['steps']}"
        )
    if longer:
        written, start = written | {"steps": settings["steps"]}, step
    changed = [
        f"{k} was {fingerprints.brief(written.get(k))}, is {fingerprints.brief(v)}"
        for k, v in settings.items()
        if not (
            fingerprints.alike(written.get(k), v)
            or (k == "network" and written.get(k) == _earlier_fingerprint(state.model))
        )
    ]
    changed += [
        f"{k} was {fingerprints.brief(v)}, is unknown here" for k, v in written.items() if k not in settings
    ]
    if changed:
        raise ValueError(
            f"checkpoint: {folder} was written with other settings ({'; '.join(changed)}); "
            "use the same ones, or another folder to begin anew"
        )
    with _damage_told(folder):
        goes_on = state.load(tensors)
    if not goes_on:
        state.generator.manual_seed(settings["seed"] + step)
        warnings.warn(
            f"checkpoint: {folder} was written on another kind of device, whose random numbers can't go on here; "
            f"from step {step} on they are drawn anew",
            stacklevel=4,
        )
    return step, start, note["loss"]


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        words = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"checkpoint: {folder} holds a damaged one ({words}); delete it to begin anew") from error


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(the note, the tensors that it names), which belong together; one of _DAMAGE where they don't."""
    note = json.loads((folder / "checkpoint.json").read_text("utf-8"))
    note = {"start": 0, **note, "loss": float(note["loss"]), "settings": dict(note["settings"])}
    step, start, steps = note["step"], note["start"], note["settings"]["steps"]
    if not all(type(count) is int for count in (step, start, steps)) or not 0 <= start < step <= steps:
        raise ValueError(f"it says step {step!r} of {steps!r}, begun at {start!r}")
    if note["tensors"] != _file(step) or not (folder / _file(step)).is_file():
        raise ValueError(f"it names {note['tensors']!r}; expected {_file(step)!r} beside it")
    note["settings"] = ADDED | current(note["settings"])
    tensors = load_file(folder / _file(step))
    if note.get("contents", _contents(tensors)) != _contents(tensors):
        raise ValueError(f"{_file(step)} holds {_contents(tensors)}, expected {note['contents']}")
    return note, tensors


def _file(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def _contents(tensors: dict[str, Tensor]) -> str:
    """How many tensors, and a short hash of their names, types and shapes (the generator's is the device's)."""
    lines = sorted(f"{name} {kind(value)}" for name, value in tensors.items() if name != "generator")
    return f"{len(lines)} tensors, {hashlib.sha256(str(lines).encode()).hexdigest()[:8]}"


def _earlier_fingerprint(model: nn.Module) -> str:
    """What version 0.1 wrote of the same network."""
    return fingerprints.of_network(model, earlier_name if isinstance(model, UNet) else str)
