"""Checkpoints: what changes while training, written so that a kill at any moment leaves a whole one."""

import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from diffusion_lesson.learning import fingerprints
from diffusion_lesson.learning.files import replace_file
from diffusion_lesson.networks.unet import UNet, current_name, earlier_name

_EARLIER_WORDS = {"precision": {"single": "fp32"}}  # what settings were called in version 0.1


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
        moments = [_moments(o, parts[f"optimizer{k}"]) for k, o in enumerate(self.optimizers)]
        random, own = tensors["generator"].cpu(), self.generator.get_state()
        same_kind = random.dtype == own.dtype and random.shape == own.shape
        self.model.load_state_dict(parts["model"])
        self.averaged.load_state_dict(parts["averaged"])
        for optimizer, state in zip(self.optimizers, moments, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        if same_kind:
            self.generator.set_state(random)
        return same_kind


def _compare(part: str, given: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    if given.keys() != own.keys():
        names = sorted(given.keys() ^ own.keys())
        raise ValueError(f"the {part}'s {names[0]!r} is not in both")
    for key, value in own.items():
        if given[key].shape != value.shape or given[key].dtype != value.dtype:
            raise ValueError(f"the {part}'s {key!r} is {_kind(given[key])}, expected {_kind(value)}")


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
        like = parameters[int(index)]
        if key != "step" and value.shape != like.shape:
            raise ValueError(f"the optimizer's {name!r} is {_kind(value)}, expected {_kind(like)}")
        moments[int(index)][key] = value.clone() if key == "step" else torch.empty_like(like).copy_(value)
    return dict(moments)


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def save(folder: Path, state: State, note: dict[str, Any]) -> None:
    """Write the tensors, then checkpoint.json that names them. The rename of the JSON is the moment it counts.

    Killed before that moment, the last checkpoint stands; killed after it, the new one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{note['step']:08d}.safetensors"
    replace_file(folder / name, lambda path: path.write_bytes(to_bytes(state.tensors())))
    text = json.dumps(note | {"tensors": name}, indent=1)
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
    try:
        note = json.loads((folder / "checkpoint.json").read_text("utf-8"))
        written, step, loss, start = note["settings"], note["step"], float(note["loss"]), note.get("start", 0)
        if not (
            isinstance(step, int) and isinstance(start, int) and 0 <= start <= step and written["steps"] >= step
        ):
            raise ValueError(f"it says step {step!r} of {written['steps']!r}")
        if Path(note["tensors"]).name != note["tensors"]:
            raise ValueError(f"it names {note['tensors']!r}, which is no file of its own folder")
        tensors = load_file(folder / note["tensors"])
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError, SafetensorError) as error:
        raise ValueError(f"checkpoint: {folder} holds a damaged one ({error}); delete it to begin anew") from error
    written = written | {k: words.get(written.get(k), written.get(k)) for k, words in _EARLIER_WORDS.items()}
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
            or (k == "network" and written.get(k) == _earlier_layout(state.model))
        )
    ]
    if changed:
        raise ValueError(
            f"checkpoint: {folder} was written with other settings ({'; '.join(changed)}); "
            "use the same ones, or another folder to begin anew"
        )
    try:
        goes_on = state.load(tensors)
    except (ValueError, KeyError) as error:
        raise ValueError(f"checkpoint: {folder} holds a damaged one ({error}); delete it to begin anew") from error
    if not goes_on:
        state.generator.manual_seed(settings["seed"] + step)
        warnings.warn(
            f"checkpoint: {folder} was written on another kind of device, whose random numbers can't go on here; "
            f"from step {step} on they are drawn anew",
            stacklevel=3,
        )
    return step, start, loss


def layout(model: nn.Module) -> str:
    """How many numbers the network has, and a short hash of their names and shapes."""
    return _layout(model, str)


def _earlier_layout(model: nn.Module) -> str:
    """What version 0.1 wrote of the same network."""
    return _layout(model, earlier_name if isinstance(model, UNet) else str)


def _layout(model: nn.Module, name: Callable[[str], str]) -> str:
    shapes = {name(key): tuple(value.shape) for key, value in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    return f"{count} parameters, {hashlib.sha256(str(shapes).encode()).hexdigest()[:8]}"
