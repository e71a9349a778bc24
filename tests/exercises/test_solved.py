"""What the reader has solved is remembered, and what a program or a shown solution solves is not."""

import os
import types
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from diffusion_lesson.exercises import solved as memory
from diffusion_lesson.exercises.check import EXERCISES, check, solved

RIGHT = "from diffusion_lesson.exercises.check import check\ncheck('last_signal', (0.0397, 0.0683, 0.0064))"


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    path = tmp_path / "a folder" / "solved.json"
    monkeypatch.setenv("DIFFUSION_LESSON_SOLVED", str(path))
    return path


def in_a_cell(monkeypatch, source):
    history = types.SimpleNamespace(input_hist_raw=["", source])
    shell = types.SimpleNamespace(kernel=object(), history_manager=history)
    monkeypatch.setitem(memory.sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_what_is_solved_is_remembered_shown_and_forgotten(monkeypatch, capsys):
    in_a_cell(monkeypatch, "the reader's own")
    check("last_signal", (0.0397, 0.0683, 0.0064))
    assert memory.names() == {"last_signal"}
    check("symbols", {})
    assert memory.names() == {"last_signal"}
    capsys.readouterr()
    solved()
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"1 of {len(EXERCISES)} solved"
    assert [line for line in lines if line.startswith("[x]")] == ["[x] 04 last_signal"]
    assert len(lines) == len(EXERCISES)
    solved(forget=True)
    assert capsys.readouterr().out.startswith("0 of ")
    assert memory.names() == set()


def test_a_shown_solution_and_a_program_solve_nothing(monkeypatch, file):
    check("last_signal", (0.0397, 0.0683, 0.0064))
    in_a_cell(monkeypatch, f"{memory.SOLUTION}\nanswer = …")
    check("last_signal", (0.0397, 0.0683, 0.0064))
    assert not file.parent.exists()


def test_a_kernel_knows_its_cells(file):
    cells = [nbformat.v4.new_code_cell(source) for source in (f"{memory.SOLUTION}\n{RIGHT}", RIGHT)]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3")
    with client.setup_kernel():
        for index, expected in enumerate((set(), {"last_signal"})):
            client.execute_cell(cells[index], index)
            assert cells[index].outputs[0].text.startswith("Right.")
            assert memory.names() == expected


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "3", ""])
def test_a_file_that_is_none_is_an_empty_one(file, text, monkeypatch):
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    assert memory.names() == set()
    in_a_cell(monkeypatch, "")
    memory.remember("q_step")
    assert memory.names() == {"q_step"}


def test_where_nothing_can_be_written_nothing_breaks(monkeypatch, tmp_path, capsys):
    (tmp_path / "taken").write_text("", "utf-8")
    in_a_cell(monkeypatch, "")
    for place in (str(tmp_path / "taken" / "solved.json"), ""):
        monkeypatch.setenv("DIFFUSION_LESSON_SOLVED", place)
        check("last_signal", (0.0397, 0.0683, 0.0064))
        assert not memory.keep({"a"})
        assert memory.names() == set()
    assert capsys.readouterr().err == ""


def test_the_file_is_in_the_folder_for_a_users_data(monkeypatch, tmp_path):
    monkeypatch.delenv("DIFFUSION_LESSON_SOLVED")
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_DATA_HOME", str(tmp_path))
    assert memory.keep({"q_step"})
    assert (tmp_path / "diffusion-lesson" / "solved.json").read_text("utf-8") == '["q_step"]'
    assert [path.name for path in (tmp_path / "diffusion-lesson").iterdir()] == ["solved.json"]


def test_lesson_00_shows_today_s_exercises(capsys):
    """Nothing compares that cell's output, since it is the reader's own."""
    (path,) = (Path(__file__).parents[2] / "notebooks").glob("00_*.ipynb")
    (cell,) = [c for c in nbformat.read(path, 4).cells if c.source.rstrip().endswith("\nsolved()")]
    solved()
    assert cell.outputs[0].text == capsys.readouterr().out
