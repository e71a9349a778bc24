"""What stands around every lesson: hidden checks, links, the set-up; and the address, which is in one place."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from diffusion_lesson.exercises.solved import SOLUTION
from tools import furniture, notebook_tool, publish
from tools.address import ROOT, repository

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
ADDRESS = "https://github.com/someone/the-course"


def cells(*sources):
    return [new_code_cell(source) for source in sources]


@pytest.mark.parametrize(
    ("sources", "quiet"),
    [
        (["# Check (1.1)\nassert True", "print(1)"], {0}),
        (["# Check (1.1)\na = 1", "print(a)"], set()),  # read later by what is shown
        (["# Check (1.1)\na = 1", "a = 2\nprint(a)"], {0}),  # bound anew before it is read
        (["# Check (1.1)\na = 1", "a = 2", "print(a)"], {0}),
        (["# Check (1.1)\na = 1", "# Check (1.2)\nassert a"], {0, 1}),  # read by another check alone
        (["# Check (1.1)\na = 1", "# Check (1.2)\nb = a", "print(b)"], set()),  # which is itself read
        (["# Check (1.1)\ndef f():\n    return 1", "def g():\n    return f()"], set()),  # read in a function
        (["# Check (1.1)\nimport sympy", "print(sympy)"], set()),
        (["a = 1", "print(a)"], set()),
    ],
)
def test_a_cell_only_checks_if_nothing_else_needs_it(sources, quiet):
    assert furniture.only_check(cells(*sources)) == quiet


def test_code_is_hidden_where_it_only_checks_and_shown_where_it_does_not():
    some = cells("# Check (1.1)\nassert True", "print(1)", "answer = 1", "import os\nplots.use_style()")
    some[1].metadata = nbformat.from_dict({"cellView": "form", "jupyter": {"source_hidden": True}})
    some[2].metadata["tags"] = ["solution"]
    some += cells("shown_at_once()")
    some[4].metadata["tags"] = ["folded"]
    for _ in range(2):
        furniture.hide(some)
        hidden = [bool(cell.metadata.get("jupyter", {}).get("source_hidden")) for cell in some]
        assert (
            hidden == [cell.metadata.get("cellView") == "form" for cell in some] == [True, False, True, True, True]
        )
    assert some[1].metadata == {}


def test_in_the_lessons_more_than_a_hundred_checks_are_hidden_and_no_exercise():
    hidden = 0
    for path in LESSONS:
        for cell in nbformat.read(path, as_version=4).cells:
            folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
            hidden += folded and bool(furniture.checked(cell))
            assert not (folded and "exercise" in cell.metadata.get("tags", []))
    assert hidden > 100


def test_the_last_cell_leads_to_the_lesson_before_home_and_the_lesson_after():
    titles = {"00_a.ipynb": "00 · A", "01_b.ipynb": "01 · B", "02_c.ipynb": "02 · C"}
    assert furniture.navigation("00_a.ipynb", titles) == "[01 · B →](01_b.ipynb)"
    assert furniture.navigation("01_b.ipynb", titles) == (
        "[← 00 · A](00_a.ipynb) · [All lessons](00_a.ipynb) · [02 · C →](02_c.ipynb)"
    )
    assert furniture.navigation("02_c.ipynb", titles) == "[← 01 · B](01_b.ipynb) · [All lessons](00_a.ipynb)"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_names_itself_and_asks_for_the_course_as_the_address_says(path: Path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} · ")
    assert notebook.cells[1].source == furniture.set_up(repository())
    assert ("[Open in Colab]" in notebook.cells[0].source) == (repository() is not None)


def test_a_notebook_that_is_no_lesson_only_has_its_code_hidden():
    mine = new_notebook(cells=[new_markdown_cell("# Mine"), *cells("# Check (1.1)\nassert True")])
    furniture.furnish(mine)
    assert len(mine.cells) == 2
    assert mine.cells[1].metadata["cellView"] == "form"


@pytest.fixture
def copy(tmp_path):
    """What `make publish` writes, for three lessons, beside nothing else."""
    for name in ("pyproject.toml", "README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    for path in LESSONS[:3]:
        shutil.copy(path, tmp_path / "notebooks")
    publish.publish("", tmp_path)
    return tmp_path


def contents(folder):
    return {path.name: path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_publishing_sets_the_address_everywhere_and_undoes_it(copy):
    before = contents(copy)
    assert len(publish.publish("someone/the-course", copy)) == 6
    assert repository(copy) == ADDRESS
    assert f"git clone {ADDRESS}`" in (copy / "README.md").read_text("utf-8")
    assert f"\nrepository-code: {ADDRESS}\n" in (copy / "CITATION.cff").read_text("utf-8")
    for path in (copy / "notebooks").iterdir():
        first, second = nbformat.read(path, as_version=4).cells[:2]
        assert f"/github/someone/the-course/blob/main/notebooks/{path.name})" in first.source
        assert f'%pip install -q "git+{ADDRESS}"' in second.source
    assert publish.publish("someone/the-course", copy) == []
    assert len(publish.publish("other/name", copy)) == 6
    assert not any("the-course" in text for text in contents(copy).values())
    publish.publish("", copy)
    assert contents(copy) == before
    assert publish.publish("", copy) == []


def test_without_an_address_no_link_leads_to_a_repository(copy):
    for name, text in contents(copy).items():
        assert not re.search(r"OWNER|colab\.research|codespaces\.new", text), name
    assert repository(copy) is None


@pytest.mark.parametrize("wrong", ["owner", "a/b/c", "a b/c", "https://github.com/a/b"])
def test_an_address_that_is_none_is_refused_before_anything_is_written(copy, wrong):
    before = contents(copy)
    with pytest.raises(ValueError, match="REPO: expected owner/name as on GitHub, or nothing, got"):
        publish.publish(wrong, copy)
    assert contents(copy) == before


def test_the_canonical_form_has_the_furniture():
    path = LESSONS[3]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[:-1]
    for cell in notebook.cells:
        cell.metadata.pop("cellView", None)
        cell.source = cell.source.removeprefix(f"{SOLUTION}\n")
    assert notebook_tool.text_of(notebook) == path.read_text("utf-8")


def test_without_a_table_for_the_address_nothing_else_is_written(copy):
    project = copy / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace("[project.urls]", "[project.nothing]"), "utf-8")
    with pytest.raises(ValueError, match="no table"):
        publish.publish("someone/the-course", copy)


def test_readme_tells_the_address_of_pyproject():
    (lines,) = publish._LINES.findall((ROOT / "README.md").read_text("utf-8"))
    assert lines == publish.in_readme(repository())
