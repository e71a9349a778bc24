"""A network for the page: one program of JavaScript that holds a U-Net, its numbers, and what samples with it.

The program is js/*.js without their comments, js/kernels.wasm (made of js/kernels.ts), and the weights in half
precision. Where it runs, it puts the network into `globalThis.diffusionLesson` under its key, for every figure.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_lesson.page.plots import array

HERE = Path(__file__).with_name("js")
PARTS = ("operations.js", "unet.js", "samplers.js", "figure.js", "register.js")
_COMMENT = re.compile(r"\s*(//|/\*\*|\*)")  # a line that is one; in code no line begins so
_CONFIG = ("width", "mults", "patch", "classes")
_TRAINING = ("steps", "batch_size", "learning_rate", "ema")


class PageNetwork:
    """The U-Net of a state dict, as a program for a page. The other arguments are what a card of weights says.

    state: arrays or tensors by the network's names; they are kept in half precision. config: the network's own
    arguments. schedule: {"kind": "cosine", "T": …}. predicts: "v" or "eps". size: height and width of its
    pictures, which are grey.
    """

    parts: tuple[str, ...] = PARTS  # of the program
    made_by = "UNet"  # the class that its network has there

    def __init__(
        self,
        state: Mapping[str, Any],
        config: Mapping[str, Any],
        *,
        schedule: Mapping[str, Any],
        predicts: str,
        size: int,
    ) -> None:
        if config.get("channels_in") != 1 or config.get("attention") or config.get("blocks", 1) != 1:
            raise ValueError(f"config: expected channels_in = 1, blocks = 1 and no attention, got {dict(config)}")
        if predicts not in ("v", "eps"):
            raise ValueError(f"predicts: expected 'v' or 'eps', got {predicts!r}")
        multiple = config["patch"] * 2 ** (len(config["mults"]) - 1)
        if size < 1 or size % multiple:
            raise ValueError(f"size: expected a multiple of {multiple}, got {size}")
        if schedule.keys() != {"kind", "T"} or schedule["kind"] != "cosine" or schedule["T"] < 1:
            raise ValueError(f'schedule: expected {{"kind": "cosine", "T": 1 or more}}, got {dict(schedule)}')
        self.config = {key: config[key] for key in _CONFIG} | {"size": size}
        self.T, self.predicts, self.size = schedule["T"], predicts, size
        with np.errstate(over="ignore"):  # they are looked for, below
            self._state = {name: array(numbers).astype("<f2") for name, numbers in state.items()}
        endless = [name for name, numbers in self._state.items() if not np.isfinite(numbers).all()]
        if endless:
            raise ValueError(f"state: expected numbers that half precision can hold, got others in {endless}")

    def __repr__(self) -> str:
        """How many numbers, and for which pictures."""
        count = sum(numbers.size for numbers in self._state.values())
        return f"<{type(self).__name__}: {count:,} numbers, pictures of {self.size} × {self.size}>"

    @cached_property
    def key(self) -> str:
        """What figures find it by: it changes with every number, and every line of the program."""
        return hashlib.sha256(self._body.encode()).hexdigest()[:12]

    @cached_property
    def program(self) -> str:
        """The program, as a file of its own (`KEY.js`) or in a figure."""
        return f'(() => {{"use strict";const key="{self.key}";\n{self._body}}})();\n'

    def _given(self) -> dict[str, Any]:
        """What the program is told of it."""
        return {
            "config": self.config,
            "T": self.T,
            "predicts": self.predicts,
            "shapes": [[name, list(numbers.shape)] for name, numbers in self._state.items()],
            "kernels": _text((HERE / "kernels.wasm").read_bytes()),
            "weights": _text(b"".join(numbers.tobytes() for numbers in self._state.values())),
        }

    @cached_property
    def _body(self) -> str:
        lines = [line for part in self.parts for line in (HERE / part).read_text("utf-8").splitlines()]
        code = "\n".join(line.strip() for line in lines if line.strip() and not _COMMENT.match(line))
        return f"{code}\nregister(key, {json.dumps(self._given(), separators=(',', ':'))}, {self.made_by});\n"


class PageLearner(PageNetwork):
    """A network that the page trains (PageSampler's kind "learn"), from the beginning that PyTorch gives `state`.

    Its numbers are drawn in the page, by the figure's seed: those of `state` would differ in the last digit from
    processor to processor. Of `state` is taken which tensors are constant; every other must lie within ±1/√n, n
    being the layer's inputs, and is drawn evenly from there.

    training: steps, batch_size, learning_rate and ema, as learning/config.py has them. It is trained as
    learning/training.py does with AdamW, on pictures that the figure holds, without labels; predicts: "eps".
    """

    parts = (*PARTS, "learner.js", "training.js")
    made_by = "Learner"

    def __init__(
        self, state: Mapping[str, Any], config: Mapping[str, Any], *, training: Mapping[str, Any], **options: Any
    ) -> None:
        super().__init__(state, config, **options)
        if self.config["classes"] or self.predicts != "eps":
            got = f"classes = {self.config['classes']} and predicts = {self.predicts!r}"
            raise ValueError(f"config: expected classes = 0, and predicts 'eps', got {got}")
        if training.keys() != set(_TRAINING):
            raise ValueError(f"training: expected {', '.join(_TRAINING)}, got {', '.join(training) or 'nothing'}")
        counts = training["steps"], training["batch_size"]
        if min(counts) < 1 or not training["learning_rate"] > 0 or not 0 <= training["ema"] <= 1:
            wanted = "steps and batch_size of 1 or more, a learning_rate above 0, an ema of 0 to 1"
            raise ValueError(f"training: expected {wanted}, got {dict(training)}")
        self.training = dict(training)
        self._begins = [self._beginning(name) for name in self._state]

    def _beginning(self, name: str) -> tuple[float, float]:
        """(centre, half the width) of what a tensor's numbers are drawn from."""
        numbers = self._state[name].astype(np.float64)
        if (numbers == numbers.flat[0]).all():
            return float(numbers.flat[0]), 0.0
        layer = self._state[name.rpartition(".")[0] + ".weight"]
        reach = float(np.prod(layer.shape[1:])) ** -0.5
        if abs(numbers).max() > 1.001 * reach:
            raise ValueError(
                f"state: expected an untrained network, got {abs(numbers).max():.3g} in {name}, whose numbers "
                f"PyTorch draws from ±{reach:.3g}"
            )
        return 0.0, reach

    def _given(self) -> dict[str, Any]:
        return super()._given() | {"weights": "", "begins": self._begins, "training": self.training}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
