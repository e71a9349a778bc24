"""The pages around the lessons, each made of what is written once elsewhere: README, the lessons, the package."""

import ast
import re
from pathlib import Path

from nbformat import NotebookNode

from website.lessons import linked, section, tags, title

PAPER = "https://arxiv.org/abs/2006.11239"
_AROUND = ("exercises", "equations", "code", "glossary", "references", "run")


def _local(text: str, address: str | None) -> str:
    """README's links, as they lead from the site. What the site has not is linked to the repository, or plain."""
    text = re.sub(r"\]\(notebooks/(\w+\.ipynb)", r"](lessons/\1", text)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    for words, target in re.findall(r"\[([^\]]*)\]\((?!lessons/|figures/|https?:|#)([^)]+)\)", text):
        there = f"[{words}]({address}/blob/main/{target})" if address else words
        text = text.replace(f"[{words}]({target})", there)
    return text


def index(readme: str, lessons: dict[str, NotebookNode], address: str | None) -> str:
    """The first page: a network that draws, the map of the lessons, and the tree that Sphinx follows."""
    name = readme.split("\n")[0]
    chain = re.findall(r"^!\[[^\]]*\]\(figures/chain\.svg\)$", readme, re.MULTILINE)
    tree = "\n".join([f"lessons/{name}" for name in lessons])
    parts = [
        name,
        "Press a number, and a network draws that digit, here in this page: it begins with pure noise, and takes "
        f"a little of it out, again and again. {_many(lessons)} lessons build such a network with you, from "
        "nothing. You move sliders, follow the derivations, and see every equation put to a test.",
        f"```{{raw}} html\n{_first_figure(lessons)}\n```",
        "**Begin with [00 · Start here](lessons/00_start_here.ipynb).** Nothing has to be installed to read: what "
        "moves on these pages needs no server and no network. To change the code and run it, see "
        "[Run it yourself](run.md).",
        *(_local(picture, address) for picture in chain),
        "## The lessons",
        _local(section(readme, "The lessons"), address),
        f"```{{toctree}}\n:hidden:\n:caption: Lessons\n\n{tree}\n```",
        "```{toctree}\n:hidden:\n:caption: Around them\n\n" + "\n".join(_AROUND) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _many(lessons: dict[str, NotebookNode]) -> str:
    words = {15: "Fifteen", 16: "Sixteen", 17: "Seventeen", 18: "Eighteen"}
    return words.get(len(lessons), str(len(lessons)))


def _first_figure(lessons: dict[str, NotebookNode]) -> str:
    """The lessons' first figure that draws a digit at the press of a button, for a page in the folder above."""
    pages = (out.get("data", {}) for n in lessons.values() for c in n.cells for out in c.get("outputs", []))
    for data in pages:
        page = "".join(data.get("text/html", ""))
        if 'data-kind="digit"' in page:
            return page.replace('data-src="../', 'data-src="').replace("\n", " ")
    raise ValueError("lessons: expected one with a figure of the kind 'digit', got none")


def run(readme: str, address: str | None) -> str:
    """How to install and run the course: the rest of README."""
    top = readme.split("## ")[0]
    after = "```" + top.split("```", 1)[1]
    after = re.sub(r"^!\[[^\]]*\]\([^)]*\)$", "", after, flags=re.MULTILINE)
    left_out = ("The lessons", "Where is equation N?")
    rest = [part for part in readme.split("\n## ")[1:] if not part.startswith(left_out)]
    return _local("\n\n".join(["# Run it yourself", after, *(f"## {part}" for part in rest)]), address) + "\n"


def glossary(start: NotebookNode) -> str:
    """Letters and words, as lesson 00 explains them."""
    text = "\n\n".join(c.source for c in start.cells if c.cell_type == "markdown")
    letters, words = section(text, "The letters"), section(text, "The words")
    parts = "# Letters and words", f"## The letters\n\n{letters}", f"## The words\n\n{words}"
    return linked(re.sub(r"\]\((\d\d_\w+\.ipynb)\)", r"](lessons/\1)", "\n\n".join(parts))) + "\n"


def references(lessons: dict[str, NotebookNode]) -> str:
    """What each lesson refers to."""
    parts = ["# References", "What each lesson leans on; the lesson says for what."]
    for name, notebook in lessons.items():
        for cell in notebook.cells:
            found = re.search(r"\*\*References\.\*\* (.+)", cell.source) if cell.cell_type == "markdown" else None
            if found:
                parts += [f"## [{title(notebook)}](lessons/{name}.ipynb)", linked(found[1])]
    return "\n\n".join(parts) + "\n"


def _named(readme: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"`((?:process|learning)\.[\w.]+)`", readme)))


