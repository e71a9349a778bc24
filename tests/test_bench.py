"""bench/: its floors are drawn as their rows are, and its README says what its JSON says."""

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch

from bench import (
    colour,
    colour_page,
    contenders,
    dog_judge,
    dogs,
    dogs_table,
    draw,
    equal,
    floors,
    jobs,
    make_it_yours_table,
    peers,
    run,
    table,
)
from diffusion_lesson.learning import data, metrics, portraits, recipes, results, weights

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
JOBS = json.loads((BENCH / "results.json").read_text("utf-8"))["jobs"]
LABELS = torch.tensor([0] * 12 + [1] * 30 + [3] * 20)[
    torch.randperm(62, generator=torch.Generator().manual_seed(1))
]


def test_a_smoke_run_trains_scores_and_draws_what_came_of_it(tmp_path, monkeypatch):
    """In one process, of pictures that ship; a peer that is not installed is left out, as in a real run."""
    monkeypatch.setattr(data, "mnist", None)  # nothing is downloaded
    monkeypatch.setattr(peers.Course, "batch", 4)
    results, threads = tmp_path / "results.json", torch.get_num_threads()
    asked = [f"{kind}/ours-labels/0" for kind in ("row", "many", "samplers", "bits", "curve")]
    asked = ["floors", *asked, "row/course-labels/0", "row/ddpm-pytorch/0"]
    timings = {"scaling", "two-threads"}  # they take a minute even so
    assert {job.split("/")[0] for job in asked} == {job.split("/")[0] for job in jobs.JOBS} - timings
    try:
        for job in asked:
            run.one(job, results, quick=True, runs=tmp_path)
    finally:
        torch.set_num_threads(threads)
    entries = run.read(results)["jobs"]
    assert set(asked) - {"row/ddpm-pytorch/0"} <= entries.keys()
    assert isfinite(entries["row/ours-labels/0"]["distance"]["4"])
    table.write(entries, tmp_path / "README.md", jobs.JOBS)
    for title in ("Quality at equal CPU-seconds", "Speed", "The bound"):
        assert f"### {title}" in (tmp_path / "README.md").read_text("utf-8")
    draw.draw(entries, tmp_path)
    assert {file.name for file in tmp_path.glob("*.svg")} == {"quality.svg", "pictures.svg"}


def test_the_peer_with_our_loop_differs_from_ours_in_its_network_and_what_was_chosen_for_it():
    shape = equal.Shape(channels=(8, 8, 16), learning_rate=1e-3)
    small, ours = data.mnist_small(), contenders.Ours(equal.RECIPE, 0, steps=2)
    peer = equal.peer(shape, 0, 2)
    same = {"learning_rate": ours.config.learning_rate, "batch_size": ours.config.batch_size}
    assert replace(peer.config, **same) == ours.config
    assert peer.denoiser.predicts == ours.denoiser.predicts
    assert torch.equal(peer.schedule.betas, ours.schedule.betas)
    assert (peer.samplers, peer.best) == (ours.samplers, ours.best)
    for _ in peer.training(data.to_signed(small.images[:64]), small.labels[:64], 0):
        pass
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([1, 1000])
    with torch.no_grad():
        bare, told = (peer.network(x, t, labels) for labels in (None, torch.tensor([10, 3])))
    torch.testing.assert_close(bare[0], told[0])  # the row after the ten digits' means no label
    assert (bare[1] - told[1]).abs().max() > 0
    assert (bare - torch.zeros_like(bare)).abs().max() > 0


def test_the_peer_is_the_best_of_what_was_tried_for_it():
    found = {name: equal.read()[f"{name}/{equal.CHOSEN_ON}"]["distance"]["1000"] for name in equal.TRIED}
    assert min(found, key=found.get) == equal.PEER


def test_the_readme_has_the_tables_at_equal_seconds():
    assert equal.tables() in (BENCH / "README.md").read_text("utf-8")


def test_what_stands_in_for_torchvision_is_asked_for_its_spec_and_goes_again():
    """diffusers asks find_spec: it raises for a module without a spec, and one with a spec passes for the real."""
    before = find_spec("torchvision")
    for _ in range(2):
        with peers.torchvision_or_a_stand_in():
            from torchvision import transforms, utils

            assert (transforms.__name__, utils.__name__) == ("torchvision.transforms", "torchvision.utils")
            assert find_spec("torchvision") is not None
        assert find_spec("torchvision") == before


