#!/usr/bin/env bash
# torch 2.13.0: self-attention over a wholly masked row is finite in training and NaN when the trained network is used.
#
# A row whose every key is masked (an empty caption, the "no text" of classifier-free guidance) gives zeros before the
# last layer in nn.MultiheadAttention(need_weights=False) and in nn.TransformerEncoderLayer: in training, and in eval
# while gradients are recorded. In eval under torch.no_grad(), as pictures are drawn, another path is taken, and the
# same row is NaN. need_weights=True is NaN in all of them. nn.TransformerEncoder around the same layer is finite
# in all of them. So a loss that was finite to the end says nothing about sampling.
# Seen: of the four (training or eval, with or without gradients) NaN in eval without gradients alone.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")  # of nested tensors: a prototype
torch.manual_seed(0)
x, masked = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
masked[1] = True  # the second caption is empty
attention = nn.MultiheadAttention(8, 2, batch_first=True)
layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
stack = nn.TransformerEncoder(layer, 2)
ways = {
    "attention, no weights asked": (attention, lambda: attention(x, x, x, masked, need_weights=False)[0]),
    "attention, weights asked": (attention, lambda: attention(x, x, x, masked)[0]),
    "encoder layer": (layer, lambda: layer(x, src_key_padding_mask=masked)),
    "encoder of two layers": (stack, lambda: stack(x, src_key_padding_mask=masked)),
}
found = {}
for name, (module, call) in ways.items():
    nan = []
    for training in (True, False):
        for recorded in (True, False):
            module.train(training)
            with torch.set_grad_enabled(recorded):
                y = call()
            assert y[0].isfinite().all()  # the first caption is none of this
            nan.append(bool(y[1].isnan().any()))
    found[name] = nan
    print(f"{name:28} NaN with gradients / without: training {nan[0]} {nan[1]}, eval {nan[2]} {nan[3]}")
assert found == {
    "attention, no weights asked": [False, False, False, True],
    "attention, weights asked": [True, True, True, True],
    "encoder layer": [False, False, False, True],
    "encoder of two layers": [False, False, False, False],
}
attention.train()
empty = attention(x, x, x, masked, need_weights=False)[0][1]
assert torch.equal(empty, attention.out_proj.bias.expand_as(empty))  # zeros, then the last layer
print("as found, torch", torch.__version__)
P
