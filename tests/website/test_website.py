"""The site's pages are made of README, the lessons and the package; what MathJax is, is known by its hash."""

import hashlib
import io
import re
import tarfile

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.address import ROOT
from website import lessons, mathjax, pages

README = (ROOT / "README.md").read_text("utf-8")
READ = lessons.read(ROOT / "notebooks")


def test_the_lessons_are_read_in_order():
    assert [name[:2] for name in READ] == [f"{k:02d}" for k in range(len(READ))]
    assert len(READ) == len(list((ROOT / "notebooks").glob("*.ipynb")))


def test_a_check_is_folded_under_the_numbers_it_checks_and_a_solution_with_its_verdict():
    hidden = {"jupyter": {"source_hidden": True}}
    cells = [
        new_markdown_cell("# 03 · A lesson\n\n**Q?**\n\n[Open in Colab](https://a.b/c)\n\nSee arXiv:2006.11239."),
        new_code_cell("try:\n    import diffusion_lesson\nexcept ModuleNotFoundError:\n    pass"),
        new_code_cell("# Check (3.1)\n# Check (3.2)\nassert True", metadata=hidden),
        new_code_cell("1 + 1"),
        new_code_cell("answer = 2", metadata=hidden | {"tags": ["solution"]}),
        new_markdown_cell("## How far?", metadata={"tags": ["jupyter-only"]}),
        new_markdown_cell("[next](x.ipynb)", metadata={"tags": ["navigation"]}),
    ]
    first, check, plain, solution = lessons.page(new_notebook(cells=cells)).cells
    assert first.source.endswith("**Q?**\n\nSee [arXiv:2006.11239](https://arxiv.org/abs/2006.11239).")
    assert check.metadata["mystnb"]["code_prompt_show"].startswith("(3.1), (3.2) checked")
    assert check.metadata["tags"] == ["hide-input"]
    assert plain.metadata == {}
    assert solution.metadata["tags"] == ["solution", "hide-cell"]


def test_a_section_that_is_not_there_is_named():
    assert lessons.section("# a\n\n## b\n\nc\n\n## d\n\ne\n", "b") == "c"
    with pytest.raises(ValueError, match=r"heading: expected one of \['b', 'd'\], got 'x'"):
        lessons.section("## b\n## d\n", "x")


def test_a_displayed_equation_can_be_linked_to_by_its_number():
    begin = '<div class="math notranslate nohighlight">'
    page = f"{begin}\n\\[a \\tag{{3.10}}\\]</div>{begin}b</div>"
    assert re.findall(r'id="([^"]+)"', pages.finished(page)) == ["eq-3.10"]


def test_lines_with_a_tag_are_not_put_into_an_environment_that_allows_none():
    page = r"\[\begin{split}\begin{aligned}a\\b\end{aligned} \tag{1.1}\end{split}\]"
    assert pages.finished(page) == r"\[\begin{aligned}a\\b\end{aligned} \tag{1.1}\]"


def test_every_function_of_the_equation_table_is_shown_and_linked():
    table, shown = pages.equations(README, READ), pages.code(README, ROOT / "diffusion_lesson")
    names = set(re.findall(r"`((?:process|learning)\.[\w.]+)`", lessons.section(README, "Where is equation N?")))
    assert names
    for name in names:
        assert f"](#{pages.anchor(name)})" in table
        assert f"({pages.anchor(name)})=" in shown
        assert f"def {name.rsplit('.', 1)[1]}(" in shown


def test_every_equation_of_every_lesson_is_linked():
    links = re.findall(r'href="lessons/(\w+)\.html#eq-([\d.]+)"', pages.equations(README, READ))
    assert links == [(name, number) for name, notebook in READ.items() for number in lessons.tags(notebook)]
    assert len(links) > 200


def test_every_exercise_has_its_box_to_tick():
    boxes = re.findall(r'data-solved="(\w+)"', pages.exercises(READ))
    asked = [n for n, b in READ.items() if any("exercise" in c.metadata.get("tags", []) for c in b.cells)]
    assert boxes == asked
    assert len(boxes) >= 16


