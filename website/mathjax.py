"""MathJax beside the page: one pinned release from npm's registry, known by its hash."""

import hashlib
import io
import tarfile
from pathlib import Path

import requests

VERSION = "3.2.2"
URL = f"https://registry.npmjs.org/mathjax/-/mathjax-{VERSION}.tgz"
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
WANTED = (
    "package/es5/tex-chtml.js",
    "package/es5/input/tex/extensions/",  # loaded when a formula asks, as for \\boldsymbol
    "package/es5/output/chtml/fonts/",
    "package/LICENSE",
)


def archive(kept: Path) -> bytes:
    """The release as npm packs it, kept in this folder once downloaded. ValueError where it is another file."""
    file = kept / f"mathjax-{VERSION}.tgz"
    if file.is_file() and hashlib.sha512(file.read_bytes()).hexdigest() == SHA512:
        return file.read_bytes()
    answer = requests.get(URL, timeout=60)
    answer.raise_for_status()
    got = hashlib.sha512(answer.content).hexdigest()
    if got != SHA512:
        raise ValueError(f"{URL}: expected the SHA-512 {SHA512}, got {got}")
    kept.mkdir(parents=True, exist_ok=True)
    file.write_bytes(answer.content)
    return answer.content


def unpack(packed: bytes, folder: Path) -> None:
    """Write the script, its fonts and its licence, and nothing else, into the folder."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(WANTED):
                file = folder / member.name.removeprefix("package/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(tar.extractfile(member).read())
