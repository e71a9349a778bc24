"""What is measured on a GPU: pictures a second beside an older build, equality of bits, rounding, the peak."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from diffusion_lesson.learning import capture, recipes, weights
from diffusion_lesson.learning.config import Optimizer, Precision, TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.training import Progress, train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import schedule

NETWORKS: dict[str, dict[str, Any]] = {
    "mnist": {"channels_in": 1, "width": 32, "patch": 2, "classes": 10},  # 0.44 M parameters
    "small cifar": {"channels_in": 3, "width": 64, "mults": (1, 2, 4), "classes": 10, "attention": True},  # 6.9 M
    "width 128": {"channels_in": 3, "width": 128, "mults": (1, 2, 2, 2), "classes": 10, "attention": True},
}
SIDES = {"mnist": 28, "small cifar": 32, "width 128": 32}
# (network, batch, optimizer, precision), and how many times the older build's pictures a second it shall reach
Case = tuple[str, int, Optimizer, Precision, float | None]
CASES: list[Case] = [
    ("mnist", 128, "adamw", "fp32", 4.0),
    ("mnist", 128, "muon", "fp32", 6.0),
    ("small cifar", 256, "muon", "bf16", 5.0),
    ("mnist", 2048, "muon", "bf16", None),
    ("width 128", 512, "muon", "bf16", None),
    ("mnist", 2048, "adamw", "fp32", None),
    ("small cifar", 2048, "muon", "bf16", None),
]
WARM, SECONDS = 12, 4.0  # steps before the clock starts, and how long it then runs
OLDER = """
import json, sys, time
import torch
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine
case = json.loads(sys.argv[1])
torch.manual_seed(0)
count, channels, side = case["pictures"], case["network"]["channels_in"], case["side"]
x, y = torch.rand(count, channels, side, side) * 2 - 1, torch.arange(count) % 10
if case["device"] == "cuda": x, y = x.cuda(), y.cuda()
wait = torch.cuda.synchronize if case["device"] == "cuda" else (lambda: None)
loop = train(UNet(**case["network"]), x, cosine(1000), steps=10**6, batch_size=case["batch"], lr=1e-3, labels=y,
    predicts="v", drop_labels=0.1, optimizer=case["optimizer"], device=case["device"],
    precision={"fp32": "single"}.get(case["precision"], "bf16"))
