#!/usr/bin/env bash
# diffusers 0.42.1, ema-pytorch 0.8.3, torch 2.13.0: below some ten thousand steps, `decay` of their EMAs does nothing.
#
# Both warm up, and use the smaller of the warm-up's decay and yours. diffusers' EMAModel does it also with
# use_ema_warmup=False, its default: the decay is (1 + n) / (10 + n), which reaches 0.999 at step 8 991 and 0.9999 at
# step 89 991. The switch only chooses another warm-up. ema-pytorch's reaches 0.999 at step 31 700 and 0.9999 at
# 1 000 100, and acts at every tenth step only, so its memory is ten times as long again. Nothing is raised or warned.
# What counts is thus the length of the run, not the number asked for. A constant decay d lags 1 / (1 - d) - 1 steps.
# Seen with a weight that is the number of its step: after 5 000 steps EMAModel lags 500 steps with decay 0.999, 0.9999
# and 0.999999 alike, to the last bit; use_ema_warmup=True lags 280. ema-pytorch as it comes lags 1 973 of 5 000 and
# 5 758 of 20 000 steps, with beta 0.999 and 0.9999 alike.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 ema-pytorch==0.8.3 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
from importlib.metadata import version

import torch
from diffusers.training_utils import EMAModel
from ema_pytorch import EMA


def network():
    layer = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.zeros_(layer.weight)
    return layer


def lag_of_diffusers(steps, **words):
    layer = network()
    ema = EMAModel(layer.parameters(), **words)
    for step in range(1, steps + 1):
        layer.weight.data.fill_(step)
        ema.step(layer.parameters())
    return steps - ema.shadow_params[0].item()


def lag_of_ema_pytorch(steps, **words):
    layer = network()
    ema = EMA(layer, **words)
    for step in range(1, steps + 1):
        layer.weight.data.fill_(step)
        ema.update()
    return steps - ema.ema_model.weight.item()


def lag_asked_for(steps, decay):
    """A plain average with one decay that begins at step 1's weight."""
    mean = 1.0
    for step in range(2, steps + 1):
        mean = decay * mean + (1 - decay) * step
    return steps - mean


print("after 5000 steps the average lags, in steps:")
for decay in (0.99, 0.999, 0.9999):
    print(f"  a plain average, decay {decay}: {lag_asked_for(5000, decay):.0f}")
lags = {decay: lag_of_diffusers(5000, decay=decay) for decay in (0.99, 0.999, 0.9999, 0.999999)}
warm = lag_of_diffusers(5000, decay=0.9999, use_ema_warmup=True)
print("  EMAModel:", {k: round(v, 1) for k, v in lags.items()}, "use_ema_warmup=True:", round(warm, 1))
assert lags[0.999] == lags[0.9999] == lags[0.999999] and abs(lags[0.999] - 500) < 1
assert abs(lags[0.99] - 99) < 1 and abs(warm - 280) < 1
ends = {}
for steps in (5000, 20000):
    ends[steps] = [lag_of_ema_pytorch(steps, beta=beta) for beta in (0.999, 0.9999)]
    print(f"  ema-pytorch after {steps} steps, beta 0.999 and 0.9999:", [round(v, 1) for v in ends[steps]])
    assert ends[steps][0] == ends[steps][1]
assert abs(ends[5000][0] - 1973) < 2 and abs(ends[20000][0] - 5758) < 2

# a second way: the first step at which the decay asked for is the one in use
model, found = EMAModel(network().parameters(), decay=0.9999), {}
for decay in (0.999, 0.9999):
    model.decay = decay
    found[decay] = next(n for n in range(1, 10**6) if model.get_decay(n) == decay)
    print(f"EMAModel first uses decay {decay} at step {found[decay]}")
assert 8990 <= found[0.999] <= 8993 and 89990 <= found[0.9999] <= 89993
ema = EMA(network())
for beta, step in ((0.999, 31_700), (0.9999, 1_000_100)):
    ema.beta = beta
    ema.step.fill_(step - 200)
    before = ema.get_current_decay()
    ema.step.fill_(step + 200)
    assert before < beta and ema.get_current_decay() >= beta * (1 - 1e-6)
    print(f"ema-pytorch first uses beta {beta} near step {step}")
print("as found, diffusers", version("diffusers"), "ema-pytorch", version("ema-pytorch"))
P
