"""What every notebook has around its lesson: hidden code, the way to Colab, the set-up, links before and after.

All of it follows from the lesson's own cells, the names of the lessons, and the address in pyproject.toml. So the
canonical form of a notebook (notebook_tool.py) makes it, and nobody writes it by hand.
"""

import re
import symtable
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from diffusion_lesson.exercises.solved import SOLUTION
from tools.address import ROOT, repository

LESSONS = ROOT / "notebooks"
NAVIGATION = "navigation"  # the tag of the last cell
FOLDED = {"solution", "folded"}  # tags of cells whose code is hidden because the lesson says so
_TITLE = re.compile(r"# (\d\d) · (.+)")
_FIRST = re.compile(r'"# (\d\d · .+?)(?:\\n)?"')
_BADGE = re.compile(r"\[Open in Colab\]\([^)]*\)\n\n")
_FETCH = """\
# Is the course installed? Where it is not, as in Colab, it is fetched.
try:
    import diffusion_lesson
except ModuleNotFoundError:
    %pip install -q "git+{address}\""""
_ASK = """\
# Is the course installed?
try:
    import diffusion_lesson
except ModuleNotFoundError:
    todo = "upload the course as diffusion-lesson.zip, run  %pip install ./diffusion-lesson.zip"
    raise ModuleNotFoundError(f"The course is not installed. In Colab: {todo}") from None"""


def set_up(address: str | None) -> str:
    """The source of the second cell: it fetches the course, or says how it is brought where it has no address."""
    return _FETCH.format(address=address) if address else _ASK


def is_set_up(cell: NotebookNode) -> bool:
    """Whether this is the cell that asks if the course is installed."""
    return cell.cell_type == "code" and "import diffusion_lesson\nexcept ModuleNotFoundError" in cell.source


def checked(cell: NotebookNode) -> list[str]:
    """The equations that a code cell tests by a line `# Check (n.m)`."""
    return re.findall(r"^# Check \(([\d.]+)\)", cell.source, re.MULTILINE)


def _names(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell binds, and those that it reads, in its functions too."""
    table = symtable.symtable(source, "a cell", "exec")

    def reads(inner: symtable.SymbolTable) -> set[str]:
        at_top = inner.get_type() == "module"
        own = {s.get_name() for s in inner.get_symbols() if s.is_referenced() and (at_top or s.is_global())}
        return own.union(*map(reads, inner.get_children()))

    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}, reads(table)


def only_check(cells: list[NotebookNode]) -> set[int]:
    """The positions of the code cells that test an equation and do nothing for any other cell.

    Such a cell binds no name that a later cell reads, unless that one only checks too.
    """
    code = [k for k, c in enumerate(cells) if c.cell_type == "code" and "%pip" not in c.source]
    names = {k: _names(cells[k].source) for k in code}
    readers: dict[int, set[int]] = {}
    for place, k in enumerate(code):
        if checked(cells[k]):
            live, readers[k] = set(names[k][0]), set()
            for later in code[place + 1 :]:
                bound, read = names[later]
                if live & read - bound:
                    readers[k].add(later)
                live -= bound
    quiet = set(readers)
    while loud := {k for k in quiet if readers[k] - quiet}:
        quiet -= loud
    return quiet


def hide(cells: list[NotebookNode]) -> None:
    """Hide the code of cells that only set up, only check, or are tagged so; show that of all others.

    JupyterLab, Notebook 7 and VS Code keep the first line in place of the code (source_hidden), Colab the words
    "Show code" (cellView). The classic notebook knows neither.
    """
    quiet = only_check(cells)
    for k, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        imports = "\nplots.use_style()" in cell.source and cell.source.startswith(("import ", "from "))
        hidden = k in quiet or imports or is_set_up(cell) or not FOLDED.isdisjoint(cell.metadata.get("tags", []))
        jupyter = {key: value for key, value in cell.metadata.get("jupyter", {}).items() if key != "source_hidden"}
        wanted: dict[str, Any] = {"jupyter": jupyter | ({"source_hidden": True} if hidden else {})}
        wanted |= {"cellView": "form"} if hidden else {}
        for name in ("jupyter", "cellView"):
            cell.metadata.pop(name, None)
        cell.metadata |= {name: value for name, value in wanted.items() if value}


def _titles(folder: Path) -> dict[str, str]:
    """The titles of the lessons, by their files' names, in order. The title is a notebook's first string."""
    found = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        with path.open(encoding="utf-8") as file:
            if first := _FIRST.search(file.read(4000)):
                found[path.name] = first[1]
    return found


def navigation(name: str, titles: dict[str, str]) -> str:
    """The last cell: the lesson before, the map, the lesson after."""
    names = list(titles)
    place = names.index(name)
    parts = [f"[← {titles[n]}]({n})" for n in names[max(0, place - 1) : place]]
    parts += [f"[All lessons]({names[0]})"] if place else []
    parts += [f"[{titles[n]} →]({n})" for n in names[place + 1 : place + 2]]
    return " · ".join(parts)


def furnish(notebook: NotebookNode, folder: Path = LESSONS) -> None:
    """Give a lesson what stands around it, in place. In a notebook that is no lesson only code is hidden."""
    hide(notebook.cells)
    title = _TITLE.match(notebook.cells[0].source) if notebook.cells else None
    files = [path.name for path in folder.glob(f"{title[1]}_*.ipynb")] if title else []
    if title is None or len(files) != 1:
        return
    (name,) = files
    address = repository(folder.parent)
    first = notebook.cells[0]
    first.source = _BADGE.sub("", first.source)
    if address:
        slug = address.removeprefix("https://github.com/")
        badge = f"[Open in Colab](https://colab.research.google.com/github/{slug}/blob/main/notebooks/{name})\n\n"
        head, question, rest = first.source.split("\n\n", 2)
        first.source = f"{head}\n\n{question}\n\n{badge}{rest}"
    for cell in notebook.cells:
        if is_set_up(cell):
            cell.source = set_up(address)
        if "solution" in cell.metadata.get("tags", []) and not cell.source.startswith(SOLUTION):
            cell.source = f"{SOLUTION}\n{cell.source}"
    cells = [cell for cell in notebook.cells if NAVIGATION not in cell.metadata.get("tags", [])]
    titles = dict(sorted((_titles(folder) | {name: f"{title[1]} · {title[2]}"}).items()))
    last = new_markdown_cell(navigation(name, titles), metadata={"tags": [NAVIGATION]})
    notebook.cells = [*cells, last]
