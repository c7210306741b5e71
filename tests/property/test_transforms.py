"""The vectorised transforms against the plainest way to say the same, on any stream."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.model import Batch
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, compile_selection
from aiopsd.transforms.quantile import quantiles

WINDOW = 16.0
CODES = ("200", "404", "500")
TARGETS = ("a", "b")

values = st.one_of(st.none(), st.just(math.nan), st.integers(0, 50).map(float))
ticks = st.lists(
    st.tuples(
        st.sampled_from(TARGETS),
        st.sampled_from([1.0, 4.0, 5.0, 15.0, 40.0, 70.0]),  # seconds since the tick before
        st.dictionaries(st.sampled_from(CODES), values, min_size=1),
        st.booleans(),  # counters of this target began anew
    ),
    max_size=25,
)


class Story:
    """Counters of two targets; each grows by what the tick says."""

    def __init__(self, story: Any) -> None:
        self.table = SeriesTable()
        self.batches: list[Batch] = []
        self.samples: list[tuple[float, str, dict[str, float]]] = []
        totals: dict[tuple[str, str], float] = {}
        now = 1000.0
        for target, step, grown, restarted in story:
            now += step
            for code in CODES if restarted else ():
                totals[target, code] = 0.0
            tick: dict[str, float] = {}
            for code, more in grown.items():
                if more is not None:
                    totals[target, code] = totals.get((target, code), 0.0) + np.nan_to_num(more)
                    tick[code] = math.nan if math.isnan(more) else totals[target, code]
            self.samples.append((now, target, tick))
            series = [self._intern(target, code) for code in tick]
            self.batches.append(
                Batch("", now, np.array(series, np.int32), np.array([*tick.values()]))
            )

    def _intern(self, target: str, code: str) -> int:
        return self.table.intern("", {"__name__": "hits", "code": code, "instance": target})


def run(story: Story, transforms: Transforms, batches: list[Batch]) -> list[dict[str, float]]:
    found = []
    for batch in batches:
        tick = {}
        for out in [*transforms.feed(batch), *transforms.flush()]:  # each batch is a round here
            for index, value in zip(out.series, out.values, strict=True):
                tick[story.table.labels(int(index)).get("code", "all")] = float(value)
        found.append(tick)
    return found


class Plain:
    """One counter, read off its definition."""

    def __init__(self) -> None:
        self.last, self.total, self.since = math.nan, 0.0, math.nan
        self.counted_s, self.seen_s, self.value = -math.inf, -math.inf, (math.nan, math.nan)
        self.past: list[tuple[float, float, float]] = []  # when noted, when counted, total

    def feed(self, now: float, raw: float) -> None:
        self.seen_s, self.value = now, (math.nan, math.nan)
        if not math.isfinite(raw):
            return
        if math.isnan(self.last) or now - self.counted_s > 4 * WINDOW:
            self.total, self.since = 0.0, now
        else:
            self.total += raw - self.last if raw >= self.last else raw
        self.last, self.counted_s = raw, now
        inside = [p for p in self.past if p[0] >= now - WINDOW * 17 / 16] or self.past[-1:]
        begun, before = inside[0][1:] if inside else (-math.inf, 0.0)
        if begun < self.since:
            begun, before = self.since, 0.0
        if now > begun:
            self.value = self.total - before, now - begun


def plain_sums(story: Story, how: str) -> list[dict[str, float]]:
    counters: dict[tuple[str, str], Plain] = {}
    noted, found = -math.inf, []
    for now, target, tick in story.samples:
        for code, raw in tick.items():
            counters.setdefault((target, code), Plain()).feed(now, raw)
        if tick and now - noted >= WINDOW / 16:
            noted = now
            for one in counters.values():
                one.past.append((now, one.counted_s, one.total))
        sums: dict[str, float] = {}
        for (_, code), one in counters.items():
            grown, secs = one.value
            value = grown / secs if how == "rate" else grown
            if code in tick and now - one.seen_s <= WINDOW and math.isfinite(value):
                sums[code] = sums.get(code, 0.0) + value
        found.append(sums)
    return found


@pytest.mark.parametrize("how", ["rate", "delta"])
@settings(max_examples=50, deadline=None)
@given(story=ticks)
def test_increases_are_what_they_are_by_definition(how: Any, story: Any) -> None:
    one = Story(story)
    selection = compile_selection("hits", how, ("code",), None, WINDOW, "sum")
    found = run(one, Transforms({"r": selection}, one.table), one.batches)
    for got, wanted in zip(found, plain_sums(one, how), strict=True):
        assert got == pytest.approx(wanted)
        assert all(value >= 0 for value in got.values()), "a counter never falls"


@settings(max_examples=40, deadline=None)
@given(story=ticks)
def test_a_ratio_of_a_part_is_between_nothing_and_all(story: Any) -> None:
    one = Story(story)
    selection = compile_selection('hits{code="500"}', "delta", ("x",), "hits", WINDOW, "sum")
    for tick in run(one, Transforms({"r": selection}, one.table), one.batches):
        assert all(0 <= value <= 1 for value in tick.values())


@pytest.mark.parametrize("how", ["rate", "value", "changes", "mean", "p90"])
@settings(max_examples=50, deadline=None)
@given(story=ticks, cut=st.integers(0, 25))
def test_a_restart_at_any_point_changes_nothing(how: Any, story: Any, cut: int) -> None:
    def transforms(one: Story) -> Transforms:
        name = "hits" if how not in ("mean", "p90") else "hits_x"
        selection = compile_selection(name, how, ("code",), None, WINDOW)
        ratio = compile_selection('hits{code="500"}', "rate", ("instance",), "hits", WINDOW)
        return Transforms({"r": selection, "ratio": ratio}, one.table)

    one = Story(story)
    whole = transforms(one)
    wanted = run(one, whole, one.batches)
    first = transforms(one)
    found = run(one, first, one.batches[:cut])
    second = transforms(one)
    second.load(first.save())
    found += run(one, second, one.batches[cut:])
    assert found == wanted
    assert second.save() == whole.save()


counts = st.lists(st.integers(0, 30), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(counts=counts, q=st.sampled_from([0.5, 0.9, 0.95, 0.99]), absent=st.sets(st.integers(0, 6)))
def test_quantiles_are_those_of_the_observations(
    counts: list[int], q: float, absent: set[int]
) -> None:
    """Held against a walk through the buckets, with some of them not there at all."""
    bounds = [*range(1, len(counts)), math.inf]
    cumulative = np.cumsum(counts).astype(float)
    there = [n for n in range(len(counts)) if n not in absent or n == len(counts) - 1]
    row = np.where(np.isin(np.arange(len(counts)), there), cumulative, np.nan)
    found = float(quantiles(q, np.array(bounds), np.stack([row, row]))[1])
    wanted = walk(q, [(bounds[n], cumulative[n]) for n in there])
    assert found == pytest.approx(wanted, nan_ok=True)


def walk(q: float, buckets: list[tuple[float, float]]) -> float:
    """https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"""
    if len(buckets) < 2 or buckets[-1][1] == 0:
        return math.nan
    rank, start, below = q * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets[:-1]:
        if count >= rank:
            return start + (bound - start) * (rank - below) / (count - below)
        start, below = bound, count
    return start


steady = st.lists(
    st.lists(st.sampled_from([*range(8), None]), min_size=8, max_size=8), min_size=2, max_size=12
)
cuts = st.lists(st.permutations(range(8)), min_size=12, max_size=12)
widths = st.lists(st.integers(1, 8), min_size=12, max_size=12)
FORMS = {
    "rate": compile_selection("hits", "rate", ("code",), None, 30.0),
    "sum": compile_selection("hits", "value", ("code",), None, 30.0),
    "ratio": compile_selection('hits{code="200"}', "delta", ("x",), "hits", 30.0),
    "alone": compile_selection("hits", "delta", (), None, 30.0),
    "p90": compile_selection("took", "p90", ("x",), None, 30.0),
}


def ticking(table: SeriesTable, growth: Any, split: Any) -> list[Batch]:
    """Eight series that come every 10 s; ``split`` says in which parts, and in which order."""
    names = [{"__name__": "hits", "code": CODES[n % 3], "instance": str(n)} for n in range(4)]
    names += [{"__name__": "took_bucket", "le": le} for le in ("1", "2", "4", "+Inf")]
    series = np.array([table.intern("", one) for one in names], np.int32)
    totals, batches = np.zeros(8), []
    for tick, more in enumerate(growth):
        totals += [0.0 if one is None else float(one) for one in more]
        values = np.where([one is None for one in more], np.nan, totals)
        for part in split(tick):
            batches.append(Batch("", 1000.0 + 10 * tick, series[part], values[part]))
    return batches


def at_ends(table: SeriesTable, batches: list[Batch]) -> dict[tuple[str, str, float], float]:
    """The last word on each moment."""
    transforms, found = Transforms(FORMS, table), {}
    for batch in batches:
        for out in transforms.feed(batch):
            for index, value in zip(out.series.tolist(), out.values.tolist(), strict=True):
                found[out.rule, str(table.labels(index)), out.time_s] = value
    for out in transforms.flush():
        for index, value in zip(out.series.tolist(), out.values.tolist(), strict=True):
            found[out.rule, str(table.labels(index)), out.time_s] = value
    return found


@settings(max_examples=50, deadline=None)
@given(growth=steady, orders=cuts, width=widths)
def test_any_batching_of_a_tick_gives_the_same(growth: Any, orders: Any, width: Any) -> None:
    def whole(_: int) -> list[list[int]]:
        return [list(range(8))]

    def parts(tick: int) -> list[list[int]]:
        order, size = orders[tick], width[tick]
        return [list(order[n : n + size]) for n in range(0, 8, size)]

    table = SeriesTable()
    wanted = at_ends(table, ticking(table, growth, whole))
    assert at_ends(table, ticking(table, growth, parts)) == wanted


@settings(max_examples=60, deadline=None)
@given(growth=steady, orders=cuts, width=widths, cut=st.integers(0, 60))
def test_save_and_load_within_a_round_changes_nothing(
    growth: Any, orders: Any, width: Any, cut: int
) -> None:
    def parts(tick: int) -> list[list[int]]:
        order, size = orders[tick], width[tick]
        return [list(order[n : n + size]) for n in range(0, 8, size)]

    def run(one: Transforms, batches: list[Batch]) -> list[Any]:
        return [(b.rule, b.time_s, b.series.tolist(), b.values.tolist())
                for batch in batches for b in one.feed(batch)]  # fmt: skip

    table = SeriesTable()
    batches = ticking(table, growth, parts)
    whole, first, second = (Transforms(FORMS, table) for _ in range(3))
    wanted = run(whole, batches)
    found = run(first, batches[:cut])
    second.load(first.save())
    found += run(second, batches[cut:])
    assert found == wanted
    assert second.save() == whole.save()


hostile = st.one_of(
    st.sampled_from(
        [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-300, 1e300, 1.8e308, -1.0]
    ),
    st.floats(allow_nan=True),
)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(hostile, min_size=2, max_size=30), restart=st.booleans())
def test_hostile_values_break_neither_their_series_nor_its_neighbours(
    values: list[float], restart: bool
) -> None:
    table = SeriesTable()
    names = [
        {"__name__": "hits", "code": "200", "instance": "bad"},
        {"__name__": "hits", "code": "404", "instance": "good"},
        {"__name__": "took_bucket", "le": "1"},
        {"__name__": "took_bucket", "le": "+Inf"},
    ]
    series = np.array([table.intern("", one) for one in names], np.int32)
    one = Transforms(FORMS, table)
    good: list[float] = []
    for tick, value in enumerate([*values, *([100.0 * n for n in range(1, 12)])]):
        raw = np.array([value, 50.0 * tick, value, value])
        for out in one.feed(Batch("", 1000.0 + 10 * tick, series, raw)):
            assert np.isfinite(out.values).all()
            for index, derived in zip(out.series.tolist(), out.values.tolist(), strict=True):
                if out.rule == "rate" and table.labels(index) == {"code": "404"}:
                    good.append(derived)
                last = derived if table.labels(index) == {"code": "200"} else math.nan
                if out.rule == "rate" and tick == len(values) + 10 and not math.isnan(last):
                    assert last == pytest.approx(10.0), "the bad one is well again"
        if restart and tick % 3 == 0:
            again = Transforms(FORMS, table)
            again.load(one.save())
            one = again
    assert good == pytest.approx([5.0] * len(good))
    assert len(good) >= len(values) + 8


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(st.integers(0, 2), max_size=60),
    cadence=st.sampled_from([(10.0, 10.0, 10.0), (1.0, 5.0, 15.0)]),
)
def test_however_late_a_sender_is_each_of_its_samples_is_judged_once(
    arrivals: list[int], cadence: tuple[float, ...]
) -> None:
    """Three senders, each in order, one behind the other by as much as it likes."""
    table, sent = SeriesTable(), [0, 0, 0]
    one = Transforms({"r": compile_selection("hits")}, table)
    series = [table.intern("", {"__name__": "hits", "instance": str(n)}) for n in range(3)]
    found: dict[str, list[float]] = {}

    def note(batches: list[Batch]) -> None:
        for batch in map(table.record, batches):
            for index, value in zip(batch.series.tolist(), batch.values.tolist(), strict=True):
                found.setdefault(table.labels(index)["instance"], []).append(value)

    for sender in [*arrivals, *range(3)]:
        sent[sender] += 1
        time_s = 1000.0 + cadence[sender] * sent[sender]
        batch = Batch("", time_s, np.array(series[sender : sender + 1], np.int32), np.ones(1))
        note(one.feed(table.record(Batch("", time_s, batch.series, batch.values * sent[sender]))))
    note(one.flush())
    assert found == {str(n): [float(k + 1) for k in range(sent[n])] for n in range(3)}
    assert table.late == 0
