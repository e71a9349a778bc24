"""Execute notebooks and write them in one canonical form, so that a re-run without a change is no diff.

python -m tools.notebook_tool notebooks/*.ipynb            # execute, normalise, write
python -m tools.notebook_tool --form notebooks/*.ipynb     # normalise and write, without a run
python -m tools.notebook_tool --check notebooks/*.ipynb    # exit 1 where a committed file is at fault
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tools.furniture import LESSONS, checked, furnish

KEEP = {"tags", "jupyter", "cellView"}  # cell metadata worth committing
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
VIEW = "application/vnd.jupyter.widget-view+json"
LONGEST_CELL = 15  # lines of code: no comments, blank lines, imports, or lines of words such as an alt text
NO_CODE = re.compile(r'\s*($|#|import |from |alt=|f?"|[)\]}]+,?$)')


def normalise(notebook: NotebookNode, folder: Path = LESSONS) -> NotebookNode:
    """Fixed ids, counts and kernel; streams merged; no timing, no widgets but their stored pictures."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor, run = 4, 5, 0
    furnish(notebook, folder)
    for k, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{k:02d}"
        cell.metadata = nbformat.from_dict({m: v for m, v in cell.metadata.items() if m in KEEP})
        if cell.cell_type != "code":
            continue
        run += 1
        cell.execution_count = run
        merged: list[NotebookNode] = []
        for out in cell.outputs:
            if out.output_type == "execute_result":
                out.execution_count = run
            # Of a kernel that is gone: a trusted notebook would show an error in place of the stored picture.
            out.get("data", {}).pop(VIEW, None)
            if out.output_type == "stream" and merged and merged[-1].get("name") == out.name:
                merged[-1].text += out.text
            else:
                merged.append(out)
        cell.outputs = merged
    return notebook


def text_of(notebook: NotebookNode, folder: Path = LESSONS) -> str:
    """The canonical file of a lesson in this folder."""
    return nbformat.writes(normalise(notebook, folder), version=4) + "\n"


def equations(notebook: NotebookNode) -> tuple[list[str], list[str]]:
    """(numbers displayed as \\tag{n.m}, numbers tested by a line `# Check (n.m)`), in order."""
    tags: list[str] = []
    checks: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            tags += re.findall(r"\\tag\{([\d.]+)\}", cell.source)
        else:
            checks += checked(cell)
    return tags, checks


def untagged(notebook: NotebookNode) -> list[str]:
    """Displayed equations without a \\tag."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return [body.strip() for body in re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL) if r"\tag{" not in body]


def faults(notebook: NotebookNode) -> Iterator[str]:
    """What nbval would let pass, or what a reader should not see."""
    run = 0
    for k, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        run += 1
        yield from (f"cell {k} {fault}" for fault in _code_faults(cell, run))
    tags, checks = equations(notebook)
    for number in sorted(set(tags) - set(checks)):
        yield f"equation ({number}) has no cell with a line '# Check ({number})'"
    for number in sorted(set(checks) - set(tags)):
        yield f"'# Check ({number})' checks no equation"
    for number in sorted({n for n in tags if tags.count(n) > 1}):
        yield f"two equations are tagged ({number})"
    for body in untagged(notebook):
        yield rf"a displayed equation has no \tag: {body[:60]}"
    if "widgets" in notebook.metadata:
        yield "holds widget state"


def _code_faults(cell: NotebookNode, run: int) -> Iterator[str]:
    if cell.execution_count != run:
        yield f"has the execution count {cell.execution_count}, expected {run}: not run from a clean kernel"
    if cell.source.rstrip().endswith(";"):
        yield "ends with ';', which nbval does not honour"
    if "NBVAL_" in cell.source:
        yield "shows an NBVAL comment: use a tag"
    if "≈" in cell.source:
        yield "writes ≈ itself: about() does, since the number after it is not compared"
    lines = [line for line in cell.source.splitlines() if not NO_CODE.match(line)]
    if len(lines) > LONGEST_CELL:
        yield f"has {len(lines)} lines of code, expected at most {LONGEST_CELL}"
    for out in cell.outputs:
        if out.output_type == "error":
            yield f"raised {out.ename}"
        if out.get("name") == "stderr":
            yield "writes to stderr"
        if re.search(r"(?<![\w.:/])/(root|home|work|tmp|Users)/", json.dumps(out, ensure_ascii=False)):
            yield "shows an absolute path"
        data = out.get("data", {})
        page = "".join(data.get("text/html", ""))
        if VIEW in data:
            yield "asks for a widget of a kernel that is gone"
        if "image/png" in data and not re.search(r'alt="[^"]+"|aria-label="[^"]+"', page):
            yield "shows a picture without alt text"
        if re.search(r"<img(?![^>]*\balt=\"[^\"])", page):
            yield "shows a picture without alt text"


def execute(path: Path) -> NotebookNode:
    """The notebook, run from top to bottom in a clean kernel in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    return notebook


def main(arguments: list[str]) -> int:
    """The number of faults found."""
    check, form, bad = "--check" in arguments, "--form" in arguments, 0
    os.environ["DIFFUSION_LESSON_SOLVED"] = ""  # what is committed tells of no reader's exercises
    for path in map(Path, (a for a in arguments if not a.startswith("--"))):
        notebook = nbformat.read(path, as_version=4) if check or form else execute(path)
        notes = list(faults(notebook)) if check else []
        text = text_of(notebook)
        nbformat.validate(nbformat.reads(text, as_version=4))
        if check and text != path.read_text("utf-8"):
            notes.append("is not in canonical form: run make notebooks")
        if not check:
            notes = list(faults(nbformat.reads(text, as_version=4)))
            path.write_text(text, "utf-8")
        bad += len(notes)
        for note in notes:
            print(f"{path}: {note}")
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
