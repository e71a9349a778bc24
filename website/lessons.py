"""A lesson as a page of the site: the executed notebook, with what only Jupyter needs taken out or folded."""

import html
import re
from base64 import b64decode
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.furniture import NAVIGATION, checked, is_set_up

_JUPYTER = "jupyter-only"  # the tag of what means nothing without a kernel
_CODE, _ALL = "hide-input", "hide-cell"  # MyST-NB's tags
_PROGRAM = re.compile(r'data-network="(\w+)"[^>]* data-program="([^"]*)"')
_ARXIV = re.compile(r"(?<![\w/\[])arXiv:(\d{4}\.\d{4,5})")


def linked(text: str) -> str:
    """Markdown in which every arXiv number is a link."""
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def _folded(cell: NotebookNode, what: str, words: str) -> None:
    cell.metadata["tags"] = [*cell.metadata.get("tags", []), what]
    cell.metadata["mystnb"] = {"code_prompt_show": words, "code_prompt_hide": words}


def page(notebook: NotebookNode) -> NotebookNode:
    """The notebook as MyST-NB shall see it: nothing for Jupyter alone, no way to Colab, arXiv numbers as links.

    A cell whose code is hidden in Jupyter is folded, and its line says which equations it checks. A picture that
    is attached to a cell, which MyST-NB doesn't know, is read from a file of its name beside the lesson.
    """
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if is_set_up(cell) or not {NAVIGATION, _JUPYTER}.isdisjoint(tags):
            continue
        if cell.cell_type == "markdown":
            cell.source = linked(re.sub(r"\[Open in Colab\]\([^)]*\)\n+", "", cell.source))
            cell.source = cell.source.replace("](attachment:", "](")
            cell.pop("attachments", None)
        elif "solution" in tags:
            _folded(cell, _ALL, "A solution")
        elif cell.metadata.get("jupyter", {}).get("source_hidden"):
            numbers = ", ".join(f"({n})" for n in checked(cell))
            other = "The code" if "folded" in tags else "Imports"
            _folded(cell, _CODE, f"{numbers} checked: the code" if numbers else other)
        cells.append(cell)
    notebook.cells = cells
    return notebook


def attached(notebook: NotebookNode) -> dict[str, bytes]:
    """The pictures that are attached to cells, by their file's name."""
    files = (cell.get("attachments", {}).items() for cell in notebook.cells)
    return {name: b64decode(data) for each in files for name, kinds in each for data in kinds.values()}


def title(notebook: NotebookNode) -> str:
    """The heading of its first cell, such as "03 · The forward process"."""
    first: str = notebook.cells[0].source.split("\n")[0]
    return first.removeprefix("# ")


def read(folder: Path) -> dict[str, NotebookNode]:
    """The lessons of a folder by their names without the ending, in order."""
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("[0-9]*.ipynb"))}


def tags(notebook: NotebookNode) -> list[str]:
    """The numbers of its displayed equations, in order."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return re.findall(r"\\tag\{([\d.]+)\}", text)


def section(text: str, heading: str) -> str:
    """The part of a Markdown text below a heading of level two. ValueError where there is none."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"heading: expected one of {re.findall('^## (.+)', text, re.MULTILINE)}, got {heading!r}")
    return found[1].strip()


def programs(lessons: dict[str, NotebookNode]) -> dict[str, str]:
    """Take every program that a figure carries in data-program out of the lessons, in place; give it by its key.

    A figure that runs the program of this key, whether it carried it or not, is told the file's address in
    data-src: so a site stores a network once.
    """
    found: dict[str, str] = {}
    pages = [out.data for n in lessons.values() for c in n.cells for out in c.get("outputs", []) if "data" in out]
    for data in pages:
        for key, program in _PROGRAM.findall("".join(data.get("text/html", ""))):
            found[key] = html.unescape(program)
    for data in pages:
        page = "".join(data.get("text/html", ""))
        if "data-network" in page:
            page = re.sub(r' data-program="[^"]*"', "", page)
            for key in found:
                here = f'data-network="{key}"'
                page = page.replace(here, f'{here} data-src="../_static/network-{key}.js"')
            data["text/html"] = page
    return found
