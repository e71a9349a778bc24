"""Checkpoints: what changes while training, written so that a kill at any moment leaves a whole one."""

import hashlib
import json
import os
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

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put everything back where `tensors` took it from."""
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = value
        self.model.load_state_dict(parts["model"])
        self.averaged.load_state_dict(parts["averaged"])
        for place, optimizer in enumerate(self.optimizers):
            _load_moments(optimizer, parts[f"optimizer{place}"])
        self.generator.set_state(tensors["generator"].cpu())


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """`tensors` is named by parameter and moment, such as "3/exp_avg"."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        # Moments lie in memory as their parameter does: a fused optimiser takes that for granted. (The clone
        # is there since the original lives in the mapped file.)
        like = parameters[int(index)]
        moments[int(index)][key] = value.clone() if key == "step" else torch.empty_like(like).copy_(value)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": dict(moments)})


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
        if old.name != name:
            old.unlink()


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, see it on the disk, and rename it: all of it or nothing."""
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def resume(folder: Path, state: State, settings: dict[str, Any]) -> tuple[int, float]:
    """Load the folder's checkpoint into `state`, if it holds one: (steps done, the last loss)."""
    if not (folder / "checkpoint.json").exists():
        return 0, float("nan")
    try:
        note = json.loads((folder / "checkpoint.json").read_text("utf-8"))
        written, step, loss = note["settings"], note["step"], note["loss"]
        tensors = load_file(folder / note["tensors"])
    except (ValueError, KeyError, TypeError, FileNotFoundError, SafetensorError) as error:
        raise ValueError(f"checkpoint: {folder} holds a damaged one ({error}); delete it to begin anew") from error
    changed = [
        f"{k} was {fingerprints.brief(written.get(k))}, is {fingerprints.brief(v)}"
        for k, v in settings.items()
        if not fingerprints.alike(written.get(k), v)
    ]
    if changed:
        raise ValueError(
            f"checkpoint: {folder} was written with other settings ({'; '.join(changed)}); "
            "use the same ones, or another folder to begin anew"
        )
    state.load(tensors)
    return step, loss


def layout(model: nn.Module) -> str:
    """How many numbers the network has, and a short hash of their names and shapes."""
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    return f"{count} parameters, {hashlib.sha256(str(shapes).encode()).hexdigest()[:8]}"
