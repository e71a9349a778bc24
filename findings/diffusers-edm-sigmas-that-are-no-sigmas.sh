#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: EDMEulerScheduler.set_timesteps(sigmas=...) doesn't walk the noise levels it is given.
#
# The docstring promises levels of one's own choice. The numbers are sent through the formula that
# makes the default levels. With sigma_schedule="karras" they are read as places between 0 (sigma_max) and 1
# (sigma_min): 0.9, 0.5, 0.1 become 0.017, 2.5, 45, a walk uphill, and 80 becomes -2.6e14, its time NaN. With
# "exponential" only their number counts. EulerDiscreteScheduler takes the same word literally. So to hand over
# the list that a paper or another sampler gives is silently wrong; a schedule of one's own is not to be had, but by
# setting `sigmas` and `timesteps` afterwards. Nothing is raised or warned.
# Seen: the lists printed below. A scheduler's own 40 levels, from 80 to 0.002, handed back to one like it: they become
# -2.6e14 to 79, and the first times are NaN.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch
from diffusers import EDMEulerScheduler, EulerDiscreteScheduler


def near(got, wanted):
    return torch.allclose(got, torch.tensor(wanted), rtol=1e-3)


low, high = torch.tensor([0.9, 0.5, 0.1]), torch.tensor([80.0, 5.0, 0.1])
euler = EulerDiscreteScheduler()
euler.set_timesteps(sigmas=[*low.tolist(), 0.0])
assert torch.equal(euler.sigmas[:-1], low)
found = {}
for schedule in ("karras", "exponential"):
    for given in (low, high):
        scheduler = EDMEulerScheduler(sigma_schedule=schedule)
        scheduler.set_timesteps(sigmas=given)
        found[schedule, given is low] = scheduler
        levels, times = ([f"{v:.4g}" for v in row] for row in (scheduler.sigmas, scheduler.timesteps))
        print(f"{schedule}, given {[round(v, 2) for v in given.tolist()]}: walks {levels}, times {times}")
assert near(found["karras", True].sigmas, [0.016721, 2.5152, 45.314, 0.0])
assert found["karras", False].sigmas[0] < -1e14 and found["karras", False].timesteps[0].isnan()
assert torch.equal(found["exponential", True].sigmas, found["exponential", False].sigmas)
assert near(found["exponential", True].sigmas, [80.0, 0.4, 0.002, 0.0])

own, back = EDMEulerScheduler(), EDMEulerScheduler()
own.set_timesteps(40)
back.set_timesteps(sigmas=own.sigmas[:-1])
print("first and last level and time of 40:", own.sigmas[[0, 39]].tolist(), own.timesteps[[0, 39]].tolist())
print("the same levels, handed back:       ", back.sigmas[[0, 39]].tolist(), back.timesteps[[0, 39]].tolist())
assert near(own.sigmas[[0, 39, 40]], [80.0, 0.002, 0.0]) and not own.timesteps.isnan().any()
assert back.sigmas[0] < -1e14 and near(back.sigmas[39], 79.13) and back.timesteps[0].isnan()
print("as found, diffusers", diffusers.__version__)
P
