#!/usr/bin/env bash
# torch 2.13.0, CPU: torch.rand in bfloat16 gives 0 where rounding would give 1; so 1 time in 512 "almost 1" is exactly 0.
#
# The number is drawn as a float and rounded. What rounds to 1 would leave [0, 1), and becomes the lower end instead:
# 0.999 turns into 0. Nothing else comes out as 0. In float16 it is 1 in 4096, and uniform_(-1, 1) jumps from the top
# to -1 in the same way. A time t of flow matching drawn like this calls pure noise a clean picture once in 512, and
# log(t), 1/t or a logit-normal's logit is infinite as often.
# Draw in float32 and cast afterwards: then it is 1 that comes, 1 time in 512, and 0 never here.
# Seen: in 400,000 draws in bfloat16 763 zeros, each one a float of 0.99805 or more; the others are the float, rounded.
# In one million, means 0.49830 (bfloat16) and 0.50027 (float32), infinite logits 1,963 and 0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import torch


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# One by one: few numbers are drawn in order, so that a draw in half precision has its float beside it.
for dtype, share in ((torch.bfloat16, 2**-9), (torch.float16, 2**-12)):
    full = torch.cat([torch.rand(8, generator=seeded(k)) for k in range(50_000)])
    half = torch.cat([torch.rand(8, generator=seeded(k), dtype=dtype) for k in range(50_000)])
    zero = half == 0
    print(f"{dtype}: {int(zero.sum())} zeros of {len(half)}, whose floats are {full[zero].min().item():.5f} or more")
    assert torch.equal(zero, full.to(dtype) == 1)
    assert torch.equal(half[~zero], full[~zero].to(dtype))
    assert 0.7 < zero.double().mean().item() / share < 1.3

# All at once: what it does to a mean and to a logit.
half, full = (torch.rand(10**6, generator=seeded(0), dtype=dtype) for dtype in (torch.bfloat16, torch.float32))
infinite = [int(torch.logit(u.double()).isinf().sum()) for u in (half, full)]
print(f"means {half.double().mean().item():.5f} {full.double().mean().item():.5f}, infinite logits {infinite}")
assert half.double().mean() < 0.4995 < full.double().mean()
assert 1700 < infinite[0] < 2200 and infinite[1] == 0
cast = full.to(torch.bfloat16)
assert 1700 < int((cast == 1).sum()) < 2200 and not (cast == 0).any()
around = torch.empty(10**6, dtype=torch.bfloat16).uniform_(-1, 1, generator=seeded(1))
print(f"uniform_(-1, 1): {int((around == -1).sum())} times -1, {int((around == 1).sum())} times 1")
assert 1700 < int((around == -1).sum()) < 2300 and not (around == 1).any()
print("as found, torch", torch.__version__)
P
