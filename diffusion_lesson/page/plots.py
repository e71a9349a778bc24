"""Figures: pictures in a grid, curves, and the one way a figure reaches the reader, with its alt text."""

import base64
import html
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from diffusion_lesson.page.sheet import Number, places

Span = tuple[Number, Number]

# One object, one colour and one dash, in every figure (Okabe–Ito; see lesson.mplstyle).
ROLES: dict[str, dict[str, Any]] = {
    "data": {"color": "#000000", "linestyle": "-"},
    "noise": {"color": "#0072B2", "linestyle": ":"},
    "model": {"color": "#E69F00", "linestyle": "--"},
    "posterior": {"color": "#009E73", "linestyle": "-."},
}
_SHARPNESS = 1.5  # stored pixels for each pixel of the page


def use_style() -> None:
    """The look of the course (lesson.mplstyle), for every figure made from here on."""
    plt.style.use(str(Path(__file__).with_name("lesson.mplstyle")))


def array(values: Any) -> np.ndarray:
    """A NumPy array of a tensor (on any device, with or without gradient), an array or a list."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def pixels(images: Any, *, span: Span | None = None, clip: bool = False, name: str = "images") -> np.ndarray:
    """Bytes to draw, (N, H, W) grey or (N, H, W, 3) colour, from numbers in `span`.

    images: (N, H, W), (N, 1, H, W), (N, 3, H, W) or (N, H, W, 3). span: the numbers shown as black and as
    white; (-1, 1) unless told, and (0, 255) for uint8. A number outside is a ValueError unless clip=True.
    """
    given = array(images)
    low, high = span or ((0.0, 255.0) if given.dtype == np.uint8 else (-1.0, 1.0))
    if not high > low:
        raise ValueError(f"span: got ({low:g}, {high:g}); expected the lower number first")
    if given.ndim == 4 and given.shape[1] == 1:
        given = given[:, 0]
    elif given.ndim == 4 and given.shape[1] == 3:
        given = given.transpose(0, 2, 3, 1)
    if given.ndim not in (3, 4) or (given.ndim == 4 and given.shape[3] != 3) or 0 in given.shape:
        raise ValueError(f"{name}: got shape {np.shape(images)}; expected (N, H, W), (N, 1, H, W) or (N, 3, H, W)")
    given = given.astype(np.float64)
    if not np.isfinite(given).all():
        raise ValueError(f"{name}: got {np.sum(~np.isfinite(given))} numbers that are NaN or infinite")
    slack = 1e-5 * (high - low)
    if not clip and (given.min() < low - slack or given.max() > high + slack):
        raise ValueError(
            f"{name}: got numbers from {given.min():.3g} to {given.max():.3g}; expected {low:g} to {high:g}. "
            f"Pass span=(low, high) to show them all, or clip=True to cut them off"
        )
    return np.round(np.clip((given - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def png(figure: Figure) -> tuple[bytes, int, int]:
    """A figure as PNG bytes, with its width and height on the page; the same bytes for the same figure."""
    buffer = io.BytesIO()
    dpi = figure.get_dpi() * _SHARPNESS
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    drawn = Image.open(buffer).convert("RGB")
    # A plot has few colours and a palette cuts it to a third; a photograph would suffer, so look first.
    palette = drawn.quantize(256, dither=Image.Dither.NONE)
    if np.abs(np.asarray(palette.convert("RGB"), int) - np.asarray(drawn, int)).max() <= 12:
        buffer = io.BytesIO()
        palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue(), round(drawn.width / _SHARPNESS), round(drawn.height / _SHARPNESS)


def checked_alt(alt: str) -> str:
    """The alt text on one line; a ValueError where it is blank."""
    if not alt.strip():
        raise ValueError(f"alt: got {alt!r}; expected words that say what is seen in the figure")
    return " ".join(alt.split())


def bundle(figure: Figure, alt: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The MIME bundle and metadata of a figure that carry its alt text everywhere, and close it.

    JupyterLab 4.6 and nbconvert 7.17 drop the alt text of an image/png output, so the picture is HTML first;
    image/png with its metadata is for those who show no HTML, and the words for those who show no picture.
    """
    words = checked_alt(alt)
    data, width, height = png(figure)
    plt.close(figure)
    code = base64.b64encode(data).decode()
    page = (
        f'<img src="data:image/png;base64,{code}" alt="{html.escape(words)}" width="{width}" '
        f'style="max-width:100%;height:auto">'
    )
    size = {"alt": words, "width": width, "height": height}
    return {"text/html": page, "image/png": code, "text/plain": f"Figure: {words}"}, {"image/png": size}


