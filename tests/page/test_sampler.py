"""The figures that draw: one piece of HTML that holds the network once, and asks for nothing."""

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from diffusion_lesson.learning import weights
from diffusion_lesson.learning.recipes import RECIPES
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page import network as module
from diffusion_lesson.page.network import HERE, PageLearner, PageNetwork
from diffusion_lesson.page.sampler import PageSampler

COMPILER = "0.28.20"  # of AssemblyScript
FLAGS = ["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory", "--enable", "simd"]
# Who changes kernels.ts builds kernels.wasm anew (its first lines say how), and writes both down here.
SHA256 = {
    "kernels.ts": "f3cc687e184910c0370e0d6933031a95c5325df19b91e085a48bd5c4f3038747",
    "kernels.wasm": "b1f04072028c08137b4f6e798a7370d284468c9152b5fe4b751cc900cb04a621",
}
CONFIG = {"channels_in": 1, "width": 8, "mults": [1, 2], "patch": 2, "classes": 3, "attention": False}


def network(state=None, config=CONFIG, **options):
    state = {"stem.weight": np.ones((2, 3))} if state is None else state
    return PageNetwork(state, config, **{"schedule": cosine(100), "predicts": "v", "size": 8} | options)


TRAINING = {"steps": 7, "batch_size": 4, "learning_rate": 1e-3, "ema": 0.9}


UNTRAINED = {
    "stem.weight": np.array([[0.3, -0.5, 0.57]]), "stem.bias": np.array([0.4, -0.2]), "norm.weight": np.ones(4),
}  # fmt: skip


def learner(config=CONFIG | {"classes": 0}, state=None, **options):
    given = {"schedule": cosine(100), "predicts": "eps", "size": 8, "training": TRAINING} | options
    return PageLearner(UNTRAINED if state is None else state, config, **given)


def cosine(T):
    return {"kind": "cosine", "T": T}


def figure(kind="walk", net=None, **options):
    given = {"still": np.zeros((2, 8, 8)), "labels": ["a", "b"], "caption": "A <caption>"}
    given["alt"] = "two <grey> squares"
    if kind in ("denoise", "learn"):
        given["pictures"] = np.zeros((1, 8, 8))
    if net is None:
        net = learner() if kind == "learn" else network()
    return PageSampler(net, kind, **given | options)


def page(*args, **options):
    return figure(*args, **options)._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("name", SHA256)
def test_the_kernels_are_those_that_were_built(name):
    assert hashlib.sha256((HERE / name).read_bytes()).hexdigest() == SHA256[name]


def test_the_source_says_how_it_is_built():
    head = (HERE / "kernels.ts").read_text("utf-8")[:600]
    assert f"npm install assemblyscript@{COMPILER}" in head
    assert f"npx asc kernels.ts -o kernels.wasm {' '.join(FLAGS)}\n" in head


def test_the_kernels_can_be_built_again_byte_for_byte(tmp_path):
    """Where the compiler can be had: npm fetches it, 100 MB on the disk."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the WebAssembly is known by its hash and its numbers alone")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", f"assemblyscript@{COMPILER}"]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"CI": "1"})
    if done.returncode:
        pytest.skip(f"AssemblyScript could not be fetched: {done.stderr[-300:]}")
    shutil.copy(HERE / "kernels.ts", tmp_path)
    command = ["node_modules/.bin/asc", "kernels.ts", "-o", "again.wasm", *FLAGS]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "again.wasm").read_bytes() == (HERE / "kernels.wasm").read_bytes()


def test_the_program_holds_the_numbers_and_what_they_mean():
    net = network({"stem.weight": np.array([[0.5, -2.0]]), "stem.bias": np.array([65504.0])})
    given = json.loads(re.search(r"\nregister\(key, (\{.*\}), UNet\);", net.program)[1])
    assert given["shapes"] == [["stem.weight", [1, 2]], ["stem.bias", [1]]]
    assert given["config"] == {"width": 8, "mults": [1, 2], "patch": 2, "classes": 3, "size": 8}
    assert (given["T"], given["predicts"]) == (100, "v")
    raw = module.base64.b64decode(given["weights"])
    assert np.frombuffer(raw, "<f2").tolist() == [0.5, -2.0, 65504.0]
    assert module.base64.b64decode(given["kernels"]) == (HERE / "kernels.wasm").read_bytes()


def test_the_program_carries_no_comments_and_all_code():
    program = network().program
    lines = [line.strip() for part in module.PARTS for line in (HERE / part).read_text("utf-8").splitlines()]
    code = [line for line in lines if line and not line.startswith(("//", "/*", "*"))]
    assert len(code) > 200
    assert "\n".join(code) in program
    assert not re.search(r"^\s*(//|/\*|\*)", program, re.MULTILINE)
    assert len(program) < 30_000  # besides the weights


def test_a_learner_carries_what_it_learns_with_and_no_other_network_does():
    net = learner()
    given = json.loads(re.search(r"\nregister\(key, (\{.*\}), Learner\);", net.program)[1])
    assert given["training"] == TRAINING
    assert given["weights"] == ""
    assert given["begins"] == [[0, 3**-0.5], [0, 3**-0.5], [1, 0]]
    assert "class Learner" in net.program
    assert "class Learner" not in network().program
    assert "training" not in json.loads(re.search(r"\nregister\(key, (\{.*\}), UNet\);", network().program)[1])
    assert len(net.program) < 40_000
    assert net.key != learner(training=TRAINING | {"steps": 8}).key


def test_what_a_learner_begins_with_does_not_know_the_processor():
    """The last digits of PyTorch's first numbers do."""
    nudged = {name: numbers * (1 + 1e-7) for name, numbers in UNTRAINED.items() if name != "norm.weight"}
    assert learner(state=UNTRAINED | nudged).key == learner().key


