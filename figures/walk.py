"""Noises walk to digits: a moving picture, which stands still for who wants no motion."""

import base64
import html
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from diffusion_lesson.learning import data
from diffusion_lesson.page.sheet import tiled
from diffusion_lesson.process import exact, samplers, schedule

COUNT, KEPT, SIDE = 8, 24, 72  # pictures in the row, frames of the walk, pixels of the page a picture
STILL, SECONDS = 8, 4  # frames that the digits rest at the end; one round
ALT = (
    "Eight squares of noise turn into eight handwritten digits, rest, and begin again: a walk by the best "
    "possible guess at the noise, for 200 digits"
)


def frames() -> np.ndarray:
    """Bytes (KEPT + STILL, 8, COUNT · 9 − 1): x_T, …, x_0 side by side, a white line between."""
    digits = data.digits("train")
    x0 = data.to_signed(digits.images, digits.levels)[:200].double()
    post = schedule.linear(1000, 0.00085, 0.012)
    noise = torch.randn(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(5)).double()
    best = exact.data_set(x0).eps_model(post)
    walk = torch.stack([noise, *samplers.ddim(post, noise, best, steps=KEPT - 1)])
    # 16 grey levels: what is left of a rounding error in the last digit is no other byte.
    grey = ((walk.clamp(-1, 1) + 1) * 7.5).round().mul(17).to(torch.uint8)[:, :, 0].numpy()
    grey = np.concatenate([grey, np.repeat(grey[-1:], STILL, axis=0)])
    return tiled(grey, COUNT, line=1, ground=255)


def build(folder: Path | None = None) -> Path:
    """Write an SVG that moves one tall picture behind a window. Its PNG is not packed: the same bytes anywhere."""
    shown = frames()
    count, high, wide = shown.shape
    buffer = io.BytesIO()
    Image.fromarray(shown.reshape(-1, wide)).save(buffer, "PNG", compress_level=0)
    picture = base64.b64encode(buffer.getvalue()).decode()
    scale = SIDE / high
    path = (folder or Path(__file__).parent) / "walk.svg"
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'viewBox="0 0 {wide * scale:g} {SIDE}" width="{wide * scale:g}" height="{SIDE}" role="img">\n'
        f"<title>Noise turns into digits</title>\n<desc>{html.escape(ALT)}</desc>\n"
        f"<metadata><dc:description>{html.escape(ALT)}</dc:description></metadata>\n"
        f"<style>\n@keyframes walk {{ to {{ transform: translateY(-{count * SIDE}px) }} }}\n"
        f"image {{ image-rendering: pixelated; animation: walk {SECONDS}s steps({count}) infinite }}\n"
        f"@media (prefers-reduced-motion) {{\n"
        f"  image {{ animation: none; transform: translateY(-{(count - 1) * SIDE}px) }}\n}}\n"
        f'</style>\n<image width="{wide * scale:g}" height="{count * SIDE}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{picture}"/>\n</svg>\n',
        "utf-8",
    )
    return path


if __name__ == "__main__":
    build()
