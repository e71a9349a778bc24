"""Frames as pictures that a page can move without a kernel: a sprite sheet, or two pictures mixed by CSS."""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from diffusion_lesson.page import plots
from diffusion_lesson.page.sheet import tiled

_TALLEST = 16383  # pixels, WebP's limit
_FILM = 6  # frames in a filmstrip


class Noising:
    """The frames √ᾱ x₀ + √(1−ᾱ) ε of DDPM eq. 4, one for each of `alpha_bars`: two pictures mixed by the page.

    A few kB give any number of frames: CSS opacity mixes the two, and a contrast filter makes up the scale.
    x0, eps: alike, shaped as the frames of a TimestepSlider without their first dimension.
    """

    def __init__(self, x0: Any, eps: Any, alpha_bars: Any) -> None:
        self.x0, self.eps = plots.array(x0).astype(float), plots.array(eps).astype(float)
        self.alpha_bars = plots.array(alpha_bars).astype(float)
        if self.x0.shape != self.eps.shape:
            raise ValueError(f"eps: got shape {self.eps.shape}; expected that of x0, {self.x0.shape}")
        if self.alpha_bars.ndim != 1 or not ((self.alpha_bars >= 0) & (self.alpha_bars <= 1)).all():
            raise ValueError("alpha_bars: expected a list of numbers from 0 to 1, one for each frame")

    def __len__(self) -> int:
        """How many frames."""
        return len(self.alpha_bars)

    def frame(self, k: int) -> np.ndarray:
        """x_t, exactly."""
        return np.sqrt(self.alpha_bars[k]) * self.x0 + np.sqrt(1 - self.alpha_bars[k]) * self.eps

    def mix(self, reach: float, half_span: float) -> list[list[float]]:
        """Opacity of ε and contrast for each frame, where the two pictures show -reach..reach."""
        signal, noise = np.sqrt(self.alpha_bars), np.sqrt(1 - self.alpha_bars)
        both = np.stack([noise / (signal + noise), reach * (signal + noise) / half_span], axis=1)
        return np.round(both, 5).tolist()


@dataclass(frozen=True)
class Panel:
    """One picture of the page: its filmstrip (bytes), and the CSS that shows the frame --i."""

    film: np.ndarray  # (6, H, W) or (6, H, W, 3), of the grey levels kept
    sheet: str  # data URI
    count: int
    mix: list[list[float]] | None = None  # opacity of the second picture and contrast, for each frame

    def still(self, name: str, alt: str, labels: list[str], room: int) -> str:
        """The filmstrip as HTML, with the panel's name above it."""
        return filmstrip(self.film, name, alt, labels, room)

    def markup(self, name: str, alt: str, css_width: int, start: int) -> str:
        """The live picture as HTML, moved by --i or by data-mix, with its name above it."""
        height, width = self.film.shape[1:3]
        words = html.escape(f"{alt}: {name}" if name else alt)
        rows = 2 if self.mix else self.count
        # The sheet stands in a declaration without a variable: beside one, the browser would read and decode
        # all of it anew for each move, 80 ms of work where 9 are enough.
        box = (
            f"width:100%;aspect-ratio:{width}/{height};image-rendering:pixelated;"
            f"background-image:url({self.sheet});background-size:100% {100 * rows}%;"
        )
        if self.mix is None:
            place = f"background-position:0 calc(var(--i)*100%/{self.count - 1})"
            picture = f'<div role="img" aria-label="{words}" style="{box}{place}"></div>'
        else:
            opacity, contrast = self.mix[start]
            # Both layers show one sheet: x0 is its upper half, and ε the lower.
            picture = (
                f'<div role="img" aria-label="{words}" data-mix="{json.dumps(self.mix, separators=(",", ":"))}" '
                f'style="{box}--o:{opacity};--c:{contrast};position:relative;isolation:isolate;overflow:hidden;'
                f'filter:contrast(var(--c))"><div style="position:absolute;inset:0;image-rendering:pixelated;'
                f'background:inherit;background-position:0 100%;opacity:var(--o)"></div></div>'
            )
        head = f'<div style="font-size:.9em">{html.escape(name)}</div>' if name else ""
        return f'<div style="flex:0 1 {css_width}px;min-width:0">{head}{picture}</div>'


