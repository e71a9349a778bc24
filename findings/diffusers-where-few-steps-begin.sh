#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: where a walk of few steps begins depends on the spacing, and can be the clean end.
#
# set_timesteps(1) with timestep_spacing="linspace" gives t = 0 for DDIM and Euler: one step that takes pure noise for
# an almost clean picture. DPM-Solver++ under the same word gives t = 999. "leading" gives t = 0 (DDIM), 500
# (DPM-Solver++). And "leading" with 600 steps of 1000 begins at t = 599 (DDIM), 600 (DPM-Solver++): it strides by
# whole numbers, 1000 // 600 = 1, so the noisiest 400 steps are never asked. "trailing" begins at 999 in each case.
# Nothing is raised or warned. Seen: the table printed below.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

seen = {}
for spacing in ("linspace", "leading", "trailing"):
    for kind in (DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler):
        firsts = []
        for steps in (1, 2, 600):
            scheduler = kind(timestep_spacing=spacing)
            scheduler.set_timesteps(steps)
            firsts.append(int(scheduler.timesteps[0]))
        seen[spacing, kind.__name__] = firsts
        print(f"{spacing:9} {kind.__name__:28} first t with 1, 2, 600 steps: {firsts}")
assert seen == {
    ("linspace", "DDIMScheduler"): [0, 999, 999],
    ("linspace", "EulerDiscreteScheduler"): [0, 999, 999],
    ("linspace", "DPMSolverMultistepScheduler"): [999, 999, 999],
    ("leading", "DDIMScheduler"): [0, 500, 599],
    ("leading", "EulerDiscreteScheduler"): [0, 500, 599],
    ("leading", "DPMSolverMultistepScheduler"): [500, 666, 600],
    ("trailing", "DDIMScheduler"): [999, 999, 999],
    ("trailing", "EulerDiscreteScheduler"): [999, 999, 999],
    ("trailing", "DPMSolverMultistepScheduler"): [999, 999, 999],
}, seen
print("as found, diffusers", diffusers.__version__)
P
