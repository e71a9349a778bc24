"""Figures in which a network draws, in the reader's own browser: no kernel, no server, no request.

Like the sliders (scrubber.py) a figure is one piece of HTML with inline handlers, alive in JupyterLab, Notebook 7,
the classic notebook and on a page; where handlers are stripped, its still pictures are seen.

The network (network.py) is stored once, in a figure that carries it. A figure looks for it
1. in `window.diffusionLesson`, where any figure of the page has put it, or will put it;
2. at the address in its attribute `data-src`, where a site has put the program as a file (notebooks have none);
3. in the attribute `data-program` of its own, or of another figure.
If it is nowhere, the figure says which cell to run. So a site can store the network once for all its pages: write
`data-program` of each key into a file, and put that file's address, `data-src`, in the attribute's place.
"""

import base64
import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffusion_lesson.page import plots
from diffusion_lesson.page.frames import filmstrip
from diffusion_lesson.page.network import PageLearner, PageNetwork
from diffusion_lesson.page.scrubber import KEYS

# Runs only where handlers run. A script element needs no more leave than an inline handler does.
_WAKE = (
    "const f=this.closest('figure'),k=f.dataset.network,d=this.closest('figure>div'),"
    "all=window.diffusionLesson??={},"
    "say=t=>f.querySelector('output').textContent=t,"
    "run=o=>document.head.append(Object.assign(document.createElement('script'),o)),"
    "wake=()=>{if(f.awake)return;f.awake=1;say('');all[k].wake(f)},"
    "own=()=>{const q='figure[data-program][data-network=\\''+k+'\\']',"
    "h=f.dataset.program?f:document.querySelector(q);"
    "if(h)run({textContent:h.dataset.program});"
    "else say('The network is in a figure further up: run that cell, and this one will draw.')};"
    "d.style.display='none';d.nextElementSibling.style.display='block';"
    "document.addEventListener('diffusion-lesson-'+k,wake);"
    "if(all[k])wake();else if(f.dataset.src)run({src:f.dataset.src,onerror:own});else own()"
)
_BUTTON = 'type="button" style="min-width:2.2em;min-height:2em;padding:0 .6em"'
_ROW = "display:flex;flex-wrap:wrap;gap:.4em 1em;align-items:center;margin:.4em 0"
_PANELS = {
    "digit": (("x", "the picture so far"),),
    "denoise": (("x0", "the picture x₀"), ("x", "with noise, x_t"), ("x0_hat", "the network's guess x̂₀")),
    "walk": (("x", "the picture, x_t"), ("x0_hat", "the network's guess x̂₀")),
    "redraw": (("pad", "draw here"), ("x", "with noise, x_t"), ("result", "the network's picture")),
    "learn": (),
}
_SAMPLES = 8  # that a learning network draws again and again


