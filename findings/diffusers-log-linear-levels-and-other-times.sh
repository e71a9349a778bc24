#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: EulerDiscreteScheduler(interpolation_type="log_linear") asks the network about one
# noise level and walks by another.
#
# The name promises the levels of the chosen steps, read off between the table's entries on a log scale. What it does is
# to lay levels out evenly in log sigma from the largest to the smallest, and to leave the steps where they were.
# So the input is scaled and the picture moved as if it had one level, and the network hears the time of another: in
# 10 steps t = 444 is 2.5 to the network and 1.25 to the sampler. The list is also one too long: the last step ends
# on the smallest level, not on 0. Nothing is raised or warned, and a network that is asked for the wrong level still
# answers. With use_karras_sigmas=True the times are made anew, and all is right.
# Seen in 100 steps, exact eps for pictures of mean 0.3 and standard deviation 0.5: mean 0.17, spread 0.46; if the
# network says the picture instead, 0.33 and 0.07. "linear": 0.29 and 0.48 for both.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch
from diffusers import EulerDiscreteScheduler

MEAN, STD = 0.3, 0.5


def walk(steps, **words):
    """Mean and spread at the end of a walk with exact answers for the level of the time that is asked for."""
    scheduler = EulerDiscreteScheduler(**words)
    scheduler.set_timesteps(steps)
    table = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().log().double()
    x = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0)).double() * scheduler.init_noise_sigma
    apart = []
    for i, t in enumerate(scheduler.timesteps.tolist()):
        low = min(int(t), 998)
        sigma = (table[low] * (low + 1 - t) + table[low + 1] * (t - low)).exp()
        apart.append((scheduler.sigmas[i] / sigma).item())
        seen = scheduler.scale_model_input(x, scheduler.timesteps[i]) * (sigma**2 + 1).sqrt()
        x0 = (MEAN * sigma**2 + STD**2 * seen) / (sigma**2 + STD**2)
        out = x0 if scheduler.config.prediction_type == "sample" else (seen - x0) / sigma
        x = scheduler.step(out, scheduler.timesteps[i], x).prev_sample
    return x.mean().item(), x.std().item(), apart, len(scheduler.sigmas), scheduler.sigmas[steps].item()


for steps in (20, 100):
    for kind in ("epsilon", "sample"):
        for name in ("linear", "log_linear"):
            mean, std, apart, levels, last = walk(steps, interpolation_type=name, prediction_type=kind)
            print(
                f"{steps} steps, {kind:7} {name:10} mean {mean:.3f}, spread {std:.3f}; sampler's / network's level "
                f"from {min(apart):.2f} to {max(apart):.2f}; {levels} levels, ends on {last:.4f}"
            )
            if name == "linear":
                assert abs(mean - 0.29) < 0.02 and std > 0.4 and 0.99 < min(apart) and max(apart) < 1.01
                assert levels == steps + 1 and last == 0
            else:
                assert levels == steps + 2 and abs(last - 0.01) < 1e-3 and min(apart) < 0.2
                assert mean < 0.2 if kind == "epsilon" else std < 0.12
karras = [walk(100, interpolation_type=name, use_karras_sigmas=True)[:2] for name in ("linear", "log_linear")]
print("with Karras' levels, linear and log_linear:", [[f"{v:.3f}" for v in row] for row in karras])
assert max(abs(a - b) for a, b in zip(*karras)) < 1e-3
print("as found, diffusers", diffusers.__version__)
P