def test_a_key_stands_for_the_numbers_and_the_code(monkeypatch):
    ours = network()
    assert ours.key == network().key
    assert f'const key="{ours.key}"' in ours.program
    others = [
        network({"stem.weight": np.full((2, 3), 2.0)}),
        network({"stem.bias": np.ones((2, 3))}),
        network(schedule=cosine(50)),
        network(predicts="eps"),
        network(size=12),
    ]
    monkeypatch.setattr(PageNetwork, "parts", PageNetwork.parts[:-1])
    assert len({ours.key, network().key, *(other.key for other in others)}) == 7


@pytest.mark.parametrize("kind", ["digit", "denoise", "walk", "redraw", "learn"])
def test_a_figure_is_self_contained(kind):
    text = page(kind)
    assert not re.search(r"\sid=|<script|https?:|<link|@import", re.sub(r'data-program="[^"]*"', "", text))
    assert "http" not in network().program
    assert text.count("<img ") == text.count('alt="two &lt;grey&gt; squares, ') == 2
    assert "A &lt;caption&gt;" in text
    assert re.findall(r"<img [^>]*?onload", text) == [re.search(r"<img [^>]*?onload", text)[0]]
    for control in re.findall(r"<(?:input|select|button) [^>]*>", text):
        assert "data-lm-suppress-shortcuts" in control
    for control in re.findall(r"<input [^>]*>", text):
        assert "aria-label=" in control or f"<label>seed {control}" in text
    for picture in re.findall(r"<(?:canvas|svg) [^>]*>", text):
        assert 'role="img" aria-label="' in picture


def test_the_network_is_in_one_figure_as_the_program_itself():
    net = network()
    assert html.unescape(re.search(r'data-program="([^"]*)"', page(net=net))[1]) == net.program
    other = page(net=net, carry=False)
    assert "data-program=" not in other
    assert f'data-network="{net.key}"' in other
    assert len(other) < 10_000


def test_the_same_figure_is_the_same_text():
    assert page("denoise") == page("denoise")


def test_labels_are_offered_where_the_network_knows_some():
    assert page("digit").count("<button") == 4
    assert ">2</option>" in page("redraw").partition('name="label"')[2].partition("</select>")[0]
    without = network(config=CONFIG | {"classes": 0})
    assert 'name="label"' not in page("walk", without)
    assert 'name="guidance"' not in page("walk", without)
    assert page("digit", without).count("<button") == 1


def test_a_short_schedule_offers_no_more_steps_than_it_has():
    offered = page("walk", network(schedule=cosine(20))).partition('name="steps"')[2].partition("</select>")[0]
    assert re.findall(r'value="(\d+)"', offered) == ["1", "2", "5", "10"]