for _ in range(case["warm"]): next(loop)
wait(); begun, steps = time.perf_counter(), 0
while time.perf_counter() - begun < case["seconds"]: next(loop); steps += 1
wait(); print(json.dumps(steps * case["batch"] / (time.perf_counter() - begun)))
"""


class Bench:
    """What was asked for, what is there so far, and the clock."""

    def __init__(self, out: Path, device: str, *, quick: bool, older: Path | None, minutes: float) -> None:
        self.out, self.device, self.quick, self.older = out, device, quick, older
        self.ends = time.monotonic() + 60 * minutes
        self.found: dict[str, Any] = {}
        out.parent.mkdir(parents=True, exist_ok=True)

    def part(self, name: str, work: Callable[[], Any], *, needs: float = 20.0) -> None:
        """Do one part, if there is time, and write down what came of it."""
        if self.ends - time.monotonic() < needs and not self.quick:
            self.found[name] = {"skipped": "no time left"}
        else:
            self.found[name] = tried(work)
        print(name, self.found[name], flush=True)
        self.out.with_suffix(".json").write_text(json.dumps(self.found, indent=1) + "\n", "utf-8")

    def network(self, name: str) -> dict[str, Any]:
        """Its arguments; a narrow one where it is only to be seen that it runs."""
        return NETWORKS[name] | ({"width": 8} if self.quick else {})

    def wait(self) -> None:
        """Until the device has done all it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def pictures(self, network: str) -> tuple[Tensor, Tensor]:
        """As many as two batches and more; they show nothing."""
        count, channels = 64 if self.quick else 10_000, NETWORKS[network]["channels_in"]
        x = torch.rand(count, channels, SIDES[network], SIDES[network], generator=torch.Generator().manual_seed(0))
        return (2 * x - 1).to(self.device), (torch.arange(count) % 10).to(self.device)

    def training(self, network: str, config: TrainConfig, **given: Any) -> Iterator[Progress]:
        """A training of that network from the start."""
        torch.manual_seed(0)
        net, (x, y) = UNet(**self.network(network)), self.pictures(network)
        denoiser = Denoiser(net, schedule.cosine(1000), "v", classes=10)
        return train(denoiser, x, config, labels=y, device=self.device, **given)

    def speed(self, case: Case, **given: Any) -> float:
        """Pictures a second of this build."""
        network, batch, optimizer, precision, _ = case
        loop = self.training(network, _config(optimizer, precision, 4 if self.quick else batch, 10**6), **given)
        for _ in range(1 if self.quick else WARM):
            next(loop)
        self.wait()
        begun, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - begun < (0 if self.quick else SECONDS):
            progress = next(loop)
            steps += 1
        self.wait()
        spent = time.perf_counter() - begun
        loop.close()  # type: ignore[attr-defined]
        del progress
        return steps * (4 if self.quick else batch) / spent

    def older_speed(self, case: Case) -> float | None:
        """The same of the older checkout, in a process of its own; None without one."""
        network, batch, optimizer, precision, _ = case
        if self.older is None:
            return None
        asked = {
            "network": self.network(network), "side": SIDES[network], "optimizer": optimizer,
            "precision": precision, "device": self.device, "batch": 4 if self.quick else batch,
            "pictures": 64 if self.quick else 10_000,
            "warm": 1 if self.quick else WARM, "seconds": 0.01 if self.quick else SECONDS,
        }  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(self.older.resolve())}
        done = subprocess.run(
            [sys.executable, "-c", OLDER, json.dumps(asked)], capture_output=True, text=True, env=environment,
            cwd=self.older, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:])
        return float(json.loads(done.stdout.splitlines()[-1]))

    def bits(self, network: str, optimizer: Optimizer, precision: Precision) -> dict[str, Any]:
        """Whether two runs, a resumed one, and one without a graph end with the same bits; else how far apart."""
        steps = 6 if self.quick else 60
        config = _config(optimizer, precision, 4 if self.quick else 64, steps)

        def end(loop: Iterator[Progress]) -> Tensor:
            *_, last = loop
            return torch.cat([p.detach().flatten().cpu() for p in last.averaged.parameters()])

        first = end(self.training(network, config))
        with tempfile.TemporaryDirectory() as folder:
            how = {"checkpoint": folder, "checkpoint_every": steps // 3}
            loop = self.training(network, config, **how)
            while next(loop).step < steps // 2:
                pass
            loop.close()  # type: ignore[attr-defined]
            resumed = end(self.training(network, config, **how))
        others = {
            "again": end(self.training(network, config)), "resumed": resumed,
            "without a graph": end(self.training(network, config, graph=False)),
        }  # fmt: skip
        with _as_it_comes():
            pair = [end(self.training(network, config)) for _ in range(2)]
        apart = {name: (first - other).abs().max().item() for name, other in others.items()}
        return apart | {"not deterministic, twice": (pair[0] - pair[1]).abs().max().item()}

    def price(self, case: Case) -> dict[str, float]:
        """Pictures a second with deterministic convolutions, and without."""
        with _as_it_comes():
            free = self.speed(case)
        return {"deterministic": self.speed(case), "as it comes": free}

    def rounding(self, name: str) -> dict[str, float]:
        """How far a forward pass is from float64, as a share: as it comes, without TF32, in bfloat16."""
        network = weights.load_shipped(name)[0].network
        side, channels = weights.card(name).size, weights.card(name).config["channels_in"]
        g = torch.Generator().manual_seed(0)
        x, t = torch.randn(8, channels, side, side, generator=g), torch.arange(1, 9) * 120
        given = x, t, torch.arange(8)
        with torch.no_grad():
            exact = network.double()(x.double(), *given[1:])
            network, here = network.float().to(self.device), [each.to(self.device) for each in given]

            def off() -> float:
                return ((network(*here).cpu().double() - exact).norm() / exact.norm()).item()

            found = {"as it comes": off()}
            with torch.autocast(self.device, torch.bfloat16):
                found["bf16"] = off()
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                found["without TF32"] = off()
        return found

    def peak(self) -> float:
        """TFLOP/s of the largest product of two square matrices in bfloat16."""
        side, best = 256 if self.quick else 8192, 0.0
        a, b = torch.randn(2, side, side, device=self.device, dtype=torch.bfloat16)
        for _ in range(2 if self.quick else 6):
            self.wait()
            begun = time.perf_counter()
            for _ in range(2 if self.quick else 20):
                a @ b
            self.wait()
            best = max(best, (2 if self.quick else 20) * 2 * side**3 / (time.perf_counter() - begun) / 1e12)
        return best

    def recipe(self, name: str) -> dict[str, Any]:
        """Seconds for a hundred of a recipe's steps, and what it would take as a whole."""
        recipe = recipes.RECIPES[name]
        config = replace(recipe.training, batch_size=4 if self.quick else recipe.training.batch_size)
        x, y = self.pictures("mnist" if recipe.data == "mnist" else "small cifar")
        if self.quick:
            recipe = replace(recipe, network=recipe.network | {"width": 8})
        loop = train(recipe.build(), x, config, labels=y, device=self.device)
        for _ in range(1 if self.quick else WARM):
            next(loop)
        self.wait()
        begun, steps = time.perf_counter(), 1 if self.quick else 30
        for _ in range(steps):
            next(loop)
        self.wait()
        each = (time.perf_counter() - begun) / steps
        return {"seconds a step": each, "hours for all": each * config.steps / 3600, "config": asdict(config)}


def tried(work: Callable[[], Any]) -> Any:
    """What comes of it, or which error: whatever a device says, the other parts are worth having."""
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:400]}


@contextmanager
def _as_it_comes() -> Iterator[None]:
    """Convolutions as cuDNN chooses them, whatever order they add up in."""
    with patch.object(capture, "deterministic", lambda device: nullcontext()):
        yield


def _config(optimizer: Optimizer, precision: Precision, batch: int, steps: int) -> TrainConfig:
    config = TrainConfig(steps=steps, batch_size=batch, learning_rate=1e-3, drop_labels=0.1)
    return replace(config, optimizer=optimizer, precision=precision)
