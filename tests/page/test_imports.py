"""What a reader sees stands on few packages: the figures also live where PyTorch is not."""

import ast
import sys
from pathlib import Path

import pytest

from diffusion_lesson import page

FILES = sorted(Path(page.__file__).parent.glob("*.py"))
MAY = {"numpy", "matplotlib", "PIL", "IPython", "ipywidgets", "tqdm"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_page_needs_no_pytorch(path: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    roots = {name.split(".")[0] for name in found if not name.startswith("diffusion_lesson.page")}
    assert roots - sys.stdlib_module_names <= MAY
