"""The lessons as files: what nbval would let pass is caught here, and the catcher is tested itself."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests import notebook_tool

LESSONS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_lesson_has_no_fault(path: Path) -> None:
    assert list(notebook_tool.faults(nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_lesson_is_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert notebook_tool.text_of(nbformat.reads(text, as_version=4)) == text


def test_there_are_lessons() -> None:
    assert LESSONS


def _notebook(source: str = "1 + 1", outputs: tuple = (), count: int | None = 1, text: str = "words"):
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs))
    return new_notebook(cells=[new_markdown_cell(text), cell])


def _picture(page: str | None):
    data = {"image/png": "AAAA"} | ({"text/html": page} if page else {})
    return new_output("display_data", data=data)


@pytest.mark.parametrize(
    ("notebook", "words"),
    [
        (_notebook(count=None), "not run"),
        (_notebook(count=7), "not run"),
        (_notebook(source="plot();"), "';'"),
        (_notebook(source="# NBVAL_SKIP\n1"), "use a tag"),
        (_notebook(source="\n".join(f"a = {k}" for k in range(16))), "16 lines"),
        (_notebook(outputs=(new_output("stream", name="stderr", text="warning"),)), "stderr"),
        (_notebook(outputs=(new_output("stream", text="in /home/me/x.py"),)), "absolute path"),
        (_notebook(outputs=(new_output("error", ename="ValueError", evalue="", traceback=[]),)), "ValueError"),
        (_notebook(outputs=(_picture(None),)), "alt text"),
        (_notebook(outputs=(_picture('<img src="x" alt="">'),)), "alt text"),
        (_notebook(text=r"$$a = b \tag{3.1}$$"), r"equation \(3.1\) has no cell"),
        (_notebook(source="# Check (3.2)\n1"), "checks no equation"),
        (_notebook(text="$$a = b$$"), "no .tag"),
        (_notebook(text=r"$$a \tag{3.1}$$ and $$b \tag{3.1}$$", source="# Check (3.1)\n1"), "two equations"),
    ],
)
def test_a_fault_is_found(notebook: nbformat.NotebookNode, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        assert "; ".join(notebook_tool.faults(notebook)) == ""


def test_a_sound_notebook_has_no_fault() -> None:
    outputs = (_picture('<img src="x" alt="a black square">'), new_output("stream", text="see https://a.b/home/c"))
    text = r"$$a = b \tag{3.1}$$"
    assert list(notebook_tool.faults(_notebook("# Check (3.1)\nassert True", outputs, text=text))) == []
