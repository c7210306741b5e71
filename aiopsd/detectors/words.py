"""Numbers and findings in words that people read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

_SECONDS: Final = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES: Final = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_PERCENT: Final = {"ratio": 0.01, "percent": 1.0}


def amount(value: float, unit: str) -> str:
    """``11.8 %``, ``400 ms``, ``1.2 GiB``, ``1,234``: three digits are enough for a title."""
    size, name = _scale(value, unit)
    return f"{_digits(value / size)}{name}"


def span(low: float, high: float, unit: str) -> str:
    """Such as ``0 to 1.2 %`` with a dash: both ends in the unit of the larger one."""
    size, name = _scale(max(abs(low), abs(high)), unit)
    ends = [_digits(low / size), _digits(high / size)]
    return "\N{EN DASH}".join(dict.fromkeys(ends)) + name


def pace(events_a_second: float) -> str:
    """``22 a second``, ``30 a minute``, ``4 an hour``: in the first of them of which it is one."""
    sizes = ((1.0, "a second"), (60.0, "a minute"), (3600.0, "an hour"))
    times, name = next((one for one in sizes if events_a_second * one[0] >= 1), sizes[-1])
    return f"{_digits(float(f'{events_a_second * times:.2g}'))} {name}"


def limits(low: float, high: float, unit: str) -> str:
    """``limit 5 %``; an infinite side is none."""
    finite = [end for end in (low, high) if math.isfinite(end)]
    if len(finite) == 2:
        return f"limits {span(low, high, unit)}"
    return f"limit {amount(finite[0], unit)}" if finite else "no limit"


def lasting(secs: float) -> str:
    """``3 h 20 min``, ``2 d``, ``45 s``: what comes after the second unit says nothing."""
    sizes = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    at = next((n for n, (size, _) in enumerate(sizes) if secs >= size), len(sizes) - 1)
    pair = sizes[at : at + 2] if at < 2 else sizes[at : at + 1]
    left, said = round(secs / pair[-1][0]) * pair[-1][0], []
    for size, name in pair:
        many, left = divmod(left, size)
        said += [f"{many:.0f} {name}"] if many else []
    return " ".join(said) or f"0 {pair[-1][1]}"


def arrival(limit: float, likely: float, soonest: float, latest: float, unit: str) -> str:
    """``reaches 100 % in 3 h 20 min (2 h to 5 h)``."""
    if likely <= 0:
        return f"has reached {amount(limit, unit)}"
    until = f"to {lasting(latest)}" if math.isfinite(latest) else "or never"
    return f"reaches {amount(limit, unit)} in {lasting(likely)} ({lasting(soonest)} {until})"


def rarities(said: Iterable[tuple[float, str]], samples: int) -> list[str]:
    """``the shape of the last 4 samples: 1 in 40,000 of its own past``, from decades."""
    found = []
    for decades, what in said:
        often = float(f"{10 ** min(decades, 12.0):.1g}")
        rare = f"1 in {often:,.0f} samples of" if often <= 100 * max(samples, 1) else "unlike all"
        found.append(f"{what}: {rare} its own past")
    return found


def known(season: str, samples: int) -> str:
    """What the judgement rests on."""
    by = {"day": ", by the time of day", "week": ", by the time of the week"}.get(season, "")
    return f"expected from {samples:,} samples{by}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    """The size of the unit that suits this value, and its name with the blank before it."""
    if unit in _PERCENT:
        return _PERCENT[unit], " %"
    sizes = {"seconds": _SECONDS, "bytes": _BYTES}.get(unit)
    if sizes is None:
        return 1.0, ""
    if value == 0:
        return 1.0, f" {'s' if unit == 'seconds' else 'B'}"
    size, name = next((one for one in sizes if abs(value) >= 0.9995 * one[0]), sizes[-1])
    return size, f" {name}"


def _digits(number: float) -> str:
    if not math.isfinite(number):
        return str(number)
    rounded = float(f"{number:.3g}")
    if abs(rounded) >= 1e15 or 0 < abs(rounded) < 1e-4:
        return f"{rounded:.3g}"
    if abs(rounded) >= 1000:
        return f"{rounded:,.0f}"
    return f"{rounded + 0.0:.4f}".rstrip("0").rstrip(".") if rounded else "0"
