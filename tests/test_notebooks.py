"""The lessons as files: what nbval would let pass is caught here, and the catcher is tested itself."""

import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests import notebook_tool

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


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


REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
SET_UP = f"""\
try:
    import diffusion_lesson
except ModuleNotFoundError:  # in Colab: fetch the course first
    %pip install -q "git+{REPOSITORY}\""""


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_the_set_up_and_the_way_to_colab_name_the_repository_of_pyproject(path: Path) -> None:
    title, set_up = nbformat.read(path, as_version=4).cells[:2]
    assert set_up.source == SET_UP
    slug = REPOSITORY.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{slug}/blob/main/notebooks/{path.name}"
    assert f"[Open in Colab]({colab})" in title.source
    assert title.source.startswith(f"# {path.stem[:2]} · ")


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_links_between_lessons_lead_somewhere(path: Path) -> None:
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    links = set(re.findall(r"\]\(([^):#]+\.ipynb)\)", text))
    assert links <= {lesson.name for lesson in LESSONS}
    assert path.stem == "00_start_here" or "**References.**" in text
