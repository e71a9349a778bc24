#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: UNet2DModel(time_embedding_type="fourier") divides what it answers by the time.
#
# The word names how the network is told the time. It also makes the last line of forward divide the answer by it, as
# fits a network that hears sigma and answers with a score. Where the time is 1 to 999, the answer is a thousandth of
# what the layers made; where it is a flow's time between 0 and 1, it is up to a thousand times as large and the loss of
# a few small times is all of the loss. Shapes are right and training runs. "positional" and "learned" don't divide.
# Nothing is raised or warned; the docstring speaks of the embedding alone. (A time of exactly 0 gives NaN.)
# Seen, last layer set to answer 1: 1 for every time with "positional"; 1000, 1, 0.01, 0.001 at t = 0.001, 1, 100, 999
# with "fourier". A small network that is to hand its input on learns it in 80 steps to 0.02 with "positional" and is at
# 0.99, where answering 0 has 1, with "fourier". New, with times 0 to 1: mean loss 1.2 and 131, of the latter 96 % from
# the times below 0.02.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch
from diffusers import UNet2DModel


def network(kind):
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(16, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        time_embedding_type=kind,
    )


times = torch.tensor([0.001, 1.0, 100.0, 999.0])
for kind in ("positional", "fourier"):
    model = network(kind)
    torch.nn.init.zeros_(model.conv_out.weight)
    torch.nn.init.ones_(model.conv_out.bias)
    with torch.no_grad():
        answers = model(torch.randn(4, 1, 8, 8), times).sample
    print(f"{kind:11} the last layer says 1:", [f"{a:.4g}" for a in answers.mean((1, 2, 3)).tolist()])
    right = torch.ones(4) if kind == "positional" else 1 / times
    assert torch.allclose(answers, right[:, None, None, None].expand_as(answers), rtol=1e-5)

# times 1 to 999: learn to answer the noise, which is the input itself
late = {}
for kind in ("positional", "fourier"):
    model = network(kind)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(80):
        noise = torch.randn(8, 1, 8, 8)
        loss = (model(noise, torch.randint(1, 1000, (8,))).sample - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    late[kind] = sorted(losses[-21:])[10]
    print(f"{kind:11} times 1 to 999: median loss of the last 21 of 80 steps {late[kind]:.2f}")
assert late["positional"] < 0.3 and late["fourier"] > 0.8

# times 0 to 1: what a new network's loss is made of
times = (torch.arange(400) + 0.5) / 400
noise = torch.randn(400, 1, 8, 8)
share = {}
for kind in ("positional", "fourier"):
    with torch.no_grad():
        losses = (network(kind)(noise, times).sample - noise).square().mean((1, 2, 3))
    share[kind] = (losses[:8].sum() / losses.sum()).item()
    print(f"{kind:11} times 0 to 1: mean loss {losses.mean().item():.3g}, share of t < 0.02: {share[kind]:.2f}")
assert share["positional"] < 0.05 and share["fourier"] > 0.8
print("as found, diffusers", diffusers.__version__)
P