def show(figure: Figure, *, alt: str) -> None:
    """Display a figure with its alt text: what is seen in it, in words. The figure is closed."""
    data, metadata = bundle(figure, alt)
    if get_ipython() is None:  # a plain script: IPython would print the bytes
        print(data["text/plain"])
    else:
        display(data, metadata=metadata, raw=True)


def image_grid(
    images: Any,
    *,
    columns: int = 8,
    titles: Sequence[str] | None = None,
    row_titles: Sequence[str] | None = None,
    span: Span | None = None,
    clip: bool = False,
    tile: Number = 0.75,
) -> Figure:
    """Pictures side by side, `columns` in a row, each `tile` inches wide; shapes and `span` as for `pixels`.

    titles: one for each picture, above it. row_titles: one for each row, at its left.
    """
    shown = pixels(images, span=span, clip=clip)
    if columns < 1:
        raise ValueError(f"columns: got {columns}; expected 1 or more")
    count, height, width = shown.shape[:3]
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    for what, words, wanted in (("titles", titles, count), ("row_titles", row_titles, rows)):
        if words is not None and len(words) != wanted:
            raise ValueError(f"{what}: got {len(words)}; expected {wanted}, one for each")
    scale = tile / width  # inches for each pixel of a picture
    gap = 0.06 / scale
    head = 0.22 / scale if titles is not None else 0.0
    (down, across), corners = places(count, columns, (height, width), gap=gap, head=head)
    figure = Figure(figsize=(across * scale, down * scale))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, across), ylim=(down, 0))
    axes.axis("off")
    for k, (picture, (top, left)) in enumerate(zip(shown, corners, strict=True)):
        axes.imshow(
            picture, cmap="gray", vmin=0, vmax=255, extent=(left, left + width, top + height, top), aspect="auto"
        )
        if titles is not None:
            axes.text(left + width / 2, top - gap / 2, titles[k], ha="center", va="bottom", fontsize=9)
        if row_titles is not None and k % columns == 0:
            axes.text(-gap, top + height / 2, row_titles[k // columns], ha="right", va="center", fontsize=9)
    axes.set(xlim=(0, across), ylim=(down, 0))
    return figure


def ledger_bars(ledger: Any, *, dims: int) -> Figure:
    """A Ledger in bits per dimension, the mean over examples: L_T, Σ L_{t−1} and L_0, and L_{t−1} for each t.

    dims: numbers in one picture, such as 64 for 8 × 8.
    """
    if dims < 1:
        raise ValueError(f"dims: got {dims}; expected the numbers in one picture, 1 or more")
    bits = 1 / (dims * math.log(2))
    denoising = array(ledger.denoising) * bits
    total = float(array(ledger.total()).mean()) * bits
    prior = float(array(ledger.prior).mean()) * bits
    reconstruction = float(array(ledger.reconstruction).mean()) * bits
    parts = {
        "prior $L_T$": prior,
        "denoising": total - prior - reconstruction,
        "reconstruction $L_0$": reconstruction,
    }
    figure = Figure()
    left, right = figure.subplots(1, 2)
    colours = [ROLES[role]["color"] for role in ("noise", "posterior", "data")]
    bars = left.barh(list(parts), list(parts.values()), color=colours)
    left.bar_label(bars, fmt="%.3f", padding=3)
    left.set(xlabel="bits per dimension", title=f"in all {total:.3f}", xlim=(0, 1.25 * max(parts.values())))
    left.invert_yaxis()
    right.plot(array(ledger.steps), denoising.mean(0), **ROLES["posterior"])
    right.set(xlabel="t", ylabel="bits per dimension", yscale="log", title="$L_{t-1}$ for each $t$")
    return figure