def test_the_first_page_draws_and_its_own_links_are_links():
    text = pages.index(README, READ, None)
    assert text.count('data-kind="digit"') == 1
    assert "](run.md)" in text
    assert "## The lessons" in text
    with pytest.raises(ValueError, match="expected one with a figure of the kind 'digit', got none"):
        pages.index(README, {}, None)


def test_what_an_exercise_asks_is_text_of_the_lesson():
    text = pages.exercises(READ)
    assert "# Check (" not in text
    assert "### " not in text


def test_what_readme_links_to_and_the_site_has_not_is_no_dead_link():
    text = "[a](notebooks/03_x.ipynb) [b](bench/README.md) ![c](figures/d.svg) [e](https://f.g)"
    assert pages._local(text, None) == "[a](lessons/03_x.ipynb) b ![c](figures/d.svg) [e](https://f.g)"
    there = pages._local(text, "https://github.com/o/n")
    assert "[b](https://github.com/o/n/blob/main/bench/README.md)" in there


def test_a_network_that_figures_carry_is_stored_once_and_they_are_told_where():
    def shown(text):
        out = new_output("display_data", data={"text/html": text, "text/plain": "x"})
        return new_notebook(cells=[new_code_cell("1", outputs=[out]), new_markdown_cell("words")])

    carried = (
        '<figure data-network="ab12" data-kind="walk" data-program="f(&quot;a&quot; &lt; 1)"><p>x</p></figure>'
    )
    read = {"a": shown(carried), "b": shown('<figure data-network="ab12" data-kind="digit"></figure>')}
    assert lessons.programs(read) == {"ab12": 'f("a" < 1)'}
    figures = [notebook.cells[0].outputs[0].data["text/html"] for notebook in read.values()]
    address = 'data-network="ab12" data-src="../_static/network-ab12.js"'
    assert figures[0] == f'<figure {address} data-kind="walk"><p>x</p></figure>'
    assert figures[1] == f'<figure {address} data-kind="digit"></figure>'


def _packed(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class _Answer:
    def __init__(self, content):
        self.content = content

    def raise_for_status(self):
        pass


def test_a_mathjax_that_is_another_is_refused_and_not_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(mathjax.requests, "get", lambda *_, **__: _Answer(b"something else"))
    with pytest.raises(ValueError, match=r"registry\.npmjs\.org.*expected the SHA-512 06df9249.*got"):
        mathjax.archive(tmp_path)
    assert not list(tmp_path.iterdir())


def test_mathjax_is_downloaded_once_and_unpacked_without_what_no_page_needs(monkeypatch, tmp_path):
    packed = _packed(**{"es5/tex-chtml.js": "a", "es5/output/chtml/fonts/x.woff": "b", "es5/sre/c.js": "c"})
    asked = []
    monkeypatch.setattr(mathjax, "SHA512", hashlib.sha512(packed).hexdigest())
    monkeypatch.setattr(mathjax.requests, "get", lambda url, **_: asked.append(url) or _Answer(packed))
    assert mathjax.archive(tmp_path) == mathjax.archive(tmp_path) == packed
    assert asked == [mathjax.URL]
    mathjax.unpack(packed, tmp_path / "there")
    files = sorted(str(p.relative_to(tmp_path / "there")) for p in (tmp_path / "there").rglob("*") if p.is_file())
    assert files == ["es5/output/chtml/fonts/x.woff", "es5/tex-chtml.js"]


def test_a_notebook_that_is_laid_out_is_still_one():
    for notebook in lessons.read(ROOT / "notebooks").values():
        nbformat.validate(lessons.page(notebook))


def test_a_picture_that_is_attached_to_a_cell_stands_beside_the_page():
    cell = new_markdown_cell("![dots](attachment:a.png)", attachments={"a.png": {"image/png": "AQID"}})
    notebook = new_notebook(cells=[cell])
    assert lessons.attached(notebook) == {"a.png": b"\x01\x02\x03"}
    (shown,) = lessons.page(notebook).cells
    assert shown.source == "![dots](a.png)"
    assert "attachments" not in shown