def panel(
    frames: Any,
    count: int,
    *,
    span: plots.Span | None,
    clip: bool,
    columns: int,
    levels: int,
    name: str,
) -> Panel:
    """The panel of `count` frames, which are an array or a Noising; errors call them `name`."""
    if len(frames) < 2:
        raise ValueError(f"{name}: got {len(frames)}; expected 2 or more")
    if len(frames) != count:
        raise ValueError(f"labels: got {count} for {len(frames)} {name}; expected one for each")
    if isinstance(frames, Noising):
        low, high = span or (-1.0, 1.0)
        if low != -high:
            raise ValueError(f"span: got ({low:g}, {high:g}); expected (-a, a) for a Noising")
        reach = float(max(np.abs(frames.x0).max(), np.abs(frames.eps).max(), high))
        pair = _grids(np.stack([frames.x0, frames.eps]), columns, (-reach, reach), False, name)
        exact = np.stack([frames.frame(k) for k in film_indices(count)])
        film = _grids(exact, columns, (low, high), True, name)
        return Panel(_kept(film, levels), _sheet(pair), count, frames.mix(reach, high))
    grids = _kept(_grids(frames, columns, span, clip, name), levels)
    if grids.shape[0] * grids.shape[1] > _TALLEST or grids.shape[2] > _TALLEST:
        raise ValueError(
            f"{name}: got {count} of {grids.shape[1]} by {grids.shape[2]} pixels; expected height times "
            f"count, and width, of {_TALLEST} or less (WebP): keep fewer frames or pictures"
        )
    return Panel(grids[film_indices(count)], _sheet(grids), count)


def film_indices(count: int) -> list[int]:
    """The frames of the filmstrip: first, last, and evenly between."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(_FILM, count))})


def filmstrip(film: np.ndarray, name: str, alt: str, labels: Sequence[str], room: int) -> str:
    """Bytes (n, H, W) or (n, H, W, 3) as HTML that no sanitizer takes apart: images, line breaks and words.

    Each picture is in a block with its label: where styles are stripped, they still belong together.
    """
    height, width = film.shape[1:3]
    beside = len(film) if width < 2 * height else 1
    shown = width * max(1, (room // beside - 8) // width) if width <= room // beside else room // beside
    images = []
    for picture, label in zip(film, labels, strict=True):
        words = html.escape(", ".join(filter(None, (alt, name, label))))
        uri = _uri(picture, "PNG", optimize=True)
        images.append(
            f'<div style="display:inline-block;margin:0 4px 4px 0"><img src="{uri}" width="{shown}" '
            f'alt="{words}" style="image-rendering:pixelated"><br>{html.escape(label)}</div> '
        )
    return (f"{html.escape(name)}<br>" if name else "") + "".join(images)


def _grids(frames: Any, columns: int, span: plots.Span | None, clip: bool, name: str) -> np.ndarray:
    # Bytes (T, H, W) or (T, H, W, 3), one grid for each timestep.
    given = plots.array(frames)
    if given.ndim != 5:
        return plots.pixels(given, span=span, clip=clip, name=name)
    flat = plots.pixels(given.reshape(-1, *given.shape[2:]), span=span, clip=clip, name=name)
    pictures = flat.reshape(*given.shape[:2], *flat.shape[1:])
    return tiled(pictures, columns, line=max(1, pictures.shape[3] // 14), ground=255)


def _kept(grids: np.ndarray, levels: int) -> np.ndarray:
    # Noise does not compress; fewer grey levels, not seen at this size, halve the bytes.
    return np.round(np.round(grids / 255 * (levels - 1)) * 255 / (levels - 1)).astype(np.uint8)


def _uri(pixels: np.ndarray, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _sheet(grids: np.ndarray) -> str:
    # Lossless: lossy WebP smears noise and halves the resolution of colour. Quality is effort here: from 76
    # the encoder looks back over many frames, and finds again the noise that stays (40 % fewer bytes).
    stacked = grids.reshape(-1, *grids.shape[2:])
    return _uri(stacked, "WEBP", lossless=True, quality=76, method=3)
