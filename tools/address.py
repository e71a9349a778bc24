"""Where the course is published: the address that `make publish REPO=owner/name` wrote into pyproject.toml."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def repository(root: Path = ROOT) -> str | None:
    """The repository's address, https://github.com/owner/name, or None where it is not published."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    address: str | None = project.get("urls", {}).get("Repository")
    return address
