"""Build the site: python -m website.build [OUT]. OUT is _site unless told, and OUT.zip beside it holds all of it.

The sources are laid out in a folder of their own, in which Sphinx then works. What is downloaded, MathJax from
npm's registry, is kept in .website.
"""

import argparse
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
from sphinx.cmd.build import main as sphinx

from tools.address import ROOT, repository
from website import lessons, mathjax, pages

KEPT = ROOT / ".website"
NAME = "diffusion-lesson-site"


def lay_out(folder: Path, root: Path = ROOT) -> None:
    """Write all that Sphinx reads into the folder."""
    readme, address = (root / "README.md").read_text("utf-8"), repository(root)
    read = lessons.read(root / "notebooks")
    programs = lessons.programs(read)
    texts = {
        "index": pages.index(readme, read, address),
        "run": pages.run(readme, address),
        "glossary": pages.glossary(read["00_start_here"]),
        "references": pages.references(read),
        "code": pages.code(readme, root / "diffusion_lesson"),
        "equations": pages.equations(readme, read),
        "exercises": pages.exercises(read),
    }
    (folder / "lessons").mkdir(parents=True)
    shutil.copytree(root / "website" / "static", folder / "_static")
    for key, program in programs.items():
        (folder / "_static" / f"network-{key}.js").write_text(program, "utf-8")
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    for name, notebook in read.items():
        for file, picture in lessons.attached(notebook).items():
            (folder / "lessons" / file).write_bytes(picture)
        nbformat.write(lessons.page(notebook), folder / "lessons" / f"{name}.ipynb")
    shutil.copytree(root / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(root / "website" / "conf.py", folder)


def build(out: Path) -> None:
    """The site in the folder, in place of what was there. RuntimeError where Sphinx has a complaint."""
    packed = mathjax.archive(KEPT)
    with tempfile.TemporaryDirectory() as name:
        source, made = Path(name, "source"), Path(name, "site")
        lay_out(source)
        mathjax.unpack(packed, source / "_static" / "mathjax")
        options = ["-q", "-W", "--keep-going", "-j", "2", "-b", "html", "-d", str(Path(name, "doctrees"))]
        if status := sphinx([*options, str(source), str(made)]):
            raise RuntimeError(f"sphinx-build ended with {status}")
        for file in made.rglob("*.html"):
            file.write_text(pages.finished(file.read_text("utf-8")), "utf-8")
        for left in (".buildinfo", "objects.inv"):
            (made / left).unlink(missing_ok=True)
        (made / ".nojekyll").touch()  # else GitHub Pages leaves out what begins with _
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out)


def archive(site: Path) -> Path:
    """One .zip beside the site, to hand out: it unpacks into one folder."""
    file = site.parent / f"{site.name}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(site.rglob("*")):
            packed.write(path, Path(NAME, path.relative_to(site)))
    return file


def main(arguments: list[str]) -> int:
    """Build it, and say where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "_site")
    out = parser.parse_args(arguments).out.resolve()
    build(out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out / 'index.html'}: {size / 1e6:.0f} MB; open it in a browser, no network is needed")
    print(f"{archive(out)}: the same, to hand out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
