"""Lines to templates to series: readable, bounded, quick, and without secrets."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.logs import Miner
from aiopsd.logs.lines import read_line
from aiopsd.logs.redaction import redact
from aiopsd.logs.templates import MAX_SIBLINGS, OTHER, Templates, mask
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


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ('{"level":"ERROR","msg":"boom","n":1}', "error", "boom"),
        ('{"a":1,"b":2}', "", "a=<*> b=<*>"),
        ('2026-11-23T10:00:00Z level=warn msg="slow \\"db\\"" ms=3', "warning", 'slow "db"'),
        ("2026-11-23 10:00:00,123 ERROR [main] Connection refused", "error", None),
        ("panic: runtime error", "critical", None),
        ("nothing to see", "", None),
        ("the word information in prose a = b", "info", None),
        ('{"broken json', "", '{"broken json'),
        ("x" * 200 + " ERROR far in", "", None),
    ],
)
def test_level_and_message(text: str, level: str, message: str | None) -> None:
    line = read_line(text, {})
    assert line.level == level
    assert line.message == (text.strip() if message is None else message)


def test_a_label_knows_the_level_better_than_the_text() -> None:
    assert read_line("ERROR: not really", {"detected_level": "info"}).level == "info"


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("took 15ms for order 7731", "took <num>ms for order <num>"),
        ("from 10.0.0.17:5432 at 2026-11-23T10:00:00.123Z", "from <ip> at <time>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <id> gone"),
        ("at 0xdeadbeef in deadbeef0 cafe", "at <hex> in <hex> cafe"),
        ("no variables here", "no variables here"),
    ],
)
def test_shapes_are_masked(message: str, template: str) -> None:
    assert mask(message) == template


def test_words_that_vary_become_one_template_whose_name_stays() -> None:
    templates = Templates()
    names = {
        templates.name(f"user {name} logged in from the office") for name in ["ann", "bob", "cy"]
    }
    assert names == {"user ann logged in from the office"}
    assert templates.name("user ann was thrown out of it") != names.pop()


def test_lines_are_counted_and_silent_series_count_zero() -> None:
    table = SeriesTable()
    miner = Miner(table)
    first = counts(miner, table, batch("level=error msg=boom n=1", "level=error msg=boom n=2"))
    assert first == {("error", "boom"): 2.0}
    assert counts(miner, table, batch(time_s=1005.0)) == {("error", "boom"): 0.0}
    assert counts(miner, table, batch(time_s=1005.0 + 3601)) == {}


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


def test_memory_is_bounded() -> None:
    templates = Templates(limit=50)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = {templates.name(f"{a}{b} {b}{a} {a}") for a in letters for b in letters}
    assert len(templates) == 50
    assert OTHER in names
    crowd = Templates()
    for a in letters:
        for b in letters:
            crowd.name(f"same {a}{b} {b}{a}x {a}{a}{b}")
    assert len(crowd) <= MAX_SIBLINGS


def test_state_survives_with_the_same_names() -> None:
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch("user ann logged in", "level=error msg=boom n=1"))
    other = Miner(table)
    other.load(miner.save())
    assert counts(other, table, batch("user bob logged in", time_s=1001.0)) == {
        ("unknown", "user ann logged in"): 1.0,
        ("error", "boom"): 0.0,
    }
    assert other.sample("boom") == "level=error msg=boom n=1"
    with pytest.raises(ValueError, match=r"."):
        other.load(b"garbage")


SECRETS = (
    "hunter2hunter2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijk",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-1234567890-abcdefgh",
    "mara@shop.example",
)


@pytest.mark.parametrize(
    "line",
    [
        f"password={SECRETS[0]} ok",
        f'{{"db_password": "{SECRETS[0]}", "n": 1}}',
        f"Authorization: Bearer {SECRETS[1]}",
        f"jwt {SECRETS[1]} used",
        f"key {SECRETS[2]}",
        f"token {SECRETS[3]}",
        f"postgres://app:{SECRETS[0]}@db/x",
        f"mail to {SECRETS[4]}",
    ],
)
def test_secrets_are_nowhere(line: str) -> None:
    assert not any(secret in redact(line) for secret in SECRETS)
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch(line))
    kept = miner.save() + repr([table.labels(i) for i in table.of("")]).encode()
    assert not any(secret.encode() in kept for secret in SECRETS)


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
