"""A silence from its making to its end. Pure; raises Refused with a sentence.

It has an owner, a reason and an end, or there is none. Its end is near enough that nobody forgets
it, is said some time before, and what still lasts then is told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal

from msgspec.structs import replace

from aiopsd.correlation.quiet.matchers import parsed, shown
from aiopsd.errors import Refused
from aiopsd.model import Muted, Silence

LONGEST_SECS = 30 * 86400.0
AHEAD_SECS = 90 * 86400.0  # it may begin so much later
SHORTEST_SECS = 60.0
MOST = 200  # that are not over
WORDS_CHARS = 300
WARN_SECS, WARN_SHARE = 3600.0, 0.1  # before the end; at most this share of its length


def made(
    matchers: Sequence[str],
    *,
    owner: str,
    reason: str,
    starts_s: float,
    ends_s: float,
    now_s: float,
    kind: Literal["silence", "maintenance"] = "silence",
    others: Collection[Silence] = (),
) -> Silence:
    """``others``: all that are known, for their number and their names."""
    owner, reason = " ".join(owner.split()), " ".join(reason.split())
    if not owner:
        raise Refused("a silence needs an owner: who answers for it?")
    if not reason:
        raise Refused("a silence needs a reason: the next one on call will ask")
    if max(len(owner), len(reason)) > WORDS_CHARS:
        raise Refused(f"owner and reason may have {WORDS_CHARS} characters each")
    starts_s = max(starts_s, now_s)
    if ends_s - starts_s < SHORTEST_SECS:
        raise Refused("it would be over before it began, or within a minute")
    if ends_s - starts_s > LONGEST_SECS:
        raise Refused("a silence may last 30 days: what nobody wants to know for longer needs "
                      "another rule")  # fmt: skip
    if starts_s > now_s + AHEAD_SECS:
        raise Refused("it would begin in more than 90 days")
    if sum(not one.closed for one in others) >= MOST:
        raise Refused(f"there are {MOST} silences already; `aiopsd silence list` names them")
    conditions = parsed(matchers)
    return Silence(
        id=_name(f"{shown(conditions)}/{owner}/{reason}/{now_s:.3f}/{starts_s:.3f}/{ends_s:.3f}"),
        kind=kind,
        matchers=conditions,
        owner=owner,
        reason=reason,
        created_s=now_s,
        starts_s=starts_s,
        ends_s=ends_s,
    )


def _name(of: str) -> str:
    return f"SIL-{blake2b(of.encode(errors='replace'), digest_size=4).hexdigest()}"


def window_name(window: str, starts_s: float) -> str:
    """The same for one occurrence of a window, whenever it is asked."""
    return _name(f"{window}/{starts_s:.0f}")


def is_active(one: Silence, now_s: float) -> bool:
    return not one.closed and one.starts_s <= now_s < one.ends_s


def ended(one: Silence, by: str, now_s: float) -> Silence:
    """``by``: empty where its time has come. What ended stays so: ids are never used again."""
    if one.closed:
        raise Refused(f"{one.id} is over since {until(one.ended_s or one.ends_s)}")
    return replace(one, ended_s=now_s, ended_by=by)


def warns_s(one: Silence) -> float:
    """When it must be said that it ends soon."""
    return one.ends_s - min(WARN_SECS, WARN_SHARE * (one.ends_s - one.starts_s))


def muted(one: Silence, anomalies: Collection[str] = ()) -> Muted:
    """Who is asked about it stands in what people read of it."""
    code: Literal["silenced", "maintenance"] = "silenced"
    who = f"silenced by {one.owner}"
    if one.kind == "maintenance":
        code, who = "maintenance", f"maintenance {one.window} ({one.owner})".replace("  ", " ")
    text = f"{who} until {until(one.ends_s)}: {one.reason} ({one.id})"
    return Muted(code=code, text=text, by=one.id, until_s=one.ends_s, anomalies=tuple(anomalies))


def until(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%MZ}"
