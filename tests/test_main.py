"""The shell command: train, go on, draw; and one line where something is wrong."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lesson import __main__ as shell
from diffusion_lesson import options
from diffusion_lesson.learning import checkpoints, downloads, recipes, step, weights
from diffusion_lesson.page.progress import interrupts, terminations

TRAIN = ["train", "--steps", "5", "--batch-size", "4", "--device", "cpu"]
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SAMPLE = ["sample", "--device", "cpu", "--steps", "3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder that `train` wrote, of five steps on the digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert shell.main([*TRAIN, "--out", str(out)]) == 0
    return out


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def sample(trained, out, *more):
    assert shell.main([*SAMPLE, "--model", str(trained), "--out", str(out), *more]) == 0
    return pixels(out)


# Train


def test_train_leaves_weights_a_card_samples_and_a_checkpoint(trained):
    assert {file.name for file in trained.iterdir()} == {
        "model.safetensors", "model.json", "samples.png", "checkpoint",
    }  # fmt: skip


def test_its_samples_are_64_pictures_in_a_grid_enlarged_8_times(trained):
    with Image.open(trained / "samples.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (8 * (8 * 9 - 1), 8 * (8 * 9 - 1)))


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shell, "main_process", lambda: False)
    assert shell.main([*TRAIN, "--out", str(tmp_path)]) == 0
    assert not list(tmp_path.glob("model*")) + list(tmp_path.glob("*.png"))
    assert capsys.readouterr().out == ""


def test_its_card_says_how_it_was_made(trained):
    denoiser, card = weights.load(trained / "model")
    assert (card.name, card.data, card.levels, card.size) == ("digits", "digits, 1437 pictures", 17, 8)
    assert card.recipe == asdict(replace(recipes.RECIPES["digits-20s"].training, steps=5, batch_size=4, seed=0))
    assert (denoiser.predicts, denoiser.schedule.T) == ("eps", 200)


def test_its_weights_are_the_averaged_ones(trained):
    saved = checkpoints.load_file(trained / "checkpoint" / "step-00000005.safetensors")
    state = weights.load(trained / "model")[0].network.state_dict()
    assert all(torch.equal(value, saved[f"averaged/{key}"]) for key, value in state.items())


def test_run_again_it_has_nothing_left_to_learn_and_draws_the_same(trained, monkeypatch, capsys):
    def no_more(*_):
        raise AssertionError("it trained again")

    before = (trained / "samples.png").read_bytes()
    monkeypatch.setitem(step.LOSSES, "eps", no_more)
    assert shell.main([*TRAIN, "--out", str(trained)]) == 0
    assert "after 5 steps" in capsys.readouterr().out
    assert (trained / "samples.png").read_bytes() == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_says_so_and_the_same_command_goes_on(
    trained, tmp_path, monkeypatch, capsys, number, status
):
    def stopping(items, **_):
        for progress in items:
            if progress.step == 2:
                os.kill(os.getpid(), number)
            yield progress

    command = [*TRAIN, "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(shell, "track", stopping)
        assert shell.main(command) == status
    assert capsys.readouterr().err == "stopped after step 2; the same command goes on from there\n"
    assert json.loads((tmp_path / "checkpoint" / "checkpoint.json").read_text())["step"] == 2
    assert shell.main(command) == 0
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_step_ends_it_in_words_and_handlers_come_back(
    tmp_path, monkeypatch, capsys, number
):
    before = signal.getsignal(number)
    monkeypatch.setitem(shell.DATA_SETS, "digits", lambda: os.kill(os.getpid(), number))
    assert shell.main([*TRAIN, "--out", str(tmp_path)]) == 128 + number
    assert capsys.readouterr().err.startswith("stopped; the last checkpoint stays")
    assert signal.getsignal(number) == before


def test_it_learns_from_a_folder_of_colour_pictures_and_names_the_run_after_it(tmp_path, monkeypatch):
    (tmp_path / "flags").mkdir()
    for k in range(5):
        Image.new("RGB", (20, 24), (50 * k, 200, 10)).save(tmp_path / "flags" / f"{k}.png")
    monkeypatch.chdir(tmp_path)
    # 64 pictures in 50 steps of a wider network would take long here
    monkeypatch.setattr(shell, "draw", lambda denoiser, noise, **_: noise[:4].clamp(-1, 1))
    assert shell.main([*TRAIN, "--folder", str(tmp_path / "flags"), "--size", "16"]) == 0
    denoiser, card = weights.load(tmp_path / "runs" / "flags" / "model")
    assert (card.config["channels_in"], card.size, card.levels, denoiser.schedule.T) == (3, 16, 256, 1000)
    assert (denoiser.classes, denoiser.predicts) == (1, "v")  # the folder's own name is the only class
    assert pixels(tmp_path / "runs" / "flags" / "samples.png").shape == (4 * 33, 4 * 33, 3)


# Sample


def test_sample_draws_as_many_pictures_as_asked_for(trained, tmp_path):
    grid = sample(trained, tmp_path / "new" / "six.png", "--count", "6")
    assert grid.shape == (8 * (2 * 9 - 1), 8 * (3 * 9 - 1))


def test_sample_draws_the_same_for_the_same_seed_and_others_for_another(trained, tmp_path):
    first, again, other = (
        sample(trained, tmp_path / "a.png", "--count", "4", "--seed", seed) for seed in ("1", "1", "2")
    )
    assert (first == again).all()
    assert (first != other).any()


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """A folder that `train` wrote, of pictures of two kinds."""
    root, out = tmp_path_factory.mktemp("kinds"), tmp_path_factory.mktemp("out")
    for name, grey in (("dark", 20), ("light", 230)):
        (root / name).mkdir()
        for k in range(3):
            Image.new("L", (8, 8), grey + k).save(root / name / f"{k}.png")
    draw, shell.draw = shell.draw, lambda denoiser, noise, **_: noise[:1].clamp(-1, 1)  # not 64 in 50 steps
    try:
        assert shell.main([*TRAIN, "--folder", str(root), "--size", "8", "--out", str(out)]) == 0
    finally:
        shell.draw = draw
    return out


def labels_asked_for(monkeypatch, folder, out, *more):
    """Which labels and what guidance the shell draws with."""
    recorded = []

    def listen(denoiser, noise, *, labels, guidance_scale, **_):
        recorded.append((None if labels is None else labels.tolist(), guidance_scale))
        return noise.clamp(-1, 1)

    monkeypatch.setattr(shell, "draw", listen)
    assert shell.main([*SAMPLE, "--model", str(folder), "--out", str(out / "a.png"), *more]) == 0
    return recorded


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        (["--count", "3"], [0, 1, 0]),
        (["--count", "2", "--label", "1"], [1, 1]),
        (["--count", "2", "--label", "light"], [1, 1]),
        (["--count", "1", "--label", "dark"], [0]),
    ],
)
def test_a_network_with_classes_draws_them_in_turn_or_one_by_name_or_number(
    two_classes, tmp_path, monkeypatch, more, labels
):
    assert labels_asked_for(monkeypatch, two_classes, tmp_path, *more) == [(labels, 1.0)]


def test_guidance_is_passed_on(two_classes, tmp_path, monkeypatch):
    recorded = labels_asked_for(monkeypatch, two_classes, tmp_path, "--count", "1", "--guidance", "2.5")
    assert recorded == [([0], 2.5)]


def test_a_network_without_classes_is_given_no_labels(trained, tmp_path, monkeypatch):
    assert labels_asked_for(monkeypatch, trained, tmp_path, "--count", "2") == [(None, 1.0)]


def test_the_card_keeps_the_names_of_a_folders_classes(two_classes):
    assert weights.load(two_classes / "model")[1].classes == ("dark", "light")


@pytest.mark.parametrize("typed", ["", "model", "model.safetensors", "model.json"])
def test_the_model_is_the_folder_that_train_wrote_or_either_of_its_files(trained, tmp_path, typed):
    assert (sample(trained / typed, tmp_path / "a.png", "--count", "1") == pixels_of_one(trained, tmp_path)).all()


def pixels_of_one(trained, tmp_path):
    return sample(trained, tmp_path / "one.png", "--count", "1")


def test_weights_of_which_one_file_is_older_are_an_error_and_the_next_train_mends_them(trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "run")
    card = tmp_path / "run" / "model.json"
    whole = card.read_text("utf-8")
    card.write_text(whole.replace(json.loads(whole)["sha256"], "0" * 64), "utf-8")  # of the save before
    command = [*SAMPLE, "--count", "1", "--model", str(tmp_path / "run"), "--out", str(tmp_path / "a.png")]
    assert shell.main(command) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: --model: ")
    assert "run the same train command" in line
    assert shell.main([*TRAIN, "--out", str(tmp_path / "run")]) == 0
    assert shell.main(command) == 0


def test_one_picture_is_one(trained, tmp_path, capsys):
    sample(trained, tmp_path / "a.png", "--count", "1")
    assert capsys.readouterr().out == f"1 picture is in {tmp_path / 'a.png'}\n"


def test_trained_longer_by_the_same_command_with_more_steps(tmp_path, capsys):
    for steps in ("5", "8"):
        assert shell.main(["train", "--steps", steps, "--batch-size", "4", "--out", str(tmp_path)]) == 0
        assert f"after {steps} steps" in capsys.readouterr().out
    assert weights.load(tmp_path / "model")[1].recipe["steps"] == 8


def test_a_folder_is_told_before_it_is_learned_from(tmp_path, monkeypatch, capsys):
    for name in ("2", "10"):
        (tmp_path / "f" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(tmp_path / "f" / name / "a.png")
    monkeypatch.setattr(shell, "_to_the_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert (
        shell.main([*TRAIN, "--folder", str(tmp_path / "f"), "--size", "8", "--out", str(tmp_path / "o")]) == 130
    )
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "2 classes: 2, 10; 2 pictures"
    assert "lesson 13" in second


def test_help_lists_the_recipes_with_what_they_take_and_reach():
    with pytest.raises(SystemExit, match="0"):
        shell.main(["train", "--help"])


def test_weights_that_ship_are_found_by_name(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", trained)
    assert sample("model", tmp_path / "a.png", "--count", "1").shape == (64, 64)


# The grid


def test_the_grid_is_row_by_row_with_black_between_and_all_grey_levels(tmp_path):
    grey = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None].expand(3, 1, 8, 8)
    shell.write_grid(tmp_path / "a.png", grey, levels=17)
    grid = pixels(tmp_path / "a.png")[4::8, 4::8]  # one pixel for each of theirs
    expected = np.zeros((17, 17))
    expected[:8, 9:], expected[9:, :8] = 128, 255  # 8 of 16 levels, and 16 of 16; the fourth place is empty
    assert (grid == expected).all()


def test_the_grid_shows_pictures_upright(tmp_path):
    picture = torch.full((1, 1, 8, 8), -1.0)
    picture[0, 0, 0, 7] = 1
    shell.write_grid(tmp_path / "a.png", picture, levels=17)
    assert np.argwhere(pixels(tmp_path / "a.png")[4::8, 4::8]).tolist() == [[0, 7]]  # row 0, column 7


def test_the_grid_keeps_the_order_of_colours(tmp_path):
    red = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, 32, 32)
    shell.write_grid(tmp_path / "a.png", red, levels=256)
    assert pixels(tmp_path / "a.png")[0, 0].tolist() == [255, 0, 128]


# What is wrong is one line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([*TRAIN, "--folder", "nowhere"], "--folder: got 'nowhere', which is not a folder"),
        (
            [*SAMPLE, "--model", "nowhere"],
            "--model: nowhere: no such folder; expected a folder that train wrote, or one",
        ),
        ([*SAMPLE, "--model", "classifier-digits"], "--model: classifier-digits is a DigitsClassifier"),
        ([*SAMPLE, "--model", "digits", "--label", "3"], "--label: digits was trained without classes"),
        ([*TRAIN, "--lr", "-1", "--out", "a"], "--lr: expected a finite rate above 0"),
        ([*TRAIN, "--size", "16", "--out", "a"], "--size: it is for pictures from a --folder"),
        (
            [*TRAIN, "--folder", "pictures", "--size", "30", "--out", "a"],
            "--size: expected a multiple of 4",
        ),
        ([*TRAIN, "--out", "taken"], "--out: taken: Not a directory"),
        ([*TRAIN, "--folder", "pictures", "--out", "pictures/run"], "--out: pictures/run is inside pictures"),
        ([*TRAIN, "--folder", "."], "--out: runs/"),
        ([*SAMPLE, "--model", "digits", "--guidance", "5"], "--guidance: digits was trained without classes"),
        (
            [*SAMPLE, "--model", "mnist", "--guidance", "-1"],
            "--guidance: expected 0 (the label is ignored)",
        ),
        ([*SAMPLE, "--model", "mnist", "--guidance", "nan"], "--guidance: expected 0"),
        ([*SAMPLE, "--model", "mnist", "--label", "cat"], "--label: expected 0..9"),
        (
            [*SAMPLE[:-2], "--model", "digits", "--steps", "5000"],
            "--steps: expected 1..200",
        ),
        ([*SAMPLE, "--model", "digits", "--out", "a.txt"], "--out: expected the name of a .png file, got a.txt"),
        (
            [*SAMPLE, "--model", "digits", "--out", "folder.png"],
            "--out: folder.png: it is a folder",
        ),
        ([*SAMPLE, "--model", "digits", "--out", "taken/a.png"], "--out: taken: Not a directory"),
    ],
)
def test_an_error_is_one_line_and_status_1(command, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "pictures").mkdir()
    assert shell.main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {words}")


WRONG = {  # command: option: what may be typed there, and is wrong
    "train": {
        "--recipe": ["none"], "--folder": ["nowhere", "taken", "empty", ""],
        "--size": ["0", "big", "30", "100000"],
        "--steps": ["0", "-1", "many"], "--batch-size": ["0", "1.5"], "--lr": ["nan", "-1", "inf", "0", "fast"],
        "--seed": ["-1", str(2**63), str(2**70), "x"], "--device": ["abacus", "cuda:99", "meta"],
        "--out": ["taken", "taken/run", ""],
    },
    "sample": {
        "--model": ["nowhere", "classifier-digits", "empty", "taken", "", "taken.safetensors"],
        "--count": ["0", "-1", "x", "828101", "1000000000"], "--steps": ["0", "201", "x"],
        "--label": ["-1", "10", "cat"],
        "--guidance": ["nan", "inf", "-1", "x"], "--seed": ["-1", str(2**70), "x"],
        "--device": ["abacus", "cuda:99", "meta"],
        "--out": ["a.txt", "folder.png", "taken/a.png", ""],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [(c, o, v) for c, options in WRONG.items() for o, values in options.items() for v in values],
)
def test_an_error_speaks_of_the_option_typed_before_work_begins(
    command, option, value, tmp_path, monkeypatch, capsys
):
    def work(*_, **__):
        raise AssertionError("work began")

    monkeypatch.chdir(tmp_path)
    for file in ("taken", "taken.safetensors"):
        (tmp_path / file).write_text("mine")
    for folder in ("folder.png", "empty", "one"):
        (tmp_path / folder).mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "one" / "a.png")
    monkeypatch.setattr(shell, "draw", work)
    monkeypatch.setattr(shell, "_to_the_end", work)
    rest = {"--folder": "one"} if option == "--size" else {"--model": "mnist" if option == "--label" else "digits"}
    rest = {} if command == "train" and option != "--size" else rest
    typed = {"--device": "cpu", "--out": "a.png"} | rest | {option: value}
    try:
        status = shell.main([command, *(f"{name}={text}" for name, text in typed.items())])
    except SystemExit as ended:
        status = 3 - ended.code  # the parser's 2
    assert status == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert (
        f"error: {option}: " in line or f"error: argument {option}: expected " in line or "invalid choice" in line
    )
    assert "path: " not in line


def test_no_option_is_left_out_of_that_table():
    parser = options.parser("", shell.train, shell.sample)
    (commands,) = (action.choices for action in parser._actions if action.choices)
    known = {name: {o for a in one._actions for o in a.option_strings} for name, one in commands.items()}
    assert known == {name: {*table, "-h", "--help"} for name, table in WRONG.items()}


def test_other_settings_in_the_same_folder_are_an_error_in_one_line(trained, capsys):
    assert shell.main([*TRAIN, "--out", str(trained), "--seed", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "seed was 0, is 1" in line


def test_a_rate_far_too_high_is_an_error_in_one_line(tmp_path, capsys):
    assert shell.main([*TRAIN, "--lr", "1e30", "--out", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --lr: at step")


@pytest.mark.parametrize(
    ("command", "words"), [([*TRAIN, "--out", "a"], "--batch-size"), ([*SAMPLE, "--model", "digits"], "--count")]
)
@pytest.mark.parametrize("asked", [lambda *_, **__: torch.empty(2**60), lambda *_, **__: np.empty(2**46)])
def test_memory_that_is_not_there_is_an_error_in_one_line(command, words, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shell, "draw", asked)
    monkeypatch.setattr(shell, "_to_the_end", asked)
    assert shell.main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: not enough memory; a smaller ")
    assert words in line


def test_other_faults_of_the_device_are_not_taken_for_it(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(shell, "_denoiser", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        shell.main([*SAMPLE, "--model", "digits"])


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["dream"],
        ["sample"],
        [*TRAIN, "--steps", "0"],
        [*TRAIN, "--steps", "many"],
        [*SAMPLE, "--model", "m", "--count", "-1"],
        [*TRAIN, "--device", "abacus"],
    ],
)
def test_a_wrong_command_says_how_it_is_used_and_ends_with_status_2(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        shell.main(command)
    assert "usage: python -m diffusion_lesson" in capsys.readouterr().err


def test_it_runs_as_a_module_in_a_locale_of_ascii_and_its_help_names_both_commands():
    done = subprocess.run(
        [sys.executable, "-m", "diffusion_lesson", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert "train" in done.stdout
    assert "sample" in done.stdout


def started(command, stdout, stderr, **more):
    """The command in a process of its own, its streams as a shell would redirect them."""
    whole = [sys.executable, "-m", "diffusion_lesson", *command]
    shelled = f"exec {' '.join(map(shlex.quote, map(str, whole)))} {stdout} {stderr}"
    return subprocess.run(
        ["bash", "-c", shelled], capture_output=True, text=True, timeout=120, check=False, **more
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell that closes streams")
@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        (">&-", "", ""),
        ("", "2>&-", ""),
        (">&-", "2>&-", ""),
        pytest.param(
            ">/dev/full", "", "stdout: No space left on device; it was to say: 1 picture is in a.png\n",
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full"),
        ),
        (">&$PIPE", "", "stdout: Broken pipe; it was to say: 1 picture is in a.png\n"),
    ],
    ids=["no stdout", "no stderr", "neither", "full", "nobody listens"],
)  # fmt: skip
def test_a_stream_that_is_closed_or_full_costs_no_work(tmp_path, stdout, stderr, said):
    listens, speaks = os.pipe()
    os.close(listens)
    environment = {name: value for name, value in os.environ.items() if name != "QUIET"} | {"PIPE": str(speaks)}
    done = started(
        [*SAMPLE, "--model", "digits", "--count", "1", "--out", "a.png"], stdout, stderr,
        cwd=tmp_path, env=environment, pass_fds=[speaks],
    )  # fmt: skip
    os.close(speaks)
    assert (done.returncode, done.stderr) == (0, said)
    assert pixels(tmp_path / "a.png").shape == (64, 64)


def test_what_went_wrong_with_a_download_is_told_in_the_same_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(downloads, "_ROUNDS", 1)
    monkeypatch.setitem(downloads._MIRRORS, "mnist", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("DIFFUSION_LESSON_DATA", str(tmp_path))
    assert shell.main([*TRAIN, "--recipe", "mnist-60s", "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "not there, and could not be downloaded: http://127.0.0.1:9/train-images" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_of_nothing_leaves_no_folder_of_results(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "gone"):
        assert shell.main([*TRAIN, "--folder", str(tmp_path / folder), "--out", str(tmp_path / "out")]) == 1
        assert capsys.readouterr().err.startswith("error: --folder: got ")
    assert not (tmp_path / "out").exists()


def test_what_is_ignored_stays_ignored(monkeypatch):
    """A shell starts what runs in the background deaf to Ctrl-C."""
    for number in SIGNALS:
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with interrupts() as asked, terminations():
                signal.raise_signal(number)
            assert asked == []
        finally:
            signal.signal(number, before)
