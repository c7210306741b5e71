"""Topics become names and labels, payloads become numbers."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.sources.mqtt import Gathering, Inbox, MqttSettings, TopicSettings
from aiopsd.sources.mqtt_topic import Numbers, Pattern, metric_name, numbers
from tests.unit.sources.house import House

PLANT = "plant/+/{line}/{metric}"


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        (PLANT, "plant/halle/7/temp", ("temp", {"line": "7"})),
        (PLANT, "plant/halle/7/temp/more", None),
        (PLANT, "plant/halle/7", None),
        (PLANT, "plant///temp", ("temp", {})),
        ("plant/{line}/temp", "plant/7/temp", ("temp", {"line": "7"})),
        ("plant/{line}/temp/#", "plant/7/temp/a/b", ("temp", {"line": "7"})),
        ("plant/{line}/temp/#", "plant/7/temp", ("temp", {"line": "7"})),
        ("plant/{line}/temp/#", "plant/7/temperature", None),
        ("a.c/x", "abc/x", None),
        ("$SYS/broker/{metric}", "$SYS/broker/uptime", ("uptime", {})),
        ("+/x", "$SYS/x", None),
    ],
)
def test_a_topic_is_read_by_its_pattern(pattern: str, topic: str, expected: Any) -> None:
    assert Pattern(pattern, "", {}).read(topic) == expected


def test_a_pattern_is_subscribed_to_with_wildcards() -> None:
    assert Pattern("plant/+/{line}/{metric}", "", {}).filter == "plant/+/+/+"
    assert Pattern("plant/{line}/x/#", "", {}).filter == "plant/+/x/#"


def test_a_name_may_be_made_of_segments_and_labels_may_be_added() -> None:
    pattern = Pattern(PLANT, "plant_{metric}_{line}", {"site": "north"})
    assert pattern.read("plant/a/7/temp") == ("plant_temp_7", {"site": "north", "line": "7"})
    assert Pattern("#", "any", {}).read("a/b/c") == ("any", {})


@pytest.mark.parametrize(
    ("topic", "more", "words"),
    [
        ("", {}, "no topic"),
        ("a/#/b", {}, "at the end"),
        ("a/b+", {}, "'b\\+' must be"),
        ("a/x{b}", {}, "must be"),
        ("a/{b c}", {}, "must be"),
        ("{a}/{a}/x", {}, "twice"),
        ("{a}/x", {"labels": {"a": "1"}}, "twice"),
        ("+/{line}", {}, "add `name`"),
        ("a/x", {"name": "{b}"}, "called b"),
        ("a/x", {"labels": {"__name__": "b"}}, "use `name`"),
        ("$share/group/x", {}, "no topic"),
    ],
)
def test_a_wrong_topic_says_what_is_wrong(topic: str, more: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TopicSettings(topic=topic, **more)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"topics": ()}, "topics"),
        ({"port": 0}, "port"),
        ({"host": " "}, "host"),
        ({"password_file": "x"}, "username"),
        ({"ca_file": "x"}, "tls: true"),
    ],
)
def test_wrong_settings_say_what_is_wrong(wrong: Any, words: str) -> None:
    right = {"host": "broker", "topics": (TopicSettings(topic="a/x"),)}
    with pytest.raises(ValueError, match=words):
        MqttSettings(**{**right, **wrong})


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"21.5", Numbers({"": 21.5})),
        (b" -3e2\n", Numbers({"": -300.0})),
        (b'{"value": 1}', Numbers({"": 1.0})),
        (b'{"value": 1, "unit": "C", "ts": 1800000000}', Numbers({"": 1.0}, 1.8e9)),
        (b'{"value": 1, "time": 1800000000250}', Numbers({"": 1.0}, 1800000000.25)),
        (b'{"value": 1, "time": "noon"}', Numbers({"": 1.0})),
        (b'{"a": 1, "b": {"c": 2, "ts": 3}, "d": [4]}', Numbers({"a": 1, "b_c": 2, "b_ts": 3})),
        (b'{"value": 1, "battery": 80, "on": true}', Numbers({"": 1, "battery": 80, "on": 1})),
    ],
)
def test_numbers_are_found_in_a_payload(payload: bytes, expected: Numbers) -> None:
    assert numbers(payload) == expected


def test_not_a_number_is_passed_on() -> None:
    assert math.isnan(numbers(b"NaN").values[""])


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"on", b"1_000", b"\xff\xfe", b"[1]", b'"1"', b"{}", b'{"a": "b"}', b'{"a": 1',
        b"[" * 60_000, b"1" * 70_000, b'{"a": ' + b"9" * 400 + b"}", b'{"a": 1e999}',
        b'{"a":' * 20 + b"1" + b"}" * 20, b'{"ts": 1800000000}', b"null",
        b"{" + b",".join(b'"%d": 1' % i for i in range(300)) + b"}",
    ],
)  # fmt: skip
def test_other_payloads_are_wrong(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(more|neither|JSON|an? |deeper)"):
        numbers(payload)


@given(st.binary(max_size=200) | st.text(string.printable, max_size=50).map(str.encode))
def test_no_payload_breaks_more_than_itself(payload: bytes) -> None:
    try:
        found = numbers(payload)
    except ValueError:
        return
    assert all(isinstance(value, float) for value in found.values.values())


@pytest.mark.parametrize(
    ("name", "ending", "expected"),
    [("temp", "", "temp"), ("temp", "in", "temp_in"), ("Öl °C", "", "_l__C"), ("3d", "", "_3d")],
)
def test_names_are_fit_for_rules(name: str, ending: str, expected: str) -> None:
    assert metric_name(name, ending) == expected


# --- batches ------------------------------------------------------------------------------


def test_what_came_together_is_one_batch() -> None:
    gathering = Gathering()
    for series in range(3):
        gathering.add(series, series * 1.5, None, 100.0 + series, history=False)
    (batch,) = gathering.batches()
    assert (batch.rule, batch.time_s, batch.history) == ("", 100.0, False)
    assert batch.series.tolist() == [0, 1, 2]
    assert batch.values.tolist() == [0.0, 1.5, 3.0]
    assert batch.series.dtype == np.int32
    assert gathering.batches() == ()


samples = st.tuples(
    st.integers(0, 3), st.one_of(st.none(), st.integers(50, 60).map(float)), st.booleans()
)


@given(st.lists(st.lists(samples)))
def test_no_sample_without_a_time_of_its_own_hides_another(rounds: list[list[Any]]) -> None:
    """The table takes only samples that are newer than what it has."""
    house, gathering, arrived_s = House(), Gathering(), 100.0
    indexes = [house.table.intern("", {"__name__": str(i)}) for i in range(4)]
    sent, kept = 0, 0
    for one in rounds:
        for series, time_s, history in one:
            sent += time_s is None
            gathering.add(indexes[series], 1.0, time_s, arrived_s, history)
        for batch in gathering.batches():
            recorded = house.table.record(batch)
            kept += len(recorded.series) if batch.time_s >= 100 else 0
    assert kept == sent


# --- taking messages ----------------------------------------------------------------------


@dataclass
class Message:
    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1


class Taken:
    """What a source makes of messages, without a broker."""

    def __init__(self, *topics: TopicSettings) -> None:
        self.house = House(clock=lambda: 2e9)
        written = MqttSettings(host="broker", topics=topics or (TopicSettings(topic=PLANT),))
        self.source = written.build(self.house.context())
        self.gathering = Gathering()

    def take(self, *messages: Message) -> list[tuple[dict[str, str], float, float, bool]]:
        for message in messages:
            self.source._take(message, 2e9, self.gathering)
        return [
            (self.house.table.labels(int(index)), float(value), batch.time_s, batch.history)
            for batch in self.gathering.batches()
            for index, value in zip(batch.series, batch.values, strict=True)
        ]


def test_a_message_becomes_series() -> None:
    payload = b'{"value": 1, "in": 2, "ts": 1999999990}'
    labels = {"line": "7"}
    assert Taken().take(Message("plant/a/7/temp", payload)) == [
        ({**labels, "__name__": "temp"}, 1.0, 1999999990.0, False),
        ({**labels, "__name__": "temp_in"}, 2.0, 1999999990.0, False),
    ]


def test_the_first_pattern_that_fits_reads_a_message() -> None:
    taken = Taken(
        TopicSettings(topic="a/{b}/x", name="one"), TopicSettings(topic="a/#", name="two")
    )
    found = taken.take(Message("a/1/x", b"1"), Message("a/1/y", b"2"), Message("c", b"3"))
    assert [labels["__name__"] for labels, *_ in found] == ["one", "two"]


def test_a_retained_message_is_history_and_taken_once() -> None:
    taken = Taken()
    kept = Message("plant/a/7/temp", b"1", retain=True)
    assert [history for *_, history in taken.take(kept, kept)] == [True]
    live = Message("plant/a/7/temp", b"2")
    assert len(taken.take(live, live)) == 2
    assert taken.take(Message("plant/a/7/temp", b"2", retain=True)) == []
    assert len(taken.take(Message("plant/a/7/temp", b"3", retain=True))) == 1


def test_a_wrong_payload_is_counted_and_the_first_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = Taken()
    bad = [Message("plant/a/7/temp", b"hot"), Message("plant/a/8/temp", b"cold")]
    assert len(taken.take(*bad, Message("plant/a/9/temp", b"1"))) == 1
    assert taken.house.counts["wrong_payloads"] == 2
    (told,) = [record.getMessage() for record in caplog.records]
    assert "plant/a/7/temp" in told


@pytest.mark.parametrize("clock", [b"5", b"3000000000"])
def test_the_time_of_a_device_without_a_clock_is_not_believed(clock: bytes) -> None:
    taken = Taken()
    message = Message("plant/a/7/temp", b'{"value": 1, "ts": ' + clock + b"}")
    assert [time_s for _, _, time_s, _ in taken.take(message)] == [2e9]
    assert taken.house.counts["wrong_times"] == 1


def test_a_full_table_drops_what_is_new() -> None:
    taken = Taken()
    taken.house.table.shares.limit = 1
    found = taken.take(Message("plant/a/7/temp", b"1"), Message("plant/a/8/temp", b"2"))
    assert len(found) == 1
    assert taken.house.table.refused == 1


def test_a_full_inbox_takes_nothing_more_and_counts_what_nobody_sends_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiopsd.sources.mqtt._MAX_WAITING", 2)
    lost: list[int] = []
    inbox = Inbox(lambda: lost.append(1))
    first, second, third = (Message("a", b"", qos=1) for _ in range(3))
    for message in (first, second, third):
        inbox.put_nowait(message)
    assert inbox.get_nowait() is first
    inbox.put_nowait(third)  # there is room, but what came before it was not taken
    assert inbox.get_nowait() is second
    assert inbox.empty()
    assert inbox.overflown
    assert not lost
    inbox.put_nowait(Message("a", b"", qos=0))
    assert len(lost) == 1
