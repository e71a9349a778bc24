import base64
import io
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from PIL import Image

from diffusion_lesson.page import plots


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        plots.use_style()
        yield


def picture(figure):
    return np.asarray(Image.open(io.BytesIO(plots.png(figure)[0])).convert("RGB"))


def test_alt_text_is_in_every_representation_and_reaches_the_page():
    data, metadata = plots.bundle(Figure(), 'A "black"\n line')
    assert 'alt="A &quot;black&quot; line"' in data["text/html"]
    assert metadata["image/png"]["alt"] == 'A "black" line'
    assert data["text/plain"] == 'Figure: A "black" line'
    data, metadata = plots.bundle(Figure(), "A black line")
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    assert 'alt="A black line"' in HTMLExporter().from_notebook_node(nb)[0]


@pytest.mark.parametrize("alt", ["", " \n"])
def test_a_figure_without_alt_text_is_refused(alt):
    with pytest.raises(ValueError, match="alt: got"):
        plots.show(Figure(), alt=alt)


def test_in_a_notebook_the_whole_bundle_is_displayed(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "get_ipython", lambda: "a kernel")
    monkeypatch.setattr(plots, "display", lambda data, **options: shown.append((data, options)))
    plots.show(Figure(), alt="Nothing")
    assert shown[0][0].keys() == {"text/html", "image/png", "text/plain"}
    assert shown[0][1]["metadata"]["image/png"]["alt"] == "Nothing"


def test_show_closes_the_figure_and_tells_a_shell_the_words(capsys):
    figure = plt.figure()
    plots.show(figure, alt="Nothing")
    assert plt.get_fignums() == []
    assert capsys.readouterr().out == "Figure: Nothing\n"


def test_the_same_figure_gives_the_same_bytes_and_keeps_its_colours():
    def draw():
        figure = Figure()
        figure.subplots().plot([0, 1], **plots.ROLES["posterior"])
        return plots.bundle(figure, "A line")[0]

    assert draw() == draw()
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(draw()["image/png"]))).convert("RGB"))
    assert (np.abs(drawn.reshape(-1, 3).astype(int) - (0x00, 0x9E, 0x73)).max(1) < 4).any()
    assert (drawn[0, 0] == 255).all()  # opaque paper: black lines are seen in a dark notebook


def test_a_photograph_keeps_its_colours():
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    drawn = picture(plots.image_grid(noise, tile=2))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 256


def test_pixels_of_tensors_arrays_grey_and_colour():
    signed = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2).requires_grad_()
    assert plots.pixels(signed)[:, 0, 0].tolist() == [0, 128, 255]
    colour = np.zeros((2, 3, 4, 5)) + np.array([-1, 0, 1]).reshape(3, 1, 1)
    assert plots.pixels(colour).shape == (2, 4, 5, 3)
    assert plots.pixels(colour)[0, 0, 0].tolist() == [0, 128, 255]
    assert plots.pixels(np.full((1, 2, 2), 255, np.uint8)).max() == 255
    assert plots.pixels(np.full((1, 2, 2), 16), span=(0, 16)).min() == 255
    assert plots.pixels(np.full((1, 2, 2), 7.0), clip=True).min() == 255


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        (np.full((1, 2, 2), np.nan), {}, "images: got 4 numbers that are NaN"),
        (np.full((1, 2, 2), 1.1), {}, r"got numbers from 1.1 to 1.1; expected -1 to 1.*clip=True"),
        (np.full((1, 2, 2), -1.1), {}, "expected -1 to 1"),
        (np.zeros((2, 2)), {}, r"got shape \(2, 2\); expected"),
        (np.zeros((2, 2, 4, 4)), {}, r"got shape \(2, 2, 4, 4\)"),
        (np.zeros((0, 4, 4)), {}, "got shape"),
        (np.zeros((1, 4, 4)), {"span": (1, 1)}, "span: got"),
    ],
)
def test_bad_pictures_are_named(images, options, words):
    with pytest.raises(ValueError, match=words):
        plots.pixels(images, **options)


def test_image_grid_puts_each_picture_in_its_place():
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    figure = plots.image_grid(np.ones((6, 4, 4), np.uint8) * levels[:, None, None], columns=3)
    drawn = picture(figure)
    height, width = drawn.shape[:2]
    found = [int(drawn[int(height * y), int(width * x), 0]) for y in (0.3, 0.7) for x in (0.2, 0.5, 0.8)]
    assert found == levels.tolist()


def test_image_grid_titles_and_rows():
    figure = plots.image_grid(np.zeros((4, 8, 8)), columns=2, titles="abcd", row_titles=["one", "two"])
    words = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(words) == ["a", "b", "c", "d", "one", "two"]
    for options, what in (({"titles": "abc"}, "titles: got 3; expected 4"), ({"columns": 0}, "columns: got 0")):
        with pytest.raises(ValueError, match=what):
            plots.image_grid(np.zeros((4, 8, 8)), **options)


def test_ledger_bars_are_bits_per_dimension():
    nats = np.log(2) * 64
    ledger = SimpleNamespace(
        prior=torch.tensor([1.0, 3.0]) * nats,
        steps=torch.tensor([2, 3]),
        denoising=torch.tensor([[1.0, 2.0], [3.0, 2.0]]) * nats,
        reconstruction=torch.tensor([5.0, 5.0]) * nats,
        total=lambda: torch.tensor([11.0, 11.0]) * nats,
    )
    left, right = plots.ledger_bars(ledger, dims=64).axes
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], [2, 4, 5], rtol=1e-6)
    np.testing.assert_allclose(right.lines[0].get_xydata(), [(2, 2), (3, 2)], rtol=1e-6)
    with pytest.raises(ValueError, match="dims: got 0"):
        plots.ledger_bars(ledger, dims=0)
