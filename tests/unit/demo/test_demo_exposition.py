"""The text that a toy service shows is what the Prometheus text format 0.0.4 asks for."""

import math

from hypothesis import given
from hypothesis import strategies as st

from aiopsd.demo.exposition import LATENCY_BUCKETS, Histogram, Metric, render


def test_a_counter_starts_at_zero_and_counts() -> None:
    requests = Metric("counter", "http_requests_total", "Requests answered.", ("service", "code"))
    requests.add("web", "500", amount=0)
    requests.add("web", "200")
    requests.add("web", "200")
    assert render([requests]) == (
        "# HELP http_requests_total Requests answered.\n"
        "# TYPE http_requests_total counter\n"
        'http_requests_total{service="web",code="500"} 0\n'
        'http_requests_total{service="web",code="200"} 2\n'
    )


def test_a_gauge_shows_its_last_value_and_needs_no_labels() -> None:
    gauge = Metric("gauge", "up", "Is up.", ())
    gauge.set(to=1)
    gauge.set(to=0.25)
    assert render([gauge]).splitlines()[-1] == "up 0.25"


def test_label_values_and_help_are_escaped() -> None:
    metric = Metric("gauge", "build_info", 'A "path" like C:\\\nnext', ("version",))
    metric.set('a"b\\c\nd', to=1)
    assert render([metric]) == (
        '# HELP build_info A "path" like C:\\\\\\nnext\n'
        "# TYPE build_info gauge\n"
        'build_info{version="a\\"b\\\\c\\nd"} 1\n'
    )


def test_numbers_that_are_no_numbers() -> None:
    metric = Metric("gauge", "g", "G.", ("of",))
    for name, value in (("nan", math.nan), ("high", math.inf), ("low", -math.inf)):
        metric.set(name, to=value)
    assert [line.split()[-1] for line in render([metric]).splitlines()[2:]] == [
        "NaN",
        "+Inf",
        "-Inf",
    ]


def test_a_histogram_is_cumulative_and_its_bounds_are_inclusive() -> None:
    duration = Histogram("d_seconds", "D.", ("service",), buckets=(0.1, 1.0))
    for value in (0.1, 0.2, 7.0):
        duration.observe("web", value=value)
    assert render([duration]) == (
        "# HELP d_seconds D.\n"
        "# TYPE d_seconds histogram\n"
        'd_seconds_bucket{service="web",le="0.1"} 1\n'
        'd_seconds_bucket{service="web",le="1"} 2\n'
        'd_seconds_bucket{service="web",le="+Inf"} 3\n'
        'd_seconds_sum{service="web"} 7.3\n'
        'd_seconds_count{service="web"} 3\n'
    )


def test_a_declared_histogram_exists_before_its_first_observation() -> None:
    duration = Histogram("d_seconds", "D.", ("service",))
    duration.declare("web")
    lines = render([duration]).splitlines()[2:]
    assert len(lines) == len(LATENCY_BUCKETS) + 3  # +Inf, sum, count
    assert all(line.endswith(" 0") for line in lines)


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=50))
def test_each_bucket_counts_what_is_not_above_its_bound(values: list[float]) -> None:
    duration = Histogram("d_seconds", "D.", ())
    duration.declare()
    for value in values:
        duration.observe(value=value)
    lines = [line for line in render([duration]).splitlines() if line.startswith("d_seconds_b")]
    for bound, line in zip((*LATENCY_BUCKETS, math.inf), lines, strict=True):
        assert int(line.split()[-1]) == sum(value <= bound for value in values)
