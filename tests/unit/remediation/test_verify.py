"""Three answers, with numbers. Samples come in with time; nothing here has a clock."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.remediation.schema import Check, Verify
from aiopsd.remediation.verify import Sample, Verdict, Verification, amount
from aiopsd.settings import Duration, Expression


def check(expect: str = "value < 0.05", name: str = "errors", **changes: Any) -> Check:
    return Check(name=name, rule="r", expect=Expression(expect), **changes)


def watch(
    *checks: Check, baseline: dict[str, float | None] | None = None, **spec: Any
) -> Verification:
    given_spec = {"after": Duration(10), "every": Duration(5), "within": Duration(30), "passes": 2}
    found = Verify(checks=checks or (check(unit="ratio"),), **(given_spec | spec))
    return Verification(found, baseline if baseline is not None else {"errors": 0.31}, {}, 0.0)


def feed(one: Verification, *values: float | None) -> list[Verdict]:
    """A value of `errors` every 5 s, beginning with the first that is due."""
    return [
        one.feed(one.next_s + 5 * n, {"errors": Sample(value)}) for n, value in enumerate(values)
    ]


def words(verdicts: list[Verdict]) -> list[str]:
    return [verdict.word for verdict in verdicts]


def test_healed_after_passes_in_a_row() -> None:
    verdicts = feed(watch(), 0.2, 0.041, 0.03)
    assert words(verdicts) == ["waiting", "waiting", "healed"]
    assert verdicts[0].text == "errors 31 % -> 20 % (wanted value < 0.05)"
    assert verdicts[1].text == "pass 1 of 2: errors 31 % -> 4.1 %"
    assert verdicts[2].text == "pass 2 of 2: errors 31 % -> 3 %"
    assert verdicts[2].numbers == {"errors": 0.03}


def test_a_failing_sample_begins_the_count_anew() -> None:
    assert words(feed(watch(), 0.01, 0.2, 0.01, 0.01)) == ["waiting"] * 3 + ["healed"]


def test_a_hole_begins_the_count_anew() -> None:
    assert words(feed(watch(), 0.01, None, 0.01, 0.01)) == ["waiting"] * 3 + ["healed"]


def test_no_effect_when_the_time_is_up() -> None:
    verdicts = feed(watch(), 0.3, 0.3, 0.3, 0.3, 0.3)
    assert words(verdicts) == ["waiting"] * 4 + ["no_effect"]
    assert verdicts[-1].text == "not within 30s: errors 31 % -> 30 % (wanted value < 0.05)"


def test_no_data_is_inconclusive_and_never_a_pass() -> None:
    verdicts = feed(watch(), None, None, None, None, None)
    assert words(verdicts) == ["waiting"] * 4 + ["inconclusive"]
    assert verdicts[-1].text == "cannot be known within 30s: errors: no data"


def test_too_few_passes_are_no_proof() -> None:
    verdicts = feed(watch(passes=3), 0.3, 0.3, 0.3, 0.01, 0.01)
    assert verdicts[-1].word == "inconclusive"
    assert "only 2 of 3 passes" in verdicts[-1].text


@pytest.mark.parametrize(
    ("no_data", "last"),
    [("pass", "healed"), ("fail", "no_effect"), ("inconclusive", "inconclusive")],
)
def test_no_data_means_what_the_playbook_says(no_data: str, last: str) -> None:
    verdicts = feed(watch(check(no_data=no_data)), *[None] * 5)
    assert last in words(verdicts)
    assert {"healed", "no_effect", "inconclusive"}.intersection(words(verdicts)) >= {last}


def test_nan_and_infinity_are_no_data() -> None:
    for odd in (math.nan, math.inf, -math.inf):
        assert (
            words(feed(watch(check("value < 5.0 || value > 5.0")), *[odd] * 5))[-1]
            == "inconclusive"
        )


def test_a_baseline_that_had_no_data_cannot_be_compared_with() -> None:
    one = watch(check("value < baseline * 0.5"), baseline={"errors": None})
    assert words(feed(one, *[0.01] * 5))[-1] == "inconclusive"
    one = watch(check("value < baseline * 0.5"), baseline={"errors": 0.4})
    assert words(feed(one, 0.1, 0.1)) == ["waiting", "healed"]


def test_an_expectation_that_fails_to_evaluate_is_not_true() -> None:
    one = watch(check("value < 1.0 && incident.x.y == 1"))
    assert words(feed(one, *[0.01] * 5))[-1] == "inconclusive"


def test_every_check_must_pass() -> None:
    one = watch(check(), check("value < 0.3", name="p95", unit="seconds"), baseline={})
    samples = {"errors": Sample(0.01), "p95": Sample(0.9)}
    verdict = one.feed(10, samples)
    assert (verdict.word, verdict.text) == (
        "waiting",
        "p95 0.9 s (wanted value < 0.3), errors 0.01",
    )


def test_worse_ends_it_at_once() -> None:
    guard = check("value <= baseline * 1.2", name="latency", unit="seconds")
    one = watch(check(), must_not_worsen=(guard,), baseline={"errors": 0.3, "latency": 0.1})
    verdict = one.feed(10, {"errors": Sample(0.01), "latency": Sample(0.3)})
    assert verdict.word == "made_worse"
    assert verdict.text == "worse: latency 0.1 s -> 0.3 s, wanted value <= baseline * 1.2"
    verdict = one.feed(10, {"errors": Sample(0.01), "latency": Sample(None, "gone")})
    assert (verdict.word, verdict.text) == ("waiting", "latency: gone, errors 0.3 -> 0.01")


def test_only_news_is_news() -> None:
    verdicts = feed(watch(), 0.3, 0.29, 0.01, 0.3)
    assert [verdict.news for verdict in verdicts] == [True, False, True, True]


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [
        (0.041, "ratio", "4.1 %"),
        (31, "percent", "31 %"),
        (0.25, "seconds", "0.25 s"),
        (1.5e9, "bytes", "1.397 GiB"),
        (0, "bytes", "0 B"),
        (0.12345, "", "0.123"),
        (12345.6, "", "12,346"),
    ],
)
def test_amounts(value: float, unit: Any, wanted: str) -> None:
    assert amount(value, unit) == wanted


@given(st.lists(st.none() | st.floats(0, 1), min_size=30, max_size=30), st.integers(1, 4))
def test_it_always_ends_in_time_and_healed_only_after_passes_in_a_row(
    values: list[float | None], passes: int
) -> None:
    one = watch(passes=passes)
    seen: list[float | None] = []
    for n, value in enumerate(values):
        seen.append(value)
        verdict = one.feed(one.next_s + 5 * n, {"errors": Sample(value)})
        if verdict.word != "waiting":
            break
    assert one.next_s + 5 * (len(seen) - 1) <= one.ends_s
    last = seen[-passes:]
    passed = len(last) == passes and all(v is not None and v < 0.05 for v in last)
    assert (verdict.word == "healed") == passed
