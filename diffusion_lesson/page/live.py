"""Live controls: widgets over a pure function from parameters to a figure, for what must be computed.

Works with ipywidgets 7.7.1 (Colab) and 8. The picture is an Image widget, not an Output widget: it is replaced
in place, so nothing flickers or stacks, and the front end sends the next value only when the last has been
answered, keeping the newest: a fast drag leaves no queue. The default picture is stored beside the widget, for
every place without a kernel.
"""

import html
import io
import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any, SupportsFloat, SupportsIndex

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from diffusion_lesson.page import plots
from diffusion_lesson.page.sheet import Number

_VIEW = "application/vnd.jupyter.widget-view+json"
_HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap"
_STYLE = {"description_width": "9em"}
# Notebook 7 takes the arrow keys from a focused control, unless the control itself bears this attribute (see
# scrubber.py). ipywidgets gives no way to set it: so an image that loads does, once it is part of the page.
_KEYS = (
    '<img alt="" src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7" onload="'
    "const wait=n=>{const box=this.closest('.widget-vbox');if(box)box.addEventListener('focusin',"
    "e=>e.target.setAttribute('data-lm-suppress-shortcuts','true'));"
    'else if(n)setTimeout(()=>wait(n-1),200)};wait(50)">'
)


Given = SupportsIndex | SupportsFloat  # a number, whoever's it is: Python's, NumPy's, a tensor of one


def slider(low: Given, high: Given, value: Given, *, step: Given | None = None, log: bool = False) -> Any:
    """A slider from low to high: whole numbers where all given are, powers of ten evenly apart with log=True."""
    return _slider(_number(low), _number(high), _number(value), None if step is None else _number(step), log)


def _number(given: Any) -> Number:
    try:
        return index(given)
    except TypeError:
        return float(given)


def _slider(low: Number, high: Number, value: Number, step: Number | None, log: bool) -> Any:
    if not low < high:
        raise ValueError(f"high: got {high:g}; expected more than low, {low:g}")
    if not low <= value <= high:
        raise ValueError(f"value: got {value:g}; expected {low:g} to {high:g}")
    if step is not None and step <= 0:
        raise ValueError(f"step: got {step:g}; expected more than 0")
    look: dict[str, Any] = {"style": _STYLE, "layout": widgets.Layout(width="32em", max_width="98%")}
    if log:
        if low <= 0:
            raise ValueError(f"low: got {low:g}; expected more than 0 with log=True")
        ends = {"min": math.log10(low), "max": math.log10(high), "step": step or 0.05}
        return widgets.FloatLogSlider(value=value, base=10, readout_format=".2g", **ends, **look)
    if all(isinstance(number, int) for number in (low, high, value, step or 1)):
        return widgets.IntSlider(value=value, min=low, max=high, step=step or 1, **look)
    step = step or (high - low) / 100
    return widgets.FloatSlider(value=value, min=low, max=high, step=step, readout_format=".3g", **look)


def choice(options: Sequence[Any], value: Any = None) -> Any:
    """A list to choose one of; the first unless told."""
    if len(options) == 0:
        raise ValueError("options: got none; expected one or more")
    if value is not None and value not in options:
        raise ValueError(f"value: got {value!r}; expected one of {list(options)}")
    look: dict[str, Any] = {"style": _STYLE, "layout": widgets.Layout(width="24em", max_width="98%")}
    return widgets.Dropdown(options=list(options), value=options[0] if value is None else value, **look)


class _Painter:
    """Figures to PNG, fast: 50 ms where savefig takes 90. The layout is found once, so the axes stand still."""

    def __init__(self) -> None:
        self._places: list[Any] = []

    def __call__(self, figure: Figure) -> bytes:
        if len(figure.axes) == len(self._places):
            figure.set_layout_engine("none")
            for axes, place in zip(figure.axes, self._places, strict=True):
                axes.set_position(place)
        figure.set_dpi(1.25 * figure.get_dpi())
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        self._places = [axes.get_position() for axes in figure.axes]
        buffer = io.BytesIO()
        drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
        drawn.convert("RGB").save(buffer, "PNG", compress_level=1)
        plt.close(figure)
        return buffer.getvalue()


class LiveFigure:
    """Controls above a figure, which is drawn anew from their values: `draw(**values)` returns it.

    draw must be pure: the same values, the same figure. alt: what is seen, in words; or a function of the same
    values that returns the words. Each control is a widget with a value (see `slider` and `choice`), named as
    draw's parameter; labels maps these names to the words shown, the name itself unless told.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        *,
        alt: str | Callable[..., str],
        labels: dict[str, str] | None = None,
        **controls: Any,
    ) -> None:
        if not controls:
            raise ValueError("controls: got none; expected one for each parameter of draw, such as beta=slider(…)")
        for name, control in controls.items():
            if not isinstance(control, widgets.ValueWidget):
                raise ValueError(
                    f"{name}: got {control!r}; expected a widget with a value, such as slider(0, 1, 0.5)"
                )
        if unknown := set(labels or {}) - set(controls):
            raise ValueError(f"labels: got {sorted(unknown)}; expected names of controls: {sorted(controls)}")
        self.controls = controls
        self._draw, self._alt, self._paint = draw, alt, _Painter()
        first = draw(**self.values)
        self._image = widgets.Image(value=self._paint(first), format="png")
        self._image.layout = widgets.Layout(width=f"{100 * first.get_figwidth():.0f}px", max_width="100%")
        self._words = widgets.HTML()
        self._say()
        for name, control in controls.items():
            control.description = (labels or {}).get(name, name)
            control.observe(self._update, "value")
        keys = widgets.HTML(_KEYS, layout=widgets.Layout(display="none"))
        self.box = widgets.VBox([*controls.values(), self._image, self._words, keys])

    @property
    def values(self) -> dict[str, Any]:
        """The parameters as they stand."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def alt(self) -> str:
        """What is seen now, in words."""
        return plots.checked_alt(self._alt if isinstance(self._alt, str) else self._alt(**self.values))

    def _update(self, change: Any) -> None:
        try:
            self._image.value = self._paint(self._draw(**self.values))
            self._say()
        except Exception as error:
            # A callback's error would end in a log that nobody reads. The last good picture stays.
            self._words.value = f"<p>{html.escape(f'{type(error).__name__}: {error}')}</p>"

    def _say(self) -> None:
        # An Image widget has no alt text: the words go beside it, for those who listen.
        self._words.value = f'<span role="status" style="{_HIDDEN}">{html.escape(self.alt)}</span>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = plots.bundle(self._draw(**self.values), self.alt)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {_VIEW: view, **data}, metadata
