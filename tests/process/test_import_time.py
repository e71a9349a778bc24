import re
import subprocess
import sys


def share_beyond_torch() -> float:
    """How much longer than torch alone the samplers take to import, by Python's own account."""
    command = [sys.executable, "-X", "importtime", "-c", "import diffusion_lesson.process.samplers"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    lines = re.findall(r"^import time: +\d+ \| +(\d+) \| +(\S+)$", log, flags=re.MULTILINE)
    microseconds = {name: int(cumulative) for cumulative, name in lines}
    return microseconds["diffusion_lesson.process.samplers"] / microseconds["torch"] - 1


def test_the_samplers_import_hardly_more_than_torch():
    # Measured 2 %; a stray matplotlib or diffusers would add 20 % or more. A busy machine gets three tries.
    assert any(share_beyond_torch() < 0.1 for _ in range(3))
