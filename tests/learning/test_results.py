"""Records of what was measured: written, read again, found, and said in a sentence."""

import json

import pytest

from diffusion_lesson.learning import recipes, results, weights
from diffusion_lesson.learning.results import Result

DRAWN = Result(
    metric="frechet_distance", values=(2.0, 4.0), n=5000, sampler="DDIM η = 1", steps=20, guidance_scale=1.5,
    seeds=(0, 1),
)  # fmt: skip
CODED = Result(
    metric="bits_per_dim", values=(1.7,), n=100, how="all t", parts={"L_0": 0.7, "standard error": 0.01}
)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (DRAWN, "Fréchet distance 2, 4 (n = 5,000; DDIM η = 1, 20 steps, guidance 1.5; seeds 0, 1)"),
        (CODED, "bits per dimension 1.7 (n = 100; all t; L_0 0.7, standard error 0.01)"),
        (Result(metric="loss", values=(0.5,)), "loss 0.5"),
        (Result(metric="note", values=(), how="none"), "note (none)"),
    ],
)
def test_a_record_is_a_sentence(record, words):
    assert str(record) == words


@pytest.mark.parametrize(
    ("steps", "scale", "calls"), [(20, 1.5, 40), (20, 1.0, 20), (20, 0.0, 20), (20, None, 20), (None, None, None)]
)
def test_guidance_asks_the_network_twice_a_step(steps, scale, calls):
    assert Result(metric="m", values=(1.0,), steps=steps, guidance_scale=scale).calls == calls


def test_its_value_is_the_mean_over_the_seeds():
    assert DRAWN.value == 3


@pytest.mark.parametrize("record", [DRAWN, CODED, Result(metric="loss", values=(0.5,))], ids=lambda r: r.metric)
def test_json_gives_the_record_back_and_holds_nothing_empty(record):
    text = json.dumps([record.as_json()])
    assert results.read(json.loads(text)) == (record,)
    assert not any(value in (None, [], {}, "") for value in json.loads(text)[0].values())


def test_one_is_found_by_its_metric_and_by_more_where_there_are_more():
    both = (DRAWN, Result(metric="frechet_distance", values=(7.0,), n=1000))
    assert results.find((*both, CODED), "bits_per_dim") is CODED
    assert results.find(both, "frechet_distance", n=5000) is DRAWN
    for wrong in (both, ()):
        with pytest.raises(ValueError, match=r"^metric: expected one record of 'frechet_distance'"):
            results.find(wrong, "frechet_distance")


def test_what_cards_of_version_0_1_hold_is_read_with_its_words_for_a_metric():
    then = {
        "Fréchet distance, n = 1797": 10.45, "FD": [1.0, 2.0], "floor": {"at random": 3.12, "in turn": 1.52},
        "bits": {"total": 2.8, "L_T": 0.1}, "remark": "none",
    }  # fmt: skip
    assert results.read(then) == (
        Result(metric="Fréchet distance, n = 1797", values=(10.45,)),
        Result(metric="FD", values=(1.0, 2.0)),
        Result(metric="floor, at random", values=(3.12,)),
        Result(metric="floor, in turn", values=(1.52,)),
        Result(metric="bits", values=(2.8,), parts={"L_T": 0.1}),
        Result(metric="remark", values=(), how="none"),
    )


GOOD = {"metric": "m", "values": [1.0]}


@pytest.mark.parametrize(
    "wrong",
    [
        3, "m", [3], [[]], [{}], [GOOD | {"more": 1}], [GOOD | {"values": 1.0}], [GOOD | {"values": ["1"]}],
        [GOOD | {"n": "5"}], [GOOD | {"metric": None}], [GOOD | {"parts": {"a": "b"}}], [GOOD | {"seeds": [None]}],
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_record_is_refused_by_name(wrong, without_type_checks):
    with pytest.raises(ValueError, match=r"^measured: "):
        results.read(wrong)


@pytest.mark.parametrize("name", weights.names())
def test_the_cards_that_ship_hold_records_of_known_metrics(name):
    fields = json.loads((weights.SHIPPED / f"{name}.json").read_text("utf-8"))
    assert [record.as_json() for record in weights.card(name).measured] == [
        {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
        for record in fields["measured"]
    ]
    assert {record.metric for record in weights.card(name).measured} <= results.WORDS.keys()


def test_recipes_say_what_they_reach_in_sentences():
    assert all(
        str(record) in recipes.in_words() for recipe in recipes.RECIPES.values() for record in recipe.measured
    )
