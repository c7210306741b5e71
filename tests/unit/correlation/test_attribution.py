"""A change is evidence, not the culprit by default."""

from dataclasses import replace

import pytest

from aiopsd.correlation.attribution import (
    Alert,
    Candidate,
    Commit,
    Hypothesis,
    Line,
    Story,
    attribute,
)
from aiopsd.correlation.ranking import Window, examine, ranked
from tests.unit.correlation.ranking.worlds import FAULT, SERVICES, calm, slow_ledger, window

ONSET_S = FAULT * 30.0


def judged(made: Window, *candidates: Candidate, **more: object) -> tuple[Hypothesis, ...]:
    evidence = examine(made)
    assert evidence is not None
    story = replace(Story(candidates), **more)  # type: ignore[arg-type]
    return attribute(evidence, ranked(evidence), story)


def deploy(name: str, service: str, time_s: float, commit: Commit | None = None) -> Candidate:
    return Candidate(name, "deploy", service, time_s, commit=commit)


def test_the_suspects_release_just_before_did_it() -> None:
    found = judged(
        window(slow_ledger()),
        deploy("v2", "ledger", ONSET_S - 60), deploy("v9", "stock", ONSET_S - 60),
    )  # fmt: skip
    assert found[0].change == "v2"
    assert found[0].score > 0.5
    assert {r.code for r in found[0].reasons} >= {"time", "service"}
    assert sum(h.score for h in found) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("service", "time_s"),
    [("ledger", ONSET_S + 200), ("ledger", ONSET_S - 90_000), ("mail", ONSET_S - 60)],
)
def test_a_change_after_long_before_or_elsewhere_did_not(service: str, time_s: float) -> None:
    assert judged(window(slow_ledger()), deploy("v2", service, time_s))[0].change is None


def test_a_diff_that_shares_words_with_what_went_wrong_is_likelier() -> None:
    bad = Commit("Lower the deadline", ("ledger.go",), "-deadline := 900\n+deadline := 20\n")
    docs = Commit("docs: spell it right", ("docs/ledger.md",), "-ledgr\n+ledger\n")
    line = Line(ONSET_S + 30, "ledger", "ERROR write exceeded deadline of 20 ms")
    found = judged(
        window(slow_ledger()),
        deploy("docs", "ledger", ONSET_S - 60, docs), deploy("bad", "ledger", ONSET_S - 300, bad),
        lines=(line,), knows_diffs=True,
    )  # fmt: skip
    assert found[0].change == "bad"
    assert found[-1].change == "docs"
    assert any("deadline" in r.text for r in found[0].reasons)


def test_traffic_is_no_change() -> None:
    series = calm()
    for service in SERVICES:
        series[service, "requests-per-sec"][FAULT:] *= 4
        series[service, "latency-p95-ms"][FAULT:] *= 3
    found = judged(window(series), deploy("v2", "ledger", ONSET_S - 1500))
    assert found[0].change is None
    assert "load" in {r.code for r in found[0].reasons}


def test_errors_about_one_record_are_data() -> None:
    lines = [
        Line(ONSET_S + at, "ledger", "ERROR cannot parse record_id=17 offset=4") for at in range(20)
    ]
    found = judged(window(slow_ledger()), deploy("v2", "ledger", ONSET_S - 60), lines=tuple(lines))
    assert found[0].change is None
    assert "one-record" in {r.code for r in found[0].reasons}


def test_the_alerts_service_counts_and_its_time_is_the_detection() -> None:
    alert = Alert("stock", "stock is slow", ONSET_S + 60)
    accused = judged(window(slow_ledger()), deploy("v9", "stock", ONSET_S - 60), alert=alert)
    not_ = judged(window(slow_ledger()), deploy("v9", "stock", ONSET_S - 60))
    assert accused[0].nats > next(h.nats for h in not_ if h.change == "v9")
