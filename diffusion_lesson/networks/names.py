"""What the U-Net's weights were called in version 0.1: those that ship and old checkpoints hold these names."""

import re
from typing import Any


def current_name(key: str) -> str:
    """Today's name of a weight that version 0.1 saved as `key`; any other name as it is."""
    for old, new in _EARLIER_NAMES:
        key = re.sub(old, new, key)
    return key


def earlier_name(key: str) -> str:
    """The name of today's weight `key` in version 0.1."""
    for new, old in _LATER_NAMES:
        key = re.sub(new, old, key)
    return key


_LATER_NAMES: list[tuple[str, Any]] = [
    (r"^down_blocks\.", "down."), (r"^up_blocks\.", "up."),
    (r"\.scale_shift\.", ".told."), (r"\.shortcut\.", ".short."),
    (r"^downsample\.(\d+)", lambda found: f"shrink.{int(found[1]) - 1}"),
    (r"^upsample\.(\d+)\.1", lambda found: f"enlarge.{int(found[1]) - 1}"),
]  # fmt: skip
_EARLIER_NAMES: list[tuple[str, Any]] = [
    (r"^down\.", "down_blocks."), (r"^up\.", "up_blocks."),
    (r"\.told\.", ".scale_shift."), (r"\.short\.", ".shortcut."),
    (r"^shrink\.(\d+)", lambda found: f"downsample.{int(found[1]) + 1}"),
    (r"^enlarge\.(\d+)", lambda found: f"upsample.{int(found[1]) + 1}.1"),
]  # fmt: skip
