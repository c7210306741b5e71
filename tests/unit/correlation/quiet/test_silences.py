"""A silence has an owner, a reason and an end; what other systems lack is in the names."""

from typing import Any

import pytest
from msgspec.structs import replace

from aiopsd.correlation.quiet.silences import ended, is_active, made, muted, warns_s
from aiopsd.errors import Refused
from aiopsd.model import Silence

NOW, HOUR, DAY = 1_780_000_000.0, 3600.0, 86400.0


def silence(*matchers: str, **changes: Any) -> Silence:
    given = {"owner": "ana", "reason": "new disks", "starts_s": NOW, "ends_s": NOW + 2 * HOUR}
    return made(matchers or ("service=db",), **(given | {"now_s": NOW} | changes))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"owner": "  "}, "needs an owner"),
        ({"reason": ""}, "needs a reason"),
        ({"reason": "x" * 301}, "300 characters"),
        ({"ends_s": NOW}, "before it began"),
        ({"ends_s": NOW + 59}, "before it began"),
        ({"ends_s": NOW - DAY, "starts_s": NOW - 2 * DAY}, "before it began"),
        ({"ends_s": NOW + 30 * DAY + 1}, "30 days"),  # alertmanager #3457: 999w
        ({"starts_s": NOW + 91 * DAY, "ends_s": NOW + 92 * DAY}, "90 days"),
        ({"others": [replace(silence(), id=str(n)) for n in range(200)]}, "200 silences"),
    ],
)
def test_what_is_no_silence_is_refused(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Refused, match=wrong):
        silence(**changes)


def test_it_is_active_from_its_beginning_to_its_end() -> None:
    one = silence(starts_s=NOW + 10, ends_s=NOW + HOUR)
    assert [is_active(one, NOW + t) for t in (9, 10, HOUR - 1, HOUR)] == [False, True, True, False]
    assert not is_active(ended(one, "bo", NOW + 20), NOW + 30)


def test_alertmanager_3457_what_was_ended_stays_ended() -> None:
    over = ended(silence(), "bo", NOW + 20)
    assert (over.closed, over.ended_by) == (True, "bo")
    with pytest.raises(Refused, match="is over since"):
        ended(over, "bo", NOW + 30)
    assert silence(now_s=NOW + 1).id != over.id  # the same words again are another silence


def test_alertmanager_1639_it_warns_before_its_end() -> None:
    assert warns_s(silence(ends_s=NOW + 30 * DAY)) == NOW + 30 * DAY - HOUR
    assert warns_s(silence(ends_s=NOW + HOUR)) == NOW + 0.9 * HOUR


def test_people_read_who_until_when_and_why() -> None:
    one = silence()
    assert muted(one).text == f"silenced by ana until 2026-05-28 22:26Z: new disks ({one.id})"
    window = replace(one, kind="maintenance", window="backup")
    assert muted(window).text.startswith("maintenance backup (ana) until 2026-05-28 22:26Z: ")
    assert muted(window).code == "maintenance"
