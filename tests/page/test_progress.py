import io
import sys

import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

from diffusion_lesson.page import progress
from diffusion_lesson.page.progress import Preview, track

CELLS = (
    """\
import time
from matplotlib.figure import Figure
from diffusion_lesson.page.progress import Preview, track
drawn = 0
def work():
    for k in range(12):
        time.sleep(0.05)
        yield k
def draw():
    global drawn
    drawn += 1
    return Figure(figsize=(1, 1))
preview = Preview(draw, alt="A sample", every=0.1)
for k in track(work(), total=12, note=lambda k: f"loss {k}"):
    preview.refresh()
preview.finish()
""",
    """\
for k in track(work(), total=12):
    if k == 5:
        break
""",
    "print(drawn > 1)",
)


def run(monkeypatch, quiet):
    monkeypatch.setenv("QUIET", quiet)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    updates = []

    class Watched(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                updates.append(msg["content"]["data"])
            return super().process_message(msg, cell, cell_index)

    Watched(nb, timeout=60, kernel_name="python3", store_widget_state=False).execute()
    return nb, updates


@pytest.mark.filterwarnings("default")  # a Jupyter kernel starts
def test_live_in_a_notebook_and_gone_at_the_end(monkeypatch):
    nb, updates = run(monkeypatch, "")
    bars = [data["text/html"] for data in updates if "progress" in data.get("text/html", "")]
    assert 'value="0"' in bars[0]
    assert any("loss " in bar and "s left" in bar for bar in bars)
    bar, picture = nb.cells[0].outputs
    assert bar.data == {"text/html": "", "text/plain": ""}
    assert picture.data["text/plain"] == "Figure: A sample"
    assert [out.data for out in nb.cells[1].outputs] == [{"text/html": "", "text/plain": ""}]
    assert nb.cells[2].outputs[0].text == "True\n"


@pytest.mark.filterwarnings("default")
def test_quiet_leaves_one_picture_and_nothing_else(monkeypatch):
    nb, _ = run(monkeypatch, "1")
    (picture,) = nb.cells[0].outputs
    assert picture.data["text/plain"] == "Figure: A sample"
    assert nb.cells[1].outputs == []
    assert nb.cells[2].outputs[0].text == "False\n"


@pytest.mark.parametrize("quiet", ["", "1"])
def test_every_item_passes(monkeypatch, quiet, capsys):
    monkeypatch.setenv("QUIET", quiet)
    assert list(track(iter("abc"), total=3)) == ["a", "b", "c"]
    assert list(track([1, 2])) == [1, 2]
    assert list(track([])) == []
    assert capsys.readouterr() == ("", "")  # nobody watches: not a terminal


def test_a_shell_has_a_bar(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.delenv("QUIET", raising=False)
    assert list(track(iter([1, 2, 3]), total=3, label="walk", note=lambda k: f"at {k}")) == [1, 2, 3]
    assert "walk" in screen.getvalue()


def test_a_log_gets_a_line_a_minute(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.delenv("QUIET", raising=False)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    for _ in track(iter(range(1, 11)), total=10, label="walk", note=lambda k: f"at {k}"):
        clock[0] += 25
    lines = ["walk 3 of 10, at 3", "walk 6 of 10, at 6", "walk 9 of 10, at 9"]
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


def test_a_preview_waits_its_turn(monkeypatch):
    drawn, shown, clock = [], [], [100]
    monkeypatch.delenv("QUIET", raising=False)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0] / 10)

    class Handle:
        def update(self, data, **options):
            shown.append(data["text/plain"])

    monkeypatch.setattr(progress, "display", lambda data, **options: shown.append(data["text/plain"]) or Handle())

    def draw():
        drawn.append(clock[0])
        clock[0] += cost
        return Figure(figsize=(1, 1))

    preview, cost = Preview(draw, alt="A sample"), 0
    for _ in range(31):
        preview.refresh()
        clock[0] += 1
    assert drawn == [100, 110, 120, 130]
    cost = 5
    for _ in range(30):
        preview.refresh()
        clock[0] += 1
    assert drawn[4:] == [140, 165]  # a slow drawing leaves most of the time to the work
    preview.finish()
    assert len(drawn) == 7
    assert shown == ["Figure: A sample"] * 7


def test_the_bar_moves_five_times_a_second_and_goes(monkeypatch):
    shown, clock = [], [0]
    monkeypatch.delenv("QUIET", raising=False)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0] / 10)

    class Handle:
        def update(self, data, **options):
            shown.append(data["text/plain"])

    monkeypatch.setattr(progress, "display", lambda data, **options: shown.append(data["text/plain"]) or Handle())
    for _ in track(iter(range(6)), total=6, label="turn", note=str):
        clock[0] += 1
    words = ["turn 0/6", "turn 2/6 · 0 s left · 1", "turn 4/6 · 0 s left · 3", ""]
    assert shown == words


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="total: got None"):
        track(k for k in range(3))
    with pytest.raises(ValueError, match="total: got -1"):
        track([1], total=-1)
    with pytest.raises(ValueError, match="every: got 0"):
        Preview(Figure, alt="A sample", every=0.0)
    with pytest.raises(ValueError, match="alt: got"):
        Preview(Figure, alt="")
