"""What nbval compares of a lesson's outputs, and what it leaves out, tried on a notebook made here."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
START = """
import numpy as np
from matplotlib.figure import Figure
from diffusion_lesson.page import live, plots
from diffusion_lesson.page.measured import about
from diffusion_lesson.page.scrubber import TimestepSlider


def slider(loss, label="step", caption="It learns", marked=True):
    words = [f"{label} {k}: {about(loss + k)}" for k in range(3)]
    curve = [loss, 2 * loss**2, 0.5]
    return TimestepSlider(np.zeros((3, 2, 2)), words, caption=caption, curve=curve, measured=marked)


def live_figure(score):
    return live.LiveFigure(lambda n: Figure(), alt=lambda n: f"{n} of them score {score}", n=live.slider(1, 3, 2))
"""
# A cell as it was when its output was stored, and as it is when it is compared. With the mark: no fault.
MARKED = {
    "printed": ("print('loss', about(0.31, '.2f'))", "print('loss', about(12.5, '.2f'))"),
    "of another sign": ("print(about(-0.01, '.2f'))", "print(about(0.02, '.2f'))"),
    "very small and very large": ("print(about(1.2e-7), 'x')", "print(about(3_400_000.0, ',.0f'), 'x')"),
    "in a column": ("print('|' + about(9.5, '8.1f') + '|')", "print('|' + about(10.5, '8.1f') + '|')"),
    "per cent": ("print(about(0.98, '.0%'), 'of')", "print(about(1, '.0%'), 'of')"),
    "two in a line": ("print(about(1), 'then', about(2))", "print(about(3), 'then', about(4))"),
    "an alt text": (
        "plots.show(Figure(), alt=f'The GAN has {about(43.0)}, ours less')",
        "plots.show(Figure(), alt=f'The GAN has {about(38.2)}, ours less')",
    ),
    "a live figure": ("live_figure(about(43.2))", "live_figure(about(38))"),
    "a slider's curve and labels": ("slider(0.61)", "slider(0.58)"),
}
# The same without a mark, or with a change beside it: a fault.
COMPARED = {
    "not marked": ("print('loss', 0.31)", "print('loss', 0.32)"),
    "words before": ("print('loss', about(0.31))", "print('cost', about(0.31))"),
    "words after": ("print(about(1), 'nats')", "print(about(1), 'bits')"),
    "its unit": ("print(about(0.5, '.0%'))", "print(about(0.5, '.0f'))"),
    "a number beside it": ("print(about(1), 'of 10')", "print(about(1), 'of 12')"),
    "not a number any more": ("print(about(1.0))", "print(about(float('nan')))"),
    "infinite": ("print(about(1.0))", "print(about(float('inf')))"),
    "the mark itself": ("print('≈1.5')", "print('1.5')"),
    "how many numbers": ("print(about(1), about(2))", "print(about(1))"),
    "an alt text's words": (
        "plots.show(Figure(), alt=f'The GAN has {about(43.0)}, ours less')",
        "plots.show(Figure(), alt=f'The GAN has {about(43.0)}, ours more')",
    ),
    "a live figure's number": ("live_figure(43.2)", "live_figure(38)"),
    "a slider's curve": ("slider(0.61, marked=False)", "slider(0.58, marked=False)"),
    "a slider's label": ("slider(0.61)", "slider(0.61, label='at')"),
    "a slider's caption": ("slider(0.61)", "slider(0.61, caption='It forgets')"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What the comparison says of each cell: passed or not."""
    folder, cases = tmp_path_factory.mktemp("compared"), [*MARKED.values(), *COMPARED.values()]
    then = new_notebook(cells=[new_code_cell(START), *(new_code_cell(before) for before, _ in cases)])
    NotebookClient(then, timeout=60, kernel_name="python3", store_widget_state=False).execute()
    for cell, (_, after) in zip(then.cells[1:], cases, strict=True):
        cell.source = after
    nbformat.write(then, folder / "lesson.ipynb")
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "tests" / "nbval.ini"),
        *("--nbval", "--nbval-current-env", "--nbval-sanitize-with", ROOT / "tests" / "sanitize.cfg"),
        *(f"--junitxml={folder / 'verdicts.xml'}", folder / "lesson.ipynb"),
    ]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr  # some tests failed
    found = [case.find("failure") is None for case in ElementTree.parse(folder / "verdicts.xml").iter("testcase")]
    assert found[0]
    return dict(zip([*MARKED, *COMPARED], found[1:], strict=True))


@pytest.mark.parametrize("name", MARKED)
def test_a_number_that_is_marked_may_differ(verdicts, name):
    assert verdicts[name]


@pytest.mark.parametrize("name", COMPARED)
def test_anything_else_may_not(verdicts, name):
    assert not verdicts[name]
