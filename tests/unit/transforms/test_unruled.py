"""What a series that no rule selects is taken for."""

import numpy as np
import pytest

from aiopsd.model import Batch
from aiopsd.series import SeriesTable
from aiopsd.transforms import BUILT_IN, BuiltIn, Transforms, Unruled


@pytest.mark.parametrize(
    ("name", "types", "rule"),
    [
        ("http_requests_total", {}, "watch_all.rate.traffic"),
        ("http_errors_total", {}, "watch_all.rate.error-rate"),
        ("node_cpu_seconds_total", {}, "watch_all.rate.saturation"),
        ("took_seconds_count", {"took_seconds": "histogram"}, "watch_all.rate.saturation"),
        ("took_seconds_sum", {}, "watch_all.rate.saturation"),
        ("orphan_bucket", {}, "watch_all.rate.saturation"),  # without le
        ("memory_bytes", {}, "watch_all.value.saturation"),
        ("up", {}, "watch_all.value.availability"),
        ("rx", {"rx": "counter"}, "watch_all.rate.saturation"),
        ("rx_total", {"rx": "counter"}, "watch_all.rate.saturation"),  # OpenMetrics: the family
        ("rx_created", {"rx": "counter"}, "watch_all.value.saturation"),
        ("queue_count", {"queue_count": "gauge"}, "watch_all.value.saturation"),
        ("node_total", {"node_total": "untyped"}, "watch_all.rate.saturation"),
        ("took", {"took": "summary"}, "watch_all.value.saturation"),
    ],
)
def test_by_what_is_said_and_by_name(name: str, types: dict[str, str], rule: str) -> None:
    table = SeriesTable()
    one = Transforms({}, table, Unruled(types))
    series = np.array([table.intern("", {"__name__": name})], np.int32)
    found = {}
    for n in range(3):
        for out in one.feed(Batch("", 15.0 * n, series, np.array([30.0 * n]))):
            found[out.rule] = out.series.tolist(), out.values.tolist()
    for out in one.flush():
        found[out.rule] = out.series.tolist(), out.values.tolist()
    wanted = 2.0 if ".rate." in rule else 60.0
    assert found == {rule: (series.tolist(), [wanted])}
    assert set(found) <= one.unruled


def test_a_histogram_is_named_by_its_infinite_bucket() -> None:
    table = SeriesTable()
    one = Transforms({}, table, Unruled({}))
    names = [{"__name__": "took_seconds_bucket", "le": le} for le in ("+Inf", "1", "2")]
    series = np.array([table.intern("", name) for name in names], np.int32)
    for n in range(3):
        counts = np.array([100.0, 50.0, 99.0]) * n
        found = one.feed(Batch("", 15.0 * n, series, counts))
    values = {out.rule: (out.series.tolist(), out.values.tolist()) for out in found}
    assert values == {
        "watch_all.p50.latency.seconds": ([series[0]], [1.0]),
        "watch_all.p99.latency.seconds": ([series[0]], [2.0]),
    }


def test_without_an_infinite_bucket_there_is_nothing_to_name() -> None:
    table = SeriesTable()
    one = Transforms({}, table, Unruled({}))
    names = [{"__name__": "took_bucket", "le": le} for le in ("1", "2")]
    series = np.array([table.intern("", name) for name in names], np.int32)
    for n in range(3):
        assert [b for b in one.feed(Batch("", 15.0 * n, series, np.ones(2))) if len(b.series)] == []


@pytest.mark.parametrize("built_in", BUILT_IN)
def test_what_is_shown_names_the_raw_series_again(built_in: BuiltIn) -> None:
    raw = {"__name__": "took_seconds", "service": "api"}
    if built_in.how in ("p50", "p99"):
        raw = {"__name__": "took_seconds_bucket", "service": "api", "le": "+Inf"}
    shown = built_in.shown(raw)
    assert shown == {"metric": "took_seconds", "service": "api"}
    assert built_in.raw(shown) == raw
