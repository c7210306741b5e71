"""Lines to series: counted, readable, bounded, quick."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.logs import Miner
from aiopsd.logs.lines import level_of
from aiopsd.logs.miner import KEEP_SECS, OTHERS
from aiopsd.model import LogBatch, LogLine
from aiopsd.series import SeriesTable


def batch(*texts: str, time_s: float = 1000.0, **labels: str) -> LogBatch:
    lines = tuple(LogLine(int(time_s * 1e9), labels or {"service": "api"}, t) for t in texts)
    return LogBatch(time_s, lines)


def counts(miner: Miner, table: SeriesTable, one: LogBatch) -> dict[tuple[str, str], float]:
    found = miner.feed(one)
    labels = [table.labels(int(i)) for i in found.series]
    return {
        (x["level"], x["template"]): float(value)
        for x, value in zip(labels, found.values, strict=True)
    }


def test_a_label_knows_the_level_better_than_the_text() -> None:
    assert level_of({"detected_level": "info"}) == "info"
    table = SeriesTable()
    lines = (LogLine(0, {"service": "api", "level": "warn"}, "ERROR: not really"),)
    found = Miner(table).feed(LogBatch(1.0, lines))
    assert table.labels(int(found.series[0]))["level"] == "warning"


@pytest.mark.parametrize(
    ("labels", "text", "service"),
    [
        ({"service_name": "shop", "app": "other"}, "hello", "shop"),
        ({"service_name": "unknown_service", "container": "shop"}, "hello", "shop"),
        ({"service_name": "unknown_service", "job": "files"}, "hello", None),
        ({"app": "sidecar"}, '{"msg": "hello", "service": "shop"}', "shop"),
        ({"service": "shop", "app": "a"}, '{"msg": "hello", "service": "other"}', "shop"),
    ],
)
def test_a_service_by_whatever_label_names_it(
    labels: dict[str, str], text: str, service: str | None
) -> None:
    table = SeriesTable()
    miner = Miner(table, sessions=None)
    found = miner.feed(batch(text, **labels))
    assert table.labels(int(found.series[0])).get("service") == service
    again = miner.feed(batch("other", time_s=1001.0, **labels))  # at once: its stream is here
    assert len(again.series) == 2 or "{" in text


def test_the_structure_names_the_service_where_labels_do_not() -> None:
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch('level=error service=pay msg="boom"', filename="x"))
    miner.feed(batch('level=error service=pay msg="boom"', service="api"))
    assert sorted(table.labels(i)["service"] for i in table.of("")) == ["api", "pay"]


def test_lines_are_counted_and_silent_series_count_zero() -> None:
    table = SeriesTable()
    miner = Miner(table)
    first = counts(miner, table, batch("level=error msg=boom n=1", "level=error msg=boom n=2"))
    assert first == {("error", "boom"): 2.0}
    assert counts(miner, table, batch(time_s=1005.0)) == {("error", "boom"): 0.0}
    assert counts(miner, table, batch(time_s=1005.0 + 3601)) == {}


def test_another_source_does_not_silence_a_stream() -> None:
    """Two sources take turns: the one's batch says nothing of the other's streams, for a while."""
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch("a b c", time_s=10.0, service="api"))
    assert miner.feed(batch("d e f", time_s=10.1, service="db")).values.tolist() == [1.0]
    assert sorted(miner.feed(batch("x y z", time_s=11.0, service="api")).values) == [0.0, 1.0]
    assert sorted(miner.feed(batch("x y z", time_s=16.0, service="api")).values) == [0, 0, 1.0]


def test_two_batches_at_one_moment_are_two_ticks() -> None:
    table = SeriesTable()
    miner = Miner(table)
    one, two = miner.feed(batch("a b c")), miner.feed(batch("a b c"))
    assert two.time_s > one.time_s
    assert len(table.record(one).series) == len(table.record(two).series) == 1


def test_entities_are_apart_and_other_labels_do_not_matter() -> None:
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch("a b c", service="api", filename="x"))
    miner.feed(batch("a b c", service="api", filename="y"))
    miner.feed(batch("a b c", service="db"))
    assert sorted(table.labels(i)["service"] for i in table.of("")) == ["api", "db"]


def test_a_full_table_counts_the_rest_together() -> None:
    table = SeriesTable()
    miner = Miner(table, max_templates=2)
    words = ("first one", "second thing", "third kind")
    assert counts(miner, table, batch(*words)) == {
        ("unknown", "first one"): 1.0,
        ("unknown", "second thing"): 1.0,
        ("unknown", OTHERS): 1.0,
    }
    later = counts(miner, table, batch("fourth", time_s=1001.0 + KEEP_SECS))
    assert later["unknown", "fourth"] == 1.0


def test_a_known_line_whose_template_was_forgotten_is_learned_again() -> None:
    table = SeriesTable()
    miner = Miner(table, max_templates=2)
    for day, text in enumerate(("first one", "second thing", "third kind", "first one")):
        found = counts(miner, table, batch(text, time_s=(1 + day) * KEEP_SECS))
        assert found["unknown", text] == 1.0


def test_a_clock_that_was_ahead_does_not_keep_the_table_full() -> None:
    table = SeriesTable()
    miner = Miner(table, max_templates=1)
    miner.feed(batch("first one", time_s=50 * KEEP_SECS))
    miner.rewind(1000.0)
    found = counts(miner, table, batch("second thing", time_s=1001.0 + KEEP_SECS))
    assert found["unknown", "second thing"] == 1.0


def test_state_survives_with_the_same_names() -> None:
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch("user ann logged in", "level=error msg=boom n=1"))
    other = Miner(table)
    other.load(miner.save())
    assert counts(other, table, batch("user bob logged in", time_s=1001.0)) == {
        ("unknown", "user <*> logged in"): 1.0,
        ("error", "boom"): 0.0,
    }
    assert other.sample("boom") == "level=error msg=boom n=1"
    with pytest.raises(ValueError, match=r"."):
        other.load(b"garbage")


@pytest.mark.parametrize(
    "line",
    [
        "a" * 100_000,
        "1" * 100_000,
        "=" * 100_000,
        'k="' * 30_000,
        "{" * 100_000,
        "a@" * 50_000,
        "1.1.1." * 20_000,
        "password=" * 10_000,
        "0x" * 50_000,
        "deadbeef-" * 10_000,
        " ".join("word" for _ in range(20_000)),
    ],
)
def test_no_line_takes_long(line: str) -> None:
    """Super-linear patterns take seconds on these; ours take about a millisecond."""
    miner = Miner(SeriesTable())
    begun = time.process_time()
    miner.feed(batch(line))
    assert time.process_time() - begun < 0.25


@given(st.lists(st.text(max_size=300), max_size=5))
def test_no_text_makes_it_raise_and_every_line_is_counted(texts: list[str]) -> None:
    found = Miner(SeriesTable()).feed(batch(*texts))
    assert found.values.sum() == len(texts)


def test_a_template_reads_as_it_is_by_now_whatever_it_was_called() -> None:
    table = SeriesTable()
    miner = Miner(table)
    first = counts(miner, table, batch("cannot load apple from the shelf"))
    ((_, name),) = first
    for n, fruit in enumerate(["pear", "plum", "fig", "lemon"]):
        found = counts(
            miner, table, batch(f"cannot load {fruit} from the shelf", time_s=1001.0 + n)
        )
    assert [key for key, value in found.items() if value] == [("unknown", name)]
    assert name == "cannot load apple from the shelf"
    assert miner.reads(name) == "cannot load <*> from the shelf"
    assert miner.reads("never heard of") == "never heard of"


def test_many_streams_at_once_take_no_longer_each() -> None:
    """Eight times as many; each compared with each was 64 times as long."""

    def secs(streams: int) -> float:
        miner = Miner(SeriesTable())
        batches = [
            LogBatch(at, tuple(LogLine(1, {"service": f"s{n}"}, "hello") for n in range(streams)))
            for at in (1.0, 2.0)
        ]
        miner.feed(batches[0])
        begun = time.process_time()
        miner.feed(LogBatch(2.0, (*batches[1].lines[::2], LogLine(1, {"service": "new"}, "hello"))))
        return time.process_time() - begun

    few_secs, many_secs = (min(secs(streams) for _ in range(3)) for streams in (400, 3200))
    assert many_secs < 24 * max(few_secs, 1e-3)
