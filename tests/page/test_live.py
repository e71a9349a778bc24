import io

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from diffusion_lesson.page import plots
from diffusion_lesson.page.live import LiveFigure, choice, slider


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        plots.use_style()
        yield


def draw(grey, kind="plain"):
    if kind == "broken":
        raise ValueError("kind: broken")
    figure = plt.figure(figsize=(2, 1), facecolor=3 * (grey / 100,))
    figure.subplots()
    return figure


def paper(live):
    return np.asarray(Image.open(io.BytesIO(live._image.value)))[0, 0, 0]


def live(**options):
    controls = {"grey": slider(0, 100, 40), "kind": choice(["plain", "broken"])}
    return LiveFigure(draw, alt=lambda grey, kind: f"Grey {grey}", **controls, **options)


def test_a_control_redraws_the_picture_and_the_words():
    made = live(labels={"grey": "level"})
    assert (paper(made), made.alt) == (102, "Grey 40")
    made.controls["grey"].value = 60
    assert (paper(made), made.alt) == (153, "Grey 60")
    assert "Grey 60" in made._words.value
    assert made.values == {"grey": 60, "kind": "plain"}
    assert [control.description for control in made.controls.values()] == ["level", "kind"]
    assert len(made.box.children) == 5


def test_nothing_leaks():
    made = live()
    for grey in range(30):
        made.controls["grey"].value = grey
    assert plt.get_fignums() == []
    assert len(made.box.children) == 5


def test_the_axes_stand_still_and_a_new_layout_is_found_where_axes_come():
    def several(count):
        figure = Figure()
        figure.subplots(1, count)
        places.append(figure.axes)
        return figure

    places = []
    made = LiveFigure(several, alt="Axes", count=slider(1, 3, 1))
    made.controls["count"].value = 2
    made._update(None)
    two, again = ([axes.get_position().bounds for axes in found] for found in places[1:])
    assert two == again


def test_the_default_picture_is_stored_beside_the_widget():
    data, metadata = live()._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["version_major"] == 2
    assert 'alt="Grey 40"' in data["text/html"]
    assert metadata["image/png"]["alt"] == "Grey 40"
    assert data["text/plain"] == "Figure: Grey 40"
    assert data["image/png"]


def test_an_error_is_shown_and_the_last_good_picture_stays():
    made = live()
    made.controls["kind"].value = "broken"
    assert made._words.value == "<p>ValueError: kind: broken</p>"
    assert paper(made) == 102
    made.controls["kind"].value = "plain"
    assert "Grey 40" in made._words.value


def test_controls_of_numbers_and_choices():
    assert isinstance(slider(1, 10, 5), widgets.IntSlider)
    assert slider(0.0, 2.0, 1.0).step == pytest.approx(0.02)
    logs = slider(1e-5, 1e-1, 1e-3, log=True)
    assert (logs.min, logs.max, logs.value) == pytest.approx((-5, -1, 1e-3))
    assert choice(["a", "b"]).value == "a"
    assert choice([0, 1], 0).value == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: slider(2, 1, 1), "high: got 1"),
        (lambda: slider(0, 1, 2), "value: got 2"),
        (lambda: slider(0, 1, 1, step=0), "step: got 0"),
        (lambda: slider(0, 1, 1, log=True), "low: got 0"),
        (lambda: choice([]), "options: got none"),
        (lambda: choice(["a"], "b"), "value: got 'b'"),
        (lambda: LiveFigure(draw, alt="A figure"), "controls: got none"),
        (lambda: LiveFigure(draw, alt="A figure", grey=3), "grey: got 3; expected a widget"),
        (lambda: LiveFigure(draw, alt="", grey=slider(0, 1, 1)), "alt: got"),
        (lambda: live(labels={"gray": "x"}), r"labels: got \['gray'\]"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("whole", [int, np.int64, np.uint8, torch.tensor])
def test_whole_numbers_of_any_kind_make_a_slider_of_whole_numbers(whole):
    made = slider(whole(1), whole(10), whole(3))
    assert isinstance(made, widgets.IntSlider)
    assert [(type(n), n) for n in (made.min, made.max, made.value)] == [(int, 1), (int, 10), (int, 3)]


@pytest.mark.parametrize("number", [float, np.float32, np.float64, torch.tensor])
def test_other_numbers_of_any_kind_make_a_slider_of_numbers(number):
    made = slider(0, number(1.5), number(0.25), step=number(0.25))
    assert isinstance(made, widgets.FloatSlider)
    assert [(type(n), n) for n in (made.max, made.value, made.step)] == [
        (float, 1.5),
        (float, 0.25),
        (float, 0.25),
    ]
