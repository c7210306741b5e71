"""One change, told twice: by who did it, and by what it did. Pure.

A delivery tool knows the author and the commit, a version label what really answers; journald knows
that a unit was restarted, and we may have done it.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from aiopsd.model import Change

OURS: Final = "aiopsd"  # author of what we did ourselves
MOST_SECS: Final = 1800.0  # a roll-out may take as long to be seen
_UNLIKE_SECS: Final = 300.0  # when the two call the same version by different names
_AT_ONCE_SECS: Final = 60.0  # of what is done in a moment
_CLOCKS_SECS: Final = 5.0  # by which those of two tellers may differ
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_MOST_LABELS: Final = 40


def same(known: Change, other: Change) -> bool:
    """Whether both speak of one change to one service. One teller never says it twice under two
    ids: then he means two."""
    if known.id == other.id:
        return True
    if known.service != other.service or set(tellers(known)) & set(tellers(other)):
        return False
    if known.author == OURS:
        return _is_effect(known, other)
    if other.author == OURS:
        return _is_effect(other, known)
    apart_secs = abs(known.time_s - other.time_s)
    if known.kind != other.kind or apart_secs > MOST_SECS:
        return False
    if known.kind in ("restart", "scale"):
        return apart_secs <= _AT_ONCE_SECS and _alike(known, other) is not False
    alike = _alike(known, other)
    return alike is True or (alike is None and apart_secs <= _UNLIKE_SECS)


def _is_effect(ours: Change, seen: Change) -> bool:
    """What we did shows a moment later: journald tells of a restart, a label of a release. Of a
    command or a request we do not know ourselves what it does, and call it config."""
    is_alike = ours.kind in (seen.kind, "config")
    return is_alike and -_CLOCKS_SECS <= seen.time_s - ours.time_s <= _AT_ONCE_SECS


def tellers(change: Change) -> list[str]:
    return change.source.split(", ")


def _alike(one: Change, other: Change) -> bool | None:
    """Whether they name the same version; None where that cannot be said."""
    ours, theirs = _names(one), _names(other)
    if not ours or not theirs:
        return None
    if any(_equal(a, b) for a in ours for b in theirs):
        return True
    comparable = {_is_commit(a) for a in ours} & {_is_commit(b) for b in theirs}
    return False if comparable else None


def _names(change: Change) -> list[str]:
    """Of an image, what stands after the name."""
    said = (change.version, change.labels.get("commit", ""), change.labels.get("image", ""))
    bare = (one.rpartition("/")[2].rpartition(":")[2] or one for one in said if one)
    return [one.removeprefix("v") for one in bare]


def _is_commit(name: str) -> bool:
    return _COMMIT.fullmatch(name) is not None


def _equal(one: str, other: str) -> bool:
    """A commit may be cut."""
    if _is_commit(one) and _is_commit(other):
        return one.startswith(other) or other.startswith(one)
    return one == other


def merged(known: Change, other: Change) -> Change:
    """Both in one, under the id that is known, since the earlier of them. Versions come as a pair
    from one teller: to go back from one's to the other's would lead nowhere."""
    if tellers(known) == tellers(other):  # it goes on, and more is known
        version, previous = other.version or known.version, other.previous or known.previous
    else:
        pair = max((known, other), key=_knows)
        version, previous = pair.version, pair.previous
    found = [one for one in (*tellers(known), *tellers(other)) if one]
    again = set(tellers(other)) <= set(tellers(known))  # what it says now, it says better
    labels = known.labels | other.labels if again else other.labels | known.labels
    by_us = OURS in (known.author, other.author)
    return replace(
        known,
        kind=other.kind if known.author == OURS and known.kind == "config" else known.kind,
        time_s=min(known.time_s, other.time_s),
        version=version,
        previous=previous,
        author=OURS if by_us else known.author or other.author,
        source=", ".join(dict.fromkeys(found)),
        migration=known.migration or other.migration,
        labels=dict(list(labels.items())[:_MOST_LABELS]),
    )


def _knows(change: Change) -> tuple[bool, bool, bool]:
    """What it is and came from, and a name for people."""
    named = bool(change.version)
    return named and bool(change.previous), named, named and not _is_commit(change.version)
