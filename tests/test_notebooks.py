"""The lessons as files: what nbval would let pass is caught here, and the catcher is tested itself."""

import io
import re
import symtable
from base64 import b64decode
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools import notebook_tool

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_lesson_has_no_fault(path: Path) -> None:
    assert list(notebook_tool.faults(nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_lesson_is_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert notebook_tool.text_of(nbformat.reads(text, as_version=4)) == text


def test_of_a_live_control_the_form_keeps_the_picture() -> None:
    shown = _picture('<img alt="a curve">')
    shown.data[notebook_tool.VIEW] = {"model_id": "ab"}
    (out,) = notebook_tool.normalise(_notebook(outputs=(shown,))).cells[1].outputs
    assert set(out.data) == {"image/png", "text/html"}


def _seen_through(picture: bytes) -> bool:
    return Image.open(io.BytesIO(picture)).convert("RGBA").getchannel("A").getextrema()[0] < 255


def test_every_picture_has_paper_of_its_own_and_so_is_readable_in_a_dark_theme() -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (2, 2), (0, 0, 0, 254)).save(clear, "png")
    assert _seen_through(clear.getvalue())
    codes = re.compile(r'(?:data:image/\w+;base64,|"image/png": ")([A-Za-z0-9+/=]+)')
    found = {path.name: codes.findall(path.read_text("utf-8").replace("\\n", "")) for path in LESSONS}
    assert sum(map(len, found.values())) > 300
    assert [name for name, each in found.items() if any(_seen_through(b64decode(code)) for code in each)] == []


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
        (_notebook(source="print('π ≈ 3.14')"), "writes ≈ itself"),
        (_notebook(source="\n".join(f"a = {k}" for k in range(16))), "16 lines"),
        (_notebook(outputs=(new_output("stream", name="stderr", text="warning"),)), "stderr"),
        (_notebook(outputs=(new_output("stream", text="in /home/me/x.py"),)), "absolute path"),
        (_notebook(outputs=(new_output("error", ename="ValueError", evalue="", traceback=[]),)), "ValueError"),
        (_notebook(outputs=(_picture(None),)), "alt text"),
        (_notebook(outputs=(new_output("display_data", data={notebook_tool.VIEW: {}}),)), "a kernel that is gone"),
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


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_links_between_lessons_lead_somewhere(path: Path) -> None:
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    links = set(re.findall(r"\]\(([^):#]+\.ipynb)\)", text))
    assert links <= {lesson.name for lesson in LESSONS}
    assert path.stem == "00_start_here" or "**References.**" in text


def _read_late(table: symtable.SymbolTable) -> set[str]:
    """The global names that a function reads when it is called, with those of functions and lambdas inside it."""
    own = set(table.get_globals()) if isinstance(table, symtable.Function) else set()
    return own.union(*map(_read_late, table.get_children()))


def rebound_under_a_live_control(notebook: nbformat.NotebookNode) -> set[str]:
    """Names that a live control reads at every move, and that a later cell binds anew: by then it is broken."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code" and "%pip" not in cell.source]
    tables = [symtable.symtable(source, "a cell", "exec") for source in sources]
    bound = [{s.get_name() for s in table.get_symbols() if s.is_assigned()} for table in tables]
    functions: dict[str, set[str]] = {}
    found: set[str] = set()
    for k, (source, table) in enumerate(zip(sources, tables, strict=True)):
        functions |= {child.get_name(): _read_late(child) for child in table.get_children()}
        if "LiveFigure(" in source:
            here = [_read_late(child) for child in table.get_children() if child.get_name() == "lambda"]
            called = {s.get_name() for s in table.get_symbols() if s.is_referenced()} & functions.keys()
            late, todo = set(), set().union(*here, *(functions[name] for name in called))
            while todo:
                late |= todo
                todo = set().union(*(functions.get(name, set()) for name in todo)) - late
            found |= late & set().union(*bound[k + 1 :])
    return found


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_later_cell_breaks_a_live_control(path: Path) -> None:
    assert rebound_under_a_live_control(nbformat.read(path, as_version=4)) == set()


def test_a_broken_live_control_is_found() -> None:
    cells = [
        "own = 1",
        "def draw(w):\n    return shown(w)",
        "def shown(w):\n    return [own + k for k in range(w)]",
    ]
    cells += ["LiveFigure(draw, alt=lambda w: w)", "for own in range(3): w = own"]
    assert rebound_under_a_live_control(new_notebook(cells=[new_code_cell(source) for source in cells])) == {"own"}
