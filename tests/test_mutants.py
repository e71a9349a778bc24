"""The tool that counts what no test notices: what it makes of mutmut's words, and of its list of reasons."""

import pytest

from tools import mutants
from tools.mutants import Change

SIGN = Change("process.schedule.cosine", ("f = a + b",), ("f = a - b",))
RANGE = Change("process.schedule.cosine", ("range(T + 1)",), ("range(T + 2)",))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("diffusion_lesson.process.elbo.xǁLedgerǁ_by_stratum__mutmut_5", "process.elbo.Ledger._by_stratum"),
        (
            "diffusion_lesson.process.exact.xǁMixtureǁ__post_init____mutmut_7",
            "process.exact.Mixture.__post_init__",
        ),
        ("diffusion_lesson.process.samplers.x__half_log_snr__mutmut_6", "process.samplers._half_log_snr"),
        ("diffusion_lesson.learning.metrics.x_moments__mutmut_12", "learning.metrics.moments"),
    ],
)
def test_a_mutant_is_named_by_its_function(name, expected):
    assert mutants.function(name) == expected


def test_a_change_is_its_lines_without_those_around_them():
    diff = """# x: survived
--- a.py
+++ a.py
@@ -1,3 +1,2 @@
 before
-    raise ValueError(
-        f"x is {x}"
+    raise None
 )
"""
    found = mutants.change("diffusion_lesson.process.elbo.x_f__mutmut_1", diff)
    assert found == Change("process.elbo.f", ("raise ValueError(", 'f"x is {x}"'), ("raise None",))


def test_every_reason_is_read_with_each_of_its_changes():
    text = '[[equivalent]]\nfunction = "a.f"\nout = "x = 1"\ninto = ["x = 2", "x = 3"]\nwhy = "x is not used"'
    assert mutants.known(text) == {Change("a.f", ("x = 1",), (f"x = {n}",)): "x is not used" for n in (2, 3)}


def test_the_list_of_reasons_can_be_read_and_gives_a_reason_for_each():
    reasons = mutants.known(mutants.KNOWN.read_text("utf-8"))
    assert reasons
    assert all(why.strip() for why in reasons.values())
    assert all(one.out != one.into for one in reasons)


def test_what_changes_nothing_counts_neither_way():
    text, good = mutants.report(["killed"] * 95 + ["survived"] * 6, [RANGE] + [SIGN] * 5, {RANGE: "not read"})
    assert "101 changes: 95 killed, 6 survived, of these 1 change nothing" in text
    assert "score: 95.0%" in text
    assert "No test notices:\n  process.schedule.cosine\n    - f = a + b\n    + f = a - b" in text
    assert "range" not in text
    assert good


def test_below_95_percent_will_not_do():
    text, good = mutants.report(["killed"] * 94 + ["survived"] * 6, [SIGN] * 6, {})
    assert "score: 94.0%" in text
    assert not good


def test_a_change_that_no_test_reaches_has_survived():
    text, good = mutants.report(["killed", "no tests"], [SIGN], {})
    assert "2 changes: 1 killed, 1 survived" in text
    assert not good


def test_a_reason_for_what_is_killed_by_now_is_reported():
    text, good = mutants.report(["killed"] * 100, [], {RANGE: "not read"})
    assert (
        f"{mutants.KNOWN.name} names what is no survivor:\n  process.schedule.cosine\n    - range(T + 1)" in text
    )
    assert not good


@pytest.mark.parametrize("status", sorted(mutants.KILLED - {"killed"}))
def test_a_test_that_hangs_has_noticed(status):
    assert mutants.report([status], [], {}) == mutants.report(["killed"], [], {})


@pytest.mark.parametrize("status", ["suspicious", "segfault"])
def test_a_run_that_ended_strangely_has_not(status):
    assert "1 changes: 0 killed, 1 survived" in mutants.report([status], [SIGN], {})[0]


def test_a_run_that_was_stopped_is_no_verdict():
    text, good = mutants.report(["killed"] * 99 + ["not checked"], [], {RANGE: "not read"})
    assert "1 were not tried; the next run goes on with them" in text
    assert "no survivor" not in text  # it may be among those
    assert not good