@pytest.mark.parametrize("kind", floors.KINDS)
def test_draws_are_disjoint_and_as_many_as_there_are(kind):
    found = floors.draws(LABELS, 10, kind)
    assert [len(part) for part in found] == [10] * {"at random": 6, "classes in turn": 3}[kind]
    assert len(torch.cat(found).unique()) == 10 * len(found)
    assert len(floors.draws(LABELS, 10, kind, most=2)) == 2


def test_classes_in_turn_are_as_many_of_each_as_a_row_with_labels_draws():
    in_turn = LABELS.unique()[torch.arange(10) % 3]
    for part in floors.draws(LABELS, 10, "classes in turn"):
        assert torch.equal(LABELS[part].bincount(), in_turn.bincount())


@pytest.mark.parametrize(("n", "kind"), [(40, "at random"), (30, "classes in turn")])
def test_one_draw_alone_is_no_floor(n, kind):
    with pytest.raises(ValueError, match=f"^labels: expected two sets of {n} or more, {kind}, got 62 pictures"):
        floors.draws(LABELS, n, kind)


def test_a_set_with_as_many_of_each_class_is_nearer_to_the_truth_than_one_left_to_chance():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(8000) % 10
    rows = 0.1 * torch.randn(8000, 4, generator=g) + torch.randn(10, 4, generator=g)[labels]
    real = metrics.moments(rows)
    found = floors.floors(rows, labels, real, (50,))
    assert 3 * found["classes in turn"]["50"]["mean"] < found["at random"]["50"]["mean"]


def test_the_floor_of_a_set_against_another_as_large_is_found_within_it():
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(20, 600, 5, generator=g)
    expected = sum(metrics.frechet_distance(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True)) / 10
    assert floors.against_itself(rows[0]) == pytest.approx(expected, rel=0.15)


def test_the_tables_of_the_readme_are_those_of_the_results(tmp_path):
    text = (BENCH / "README.md").read_text("utf-8")
    copy = tmp_path / "README.md"
    copy.write_text(re.sub(r"\d", "0", text.partition(table.END)[0]) + table.END, "utf-8")
    for name in table.PLOTS:
        (tmp_path / name).touch()
    table.write(JOBS, copy, [])
    begin = text.index(table.BEGIN)
    assert copy.read_text("utf-8")[begin:] == text[begin : text.index(table.END) + len(table.END)]


def test_the_floors_in_the_readme_are_those_of_the_cards_and_the_bench():
    readme = (ROOT / "README.md").read_text("utf-8")
    in_turn = JOBS["floors"]["classes in turn"]["5000"]["mean"]
    yardstick = json.loads((BENCH / "colour.json").read_text("utf-8"))["yardstick"]
    colours = yardstick["floors"]["classes in turn"]["5000"]["mean"]
    own, without = (
        results.find(weights.card(name).measured, "floor").value for name in ("digits", "mnist-without-7")
    )
    assert re.findall(r"floor[^|.;]*? (\d+\.\d+)", readme) == [
        f"{own:.1f}",
        f"{in_turn:.2f}",
        f"{in_turn:.2f}",
        f"{without:.2f}",
        f"{colours:.2f}",
    ]


def test_the_page_of_make_it_yours_is_that_of_its_results():
    results = json.loads((BENCH / "make_it_yours.json").read_text("utf-8"))
    assert make_it_yours_table.report(results) == (BENCH / "make_it_yours.md").read_text("utf-8")


