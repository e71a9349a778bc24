#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.4.6: safetensors.numpy writes a transposed array's numbers in the order they lie in memory.
#
# save and save_file take any array, and note its shape. What they write is its memory as it lies, so what isn't
# in C order comes back with its shape and each number elsewhere: pictures (height, width, channel) turned to (channel,
# height, width), kernels transposed from Keras' order to PyTorch's, an array in Fortran order. One that skips is
# filled with what it skipped. Nothing is raised or warned, and reading it with torch gives the same wrong tensor.
# safetensors.torch refuses the same tensors; 0.7.0 wrote them right. np.ascontiguousarray before saving cures it.
# (In safetensors' list of issues it is number 825.)
# Seen: of a picture's 3,072 numbers 2 are in their place; 0.7.0: all. Every second number comes back as the first half.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
for version in 0.7.0 0.8.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install -q "safetensors==$version" numpy==2.4.6 2>/dev/null
  "$folder/$version/bin/python" - "$folder/$version.safetensors" <<'P'
import json
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

picture = np.arange(32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3)  # height, width, channel: each number its own
given = {
    "picture": picture.transpose(2, 0, 1),
    "kernel": np.arange(3 * 3 * 8 * 16, dtype=np.float32).reshape(3, 3, 8, 16).transpose(3, 2, 0, 1),
    "fortran": np.asfortranarray(picture[..., 0]),
    "every second": np.arange(8, dtype=np.float32)[::2],
}
save_file(given, sys.argv[1])
back, bytes_back = load_file(sys.argv[1]), load(save(given))
kept = {}
for name, array in given.items():
    assert back[name].shape == array.shape
    assert np.array_equal(back[name], bytes_back[name])
    kept[name] = int((back[name] == array).sum())
    print(f"safetensors {safetensors.__version__}: {name:12} {kept[name]} of {array.size} numbers in their place")
    assert np.array_equal(load(save({"x": np.ascontiguousarray(array)}))["x"], array)
print("every second number of 0..7 comes back as", back["every second"].tolist())

# What the file itself holds, read without the library.
with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    body = file.read()
begin, end = header["picture"]["data_offsets"]
stored = np.frombuffer(body[begin:end], "<f4")
if safetensors.__version__ == "0.7.0":
    assert all(kept[name] == array.size for name, array in given.items())
    assert np.array_equal(stored, given["picture"].ravel())
else:
    assert np.array_equal(stored, picture.ravel())  # as it lay in memory, and not as the array had it
    assert all(kept[name] < array.size / 3 for name, array in given.items())
    assert back["every second"].tolist() == [0, 1, 2, 3]
print("as found, safetensors", safetensors.__version__)
P
done
