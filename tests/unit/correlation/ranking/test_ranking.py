"""The first suspect is the one whose trouble is its own, and it says why."""

from dataclasses import replace

import numpy as np
import pytest

from aiopsd.correlation.ranking import CallSpans, Column, LineCounts, Ranking, Traces, rank
from tests.unit.correlation.ranking.worlds import FAULT, ROWS, calm, slow_ledger, window


def codes(ranking: Ranking, service: str) -> set[str]:
    one = next(s for s in ranking.suspects if s.service == service)
    return {r.code for r in (*one.reasons, *one.against)}


def test_the_callee_whose_trouble_is_its_own_is_first_with_its_reasons() -> None:
    ranking = rank(window(slow_ledger()))
    first = ranking.suspects[0]
    assert (first.service, first.metric) == ("ledger", "cpu-percent")
    assert first.score > 0.8
    assert not ranking.unclear
    assert {"resource", "latency"} <= codes(ranking, "ledger")
    assert "explained-by-callees" in codes(ranking, "shop")
    said = next(r for r in first.reasons if r.code == "resource")
    assert said.numbers["observed"] > 75
    assert said.numbers["usual"] == pytest.approx(23, abs=1)
    assert "cpu-percent" in first.charts
    assert ranking.onset_s == FAULT * 30.0


def test_scores_are_shares_that_leave_room_for_none_of_these() -> None:
    ranking = rank(window(slow_ledger()))
    assert all(0 <= s.score <= 1 for s in ranking.suspects)
    assert 0 < sum(s.score for s in ranking.suspects) <= 1 + 1e-3
    assert [s.score for s in ranking.suspects] == sorted(s.score for s in ranking.suspects)[::-1]


def test_nothing_strange_is_unclear() -> None:
    assert "nothing strange" in rank(window(calm())).unclear


def test_two_alike_are_unclear() -> None:
    series = calm()
    series["stock", "cpu-percent"][FAULT:] += 60.0
    for name in list(series):
        if name[0] == "ledger":
            series[name] = series["stock", name[1]].copy()
    assert "stock" in rank(window(series)).unclear


def test_what_began_after_the_sli_is_less_likely_the_cause() -> None:
    series = calm()
    series["web", "latency-p95-ms"][FAULT:] += 200.0
    series["ledger", "cpu-percent"][FAULT:] += 50.0
    series["stock", "cpu-percent"][FAULT + 6 :] += 60.0
    ranking = rank(window(series))
    order = [s.service for s in ranking.suspects]
    assert order.index("ledger") < order.index("stock")
    assert "later" in codes(ranking, "stock")


def test_what_the_target_does_not_call_is_less_likely() -> None:
    series = slow_ledger()
    series["batch", "cpu-percent"] = series["ledger", "cpu-percent"] * 1.0
    both = rank(window(series))
    order = [s.service for s in both.suspects]
    assert order.index("ledger") < order.index("batch")
    assert "not-called" in codes(both, "batch")


def test_a_service_that_stops_telling_is_suspected() -> None:
    series = calm()
    for name in list(series):
        if name[0] == "ledger":
            series[name][FAULT:] = np.nan
    series["shop", "error-ratio"][FAULT:] += 0.3
    ranking = rank(window(series))
    assert ranking.suspects[0].service == "ledger"
    assert ranking.suspects[0].metric == "up"


def test_a_latency_of_two_calls_says_little() -> None:
    series = calm()
    for service in ("stock", "ledger"):
        series[service, "latency-p95-ms"][FAULT:] += 100.0
    series["ledger", "requests-per-sec"][:] = 0.05
    scores = {s.service: s.score for s in rank(window(series)).suspects}
    assert scores["stock"] > 2 * scores["ledger"]


def test_a_victim_of_retries_is_no_cause() -> None:
    series = calm()
    series["shop", "cpu-percent"][FAULT:] += 60.0
    series["web", "latency-p95-ms"][FAULT:] += 100.0
    series["shop", "latency-p95-ms"][FAULT:] += 100.0
    series["ledger", "requests-per-sec"][FAULT + 2 :] *= 4
    series["ledger", "latency-p95-ms"][FAULT + 2 :] *= 200
    series["ledger", "cpu-percent"][FAULT + 2 :] = 100.0
    assert rank(window(series)).suspects[0].service == "shop"


def lines(*rows: tuple[str, str, float, float]) -> LineCounts:
    services, templates, times, counts = zip(*rows, strict=True)
    return LineCounts(services, templates, np.array(times), np.array(counts))


def test_a_new_line_that_names_its_callee_speaks_of_that() -> None:
    late = FAULT * 30.0
    named = lines(("shop", "ERROR call to ledger failed: timeout", late, 300.0))
    own = lines(("shop", "ERROR NullPointerException in cart", late, 300.0))
    series = calm()
    series["shop", "error-ratio"][FAULT:] += 0.05
    assert rank(window(series, lines=own)).suspects[0].service == "shop"
    blamed = rank(window(series, lines=named))
    assert "lines" in codes(blamed, "ledger")
    assert "lines" not in codes(blamed, "shop")


def test_a_line_that_was_always_there_says_nothing() -> None:
    rows = [("shop", "ERROR bad thing", 30.0 * at, 5.0) for at in range(ROWS)]
    with_, without = rank(window(calm(), lines=lines(*rows))), rank(window(calm()))
    assert with_ == without


def test_spans_blame_the_one_that_spends_the_time() -> None:
    spans = [
        CallSpans("", "web", "GET", since, 50.0, 0.1 + 0.4 * since, 0.0) for since in (False, True)
    ]
    spans += [
        CallSpans("web", "shop", "call", since, 50.0, 0.08 + 0.4 * since, 0.001)
        for since in (False, True)
    ]
    series = calm()
    series["web", "latency-p95-ms"][FAULT:] += 400.0
    assert rank(window(series)).suspects[0].service == "web"
    told = rank(window(series, traces=Traces(tuple(spans))))
    assert told.suspects[0].service == "shop"
    assert "spans" in codes(told, "shop")


def test_latency_between_client_and_server_is_blamed_on_the_callee() -> None:
    made = window(calm())
    random = np.random.default_rng(2)
    ends = np.stack([random.normal(20, 1, ROWS), random.normal(15, 1, ROWS)], axis=1)
    ends[FAULT:, 0] += 80.0
    kind = made.columns[0].kind
    columns = (
        Column("shop", "out50-ledger", kind, callee="ledger", pool="out50"),
        Column("ledger", "in50-shop", kind, caller="shop", pool="in50"),
    )
    wider = replace(made, values=np.hstack([made.values, ends]), columns=(*made.columns, *columns))
    first = rank(wider).suspects[0]
    assert first.service == "ledger"
    assert "out50-gap" in first.charts


def test_a_view_speaks_of_what_it_views() -> None:
    series = calm()
    series["ledger-remote", "latency-p95-ms"] = series["ledger", "latency-p95-ms"] * 1.1
    series["ledger-remote", "latency-p95-ms"][FAULT:] += 300.0
    ranking = rank(window(series))
    assert ranking.suspects[0].service == "ledger"


def test_too_few_rows_say_so() -> None:
    made = window(calm())
    short = replace(made, times_s=made.times_s[:3], values=made.values[:3])
    assert "too few rows" in rank(short).unclear


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": np.zeros((3, 2))}, "times and columns say"),
        ({"times_s": -np.arange(ROWS) * 1.0}, "times must rise"),
        ({"step_secs": 0.0}, "step_secs must be positive"),
    ],
)
def test_a_window_that_is_none_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        window(calm(), **change)
