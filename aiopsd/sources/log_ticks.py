"""Log lines that come late and all together, handed on as they would have come: tick by tick.

An hour of lines in one tick would be a flood that never was.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiopsd.model import LogBatch, LogLine

_NS = 10**9


def ticks(
    lines: Sequence[LogLine], now_s: float, slot_secs: float, *, history: bool = False
) -> tuple[LogBatch, ...]:
    """One batch for each ``slot_secs`` in which there are lines, in the order of time. Lines of
    two neighbouring slots are what comes at once anyway: one batch, of now. None is of later than
    now."""
    slots: dict[int, list[LogLine]] = {}
    slot_ns, now_ns = max(1, round(slot_secs * _NS)), int(now_s * _NS)
    for line in lines:
        slots.setdefault(min(line.time_ns, now_ns) // slot_ns, []).append(line)
    if not slots:
        return ()
    if max(slots) - min(slots) <= 1:
        return (LogBatch(now_s, tuple(lines), history),)
    return tuple(
        LogBatch(min((slot + 1) * slot_ns / _NS, now_s), tuple(slots[slot]), history)
        for slot in sorted(slots)
    )
