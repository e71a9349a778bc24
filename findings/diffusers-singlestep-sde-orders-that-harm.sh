#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: with algorithm_type="sde-dpmsolver++" the singlestep DPM-Solver gets worse with its
# order, at the same number of calls.
#
# Orders 2 and 3 ask the network once or twice on the way to a step's end. What it is shown there has noise of its own,
# drawn for the occasion. Then the step begins again at its start, with fresh noise, and the answers from the way are
# corrections to it: they are about another path. So they cancel no error, and the long step has lost its middle. All
# three orders are of the first order, the "higher" the worse. (The ODE, "dpmsolver++", is well, and so is the multistep
# SDE of order 2.) Where the noise of the way is kept, as a part of the whole step's, the same formula beats
# order 1. Nothing is raised or warned.
# Seen with exact eps for pictures of standard deviation 0.5, 12, 48, 96, 300 calls: order 1 0.350, 0.443, 0.469, 0.488;
# order 2 0.338, 0.426, 0.453, 0.481; order 3 0.337, 0.415, 0.441, 0.472. Order 2 by hand: the same as here with the
# noise drawn anew, 0.359, 0.470, 0.490, 0.498 with the noise kept.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch
from diffusers import DPMSolverSinglestepScheduler

STD, PICTURES = 0.5, 100000
diffusers.logging.set_verbosity_error()


def answers(x, a):
    """The exact eps and picture for alphas_cumprod a."""
    variance = a * STD**2 + 1 - a
    return (1 - a).sqrt() * x / variance, a.sqrt() * STD**2 * x / variance


def theirs(calls, order, kind="sde-dpmsolver++"):
    scheduler = DPMSolverSinglestepScheduler(algorithm_type=kind, solver_order=order)
    scheduler.set_timesteps(calls)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(PICTURES, 1, generator=generator)
    for t in scheduler.timesteps:
        x = scheduler.step(answers(x, scheduler.alphas_cumprod[int(t)])[0], t, x, generator=generator).prev_sample
    return x.std().item()


def by_hand(calls, kept):
    """Order 2 over the same levels, two by two, the end of order 1; the middle's noise is kept or drawn anew."""
    scheduler = DPMSolverSinglestepScheduler()
    scheduler.set_timesteps(calls)
    levels = [scheduler.alphas_cumprod[int(t)] for t in scheduler.timesteps]
    generator = torch.Generator().manual_seed(0)

    def dice():
        return torch.randn(PICTURES, 1, generator=generator)

    def parts(a, b):
        h = ((b / (1 - b)).log() - (a / (1 - a)).log()) / 2
        shrink = ((1 - b) / (1 - a)).sqrt() * torch.exp(-h)
        return h, shrink, b.sqrt() * (1 - torch.exp(-2 * h)), (1 - b).sqrt() * (1 - torch.exp(-2 * h)).sqrt()

    x = dice()
    whole = (calls - 2) // 2 * 2
    for start, middle, end in zip(levels[0:whole:2], levels[1:whole:2], levels[2::2]):
        before = answers(x, start)[1]
        first, shrink, pull, noise = parts(start, middle)
        push = noise * dice()
        there = answers(shrink * x + pull * before + push, middle)[1]
        if kept:
            _, shrink, _, noise = parts(middle, end)
            total = shrink * push + noise * dice()
        else:
            total = parts(start, end)[3] * dice()
        length, shrink, pull, _ = parts(start, end)
        x = shrink * x + pull * (before + 0.5 * (there - before) * length / first) + total
    for start, end in zip(levels[whole:-1], levels[whole + 1 :]):
        _, shrink, pull, noise = parts(start, end)
        x = shrink * x + pull * answers(x, start)[1] + noise * dice()
    return answers(x, levels[-1])[1].std().item()


found = {}
for calls in (12, 48, 96, 300):
    found[calls] = [theirs(calls, order) for order in (1, 2, 3)] + [by_hand(calls, False), by_hand(calls, True)]
    told = [f"{std:.3f}" for std in found[calls]]
    print(f"{calls:3} calls: orders 1, 2, 3 {told[:3]}; by hand, order 2: noise drawn anew {told[3]}, kept {told[4]}")
    one, two, three, anew, kept = found[calls]
    assert three < two + 0.003 < one < kept < STD + 0.01 and abs(anew - two) < 0.004
ode = [theirs(96, order, "dpmsolver++") for order in (1, 2, 3)]
print("the ODE, 96 calls, orders 1, 2, 3:", [f"{std:.3f}" for std in ode])
assert ode[0] < ode[1] < ode[2]
for order, seen in enumerate((0.469, 0.453, 0.441)):
    assert abs(found[96][order] - seen) < 0.006
print("as found, diffusers", diffusers.__version__)
P