def test_it_says_what_it_is():
    assert repr(figure()) == "<PageSampler: A <caption>; walk, <PageNetwork: 6 numbers, pictures of 8 × 8>>"
    assert figure()._repr_mimebundle_()["text/plain"] == repr(figure())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config": CONFIG | {"channels_in": 3}}, "config: expected channels_in = 1, blocks = 1 and no attention"),
        ({"config": CONFIG | {"blocks": 2}}, "config: expected channels_in = 1, blocks = 1 and no attention"),
        (
            {"config": CONFIG | {"attention": True}},
            "config: expected channels_in = 1, blocks = 1 and no attention",
        ),
        ({"predicts": "x0"}, "predicts: expected 'v' or 'eps', got 'x0'"),
        ({"size": 10}, "size: expected a multiple of 4, got 10"),
        ({"schedule": cosine(0)}, r"schedule: expected \{.*\}, got \{'kind': 'cosine', 'T': 0\}"),
        ({"schedule": {"kind": "linear", "T": 9}}, "schedule: expected .*, got .*linear"),
        ({"schedule": cosine(9) | {"offset": 0}}, "schedule: expected .*, got .*offset"),
        ({"state": {"stem.bias": np.array([7e4])}}, r"state: expected .* others in \['stem.bias'\]"),
    ],
)
def test_a_network_the_page_cannot_hold_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        network(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "dream"}, "kind: expected one of digit, denoise, walk, redraw, learn, got 'dream'"),
        ({"kind": "learn", "net": network()}, "network: expected a PageLearner for the kind 'learn', got <PageN"),
        ({"net": learner()}, "network: expected a network that does not learn for the kind 'walk', got <PageL"),
        ({"kind": "learn", "pictures": None}, "pictures: expected some for the kind 'learn', got none"),
        ({"pictures": np.zeros((1, 8, 8))}, "pictures: expected none for the kind 'walk', got some"),
        ({"kind": "denoise", "pictures": None}, "pictures: expected some for the kind 'denoise', got none"),
        ({"kind": "denoise", "pictures": np.zeros((1, 4, 4))}, "pictures: expected the network's 8 by 8, got"),
        ({"kind": "denoise", "pictures": np.full((1, 8, 8), 2)}, "pictures: got numbers"),
        ({"start": 0}, "start: expected a step t from 1 to 100, got 0"),
        ({"start": 101}, "start: expected a step t from 1 to 100, got 101"),
        ({"labels": ["a"]}, "labels: expected 2, one for each of still, got 1"),
        ({"alt": " "}, "alt: got ' '"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        figure(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config": CONFIG}, "config: expected .* predicts 'eps', got classes = 3 and predicts = 'eps'"),
        ({"predicts": "v"}, "config: expected classes = 0, and .*, got classes = 0 and predicts = 'v'"),
        ({"training": {"steps": 3}}, "training: expected steps, batch_size, learning_rate, ema, got steps"),
        (
            {"state": UNTRAINED | {"stem.bias": np.array([0.4, 0.7])}},
            "state: expected an untrained network, got 0.7 in stem.bias, whose numbers PyTorch draws from ±0.577",
        ),
        (
            {"training": TRAINING | {"steps": 0}},
            "training: expected steps and batch_size of 1 or more, .*'steps': 0",
        ),
        ({"training": TRAINING | {"learning_rate": 0}}, "training: .*a learning_rate above 0"),
        ({"training": TRAINING | {"ema": 1.1}}, "training: .*an ema of 0 to 1"),
        ({"training": {}}, "training: expected steps, batch_size, learning_rate, ema, got nothing"),
    ],
)
def test_what_the_page_cannot_train_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        learner(**options)


def test_what_is_in_the_folder_is_packed():
    assert {path.name for path in Path(HERE).iterdir()} == {*PageLearner.parts, *SHA256}


def carried(path):
    """(key, program) of each figure in a notebook that carries one."""
    found = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for out in cell.get("outputs", []):
            text = "".join(out.get("data", {}).get("text/html", ""))
            found += re.findall(r'data-network="(\w+)"[^>]* data-program="([^"]*)"', text)
    return [(key, html.unescape(program)) for key, program in found]


def lesson_10_s_learner():
    model = UNet(channels_in=1, width=16)
    recipe = RECIPES["digits-20s"]
    training = {name: getattr(recipe.training, name) for name in TRAINING}
    options = {"schedule": recipe.schedule, "predicts": recipe.predicts, "size": 8}
    return PageLearner(model.state_dict(), model.config, training=training, **options)


@pytest.mark.parametrize("lesson", ["00", "10", "11", "13"])
def test_a_lesson_carries_a_shipped_network_once_in_today_s_program(lesson):
    (path,) = (Path(__file__).parents[2] / "notebooks").glob(f"{lesson}_*.ipynb")
    denoiser, card = weights.load_shipped("digits" if lesson == "10" else "mnist")
    net = PageNetwork(
        denoiser.network.state_dict(),
        card.config,
        schedule=card.schedule,
        predicts=card.predicts,
        size=card.size,
    )
    nets = [lesson_10_s_learner(), net] if lesson == "10" else [net]
    assert carried(path) == [(each.key, each.program) for each in nets]
    assert sum(len(html.escape(each.program)) for each in nets) <= 1_400_000
