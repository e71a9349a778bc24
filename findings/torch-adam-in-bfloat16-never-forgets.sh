#!/usr/bin/env bash
# torch 2.13.0, CPU: over bfloat16 weights Adam and AdamW never forget a large gradient; its step stays small for good.
#
# The second moment has the type of the weight, and is to shrink by 1 - beta2 = 0.001 in each step. In bfloat16 two
# neighbours are 0.004 to 0.008 of their size apart, so the product is rounded back to where it was: it can grow, and
# never shrinks. One bad batch, or the large gradients of a run's beginning, set the step size of all that follows.
# It is so with foreach and with fused. With beta2 = 0.99 it does shrink. Nothing is raised or warned; the weights do
# move, and the loss falls.
# Seen, 4,096 weights, gradients of spread 1 and in step 100 of spread 100: the mean second moment just after it and
# after 5,000 more: 10.4 and 1.06 in float32, 10.4 and 10.9 in bfloat16; the last step is 0.18 and 0.08 learning rates
# long. With gradients of 0 from then on the moment ends at 0.07 in float32, and in bfloat16 where it was. With
# gradients of 1 from then on, where the step should be 1 learning rate, it is 0.97 and 0.62.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import torch


def walk(dtype, after, steps=5000, betas=(0.9, 0.999), kind=torch.optim.AdamW, **words):
    """The mean second moment after the large gradient and at the end, and the last step's mean length."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(4096, dtype=dtype, requires_grad=True)
    optimizer = kind([weight], lr=1e-3, betas=betas, weight_decay=0, **words)
    moment = []
    for step in range(steps + 101):
        gradient = torch.randn(4096, generator=generator)
        if step == 100:
            gradient = 100 * gradient
        if step > 100 and after is not None:
            gradient = torch.full_like(gradient, after)
        weight.grad = gradient.to(dtype)
        if step == steps + 100:
            weight.data.zero_()  # so that the step is seen whole, whatever the weight's own rounding is
        optimizer.step()
        if step in (100, steps + 100):
            moment.append(optimizer.state[weight]["exp_avg_sq"].float().mean().item())
    return moment[0], moment[1], weight.detach().float().abs().mean().item() / 1e-3


single, half = torch.float32, torch.bfloat16
for name, after in (("noise", None), ("0", 0.0), ("1", 1.0)):
    for dtype in (single, half):
        first, last, length = walk(dtype, after)
        print(f"{str(dtype):15} gradients of {name:5} after it: {first:6.2f} then {last:6.2f}, last step {length:.2f}")
        assert 9 < first < 12
        assert last > 0.98 * first if dtype is half else last < 0.15 * first
        if after == 1:
            assert 0.9 < length < 1.05 if dtype is single else length < 0.75
for words in ({"foreach": True}, {"fused": True}, {"kind": torch.optim.Adam}):
    first, last, _ = walk(half, None, **words)
    print(words, f"{first:.2f} then {last:.2f}")
    assert last > 0.98 * first
first, last, _ = walk(half, None, betas=(0.9, 0.99))
print(f"beta2 = 0.99: {first:.2f} then {last:.2f}")
assert last < 0.15 * first

# by itself: no positive number of bfloat16 shrinks when it is multiplied by 0.999
bits = torch.arange(0x0080, 0x7F80, dtype=torch.int16)  # all normal ones
numbers = bits.view(torch.bfloat16)
assert torch.equal(numbers * 0.999, numbers)
print("as found, torch", torch.__version__)
P
