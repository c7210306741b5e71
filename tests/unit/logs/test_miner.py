"""Lines to templates to series: readable, bounded, quick, and without secrets."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.logs import Miner
from aiopsd.logs.lines import level_of, read_line
from aiopsd.logs.mask import words
from aiopsd.logs.redaction import redact
from aiopsd.logs.templates import KEEP_SECS, MAX_VOTES, OTHER, Templates
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


def name(templates: Templates, message: str, time_s: float = 0.0) -> str:
    return templates.name(words(message), time_s)


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ('{"level":"ERROR","msg":"boom","n":1}', "error", "boom"),
        ('{"a":1,"b":2}', "", "a=<*> b=<*>"),
        ('{"lvl":"fatal","message":"call failed","error":"timeout"}', "critical",
         "call failed error=timeout"),
        ('2026-11-23T10:00:00Z level=warn msg="slow \\"db\\"" ms=3', "warning", 'slow "db"'),
        ("2026-11-23 10:00:00,123 ERROR [main] Connection refused", "error", None),
        ("panic: runtime error", "critical", None),
        ("nothing to see", "", None),
        ("KeyError: 'region'", "error", None),
        ("Traceback (most recent call last):\n  File x\nKeyError: 3", "error", "KeyError: 3"),
        ("Unhandled\n  at one\n  at two", "", "Unhandled"),
        ("the word information in prose a = b", "info", None),
        ('{"broken json', "", '{"broken json'),
        ('{"a":' * 3000 + "1" + "}" * 3000, "", None),  # deeper than any parser goes
        ("x" * 200 + " ERROR far in", "", None),
    ],
)  # fmt: skip
def test_level_and_message(text: str, level: str, message: str | None) -> None:
    line = read_line(text)
    assert line.level == level
    assert line.message == (text.strip()[:8192] if message is None else message)


def test_a_label_knows_the_level_better_than_the_text() -> None:
    assert level_of({"detected_level": "info"}) == "info"
    table = SeriesTable()
    lines = (LogLine(0, {"service": "api", "level": "warn"}, "ERROR: not really"),)
    found = Miner(table).feed(LogBatch(1.0, lines))
    assert table.labels(int(found.series[0]))["level"] == "warning"


def test_the_structure_names_the_service_where_labels_do_not() -> None:
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(batch('level=error service=pay msg="boom"', filename="x"))
    miner.feed(batch('level=error service=pay msg="boom"', service="api"))
    assert sorted(table.labels(i)["service"] for i in table.of("")) == ["api", "pay"]


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("took 15ms for order 7731", "took <num>ms for order <num>"),
        ("from 10.0.0.17:5432 at 2026-11-23T10:00:00.123Z", "from <ip> at <time>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <id> gone"),
        ("at 0xdeadbeef in deadbeef0 cafe", "at <hex> in <hex> cafe"),
        ("GET /api/orders/17 to db-1.example.com:5432", "GET <path> to <host>"),
        ("deleting blk_1 blk_22 blk_-333", "deleting blk_<num>"),
        ('said "what a day" to "anna"', 'said "<str>" to "anna"'),
        ("no row for region=EU-3 at -5 and +1.5", "no row for region=EU-<num> at <num> and <num>"),
        ("no variables here", "no variables here"),
        ("2026-11-23 10:00:00,123 ERROR gone", "ERROR gone"),
        ("Nov  3 10:00:00 web cron[12]: done", "web cron[<num>]: done"),
        ("w" * 500, "<blob>"),
    ],
)
def test_shapes_are_masked(message: str, template: str) -> None:
    assert " ".join(words(message)) == template


def test_words_that_vary_become_one_template_whose_name_stays() -> None:
    templates = Templates()
    names = {
        name(templates, f"user {who} logged in from the office") for who in ["ann", "bob", "cy"]
    }
    assert names == {"user ann logged in from the office"}
    assert name(templates, "user ann was thrown out of it") != names.pop()


def test_events_are_not_merged() -> None:
    """Words that tell events apart, and names that differ in few lines, stay apart."""
    templates = Templates()
    for message in (
        "service payments started in region north",
        "service payments stopped in region north",
        "call to orders failed with status 502",
        "call to payments failed with status 502",
    ):
        assert name(templates, message) == " ".join(words(message))


def test_identifiers_vary_after_three() -> None:
    templates = Templates()
    modules = ["app.views", "app.models", "db.pool", "web.main"]
    names = [name(templates, f"reloading all of {module} after a change") for module in modules]
    assert names == [
        " ".join(words(f"reloading all of {m} after a change")) for m in modules[:2]
    ] + (names[:1] * 2)


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


def test_memory_is_bounded() -> None:
    templates = Templates(limit=50)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = {name(templates, f"{a}{b} {b}{a} {a}", 1.0) for a in letters for b in letters}
    assert len(templates) == 50
    assert OTHER in names
    assert name(templates, "now for something new", 2.0) == OTHER
    assert name(templates, "now for something new", 2.0 + KEEP_SECS) != OTHER
    assert len(templates) == 50
    crowd = Templates(100_000)
    for n in range(3000):
        name(crowd, " ".join(letters[n % 26] + chr(97 + n // (i + 1) % 26) for i in range(30)))
    assert len(crowd._votes) <= MAX_VOTES


def test_a_known_line_whose_template_was_forgotten_is_learned_again() -> None:
    miner = Miner(SeriesTable(), max_templates=2)
    for day, text in enumerate(("first one", "second thing", "third kind", "first one")):
        miner.feed(batch(text, time_s=(1 + day) * KEEP_SECS))
    assert sorted(miner._templates._names) == ["first one", "third kind"]


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
        f'password="{SECRETS[0]} never closed',
        f"authorization={SECRETS[0]}",
        f'"authorization": "Basic {SECRETS[0]}"',
        f"Cookie: {SECRETS[0]}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRETS[0]}\n{SECRETS[1]}",
        "x" * 1015 + f" {SECRETS[3]} and more",  # cut in its middle for the sample
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


@pytest.mark.parametrize(
    "line",
    [
        "GET /usr/local/lib/python3.11/site-packages/requests/sessions.py",
        "container orders-7f9c4d5b8-x2x9z in namespace team-alpha-production is ready",
        "max_tokens=512 of 1234567890123456789012345678901234567890",
    ],
)
def test_what_only_looks_long_is_kept(line: str) -> None:
    assert redact(line) == line


def test_keys_are_taken_by_their_looks() -> None:
    for key in ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0a1B2"):  # fmt: skip
        assert key not in redact(f"using {key} now")


@given(st.lists(st.text(max_size=300), max_size=5))
def test_no_text_makes_it_raise_and_every_line_is_counted(texts: list[str]) -> None:
    found = Miner(SeriesTable()).feed(batch(*texts))
    assert found.values.sum() == len(texts)
