"""Numbers as people say them: durations, amounts, a line of little bars. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration(secs: float) -> str:
    """Its two largest units: ``45 s``, ``12 min``, ``1 h 5 min``, ``3 d 4 h``."""
    left = max(0, round(secs))
    if left < 60:
        return f"{left} s"
    left -= left % 60
    words = []
    for size, unit in _STEPS:
        count, left = divmod(left, size)
        words += [f"{count} {unit}"] if count else []
    return " ".join(words[:2])


def amount(value: float | None, unit: str) -> str:
    """Three digits and the unit that fits the size."""
    if value is None or not math.isfinite(value):
        return "no data"
    if unit in ("ratio", "percent"):
        return f"{_digits(value * 100 if unit == 'ratio' else value)} %"
    if unit == "seconds":
        if abs(value) >= 60:
            return f"{'-' if value < 0 else ''}{duration(abs(value))}"
        return f"{_digits(value * 1000)} ms" if abs(value) < 1 else f"{_digits(value)} s"
    if unit == "bytes":
        return _bytes(value)
    return f"{_digits(value)} {unit}".strip()


def between(low: float | None, high: float | None, unit: str) -> str:
    """A band: ``0 to 1.2 %``, ``at most 1.2 %``, ``at least 3``; empty where there is none."""
    floor, ceiling = _finite(low), _finite(high)
    if floor is None and ceiling is None:
        return ""
    if floor is None:
        return f"at most {amount(ceiling, unit)}"
    if ceiling is None:
        return f"at least {amount(floor, unit)}"
    left, right = amount(floor, unit), amount(ceiling, unit)
    number, _, its_unit = left.rpartition(" ")
    return f"{number if number and right.endswith(' ' + its_unit) else left} to {right}"


def bars(values: Sequence[float | None]) -> str:
    """One bar a value, a dot where it is missing; empty where fewer than two are known."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    span = high / 2 - low / 2  # halves: the difference of two large floats may be infinite
    return "".join(
        "·" if v is None or not math.isfinite(v) else BARS[_step((v / 2 - low / 2), span)]
        for v in values
    )


def _step(above: float, span: float) -> int:
    return round(above / span * (len(BARS) - 1)) if span > 0 else 0


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _digits(value: float) -> str:
    if value == 0 or abs(value) >= 1e15 or abs(value) < 1e-4:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{_digits(value)} {unit}"
        value /= 1024
    return f"{_digits(value)} TiB"
