"""What a rule's anomalies come to."""

from msgspec.structs import replace

from aiopsd.model import Anomaly
from aiopsd.offline import tally
from aiopsd.offline.tally import Tally

DAY = 86_400.0
ONE = Anomaly(
    id="r/a/1", rule="r", kind="latency", severity="high", tier="suspicious",
    labels={"service": "a"}, entity={"service": "a"}, service="a", onset_s=10 * DAY,
    seen_s=10 * DAY, detector="band", title="slow a", score=0.6, observed=2.0, recent=(1.0, 2.0),
    evidence=("a line",),
)  # fmt: skip


def ended(one: Anomaly, after_secs: float) -> Anomaly:
    return replace(one, ended_s=one.onset_s + after_secs)


def test_an_anomaly_counts_once_with_its_last_word() -> None:
    mine = Tally()
    mine.take(10 * DAY, [ONE])
    mine.take(10 * DAY + 60, [replace(ONE, tier="certain")])
    mine.take(10 * DAY + 90, [ended(replace(ONE, tier="certain"), 80)])
    counts = mine.counts(20 * DAY)
    assert (counts.certain, counts.suspicious, counts.open_at_end) == (1, 0, 0)
    assert counts.longest_secs == counts.strange_secs == 80
    assert counts.by_day == {"1970-01-11": 1}
    assert [one.title for one in counts.examples] == ["slow a"]


def test_what_is_open_at_the_end_lasted_until_then() -> None:
    mine = Tally()
    mine.take(10 * DAY, [ONE])
    counts = mine.counts(11 * DAY)
    assert (counts.open_at_end, counts.longest_secs) == (1, DAY)


def test_the_noisiest_come_first() -> None:
    mine = Tally()
    for n, name in enumerate("abbcbbc"):
        other = replace(ONE, id=f"r/{n}", labels={"service": name}, onset_s=n * DAY)
        mine.take(n * DAY, [ended(other, 5)])
    noisiest = mine.counts(20 * DAY).noisiest
    assert [(one.labels["service"], one.anomalies) for one in noisiest] == [
        ("b", 4), ("c", 2), ("a", 1)
    ]  # fmt: skip


def test_examples_are_few_and_of_both_tiers() -> None:
    mine = Tally()
    for n in range(40):
        tier = "certain" if n > 30 else "suspicious"
        mine.take(n, [ended(replace(ONE, id=f"r/{n}", tier=tier, onset_s=float(n)), 1)])
    examples = mine.counts(100).examples
    assert [one.onset_s for one in examples] == [0, 1, 2, 3, 4, 31, 32, 33, 34, 35]


def test_only_news_is_kept_for_grouping_and_never_too_much(monkeypatch) -> None:
    mine = Tally()
    for n in range(50):
        mine.take(10 * DAY + n, [replace(ONE, seen_s=10 * DAY + n)])
    mine.take(11 * DAY, [replace(ONE, tier="certain")])
    mine.take(12 * DAY, [ended(ONE, 99)])
    assert [time_s / DAY for time_s, _ in mine.events] == [10, 11, 12]
    assert mine.events[0][1].recent == mine.events[0][1].evidence == ()
    monkeypatch.setattr(tally, "EVENTS", 3)
    mine.take(13 * DAY, [replace(ONE, id="r/b/1")])
    assert mine.overflow
    assert len(mine.events) == 3
