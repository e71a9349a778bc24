"""bench/on_a_gpu.py runs to its end: it is to be used where ten minutes are all there is."""

import json

import torch

from bench import gpu, on_a_gpu


def test_every_part_runs_in_small_and_the_table_says_what_was_found(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_a_gpu.main(["--quick", "--out", str(tmp_path / "found")])
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert "error" not in json.dumps(found)
    assert len(found) == 1 + len(gpu.CASES) + 1 + 3 + 2 + 2 + 2
    assert all(apart == 0 for name in found if name.startswith("bits") for apart in found[name].values())
    text = (tmp_path / "found.md").read_text("utf-8")
    assert all(f"| {', '.join(map(str, case[:4]))} |" in text for case in gpu.CASES)


def test_a_part_that_fails_is_written_down_and_the_next_one_begins(tmp_path):
    bench = gpu.Bench(tmp_path / "found", "cpu", quick=True, older=None, minutes=1)
    bench.part("wrong", lambda: 1 / 0)
    bench.part("right", lambda: 1)
    assert json.loads((tmp_path / "found.json").read_text("utf-8")) == {
        "wrong": {"error": "ZeroDivisionError: division by zero"}, "right": 1,
    }  # fmt: skip
    bench = gpu.Bench(tmp_path / "found", "cpu", quick=False, older=None, minutes=0)
    bench.part("late", lambda: 1)
    assert bench.found == {"late": {"skipped": "no time left"}}
