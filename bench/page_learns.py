"""The page trains (lesson 10): how long that takes, and how good the digits are then.

python -m bench.page_learns           # three seeds; writes page_learns.json

Node, which has Chromium's JavaScript, trains the network of lesson 10 by the page's program, 1,400 steps. With its
averaged weights PyTorch draws 1,797 digits, as for the card of `digits`: DDPM with σ² = β̃, all 200 steps, rounded
to whole grey levels, against all 1,797 real digits.
"""

import json
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from diffusion_lesson.learning import data, metrics, weights
from diffusion_lesson.learning.recipes import RECIPES
from diffusion_lesson.page.network import PageLearner
from diffusion_lesson.process import samplers

RESULT = Path(__file__).with_name("page_learns.json")
RECIPE, SEEDS = RECIPES["digits-20s"], (0, 1, 2)
TRAIN = """
const [program, key, pictures, seed] = process.argv.slice(1);
require(program);
const {network, train} = globalThis.diffusionLesson[key], trained = {};
const {unet, schedule, training, begins} = network();
const x = JSON.parse(require("fs").readFileSync(pictures)).map(picture => Float32Array.from(picture));
const begun = process.cpuUsage();
unet.begin(begins, Number(seed));
let last;
for (last of train(unet, schedule, x, training, Number(seed)));
const {user, system} = process.cpuUsage(begun);
unet.weights.set(last.averaged);
for (const [name, {numbers, inputs, outputs, size}] of Object.entries(unet.layers)) {
  const out = trained[name] = [];
  for (let o = 0; o < outputs; o++) for (let c = 0; c < inputs; c++) for (let p = 0; p < size ** 2; p++)
    out.push(numbers[(p * inputs + c) * outputs + o]);
}
console.log(JSON.stringify([(user + system) / 1e6, trained]));
"""


def digits() -> torch.Tensor:
    """All real ones, the 1,437 of the training set first."""
    return torch.cat([data.to_signed(part.images, part.levels) for part in map(data.digits, ("train", "test"))])


def trained(seed: int) -> tuple[float, dict[str, list[float]]]:
    """CPU-seconds, and the averaged weights."""
    network = RECIPE.unet()
    training = {name: asdict(RECIPE.training)[name] for name in ("steps", "batch_size", "learning_rate", "ema")}
    page = PageLearner(
        network.state_dict(), network.config,
        schedule=RECIPE.schedule, predicts=RECIPE.predicts, size=8, training=training,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        program, pictures = Path(folder, "program.js"), Path(folder, "pictures.json")
        program.write_text(page.program, "utf-8")
        pictures.write_text(json.dumps(digits()[:1437].flatten(1).tolist()), "utf-8")
        command = ["node", "-e", TRAIN, str(program), page.key, str(pictures), str(seed)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, numbers = json.loads(done.stdout)
    return seconds, numbers


def distance(numbers: dict[str, list[float]]) -> float:
    """The Fréchet distance of what the network with these weights draws."""
    denoiser = RECIPE.build()
    state = denoiser.network.state_dict()
    denoiser.network.load_state_dict({name: torch.tensor(numbers[name]).view_as(state[name]) for name in state})
    classifier, generator = weights.load_classifier("classifier-digits")[0], torch.Generator().manual_seed(1)
    real = digits()
    noise = torch.randn(real.shape, generator=generator)
    walk = samplers.ddpm(
        denoiser.schedule, noise, denoiser.eps_model(), variance="beta_tilde", generator=generator
    )
    drawn = data.to_signed(data.to_uint8(samplers.last(walk), 17), 17)
    return metrics.frechet_distance(metrics.features(classifier, drawn), metrics.features(classifier, real))


def main() -> dict[str, object]:
    """The three seeds."""
    torch.set_num_threads(1)
    found = {seed: trained(seed) for seed in SEEDS}
    return {
        "n": len(digits()),
        "CPU-seconds": [round(seconds, 1) for seconds, _ in found.values()],
        "Fréchet distance": [round(distance(numbers), 2) for _, numbers in found.values()],
    }


if __name__ == "__main__":
    result = main()
    print(json.dumps(result, ensure_ascii=False))
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
