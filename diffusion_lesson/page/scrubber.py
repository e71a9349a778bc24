"""A slider over timesteps that needs no kernel: one self-contained HTML figure, alive wherever it is saved.

The frames are one sprite sheet that a CSS variable moves behind a window; the handlers are inline. So the
bytes in the notebook work in JupyterLab, Notebook 7, the classic notebook and a static page (tested), and are
written so that Colab and VS Code should too (not tested). Where handlers are stripped (a notebook that is not
trusted, GitHub) a filmstrip of labelled frames is seen.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffusion_lesson.page import plots
from diffusion_lesson.page.frames import film_indices, panel
from diffusion_lesson.page.measured import about

_GAP, _HIGH = 12, 400  # page pixels between two panels, and of the tallest
_CURVES = (("currentColor", ""), ("#CC79A7", "8 4"), ("#56B4E9", "2 3"), ("#777777", "8 3 2 3"))

_INPUT = (
    "const f=this.closest('figure'),i=+this.value,l=JSON.parse(f.dataset.labels)[i];"
    "f.style.setProperty('--i',i);"
    "f.querySelectorAll('[data-mix]').forEach(m=>{const x=JSON.parse(m.dataset.mix)[i];"
    "m.style.setProperty('--o',x[0]);m.style.setProperty('--c',x[1])});"
    "this.setAttribute('aria-valuetext',l);f.querySelector('output').textContent=l"
)
_PLAY = (
    "const b=this,s=b.nextElementSibling,stop=()=>{clearInterval(b.t);b.t=0;b.textContent='\u25b6\ufe0e';"
    "b.setAttribute('aria-label','play')},go=()=>{s.value=(+s.value+1)%(+s.max+1);s.oninput();"
    "if(!s.isConnected||+s.value==+s.max)stop()};"
    "if(b.t)stop();else{b.t=setInterval(go,80);b.textContent='\u23f8\ufe0e';"
    "b.setAttribute('aria-label','pause')}"
)
# Runs only where handlers run: the live part takes the place of the filmstrip.
_WAKE = "const d=this.closest('figure>div');d.style.display='none';d.nextElementSibling.style.display='block'"
# Jupyter's command mode takes the keys of a focused slider unless the element itself refuses: JupyterLab
# and Notebook 7 look for the attribute, the classic notebook listens further out.
KEYS = 'data-lm-suppress-shortcuts="true" onkeydown="event.stopPropagation()"'


def _curve(values: Any, count: int) -> np.ndarray:
    given = plots.array(values).astype(float)
    if given.shape != (count,) or not np.isfinite(given).all():
        raise ValueError(f"curve: got shape {given.shape}; expected {count} finite numbers, one for each frame")
    return given


class TimestepSlider:
    """Frames under a slider with a play button, a label for each, and perhaps curves with a playhead.

    frames: (T, H, W), (T, 3, H, W), (T, H, W, 3), or pictures (T, N, C, H, W) to be set in `columns`; or a
        Noising; or a mapping from names to such frames, of one size, side by side under one slider.
    labels: T texts, shown and read out. caption: what is shown. alt: what is seen, where the caption won't do.
    curve: T numbers, or a mapping from names to them. measured: whether training decides them (see measured.py).
    span, clip: which numbers are black and white, and whether others may be cut off (see plots.pixels).
    levels: grey levels kept; noise doesn't compress.
    """

    def __init__(
        self,
        frames: Any,
        labels: Sequence[Any],
        *,
        caption: str,
        alt: str | None = None,
        curve: Any = None,
        measured: bool = False,
        span: plots.Span | None = None,
        clip: bool = False,
        columns: int = 8,
        start: int = 0,
        width: int = 640,
        levels: int = 16,
    ) -> None:
        if not caption.strip():
            raise ValueError("caption: got nothing; expected words that say what is shown")
        if not 2 <= levels <= 256:
            raise ValueError(f"levels: got {levels}; expected 2 to 256")
        self.caption, self.alt = caption, plots.checked_alt(caption if alt is None else alt)
        self.labels = [str(label) for label in labels]
        self.count = len(self.labels)
        self.width, self.start, self.measured = width, start, measured
        named = frames if isinstance(frames, Mapping) else {"": frames}
        if not named:
            raise ValueError("frames: got an empty mapping; expected frames")
        self._panels = {
            str(name): panel(
                value,
                self.count,
                span=span,
                clip=clip,
                columns=columns,
                levels=levels,
                name=f"frames {name!r}" if name else "frames",
            )
            for name, value in named.items()
        }
        shapes = {name: p.film.shape[1:3] for name, p in self._panels.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"frames: got sizes {shapes}; expected one size under one slider")
        if not 0 <= start < self.count:
            raise ValueError(f"start: got {start}; expected a frame from 0 to {self.count - 1}")
        named_curves = curve if isinstance(curve, Mapping) else {} if curve is None else {"curve": curve}
        self._curves = {str(name): _curve(values, self.count) for name, values in named_curves.items()}
        self._html = ""

    def __repr__(self) -> str:
        """What is shown, and from which label to which."""
        return f"<TimestepSlider: {self.caption}; {self.count} frames, {self.labels[0]} to {self.labels[-1]}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # No image/png beside it: the filmstrip is in the HTML, and would be half as many bytes again.
        if not self._html:
            self._html = self._figure()
        return {"text/html": self._html, "text/plain": repr(self)}

    def _figure(self) -> str:
        e, label = html.escape, self.labels[self.start]
        words = [self.labels[k] for k in film_indices(self.count)]
        film = "<br>".join(p.still(name, self.alt, words, self.width) for name, p in self._panels.items())
        film = film.replace("<img ", f'<img onload="{e(_WAKE)}" ', 1)
        wide = self._scale()
        panels = "".join(p.markup(name, self.alt, wide, self.start) for name, p in self._panels.items())
        return (
            f'<figure style="--i:{self.start};margin:.5em 0;max-width:{self.width}px" '
            f'data-labels="{e(json.dumps(self.labels, ensure_ascii=False))}">'
            f'<div>{film}</div><div style="display:none">'
            f'<div style="display:flex;flex-wrap:wrap;gap:{_GAP}px">{panels}</div>{self._svg()}'
            f'<div style="display:flex;gap:.6em;align-items:center;margin:.3em 0">'
            f'<button type="button" aria-label="play" style="min-width:2.2em;min-height:2em" {KEYS} '
            f'onclick="{e(_PLAY)}">\u25b6\ufe0e</button>'
            f'<input type="range" min="0" max="{self.count - 1}" value="{self.start}" aria-label="timestep" '
            f'aria-valuetext="{e(label)}" autocomplete="off" '
            f'style="flex:1;min-width:8em;min-height:24px;margin:0" '
            f'{KEYS} oninput="{e(_INPUT)}"><output aria-live="off" style="min-width:8em;'
            f'font-variant-numeric:tabular-nums">{e(label)}</output></div></div>'
            f"<figcaption>{e(self.caption)}</figcaption></figure>"
        )

    def _scale(self) -> int:
        # A whole number of page pixels for each pixel of a frame, where there is room.
        height, width = next(iter(self._panels.values())).film.shape[1:3]
        room = self.width - _GAP * (len(self._panels) - 1)
        return int(width * max(1, min(room // (width * len(self._panels)), _HIGH // height)))

    def _svg(self) -> str:
        if not self._curves:
            return ""
        low = min(values.min() for values in self._curves.values())
        high = max(values.max() for values in self._curves.values())
        step, lines, keys = 300 / (self.count - 1), "", []
        for k, (name, values) in enumerate(self._curves.items()):
            colour, dash = _CURVES[k % len(_CURVES)]
            stroke = f'fill="none" stroke="{colour}" stroke-dasharray="{dash}" vector-effect="non-scaling-stroke"'
            y = 58 - 56 * (values - low) / ((high - low) or 1)
            points = " ".join(f"{step * j:.1f},{v:.1f}" for j, v in enumerate(y))
            mark = "data-measured " if self.measured else ""
            lines += f'<polyline {mark}points="{points}" stroke-width="2" {stroke}/>'
            sample = '<svg width="28" height="8" aria-hidden="true">'
            sample += f'<line x2="28" y1="4" y2="4" stroke-width="2" {stroke}/></svg>'
            keys.append(f"<span>{sample} {html.escape(name)}</span>")
        ends = (about(value) if self.measured else f"{value:.3g}" for value in (low, high))
        reach = "from {} (bottom) to {} (top)".format(*ends)
        words = html.escape(f"{', '.join(self._curves)}: {reach}")
        return (
            f'<svg viewBox="-2 0 304 60" role="img" aria-label="{words}" preserveAspectRatio="none" '
            f'style="width:100%;height:5em;display:block;margin-top:.3em">{lines}'
            f'<line y2="60" stroke="#D55E00" stroke-width="2" vector-effect="non-scaling-stroke" '
            f'style="transform:translateX(calc(var(--i)*{step:.4f}px))"/></svg>'
            f'<div style="display:flex;flex-wrap:wrap;gap:1em;font-size:.9em">{"".join(keys)}'
            f"<span>{reach}</span></div>"
        )
