"""What a reader has to download: the wheel, and a clone without its history."""

import os
import subprocess
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def packed(*folders):
    """Bytes of the tracked files in these folders, each deflated by itself, as a wheel and a clone hold them."""
    command = ["git", "ls-files", "-z", *folders]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here to tell which files are tracked")
    files = [ROOT / os.fsdecode(name) for name in listed.split(b"\0") if name]
    assert files
    return sum(len(zlib.compress(file.read_bytes())) for file in files if file.is_file())


def test_the_wheel_is_under_40_megabytes():
    assert packed("diffusion_lesson") < 40e6


def test_a_clone_without_history_is_under_60_megabytes():
    assert packed() < 60e6
