"""Write the repository's address into pyproject.toml, and from there into README and every notebook.

python -m tools.publish owner/name    # on GitHub
python -m tools.publish ""            # not published (any more): no link that leads nowhere

What depends on the address: the way to Colab and the set-up in the notebooks (furniture.py), and in README the
lines between the marks `<!-- address -->` and `<!-- /address -->`; and a line of CITATION.cff.
"""

import re
import sys
from pathlib import Path

import nbformat

from tools.address import ROOT, repository
from tools.notebook_tool import text_of

_URLS = re.compile(r"^\[project\.urls\].*\n(?:Repository = .*\n)?", re.MULTILINE)
_LINES = re.compile(r"(?<=<!-- address -->\n).*?(?=<!-- /address -->)", re.DOTALL)
_CITED = re.compile(r"^(?:repository-code: .*\n)?(?=references:)", re.MULTILINE)
_UNPUBLISHED = """\
- **In Colab**: this copy has no address on the web yet. Pack it by
  `git archive --prefix=diffusion-lesson/ -o diffusion-lesson.zip HEAD`, upload the `.zip` and a notebook, and
  type `%pip install ./diffusion-lesson.zip`.
"""
_PUBLISHED = """\
- **Nothing here yet?** `git clone {address}`, and `cd {name}`.
- **Nothing installed?** [Read it in the browser](https://{owner}.github.io/{name}/), sliders included. Or click
  *Open in Colab* in a lesson. Or [open it in Codespaces](https://codespaces.new/{owner}/{name}), GitHub's editor.
"""


def address_of(repo: str) -> str | None:
    """https://github.com/owner/name, or None for "". ValueError for anything else."""
    if repo and not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repo):
        raise ValueError(f"REPO: expected owner/name as on GitHub, or nothing, got {repo!r}")
    return f"https://github.com/{repo}" if repo else None


def in_pyproject(text: str, address: str | None) -> str:
    """pyproject.toml with this address under [project.urls], or none."""
    line = f'Repository = "{address}"\n' if address else ""
    return _URLS.sub(f"[project.urls]   # make publish REPO=owner/name writes it\n{line}", text, count=1)


def in_readme(address: str | None) -> str:
    """README's lines between the marks."""
    if address is None:
        return _UNPUBLISHED
    owner, name = address.split("/")[-2:]
    return _PUBLISHED.format(address=address, owner=owner, name=name)


def publish(repo: str, root: Path = ROOT) -> list[Path]:
    """Write the address wherever it stands. The files that changed; the same address again changes none."""
    address, changed = address_of(repo), []

    def write(path: Path, text: str) -> None:
        if path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            changed.append(path)

    project, readme = root / "pyproject.toml", root / "README.md"
    write(project, in_pyproject(project.read_text("utf-8"), address))
    if repository(root) != address:
        raise ValueError(f"{project}: has no table [project.urls] to hold the address")
    citation = root / "CITATION.cff"
    line = f"repository-code: {address}\n" if address else ""
    write(citation, _CITED.sub(line, citation.read_text("utf-8"), count=1))
    write(readme, _LINES.sub(lambda _: in_readme(address), readme.read_text("utf-8")))
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        write(path, text_of(nbformat.read(path, as_version=4), path.parent))
    return changed


def main(arguments: list[str]) -> int:
    """1 for an address that can't be one."""
    try:
        changed = publish("".join(arguments))
    except ValueError as error:
        print(error)
        return 1
    print(f"{repository() or 'not published'}: {len(changed)} files changed")
    if address := repository():
        print(f"Commit and push. For the page: {address}/settings/pages, Source: GitHub Actions.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
