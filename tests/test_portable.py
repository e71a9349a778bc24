"""The lanes that play other processors: what they force is in force, and a red lane is told."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tools import portable

LANES = portable.lanes()
BEGIN = """
import torch
torch.manual_seed(0)
made = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(4, 5), torch.nn.Embedding(3, 4)
drawn = torch.randn(3)
torch.manual_seed(0)
again = torch.nn.Conv2d(3, 8, 3)
assert torch.equal(made[0].weight, again.weight)
for tensor in (*(p for module in made for p in module.parameters()), drawn):
    print(*(x.hex() for x in tensor.detach().double().flatten().tolist()))
"""


def begun(lane, **more):
    """The numbers that networks begin with, and a random tensor drawn after them."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN], env=portable.surroundings(lane) | more, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [[float.fromhex(word) for word in line.split()] for line in done.stdout.splitlines()]


def test_nudged_turns_every_first_weight_by_about_1e_7_and_no_random_number():
    *plain, drawn = begun(LANES["own"])
    *nudged, drawn_too = begun(LANES["nudged"])
    *otherwise, _ = begun(LANES["nudged"], NUDGE_SEED="1")
    assert drawn == drawn_too
    assert len(plain) == 5  # weights and biases of two layers, and a table
    for before, after, another in zip(plain, nudged, otherwise, strict=True):
        relative = [abs(b / a - 1) for a, b in zip(before, after, strict=True)]
        assert max(relative) < 1e-6
        assert sum(value > 0 for value in relative) > len(relative) / 4  # some steps are too small for float32
        assert after != another


@pytest.mark.skipif(portable.no_x86() is not None, reason="SSE4.1 is of x86")
def test_what_a_lane_forces_is_in_force():
    played = portable.in_force(LANES["sse4.1"])
    assert played.startswith("PyTorch DEFAULT, 1 thread, oneDNN Intel SSE4.1, Python 3.")
    assert "2 threads" in portable.in_force(LANES["threads"])


def test_what_a_shell_has_set_does_not_reach_a_lane_that_forces_nothing(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([LANES["nudged"].forced["PYTHONPATH"], "mine"]))
    variables = portable.surroundings(LANES["own"])
    assert "ATEN_CPU_CAPABILITY" not in variables
    assert variables["OMP_NUM_THREADS"] == "1"
    assert "nudge" not in variables["PYTHONPATH"]
    assert variables["PYTHONPATH"].endswith(f"{os.pathsep}mine")


def test_a_lane_that_this_processor_cannot_play_says_why(monkeypatch, capsys):
    monkeypatch.setattr(portable, "own", lambda: "DEFAULT")
    assert portable.main(["avx2", "avx512", "--notebooks", "--unit"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "avx2       skipped: this processor has no AVX2: PyTorch calls it DEFAULT",
        "avx512     skipped: this processor has no AVX-512",
        "0 of 0 parts green",
    ]


@pytest.mark.parametrize(("source", "status"), [("assert True", 0), ("assert False", 1)])
def test_a_red_lane_is_told_and_is_the_exit_status(monkeypatch, capsys, tmp_path, source, status):
    test = tmp_path / "test_one.py"
    test.write_text(f"def test_one():\n    {source}\n", "utf-8")
    monkeypatch.setattr(portable, "LOGS", tmp_path / "logs")
    assert portable.main(["own", "--notebooks", "--unit", str(test)]) == status
    out = capsys.readouterr().out
    assert f"{'1 failed' if status else '1 passed'}" in out
    assert ("FAILED" in out) == bool(status)
    assert (tmp_path / "logs" / "own, unit tests.log").exists()


def test_an_unknown_lane_is_refused(capsys):
    with pytest.raises(SystemExit):
        portable.main(["avx3"])
    assert f"lane: expected some of {', '.join(LANES)}, processors, versions, got avx3" in capsys.readouterr().err


def test_the_groups_are_all_lanes(monkeypatch, capsys):
    monkeypatch.setattr(
        portable, "lanes", lambda: {k: replace(lane, why_not=lambda: "no") for k, lane in LANES.items()}
    )
    for groups in (["processors", "versions", "oldest"], []):
        assert portable.main(groups) == 0
        printed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
        assert printed == [*LANES, "0"]
