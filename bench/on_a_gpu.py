"""What the package does on a GPU, in ten minutes: speed beside an older checkout, equality of bits, rounding.

    python -m bench.on_a_gpu --older ../diffusion-lesson-328409c      # a git worktree of commit 328409c, say
    python -m bench.on_a_gpu --quick --out /tmp/tried                 # on a CPU, a minute: that all of it runs

It needs no data: a step costs the same whatever the pictures show. Each part is written to OUT.json as soon as it
is there, and OUT.md is the table. A part that fails is written down as an error, and the next one begins.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.gpu import CASES, SIDES, Bench, Case, tried
from diffusion_lesson.networks.unet import UNet

SHARE = 0.3  # of the measured peak in bf16, that the network of width 128 shall reach


def gflop(network: dict[str, Any], side: int) -> float:
    """GFLOP of one picture's training step: forward and back, a multiplication and an addition being two."""
    net, x = UNet(**network), torch.zeros(1, network["channels_in"], side, side)
    with FlopCounterMode(display=False) as counter:
        net(x, torch.tensor([5]), torch.tensor([0])).square().mean().backward()
    return counter.get_total_flops() / 1e9


def table(found: dict[str, Any]) -> str:
    """The Markdown of what was found."""
    lines = ["| network, batch, optimizer, precision | pictures/s | without a graph | older | times | target |"]
    lines.append("|" + "---|" * 6)
    for network, batch, optimizer, precision, target in CASES:
        name = f"{network}, {batch}, {optimizer}, {precision}"
        row = found.get(f"speed: {name}", {})
        now, plain, older = (row.get(key) for key in ("now", "no graph", "older"))
        numbers = [f"{value:,.0f}" if isinstance(value, float) else "–" for value in (now, plain, older)]
        times = f"{now / older:.1f}" if isinstance(now, float) and isinstance(older, float) else "–"
        lines.append(f"| {' | '.join([name, *numbers, times, f'{target:g}' if target else '–'])} |")
    rest = {name: value for name, value in found.items() if not name.startswith("speed: ")}
    return "\n".join([*lines, "", *(f"- {name}: {json.dumps(value)}" for name, value in rest.items())]) + "\n"


def main(argv: list[str] | None = None) -> None:
    """All parts, the most wanted first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--older", type=Path, help="a checkout of commit 328409c, to be measured beside this one")
    parser.add_argument("--out", type=Path, default=Path("runs", "on_a_gpu"), help="(%(default)s).json and .md")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that all of it runs")
    parser.add_argument("--minutes", type=float, default=9.5, help="(%(default)s)")
    asked = parser.parse_args(argv)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = Bench(asked.out, device, quick=asked.quick, older=asked.older, minutes=asked.minutes)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    bench.part("machine", lambda: {"device": name, "torch": torch.__version__, "quick": asked.quick}, needs=0)

    def speeds(case: Case) -> dict[str, Any]:
        ways = {
            "now": lambda: bench.speed(case), "no graph": lambda: bench.speed(case, graph=False),
            "older": lambda: bench.older_speed(case),
        }  # fmt: skip
        return {name: tried(way) for name, way in ways.items()}

    def use() -> dict[str, float]:
        row = bench.found["speed: " + ", ".join(map(str, CASES[4][:4]))]
        top, work = bench.peak(), gflop(bench.network("width 128"), SIDES["width 128"])
        reached = row["now" if isinstance(row["now"], float) else "no graph"] * work / 1e3
        return {"GFLOP a picture": work, "TFLOP/s": reached, "peak": top, "share": reached / top, "target": SHARE}

    for case in CASES[:5]:
        bench.part("speed: " + ", ".join(map(str, case[:4])), partial(speeds, case), needs=45)
    bench.part("share of the peak", use)
    for given in (("mnist", "muon", "fp32"), ("small cifar", "muon", "bf16"), ("small cifar", "adamw", "fp32")):
        bench.part("bits: " + ", ".join(given), partial(bench.bits, *given), needs=40)
    bench.part("price of determinism: small cifar", lambda: bench.price(CASES[2]))
    bench.part("price of determinism: mnist, fp32", lambda: bench.price(CASES[5]))
    for shipped in ("mnist", "cifar10"):
        bench.part(f"rounding: {shipped}", partial(bench.rounding, shipped))
    for case in CASES[5:]:
        bench.part("speed: " + ", ".join(map(str, case[:4])), partial(speeds, case), needs=45)
    for recipe in ("mnist-gpu", "cifar10-gpu"):
        bench.part(f"recipe: {recipe}", partial(bench.recipe, recipe), needs=45)
    bench.out.with_suffix(".md").write_text(table(bench.found), "utf-8")
    print(table(bench.found))


if __name__ == "__main__":
    main()
