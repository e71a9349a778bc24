"""The mark of a number that was measured: “≈43”. Training decides it, or rounding can turn it.

On another processor it comes out otherwise. So where the lessons' outputs are compared, the number after a ≈ is
left out (tests/sanitize.cfg), and nothing else. The reader sees it, and sees that it was measured.
"""

from typing import Any

MARK = "≈"


def about(value: Any, spec: str = ".3g") -> str:
    """A number, or a tensor that holds one, as format(value, spec) writes it, but with the mark before it.

    What is not finite is marked, but compared: a score that becomes nan is a fault.
    """
    words = format(value, spec)
    bare = words.lstrip()
    return words[: len(words) - len(bare)] + MARK + bare
