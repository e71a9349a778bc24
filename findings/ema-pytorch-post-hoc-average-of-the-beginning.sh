#!/usr/bin/env bash
# ema-pytorch 0.8.3, torch 2.13.0: the post-hoc EMA (PostHocEMA, KarrasEMA) as it comes is nearly the network of the
# start, whatever sigma_rel it is asked for.
#
# The averages of Karras et al. 2023 (arXiv 2312.02696) keep (1 - 1 / t) ** (gamma + 1) of the old weights at step t, if
# they are updated at every step. Here they are updated at each 100th, update_every's default, with the same factor:
# what should decay over a hundred steps decays once. So the average's centre, which sigma_rel fixes as a share of the
# run, is far too early, and much of it is the weights that the first update copied. synthesize_ema_model solves for a
# mix of these averages as if they had the right profile, and inherits their place. update_every=1 gives what theory
# says; the README's own example takes 10. Nothing is raised or warned.
# Seen after 3 000 steps with a weight that is the number of its step, the lag behind the last step in parts of the run:
# sigma_rel              0.05    0.10    0.28
# theory                0.053   0.112   0.461
# update_every 1        0.053   0.112   0.461
#             10        0.358   0.558   0.895
#            100        0.851   0.928   0.989
# With 100, from 64 % (0.05) to 97 % (0.28) of the average comes from the first tenth of the run; with 1, 0 % and 7 %.
# Synthesized for sigma_rel 0.10: 0.112, 0.654, 0.932 behind with 1, 10, 100.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 ema-pytorch==0.8.3 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - "$folder" <<'P'
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from ema_pytorch import KarrasEMA, PostHocEMA

STEPS = 3000


def train(kind, weight_at, **words):
    """The average, after STEPS steps in which training sets the one weight to weight_at(step)."""
    layer = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.constant_(layer.weight, weight_at(0))
    ema = kind(layer, **words)
    for step in range(1, STEPS + 1):
        layer.weight.data.fill_(weight_at(step))
        ema.update()
    return ema


def theory(sigma_rel):
    """How far the centre of the profile t ** gamma lies behind its end, 1 / (gamma + 2), at this relative width."""
    low, high = -0.5, 1000.0
    for _ in range(100):
        gamma = (low + high) / 2
        wide = (gamma + 1) ** 0.5 / (gamma + 2) / (gamma + 3) ** 0.5 > sigma_rel
        low, high = (gamma, high) if wide else (low, gamma)
    return 1 / (gamma + 2)


found = {}
for every in (1, 10, 100):
    words = {} if every == 100 else {"update_every": every}
    for sigma_rel in (0.05, 0.1, 0.28):
        ramp = train(KarrasEMA, float, sigma_rel=sigma_rel, **words)
        lag = 1 - ramp.ema_model.weight.item() / STEPS
        # a second way: a weight that leaves 0 when a tenth of the run is over and is 1 from there on
        jump = train(KarrasEMA, lambda step: float(step > STEPS // 10), sigma_rel=sigma_rel, **words)
        old = 1 - jump.ema_model.weight.item()
        found[every, sigma_rel] = lag, old
        print(
            f"update_every {every:3} sigma_rel {sigma_rel:.2f}: lag {lag:.3f} of the run "
            f"(theory {theory(sigma_rel):.3f}), {old:.1%} of the average is from the first tenth"
        )
for sigma_rel in (0.05, 0.1, 0.28):
    assert abs(found[1, sigma_rel][0] - theory(sigma_rel)) < 0.002
seen = {(10, 0.05): 0.358, (10, 0.28): 0.895, (100, 0.05): 0.851, (100, 0.1): 0.928, (100, 0.28): 0.989}
for key, lag in seen.items():
    assert abs(found[key][0] - lag) < 0.005, key
assert found[100, 0.05][1] > 0.6 and found[100, 0.28][1] > 0.95 and found[1, 0.28][1] < 0.1

words = {"sigma_rels": (0.05, 0.28), "checkpoint_every_num_steps": 100}
for every in (1, 10, 100):
    folder = str(Path(sys.argv[1]) / f"every-{every}")
    more = {} if every == 100 else {"update_every": every}
    ema = train(PostHocEMA, float, checkpoint_folder=folder, **words, **more)
    lag = 1 - ema.synthesize_ema_model(sigma_rel=0.1).ema_model.weight.item() / STEPS
    print(f"update_every {every:3}: synthesized for sigma_rel 0.10, lag {lag:.3f} (theory {theory(0.1):.3f})")
    assert abs(lag - theory(0.1)) < 0.002 if every == 1 else lag > 0.5
print("as found, ema-pytorch", version("ema-pytorch"))
P