def anchor(function: str) -> str:
    """Where the page of code has the function."""
    return re.sub(r"\W|_", "-", function)


def code(readme: str, package: Path) -> str:
    """The source of every function that README's table of equations names."""
    parts = [
        "# The code of the equations",
        "Each is a few lines that read like the formula; the lessons import them.",
    ]
    for name in _named(section(readme, "Where is equation N?")):
        module, function = name.rsplit(".", 1)
        text = (package / (module.replace(".", "/") + ".py")).read_text("utf-8")
        (node,) = (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == function)
        source = ast.get_source_segment(text, node)
        parts += [f"({anchor(name)})=\n## {name}", f"```python\n{source}\n```"]
    return "\n\n".join(parts) + "\n"


def equations(readme: str, lessons: dict[str, NotebookNode]) -> str:
    """From the paper to the lesson to the function; and every numbered equation of every lesson."""
    table = linked(section(readme, "Where is equation N?"))
    by_number = {name[:2]: name for name in lessons}
    lines = []
    for line in table.splitlines():
        if re.match(r"\| ([\d, ]+|Algorithm \d) \|", line):
            paper, what, functions, where = (cell.strip() for cell in line.strip("|").split("|"))
            functions = re.sub(r"`([\w.]+)`", lambda m: f"[`{m[1]}`](#{anchor(m[1])})", functions)
            where = re.sub(r"\d\d", lambda m: f"[{m[0]}](lessons/{by_number[m[0]]}.ipynb)", where)
            line = f"| [{paper}]({PAPER}) | {what} | {functions} | {where} |"
        lines.append(line)
    parts = ["# Where is equation N?", "\n".join(lines), "## The equations of the lessons"]
    parts.append("Each has a cell in its lesson that tests it.")
    for name, notebook in lessons.items():
        links = [f'<a href="lessons/{name}.html#eq-{n}">({n})</a>' for n in tags(notebook)]
        parts += [f"**[{title(notebook)}](lessons/{name}.ipynb)**", " ".join(links)] if links else []
    return "\n\n".join(parts) + "\n"


def exercises(lessons: dict[str, NotebookNode]) -> str:
    """What each lesson asks the reader to do, with a box to tick; site.js keeps the ticks in the browser."""
    parts = [
        "# Exercises",
        "One in each lesson, in the lesson's own words: what is “above” there stands in the lesson. Here you can "
        "tick what you have solved; the ticks are kept in this browser alone. In Jupyter the exercise checks "
        "itself, and names the usual mistakes.",
        "<p><output data-solved-count>–</output> "
        '<button type="button" data-solved-reset>Forget all ticks</button></p>',
    ]
    for name, notebook in lessons.items():
        for k, cell in enumerate(notebook.cells):
            if "exercise" not in cell.metadata.get("tags", []):
                continue
            before = [c.source for c in notebook.cells[:k] if c.cell_type == "markdown"][-1]
            asked = re.split(r"^##+ .*\n", before, flags=re.MULTILINE)[-1].strip()
            box = f'<input type="checkbox" data-solved="{name}">'
            parts += [
                f"## [{title(notebook)}](lessons/{name}.ipynb)",
                f"<p><label>{box} solved</label></p>",
                re.sub(r"\]\((\d\d_\w+\.ipynb)\)", r"](lessons/\1)", asked),
                f"```python\n{cell.source}\n```",
            ]
    return "\n\n".join(parts) + "\n"


def finished(page: str) -> str:
    """Sphinx's HTML, mended: a displayed equation has an anchor, such as #eq-3.5, and stands as it was written.

    Sphinx puts lines joined by \\\\ into a split environment, in which no tag is allowed. And names that are read
    aloud in place of the words that are seen, of folded cells and of the search, are taken out. On a phone an
    equation begins at the left, where more of it is seen.
    """
    aligned = '"chtml": {"displayAlign": innerWidth < 577 ? "left" : "center"}'
    page = page.replace("window.MathJax = {", f"window.MathJax = {{{aligned}, ")
    page = re.sub(r"\\\[\\begin\{split\}(.*?)\\end\{split\}\\\]", r"\\[\1\\]", page, flags=re.DOTALL)
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    page = re.sub(r'(<button class="btn search-button[^>]*?) aria-label="Search"', r"\1", page)
    return re.sub(
        r'<div class="math notranslate nohighlight"(?=>[^<]*?\\tag\{([\d.]+)\})',
        r'<div id="eq-\1" tabindex="0" class="math notranslate nohighlight"',
        page,
    )
