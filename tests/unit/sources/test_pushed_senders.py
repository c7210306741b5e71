"""Who has fallen silent, of many that write."""

from __future__ import annotations

import pytest

from aiopsd.sources import pushed_senders
from aiopsd.sources.pushed_senders import Senders
from tests.unit.sources.witness import Witness

NOW_S, DAY_SECS = 1_795_422_703.0, 86400.0


def build(*expected: str) -> tuple[Senders, Witness]:
    witness = Witness()
    senders = Senders("rw", witness.context("rw").health, 300.0)
    senders.begin(NOW_S, expected)
    return senders, witness


def test_each_sender_is_watched_alone() -> None:
    senders, witness = build()
    senders.hear("a", NOW_S)
    senders.hear("b", NOW_S + 200)
    senders.look(NOW_S + 299)
    assert witness.edges == []
    senders.look(NOW_S + 301)
    assert witness.edges == [("gone", "rw/a")]
    assert witness.reasons["rw/a"] == "wrote nothing for 301 s"
    senders.hear("a", NOW_S + 400)
    senders.look(NOW_S + 450)
    assert witness.edges == [("gone", "rw/a"), ("back", "rw/a")]


def test_nobody_at_all() -> None:
    senders, witness = build()
    senders.look(NOW_S + 300)
    assert witness.reasons == {"rw": "nobody has written yet"}


def test_who_writes_in_vain_is_not_nobody() -> None:
    senders, witness = build()
    senders.refuse("a", "wrong or missing token")
    senders.look(NOW_S + 300)
    assert witness.reasons == {
        "rw": "all that was written was refused, the last of it from a: wrong or missing token"
    }
    senders.hear("a", NOW_S + 400)
    assert not witness.is_gone("rw")


def test_who_wrote_before_a_restart_is_expected() -> None:
    senders, witness = build("a", "b")
    senders.hear("a", NOW_S + 10)
    senders.look(NOW_S + 300)
    assert witness.edges == [("gone", "rw/b")]


def test_who_is_silent_for_a_day_is_forgotten() -> None:
    senders, witness = build("a")
    senders.hear("b", NOW_S + DAY_SECS)
    senders.look(NOW_S + DAY_SECS)
    assert senders.addresses == ["b"]
    assert witness.edges == [("gone", "rw/a")]


def test_a_crowd_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushed_senders, "MOST", 3)
    senders, _ = build()
    for n in (1, 2, 3, 1, 4):
        senders.hear(str(n), NOW_S + n)
    assert senders.addresses == ["3", "1", "4"]