class PageSampler:
    """A figure in which the network draws. Five kinds:

    "digit": a new picture at each press of a button, one button for each label.
    "denoise": a slider over t; the network's guess x̂_0 at one of `pictures` with noise. Needs `pictures`.
    "walk": DDIM from x_T to x_0, which can be stopped and gone back over; steps, η, guidance, label and seed.
    "redraw": a picture drawn by hand or by the network; noise is added up to t, and taken out again.
    "learn": the network learns, from `pictures`, at the press of a button; its loss as a curve, and what it draws.
        For a PageLearner, and nothing else is.

    still, labels: pictures, (N, H, W) or (N, 1, H, W) with values −1..1, and a text for each, shown where no
        script runs. alt: what is seen in them. caption: what is shown.
    pictures: clean ones of the network's size, shaped likewise. start: the slider's t.
    carry: whether the network is stored in this figure; False where another of the notebook carries it.
    """

    def __init__(
        self,
        network: PageNetwork,
        kind: str,
        *,
        still: Any,
        labels: Sequence[str],
        caption: str,
        alt: str,
        pictures: Any = None,
        start: int | None = None,
        carry: bool = True,
    ) -> None:
        if kind not in _PANELS:
            raise ValueError(f"kind: expected one of {', '.join(_PANELS)}, got {kind!r}")
        if (kind == "learn") != isinstance(network, PageLearner):
            wanted = "a PageLearner" if kind == "learn" else "a network that does not learn"
            raise ValueError(f"network: expected {wanted} for the kind {kind!r}, got {network!r}")
        given = pictures is not None
        if given != (kind in ("denoise", "learn")):
            wanted, came = ("none", "some") if given else ("some", "none")
            raise ValueError(f"pictures: expected {wanted} for the kind {kind!r}, got {came}")
        start = network.T // 2 if start is None else start
        if not 1 <= start <= network.T:
            raise ValueError(f"start: expected a step t from 1 to {network.T}, got {start}")
        self._still = plots.pixels(still, span=(-1, 1), clip=True, name="still")
        if len(labels) != len(self._still):
            raise ValueError(f"labels: expected {len(self._still)}, one for each of still, got {len(labels)}")
        self._pictures = np.zeros((0, network.size, network.size), np.uint8)
        if given:
            self._pictures = plots.pixels(pictures, span=(-1, 1), name="pictures")
        if self._pictures.shape[1:] != (network.size, network.size):
            got = tuple(self._pictures.shape[1:])
            raise ValueError(f"pictures: expected the network's {network.size} by {network.size}, got {got}")
        self.network, self.kind, self.caption, self.alt = network, kind, caption, plots.checked_alt(alt)
        self._labels, self._start, self._carry = [str(label) for label in labels], start, carry

    def __repr__(self) -> str:
        """What is shown, and by which network."""
        return f"<PageSampler: {self.caption}; {self.kind}, {self.network!r}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._figure(), "text/plain": repr(self)}

    def _figure(self) -> str:
        film = filmstrip(self._still, "", self.alt, self._labels, 640)
        film = film.replace("<img ", f'<img onload="{html.escape(_WAKE)}" ', 1)
        data = f'data-network="{self.network.key}" data-kind="{self.kind}"'
        if len(self._pictures):
            data += f' data-pictures="{base64.b64encode(self._pictures.tobytes()).decode()}"'
        if self._carry:
            data += f' data-program="{html.escape(self.network.program)}"'
        panels = "".join(self._canvas(role, name) for role, name in _PANELS[self.kind])
        return (
            f'<figure {data} style="margin:.5em 0;max-width:640px"><div>{film}</div><div style="display:none">'
            f'<div style="display:flex;gap:12px">{panels}</div>{self._controls()}'
            f'<output data-role="status" aria-live="polite" style="display:block;min-height:1.5em"></output></div>'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )

    def _canvas(self, role: str, name: str) -> str:
        drawn = ";touch-action:none;cursor:crosshair" if role == "pad" else ""
        size = self.network.size
        return (
            f'<div style="flex:0 1 {max(196, 196 // size * size)}px;min-width:0"><div style="font-size:.9em">'
            f'{html.escape(name)}</div><canvas data-role="{role}" width="{size}" height="{size}" role="img" '
            f'aria-label="{html.escape(name)}" style="display:block;width:100%;background:#000;'
            f'image-rendering:pixelated{drawn}"></canvas></div>'
        )

    def _controls(self) -> str:
        network = self.network
        count = network.config["classes"]
        labels = [("-1", "any"), *((str(k), str(k)) for k in range(count))]
        first = str(count // 2) if self.kind == "walk" else "-1"
        label = [_choice("label", "label", labels, first)] if count else []
        seed = [_seed(), _button("again", "New noise")]
        if self.kind == "digit":
            row = "".join(
                f'<button {_BUTTON} {KEYS} name="draw" data-label="{value}" '
                f'aria-label="draw {"any digit" if value == "-1" else "a " + name}">{name}</button>'
                for value, name in labels
            )
            return _row([row]) + '<div data-role="shelf" style="display:flex;flex-wrap:wrap;gap:4px"></div>'
        if self.kind == "denoise":
            which = [(str(k), str(k + 1)) for k in range(len(self._pictures))]
            return _slider("t", "t", 1, network.T, self._start) + _row(
                [_choice("picture", "picture", which, "0"), *label, *seed]
            )
        if self.kind == "learn":
            return (
                _samples(network.size)
                + _CURVE
                + _row([_button("play", "Train"), _button("begin", "From the start"), _seed()])
            )
        strength = _choice("guidance", "guidance", _same(("0", "1", "1.5", "2", "4", "8")), "1")
        if count:
            label.append(strength)
        if self.kind == "redraw":
            pads = [_button("clear", "Clear"), _button("example", "Draw one for me")]
            go = _button("go", "Take the noise out")
            return _slider("t", "t", 1, network.T, self._start) + _row([go, *label, *pads, *seed])
        steps = [str(n) for n in (1, 2, 5, 10, 25, 50, 100, 250) if n <= network.T]
        chosen = [
            _choice("steps", "steps", _same(steps), "25"),
            _choice("eta", "η", _same(("0", "0.2", "0.5", "1")), "1"),
        ]
        return _slider("at", "step", 0, 25, 0) + _row([_button("play", "Walk"), *label, *chosen, *seed])


_CURVE = (
    '<div style="font-size:.9em;margin-top:.4em">the loss, from 1 (knowing nothing) down to 0</div>'
    '<svg viewBox="0 -2 300 104" preserveAspectRatio="none" role="img" aria-label="the loss over the steps" '
    'style="display:block;width:100%;height:6em;background:#fff;border:1px solid #888">'
    '<polyline data-role="curve" points="" fill="none" stroke="#E69F00" stroke-width="2" '
    'vector-effect="non-scaling-stroke"/></svg>'
)


def _samples(size: int) -> str:
    one = (
        f'<canvas data-role="sample" width="{size}" height="{size}" role="img" aria-label="drawn by the network" '
        f'style="flex:1 1 0;min-width:0;max-width:6em;background:#000;image-rendering:pixelated"></canvas>'
    )
    return f'<div style="display:flex;gap:4px">{one * _SAMPLES}</div>'


def _row(parts: Sequence[str]) -> str:
    return f'<div style="{_ROW}">{"".join(parts)}</div>'


def _same(values: Sequence[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


def _button(name: str, words: str) -> str:
    return f'<button {_BUTTON} {KEYS} name="{name}">{html.escape(words)}</button>'


def _choice(name: str, words: str, options: Sequence[tuple[str, str]], chosen: str) -> str:
    listed = "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{text}</option>'
        for value, text in options
    )
    return (
        f'<label>{html.escape(words)} <select name="{name}" {KEYS} autocomplete="off" style="min-height:2em">'
        f"{listed}</select></label>"
    )


def _seed() -> str:
    return (
        f'<label>seed <input type="number" name="seed" value="0" min="0" step="1" {KEYS} autocomplete="off" '
        f'style="width:5em;min-height:1.8em"></label>'
    )


def _slider(name: str, words: str, low: int, high: int, start: int) -> str:
    return (
        f'<div style="display:flex;gap:.6em;align-items:center;margin:.3em 0"><input type="range" name="{name}" '
        f'min="{low}" max="{high}" value="{start}" aria-label="{words}" autocomplete="off" '
        f'style="flex:1;min-width:8em;min-height:24px;margin:0" {KEYS}>'
        f'<span data-role="{name}" style="min-width:9em;font-variant-numeric:tabular-nums"></span></div>'
    )
