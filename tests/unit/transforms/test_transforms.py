"""Raw samples become a rule's series as PromQL would have made them."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from aiopsd.model import Batch, Indexes
from aiopsd.series import SPARED, SeriesTable
from aiopsd.transforms import Transforms, compile_selection
from aiopsd.transforms.quantile import quantiles
from aiopsd.transforms.selector import parse_selector


class Stream:
    """One rule fed by hand: label words and values in, label words and values out. Every batch is
    a round of its own here; how batches become rounds is tested in test_rounds.py."""

    def __init__(self, select: str, as_: Any = "value", by: str = "", **more: Any) -> None:
        self.table = SeriesTable()
        self.selection = compile_selection(
            select,
            as_,
            tuple(by.split()),
            more.get("over"),
            more.get("window_secs", 10.0),
            more.get("agg", "sum"),
        )
        self.transforms = Transforms({"rule": self.selection}, self.table)

    def feed(self, time_s: float, samples: Mapping[str, float]) -> dict[str, float]:
        pairs = {self.table.intern("", labels(text)): value for text, value in samples.items()}
        raw = Batch(
            "", time_s, np.array(list(pairs), np.int32), np.array(list(pairs.values()), float)
        )
        found: dict[str, float] = {}
        for batch in [*self.transforms.feed(raw), *self.transforms.flush()]:
            assert (batch.rule, batch.time_s) == ("rule", time_s)
            for index, value in zip(batch.series, batch.values, strict=True):
                name = ",".join(f"{k}={v}" for k, v in sorted(self.table.labels(index).items()))
                found[name] = float(value)
        return found


def labels(text: str) -> dict[str, str]:
    """``requests code=500 service=api``"""
    name, *rest = text.split()
    return {"__name__": name} | dict(pair.split("=", 1) for pair in rest)


@pytest.mark.parametrize(
    ("selector", "series", "wanted"),
    [
        ("up", "up job=a", True),
        ("up", "down job=a", False),
        ('up{job="a"}', "up job=a", True),
        ('up{job!="a"}', "up job=a", False),
        ('up{job=~"a|b"}', "up job=ab", False),  # anchored
        ('up{job!~"a.*"}', "up job=ab", False),
        ('up{zone=""}', "up job=a", True),  # a missing label is the empty string
        ('{__name__=~"node_.*",job="a"}', "node_cpu job=a", True),
        ('up{job="a", zone="b",}', "up job=a zone=b", True),
        (r'up{job="a\"b"}', 'up job=a"b', True),
    ],
)
def test_selectors(selector: str, series: str, wanted: bool) -> None:
    assert parse_selector(selector).matches(labels(series)) is wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("up{job=a}", "column 8: expected a quoted text, got 'a'"),
        ("up{job~'a'}", "column 7: expected one of = != =~ !~"),
        ('up{job="a"', "column 11: expected , or }, but the text ends"),
        ("up{'job'='a'}", "column 4: expected a label name"),
        ("up[5m]", "column 3: '[' is not part of a selector; a window is written `window: 5m`"),
        ('up{job="a"} > 1', "column 13"),
        ('up{job=~"("}', "column 9: not a regular expression"),
        ("{}", "names a metric"),
        ('{job=""}', "names a metric"),
        ("", "column 1: expected a metric name or {"),
        ('up{a="1" b="2"}', "column 10: expected , or }"),
    ],
)
def test_a_wrong_selector_says_where(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="column") as error:
        parse_selector(text)
    assert said in str(error.value)


def test_a_rate_needs_two_samples_and_survives_a_reset() -> None:
    one = Stream("requests", "rate", "service")
    assert one.feed(0.0, {"requests service=api": 100}) == {}
    assert one.feed(5.0, {"requests service=api": 150}) == {"service=api": 10.0}
    assert one.feed(10.0, {"requests service=api": 20}) == {"service=api": 7.0}  # (50+20)/10


def test_a_rate_looks_back_as_far_as_its_window() -> None:
    one = Stream("requests", "rate", "service", window_secs=10.0)
    total = 0.0
    for second in range(60):
        total += 1.0 if second < 30 else 5.0
        found = one.feed(float(second), {"requests service=api": total})
    assert found["service=api"] == pytest.approx(5.0)


def test_no_rate_across_a_hole() -> None:
    one = Stream("requests", "rate", "service", window_secs=10.0)
    one.feed(0.0, {"requests service=api": 0})
    one.feed(1.0, {"requests service=api": 1})
    assert one.feed(100.0, {"requests service=api": 1000}) == {}
    assert one.feed(101.0, {"requests service=api": 1001}) == {"service=api": 1.0}


def test_members_from_several_targets_add_up() -> None:
    one = Stream("requests", "rate", "service")
    for time_s, value in ((0.0, 0.0), (5.0, 50.0)):
        one.feed(time_s, {"requests service=api instance=a": value})
        found = one.feed(time_s + 0.5, {"requests service=api instance=b": 2 * value})
    assert found["service=api"] == pytest.approx(10.0 + 20.0)


def test_a_ratio_is_zero_without_a_part_and_nothing_without_a_whole() -> None:
    one = Stream('requests{code=~"5.."}', "rate", "service", over="requests")
    one.feed(0.0, {"requests service=api code=200": 0})
    assert one.feed(5.0, {"requests service=api code=200": 50}) == {"service=api": 0.0}
    # An errors counter that appears with its first error has no growth to show yet.
    one.feed(6.0, {"requests service=api code=200": 60, "requests service=api code=500": 0})
    found = one.feed(8.0, {"requests service=api code=200": 60, "requests service=api code=500": 9})
    assert 0 < found["service=api"] < 1
    still = Stream('requests{code=~"5.."}', "rate", "service", over="requests")
    still.feed(0.0, {"requests service=api code=200": 5})
    assert still.feed(5.0, {"requests service=api code=200": 5}) == {}  # no traffic: no ratio


def test_values_aggregate_and_old_ones_drop_out() -> None:
    for agg, wanted in (("sum", 6.0), ("max", 4.0), ("min", 2.0), ("mean", 3.0)):
        one = Stream("memory", "value", "service", agg=agg)
        one.feed(0.0, {"memory service=api pod=a": 2})
        assert one.feed(1.0, {"memory service=api pod=b": 4}) == {"service=api": wanted}
        assert one.feed(20.0, {"memory service=api pod=b": 4}) == {"service=api": 4.0}


def test_changes_are_counted_within_the_window() -> None:
    one = Stream("start", "changes", "service", window_secs=20.0, agg="max")
    found = {}
    for second in range(30):
        found = one.feed(float(second), {"start service=api": 100.0 if second < 25 else 200.0})
    assert found == {"service=api": 1.0}
    for second in range(30, 60):
        found = one.feed(float(second), {"start service=api": 200.0})
    assert found == {"service=api": 0.0}


def test_mean_divides_sums_by_counts() -> None:
    one = Stream("took", "mean", "service")
    one.feed(0.0, {"took_sum service=api": 0, "took_count service=api": 0})
    found = one.feed(5.0, {"took_sum service=api": 12, "took_count service=api": 4})
    assert found == {"service=api": 3.0}


def test_quantiles_interpolate_over_all_members() -> None:
    one = Stream("took_bucket", "p90", "service")
    bounds = {"0.1": 50, "0.5": 90, "1": 100, "+Inf": 100}
    for scale, time_s in ((0, 0.0), (1, 5.0)):
        found = one.feed(
            time_s, {f"took_bucket service=api le={le}": n * scale for le, n in bounds.items()}
        )
    assert found == {"service=api": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("q", "bounds", "counts", "wanted"),
    [
        (0.5, [1, 2, np.inf], [5, 10, 10], 1.0),
        (0.75, [1, 2, np.inf], [5, 10, 10], 1.5),
        (0.25, [1, 2, np.inf], [10, 10, 10], 0.25),  # lowest bound is zero
        (0.99, [1, 2, np.inf], [5, 6, 10], 2.0),  # falls into +Inf
        (0.5, [1, 2], [5, 10], np.nan),  # no +Inf
        (0.5, [1, np.inf], [0, 0], np.nan),  # nothing observed
    ],
)
def test_the_quantile_is_prometheus_one(
    q: float, bounds: list[float], counts: list[float], wanted: float
) -> None:
    found = quantiles(q, np.array(bounds), np.array([counts], float))
    assert found.tolist() == pytest.approx([wanted], nan_ok=True)


def test_nan_is_missing() -> None:
    one = Stream("memory", "value", "service")
    assert one.feed(0.0, {"memory service=api": float("nan")}) == {}


def test_without_by_every_series_stays_itself() -> None:
    one = Stream("memory")
    assert one.feed(0.0, {"memory a=1": 1, "memory a=2": 2}) == {"a=1": 1.0, "a=2": 2.0}


def test_only_touched_groups_are_computed() -> None:
    one = Stream("memory", "value", "service")
    one.feed(0.0, {"memory service=api": 1, "memory service=db": 2})
    assert one.feed(1.0, {"memory service=api": 3}) == {"service=api": 3.0}
    assert one.feed(2.0, {"other service=api": 3}) == {}


def test_a_rule_ticks_when_its_metric_was_read_and_nothing_matched() -> None:
    """So that "no error lines yet" is something that a detector can learn."""
    one = Stream('lines{level="error"}', "value", "service")
    index = one.table.intern("", labels("lines level=info service=api"))
    other = one.table.intern("", labels("unrelated service=api"))
    for series, ticks in ((index, 1), (other, 0)):
        raw = Batch("", 1.0, np.array([series], np.int32), np.array([5.0]))
        one.transforms.feed(raw)
        assert [len(b.series) for b in one.transforms.flush()] == [0] * ticks


def test_state_survives_a_restart_in_the_middle_of_a_window() -> None:
    one = Stream("requests", "rate", "service")
    one.feed(0.0, {"requests service=api": 100})
    other = Stream("requests", "rate", "service")
    other.table.load(one.table.save())
    other.transforms.load(one.transforms.save())
    assert other.feed(5.0, {"requests service=api": 150}) == {"service=api": 10.0}
    with pytest.raises(ValueError, match=r"."):
        other.transforms.load(b"garbage")


def expired(table: SeriesTable) -> Indexes:
    """What is older than 50 seconds, and no longer spared for having been in use lately."""
    return np.concatenate([table.expire(50.0) for _ in range(SPARED + 1)])


def test_a_forgotten_index_is_another_series_afterwards() -> None:
    one = Stream("requests", "rate", "service")
    one.feed(0.0, {"requests service=api": 100})
    index = one.table.intern("", labels("requests service=api"))
    one.table.record(Batch("", 0.0, np.array([index], np.int32), np.array([1.0])))
    gone = expired(one.table)
    one.transforms.forget(gone)
    assert one.feed(100.0, {"requests service=db": 7}) == {}
    assert one.feed(105.0, {"requests service=db": 12}) == {"service=db": 1.0}


@pytest.mark.parametrize(
    ("select", "as_", "over", "said"),
    [
        ("took_bucket", "p95", "x", "`over`"),
        ("took{", "rate", None, "`select`, column"),
        ("took", "rate", "x{", "`over`, column"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    select: str, as_: Any, over: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        compile_selection(select, as_, (), over, 10.0, "sum")
    assert said in str(error.value)


def test_a_hole_of_a_few_windows_is_bridged() -> None:
    """A source that is read less often than the window is long still has a rate."""
    one = Stream("requests", "rate", "service", window_secs=10.0)
    for time_s, total in ((0.0, 0.0), (30.0, 60.0), (69.0, 138.0)):
        found = one.feed(time_s, {"requests service=api": total})
    assert found == {"service=api": 2.0}


@pytest.mark.parametrize("name", ["took", "took_bucket"])
def test_a_histogram_may_be_named_by_its_base(name: str) -> None:
    one = Stream(f'{name}{{service!="db"}}', "p50")
    for scale, time_s in ((0, 0.0), (1, 5.0)):
        samples = {f"took_bucket service=api le={le}": 10.0 * scale for le in ("1", "+Inf")}
        samples |= {"took_bucket service=db le=1": 1.0, "took_bucket service=api le=what": 5.0}
        found = one.feed(time_s, samples | {"took_count service=api": 10.0 * scale})
    assert found == {"service=api": 0.5}


@pytest.mark.parametrize("name", ["took", "took_sum", "took_count"])
def test_a_mean_is_sum_over_count(name: str) -> None:
    one = Stream(name, "mean", "service")
    one.feed(0.0, {"took_sum service=api": 0, "took_count service=api": 0})
    found = one.feed(5.0, {"took_sum service=api": 30, "took_count service=api": 10})
    assert found == {"service=api": 3.0}
    assert one.feed(5.5, {"took_sum service=api": 30, "took_count service=api": 10}) != {}


def test_histograms_with_other_buckets_add_up_where_they_can() -> None:
    one = Stream("took", "p90", "service")
    for scale, time_s in ((0, 0.0), (1, 5.0)):
        found = one.feed(
            time_s,
            {
                "took_bucket service=api le=1": 9 * scale,
                "took_bucket service=api le=+Inf": 10 * scale,
                "took_bucket service=db le=0.5": 90 * scale,
                "took_bucket service=db le=2": 100 * scale,
                "took_bucket service=db le=+Inf": 100 * scale,
            },
        )
    assert found == {"service=api": 1.0, "service=db": 0.5}


def test_a_member_that_is_missing_now_is_not_counted_with_what_it_was() -> None:
    one = Stream("memory", "value", "service")
    one.feed(0.0, {"memory service=api pod=a": 1, "memory service=api pod=b": 2})
    found = one.feed(1.0, {"memory service=api pod=a": 1, "memory service=api pod=b": np.nan})
    assert found == {"service=api": 1.0}
    one.feed(2.0, {"memory service=api pod=b": 2})
    assert one.feed(12.5, {"memory service=api pod=a": 1}) == {"service=api": 1.0}


def test_a_full_table_loses_groups_and_nothing_else() -> None:
    one = Stream("memory")
    one.table.shares.limit = 5
    found = one.feed(0.0, {f"memory pod={n}": n for n in range(4)})
    assert found == {"pod=0": 0.0}
    assert one.table.refused > 0


def test_what_a_full_table_refused_is_asked_for_again_when_there_is_room() -> None:
    one, asked = Stream("memory"), []
    one.table.shares.limit = 5
    intern = one.table.intern

    def counted(rule: str, *rest: Any, **more: Any) -> int:
        if rule:
            asked.append(rule)
        return intern(rule, *rest, **more)

    one.table.intern = counted  # type: ignore[method-assign]
    pods = {f"memory pod={n}": float(n) for n in range(4)}
    one.feed(0.0, pods)
    refused, first = one.table.refused, len(asked)
    assert one.feed(1.0, pods) == {"pod=0": 0.0}
    assert len(asked) == first
    assert one.table.refused == refused + 3
    one.table.shares.limit = 100
    assert len(one.feed(2.0, pods)) == 4


def test_members_that_come_and_go_leave_nothing_behind() -> None:
    one, sizes = Stream("requests", "rate", "pod"), []
    for generation in range(200):
        names = {f"requests pod={generation}": 1.0}
        one.feed(generation * 100.0, names)
        one.feed(generation * 100.0 + 5, names)
        index = one.table.intern("", labels(next(iter(names))))
        one.transforms.forget(np.array([index], np.int32))
        sizes.append(len(one.transforms.save()))
    assert sizes == sizes[:1] * 200


def test_a_rule_that_selects_something_else_by_now_starts_cold() -> None:
    one, other = Stream("requests", "rate", "service"), Stream("requests", "delta", "service")
    one.feed(0.0, {"requests service=api": 100})
    other.table.load(one.table.save())
    other.transforms.load(one.transforms.save())
    assert other.feed(5.0, {"requests service=api": 150}) == {}


def test_what_the_table_calls_something_else_by_now_is_named_anew() -> None:
    one = Stream("memory")
    raw = Batch(
        "", 99.0, np.array([one.table.intern("", labels("memory pod=a"))], np.int32), np.ones(1)
    )
    one.table.record(raw)
    one.transforms.feed(raw)
    own = one.table.of("rule")
    gone = expired(one.table)
    assert gone.tolist() == own
    assert one.table.intern("other", {"name": "x"}) == own[0]
    one.transforms.forget(gone)
    assert one.feed(100.0, {"memory pod=a": 2}) == {"pod=a": 2.0}
    assert one.table.of("rule") != own


def test_the_window_holds_when_a_source_is_read_often() -> None:
    one = Stream("requests", "delta", "service", window_secs=16.0)
    for second in range(200):
        found = one.feed(float(second), {"requests service=api": float(second**2)})
        if second > 17:
            assert found["service=api"] == second**2 - (second - 17) ** 2


def test_history_stays_history() -> None:
    one = Stream("memory")
    index = one.table.intern("", labels("memory pod=a"))
    raw = Batch("", 1.0, np.array([index], np.int32), np.ones(1), history=True)
    assert [b.history for b in one.transforms.feed(raw)] == [True]


@pytest.mark.parametrize("absurd", [1e17, 1e20, 1e308])
def test_one_absurd_sample_does_not_blind_a_rate_for_good(absurd: float) -> None:
    one = Stream("requests", "rate", "service")
    total, found = 0.0, {}
    for second in range(60):
        total += 10.0
        value = absurd if second == 20 else total
        found = one.feed(float(second), {"requests service=api": value})
    assert found == {"service=api": pytest.approx(10.0)}


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+b", r"(\\w|\\d)*x", "a*a*a*a*b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    begun = time.process_time()
    assert not parse_selector(f'up{{job=~"{pattern}"}}').matches({"job": "a" * 65_536})
    assert time.process_time() - begun < 1.0


def test_patterns_are_those_of_prometheus() -> None:
    assert parse_selector('up{job=~"a.c"}').matches({"__name__": "up", "job": "a\nc"})
    assert parse_selector(r"up{job=~`\pL+`}").matches({"__name__": "up", "job": "é"})
    with pytest.raises(
        ValueError, match=r"column 9: .* at character 1, `\(\?!`: RE2 has no lookahead"
    ):
        parse_selector('up{job=~"(?!a).*"}')


def test_the_first_value_of_a_counter_counts_nothing_however_large() -> None:
    one = Stream("requests", "delta", "service", window_secs=60.0)
    one.feed(0.0, {"requests service=api pod=a": 10})
    one.feed(5.0, {"requests service=api pod=a": 20})
    big = {"requests service=api pod=a": 30, "requests service=api pod=b": 1e12}
    assert one.feed(10.0, big) == {"service=api": 20.0}
    more = {"requests service=api pod=a": 40, "requests service=api pod=b": 1e12 + 5}
    assert one.feed(15.0, more) == {"service=api": 35.0}


def test_two_restarts_within_a_window_lose_only_what_nobody_saw() -> None:
    one = Stream("requests", "delta", "service", window_secs=60.0)
    values = [100.0, 150.0, 20.0, 30.0, 5.0, 15.0]
    found = [one.feed(5.0 * n, {"requests service=api": v}) for n, v in enumerate(values)]
    assert found[-1] == {"service=api": 50.0 + 20 + 10 + 5 + 10}


def test_a_jump_is_one_rate_for_one_window() -> None:
    one = Stream("requests", "delta", "service", window_secs=20.0)
    values = [100.0, 110.0, 1e9, *(1e9 + 10.0 * n for n in range(1, 9))]
    found = [one.feed(5.0 * n, {"requests service=api": v}) for n, v in enumerate(values)]
    assert found[2]["service=api"] == 1e9 - 100
    assert [f["service=api"] for f in found[-3:]] == [40.0] * 3


def test_nan_between_two_values_of_a_counter_is_a_gap_and_no_restart() -> None:
    one = Stream("requests", "delta", "service", window_secs=60.0)
    one.feed(0.0, {"requests service=api": 100})
    assert one.feed(5.0, {"requests service=api": np.nan}) == {}
    assert one.feed(10.0, {"requests service=api": 120}) == {"service=api": 20.0}


def test_a_coarse_total_does_not_blur_a_counter_for_good() -> None:
    """Years of bytes, restarted often: the sum of all that is larger than the counter is fine."""
    one, found = Stream("bytes", "rate", "service", window_secs=10.0), {}
    one.feed(0.0, {"bytes service=api": 0.0})
    one.feed(1.0, {"bytes service=api": 1e14})
    for second in range(2, 40):
        found = one.feed(float(second), {"bytes service=api": second * 0.1})
    assert found == {"service=api": pytest.approx(0.1)}


def test_the_shape_of_a_histogram_is_its_buckets_by_le() -> None:
    """What a detector of shapes takes: at each tick all buckets of a service, cumulative."""
    one = Stream("took_bucket", "delta", "service le", window_secs=60.0)
    counts = {"0.1": (5, 9), "1": (8, 20), "+Inf": (8, 21)}
    found = {}
    for tick, time_s in enumerate((0.0, 15.0)):
        samples = {
            f"took_bucket service=api le={le} pod={pod}": float(pair[tick])
            for le, pair in counts.items()
            for pod in "ab"
        }
        found = one.feed(time_s, samples)
    assert found == {
        "le=0.1,service=api": 8.0,
        "le=1,service=api": 24.0,
        "le=+Inf,service=api": 26.0,
    }


@pytest.mark.parametrize(("word", "wanted"), [("p50", 50.0), ("p99.9", 99.9), ("p5", 5.0)])
def test_any_quantile(word: str, wanted: float) -> None:
    one = Stream("took", word, "service")
    found = {}
    for scale in (0, 1):
        samples = {f"took_bucket service=api le={n}": 10.0 * n * scale for n in range(1, 101)}
        samples["took_bucket service=api le=+Inf"] = 1000.0 * scale
        found = one.feed(5.0 * scale, samples)
    assert found == {"service=api": pytest.approx(wanted)}


@pytest.mark.parametrize("word", ["p", "p100", "p0.", "P50", "p-1", "q50", "p1e1", "", "sum"])
def test_what_is_no_quantile(word: str) -> None:
    with pytest.raises(ValueError, match=r"`as: .*` is nothing that can be worked out"):
        compile_selection("took", word)


def test_without_groups_by_all_other_labels() -> None:
    selection = compile_selection("memory", without=("pod", "instance"))
    table = SeriesTable()
    one = Transforms({"r": selection}, table)
    names = [labels(f"memory service=api zone={zone} pod={pod}") for zone in "xy" for pod in "ab"]
    series = np.array([table.intern("", name) for name in names], np.int32)
    one.feed(Batch("", 0.0, series, np.array([1.0, 2.0, 3.0, 4.0])))
    (found,) = one.flush()
    named = [table.labels(int(i)) for i in found.series]
    assert named == [{"service": "api", "zone": "x"}, {"service": "api", "zone": "y"}]
    assert found.values.tolist() == [3.0, 7.0]
    with pytest.raises(ValueError, match="exclude each other"):
        compile_selection("memory", by=("a",), without=("b",))


def test_two_rounds_of_one_moment_are_one() -> None:
    whole, parted = (Stream("requests", "delta", "service", window_secs=16.0) for _ in "ab")
    for second in range(60):
        both = {f"requests service={name}": float(second**2) for name in ("a", "b")}
        wanted, found = whole.feed(float(second), both), {}
        for name, value in both.items():
            found |= parted.feed(float(second), {name: value})
    assert found == wanted
