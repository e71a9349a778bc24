#!/usr/bin/env bash
# torch 2.13.0: autocast wrapped around a whole training loop computes every step with the weights of the first.
#
# Inside torch.autocast a weight is cast to bfloat16 once and kept until the block is left. Where the block holds the
# loop, optimizer.step() changes the weight and not its copy: all later steps are computed with the start's weights.
# Nothing is raised or warned. With autocast inside the loop, around the forward pass alone, or with
# cache_enabled=False, each step sees its own weights.
# Seen: in step 20 the first loop's layer still gives 1.00, though its weight has moved from 1 to -1; the two others
# give -0.90, as their weight then is.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
from contextlib import nullcontext

import torch


def walk(outside, inside):
    """The outputs that 20 steps of gradient descent saw, and the weight at the end. The loss is the output."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    optimizer, x, seen = torch.optim.SGD(layer.parameters(), lr=0.1), torch.ones(1, 1), []
    with outside():
        for _ in range(20):
            with inside():
                y = layer(x)
            seen.append(y.item())
            optimizer.zero_grad()
            y.float().sum().backward()
            optimizer.step()
    return seen, layer.weight.item()


def autocast(**how):
    return lambda: torch.autocast("cpu", dtype=torch.bfloat16, **how)


ways = {
    "around the loop": (autocast(), nullcontext),
    "around each forward pass": (nullcontext, autocast()),
    "around the loop, no cache": (autocast(cache_enabled=False), nullcontext),
}
found = {}
for name, (outside, inside) in ways.items():
    seen, weight = walk(outside, inside)
    found[name] = (seen[1], seen[-1])
    print(f"{name:26} step 1 saw {seen[0]:.2f}, step 20 saw {seen[-1]:+.2f}; the weight ended at {weight:+.2f}")
assert found["around the loop"] == (1.0, 1.0)
for name in ("around each forward pass", "around the loop, no cache"):
    assert abs(found[name][0] - 0.9) < 0.01 and abs(found[name][1] + 0.9) < 0.01
print("as found, torch", torch.__version__)
P
