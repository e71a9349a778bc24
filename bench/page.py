"""Digits drawn by the page's program, in Node, against the same digits drawn by PyTorch.

python -m bench.page              # 5,000 of each, 25 steps, eta = 1; writes page.json
python -m bench.page 500          # fewer

Both begin with the same noise and add the same noise on the way, so each picture has a twin. What is compared is
the Fréchet distance of all, and how far twins are apart. page.json says what came of it.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from bench.scores import distances
from diffusion_lesson.learning import weights
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.page.network import PageNetwork
from diffusion_lesson.process import samplers

RESULT = Path(__file__).with_name("page.json")
STEPS, SIZE, BATCH = 25, 28, 250
DRAW = """
const [program, key, count, steps, out] = process.argv.slice(1);
require(program);
const {network, ddim, normals} = globalThis.diffusionLesson[key], net = network(), all = [];
const size = net.unet.config.size ** 2;
for (let seed = 0; seed < Number(count); seed++) {
  let last;
  const options = {steps: Number(steps), eta: 1, label: seed % 10, z: normals(seed, 1)};
  for (last of ddim(net, normals(seed)(size), options));
  all.push(Buffer.from(last.x.buffer));
}
require("fs").writeFileSync(out, Buffer.concat(all));
"""


def normals(seeds: np.ndarray, stream: int = 0) -> Callable[[int], np.ndarray]:
    """The page's generator (js/samplers.js) for many seeds at once: a function of n that draws (len(seeds), n)."""
    a, b = np.zeros(len(seeds), np.uint32), seeds.astype(np.uint32)
    c, counter = np.full(len(seeds), stream, np.uint32), np.uint32(1)
    state: tuple[np.ndarray, ...] = (a, b, c)

    def following() -> np.ndarray:
        nonlocal state, counter
        a, b, c = state
        out = a + b + counter
        counter = np.uint32((int(counter) + 1) % 2**32)
        state = b ^ (b >> 9), c + (c << 3), ((c << 21) | (c >> 11)) + out
        return out

    for _ in range(15):
        following()

    def one() -> np.ndarray:
        radius = np.sqrt(-2 * np.log((following() + 1.0) / 2**32))
        return radius * np.cos(2 * np.pi * following() / 2**32)

    return lambda count: np.stack([one() for _ in range(count)], axis=1).astype(np.float32)


def shipped(name: str = "mnist") -> tuple[Denoiser, PageNetwork]:
    """A network that ships, and the same for the page."""
    denoiser, card = weights.load_shipped(name)
    assert card.schedule is not None
    tensors = denoiser.network.state_dict()
    return denoiser, PageNetwork(
        tensors, card.config, schedule=card.schedule, predicts=denoiser.predicts, size=card.size
    )


def by_torch(count: int) -> Tensor:
    """What PyTorch draws, with the page's noise."""
    denoiser, drawn = shipped()[0], []
    for seeds in torch.arange(count).split(BATCH):
        z = normals(seeds.numpy(), 1)
        shape = (len(seeds), 1, SIZE, SIZE)
        xT = torch.from_numpy(normals(seeds.numpy())(SIZE**2)).reshape(shape)
        eps_model = denoiser.eps_model(seeds % 10)
        with patch.object(samplers, "noise", lambda x, _, z=z: torch.from_numpy(z(SIZE**2)).reshape(x.shape)):
            drawn.append(samplers.last(samplers.ddim(denoiser.schedule, xT, eps_model, steps=STEPS, eta=1.0)))
    return torch.cat(drawn)


def by_node(count: int) -> Tensor:
    """What the page's program draws."""
    page = shipped()[1]
    with tempfile.TemporaryDirectory() as folder:
        program, out = Path(folder, "program.js"), Path(folder, "drawn")
        program.write_text(page.program, "utf-8")
        command = ["node", "-e", DRAW, str(program), page.key, str(count), str(STEPS), str(out)]
        subprocess.run(command, check=True)
        drawn = np.fromfile(out, np.float32).reshape(count, 1, SIZE, SIZE)
    return torch.from_numpy(drawn)


def main(count: int) -> dict[str, object]:
    """The comparison."""
    torch.set_num_threads(1)
    page, ours = by_node(count), by_torch(count)
    apart = (page - ours).abs().flatten(1).max(1).values
    fd = {name: distances(x, (count,))[str(count)] for name, x in (("page", page), ("torch", ours))}
    return {
        "n": count,
        "Fréchet distance": {name: round(value, 4) for name, value in fd.items()},
        "page above torch": f"{fd['page'] / fd['torch'] - 1:+.3%}",
        "largest difference of twins": {
            "median": round(apart.median().item(), 6), "99 %": round(apart.quantile(0.99).item(), 6),
            "largest": round(apart.max().item(), 6),
        },
    }  # fmt: skip


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    result = main(wanted)
    print(json.dumps(result, indent=1, ensure_ascii=False))
    if wanted == 5000:
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