def a_set(count, seed=0):
    """Smooth colours with a little grain, as photographs have."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4, generator=g), 32, mode="bilinear")
    x = (200 * coarse + 20 * torch.rand(count, 3, 32, 32, generator=g)).to(torch.uint8)
    return data.ImageSet(x, torch.arange(count) % 10, tuple("abcdefghij"), 256)


def off(a, b):
    return (a.float() - b.float()).square().mean().sqrt()


def test_a_copy_is_near_its_original_and_nearer_at_a_higher_quality():
    images = a_set(20).images
    copies = colour.copied(images)
    assert (copies.shape, copies.dtype) == (images.shape, torch.uint8)
    assert 0 < off(colour.copied(images, 95), images) < off(copies, images) < 12
    assert off(copies, images) < off(copies, images.roll(1, 0)) / 3  # each has its own place


def test_the_originals_are_the_first_of_the_training_set_beside_their_copies(monkeypatch):
    sets = {"train": a_set(30), "test": a_set(10, seed=1)}
    monkeypatch.setattr(data, "cifar10", sets.get)
    monkeypatch.setattr(colour, "ORIGINALS", 20)
    originals, copies, labels = colour.Pictures(None).pairs()
    assert torch.equal(originals, sets["train"].images[:20])
    assert torch.equal(copies, colour.Pictures(None).copies("train")[0][:20])
    assert torch.equal(labels, sets["train"].labels[:20])
    assert len(colour.Pictures(None).copies("test")[1]) == 10


def test_pictures_of_a_folder_are_taken_as_they_are_and_copied_where_no_copies_lie_beside_them(tmp_path):
    found = a_set(20)
    for k, picture in enumerate(found.images.permute(0, 2, 3, 1).numpy()):
        path = tmp_path / "originals" / found.names[k % 10] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour.Image.fromarray(picture).save(path)
    originals, copies, labels = colour.Pictures(tmp_path).pairs()
    assert torch.equal(copies, colour.copied(originals))
    (tmp_path / "copies").symlink_to(tmp_path / "originals")
    given = colour.Pictures(tmp_path).pairs()
    assert torch.equal(given[1], originals)
    assert labels.bincount().tolist() == [2] * 10


def test_what_was_computed_is_kept_and_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(colour, "RUNS", tmp_path / "runs")
    assert torch.equal(colour.kept("some", lambda: {"x": torch.arange(3)})["x"], torch.arange(3))
    assert torch.equal(colour.kept("some", lambda: {"x": torch.zeros(3)})["x"], torch.arange(3))


def test_the_drawn_pictures_are_kept_in_pieces_and_written_as_files(tmp_path, monkeypatch):
    for name, value in {"RUNS": tmp_path / "runs", "COUNT": 20, "PIECE": 10, "STEPS": 1}.items():
        monkeypatch.setattr(colour, name, value)
    found, labels = colour.own()
    assert (found.shape, labels.tolist()) == ((20, 3, 32, 32), [*range(10)] * 2)
    (tmp_path / "runs" / "drawn-01.safetensors").unlink()
    assert torch.equal(colour.own()[0], found)  # the missing piece comes out the same
    colour.write(tmp_path / "files")
    files = sorted((tmp_path / "files").iterdir())
    assert len(files) == 20
    assert torch.equal(data.image_folder(tmp_path / "files", 32).images, found)


def test_the_page_of_colour_is_that_of_its_results():
    results = json.loads((BENCH / "colour.json").read_text("utf-8"))
    assert colour_page.report(results) == (BENCH / "colour.md").read_text("utf-8")


def test_the_cards_of_colour_hold_what_was_measured():
    found = json.loads((BENCH / "colour.json").read_text("utf-8"))
    records = weights.card("cifar10").measured
    n, distances = found["drawn"]["n"], found["drawn"]["distance"]
    for words, value in distances.items():
        record = results.find(records, "frechet_distance", n=n, how=colour.AGAINST[words])
        assert record.value == round(value, 2)
    in_turn = results.find(weights.card("classifier-cifar10").measured, "floor", n=n, how="classes in turn")
    assert in_turn.value == round(found["yardstick"]["floors"]["classes in turn"][str(n)]["mean"], 2)
    assert results.find(records, "floor", n=n, how="classes in turn").value == in_turn.value


def test_two_photographs_are_left_out_other_two_for_each_seed_and_mirrors_together():
    for count in (5, 6):
        pairs = [dog_judge.left_out(count, seed) for seed in dogs.SEEDS]
        assert all(len(set(pair)) == dog_judge.LEFT_OUT for pair in pairs)
        assert {number for pair in pairs for number in pair} == set(range(count))  # each is left out at least once
        assert not any((2 in pair) != (3 in pair) for pair in pairs)  # dog5's 02 and 03


def test_the_nearest_dog_is_that_of_the_nearest_view_mirrored_or_not():
    g = torch.Generator().manual_seed(0)
    known = {"dog": torch.rand(4, 3, 8, 8, generator=g), "dog2": torch.rand(2, 3, 8, 8, generator=g)}
    x = torch.stack([known["dog2"][1], known["dog"][3].flip(-1), known["dog2"][0].flip(-1)])
    grain = 0.01 * torch.rand(x.shape, generator=g)
    assert dog_judge.nearest_dog(x + grain, known, lambda x: x.flatten(1)).tolist() == [1, 0, 1]


def test_a_middle_layer_looks_at_the_middle():
    judge, x = dog_judge.Judge(), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen = judge.looks(x)
    assert torch.allclose(seen.norm(dim=1), torch.ones(2))
    edge, middle = x.clone(), x.clone()
    edge[..., :6, :6], middle[..., 13:19, 13:19] = 1, 1
    moved = [(judge.looks(changed) - seen).norm(dim=1) for changed in (edge, middle)]
    assert (moved[0] < moved[1] / 3).all()


def test_what_a_network_learns_of_a_dog_is_where_the_judge_sees_one(monkeypatch):
    squares = {
        side: torch.rand(5, 3, side, side, generator=torch.Generator().manual_seed(side))
        for side in (32, 36, 40, 44, 48)
    }
    monkeypatch.setattr(dog_judge, "squares", lambda dog, side: squares[side])
    photographs, judge = dog_judge.Photographs(seed=0), dog_judge.Judge()
    learned = photographs.learned("dog3", judge)
    assert torch.equal(learned[:3], squares[32][2:])  # the first two are left out
    assert torch.equal(photographs.test["dog3"], squares[32][:2])
    crops, rest = (
        judge.sure(learned[3:30]).view(9, 3),
        judge.sure(dog_judge.crops("dog3", [2, 3, 4], 40)).view(9, 3),
    )
    assert (crops.mean(0) > rest.mean(0)).all()


def test_a_dog_beside_it_changes_nothing_of_what_the_colour_network_says():
    known, learner = dogs.base(), dogs.base()
    word = known.classes - 1
    with torch.no_grad():
        learner.network.head.bias.add_(1)
    assert dogs.old_kept(portraits.beside(known, learner, word))
    assert not dogs.old_kept(learner)
    assert not dogs.old_kept(portraits.beside(known, learner, 3))


def test_the_page_of_the_dogs_is_that_of_its_results():
    assert dogs_table.report(dogs.known()) == (BENCH / "dogs.md").read_text("utf-8")


def test_lesson_13_has_the_table_of_the_dogs_as_it_was_measured():
    notebook = json.loads((ROOT / "notebooks" / "13_make_it_yours.ipynb").read_text("utf-8"))
    assert any(dogs_table.table(dogs.known()) in "".join(cell["source"]) for cell in notebook["cells"])


def source(lesson, words):
    """The cell of a lesson that holds these words."""
    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]
    (found,) = [cell for cell in cells if words in cell]
    return found


def test_lesson_13_says_of_all_runs_what_was_measured():
    known = json.loads((BENCH / "dogs.json").read_text("utf-8"))
    rest = {run: entry for run, entry in known.items() if run not in ("before", "dog6 0")}
    given = [entry["this dog"] for entry in rest.values()]
    others = [entry["this dog"] for run, entry in rest.items() if not run.startswith("dog6")]
    read = [entry["dog"] for entry in rest.values()]
    said = source("13", "Over the 20 other runs")
    assert len(rest) == 20
    for words in (
        f"{mean(read):.0%} of the pictures are read as a dog",
        f"{mean(given):.0%} as this dog",
        f"{sum(share >= 0.6 for share in given)} of the 20 runs reach it",
        f"from {min(given):.0%} to {max(given):.0%}",
        f"a standard error of {100 * stdev(given) / 20**0.5:.0f} points",
        f"Without dog6, on which the settings were chosen, it is {mean(others):.0%}",
    ):
        assert words in said


def test_lesson_12_says_of_more_pictures_what_was_measured():
    found = [entry["distance"]["2000"] for job, entry in equal.read().items() if job.startswith("mnist-60s/")]
    said = source("12", "At this length the other 55,000")
    assert (
        f"three more seeds of `mnist-60s`, on the same machine, had {min(found):.1f} to {max(found):.1f}" in said
    )
    recipe = recipes.RECIPES["mnist-60s"].training
    shown = f"{recipe.steps} steps of {recipe.batch_size} pictures, {recipe.steps * recipe.batch_size:,} in all"
    assert shown in source("12", "### What do more pictures buy?")
