"""A step in words."""

from __future__ import annotations

from datetime import UTC, datetime

from aiopsd.detectors.steps import evidence, season
from aiopsd.detectors.steps.evidence import SUSPICIOUS_DAYS
from aiopsd.rows import At, Rows

SEASON = {season.BY_DAY: "of the day", season.BY_WEEK: "of the week"}


def sentences(rows: Rows, at: At, method: str) -> list[str]:
    """From where to where, since when, and how sure that is. ``at``: one row."""
    row = int(at[0])
    level, to, n = rows["level"][row], rows["to"][row], int(rows["n"][row])
    begun = _clock(float(rows["since"][row]))
    proof, bar = float(rows["proof"][row]), float(evidence.bar(rows, at, SUSPICIOUS_DAYS)[0])
    said = [
        f"went from {level:.4g} to {to:.4g} at {begun}, after {n} samples there",
        f"{method} evidence {proof:.0f}, {bar:.0f} is the limit",
    ]
    if rows["season"][row]:
        said.append(f"both less the swing {SEASON[int(rows['season'][row])]}")
    return [*said, "not its first step in two weeks"] if rows["tired"][row] > 0.5 else said


def _clock(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_s:.0f}"
