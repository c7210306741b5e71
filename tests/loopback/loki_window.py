"""What a request to Loki asks for: from when to when, how many; or why it is refused."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation

from .loki_streams import Window
from .server import Call

NS = 10**9
MAX_POINTS = 11_000
DEFAULT_LIMIT = 100


class Refusal(Exception):
    """An answer in plain text with this status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def window(call: Call, now_secs: float, max_secs: int) -> Window:
    """Read and check a request's window; Refusal with Loki's own words."""
    params = call.params
    direction = params.get("direction", "backward").lower()
    if direction not in ("forward", "backward"):
        raise Refusal(400, f"invalid direction '{direction}'")
    limit = _limit(params.get("limit", str(DEFAULT_LIMIT)))
    end_ns = stamp_ns(params.get("end", str(now_secs)))
    since_ns = duration_ns(params.get("since", "1h"))
    start_ns = stamp_ns(params["start"]) if "start" in params else end_ns - since_ns
    if end_ns <= start_ns:
        raise Refusal(400, "end timestamp must not be before or equal to start time")
    if "step" in params and (end_ns - start_ns) // duration_ns(params["step"]) > MAX_POINTS:
        raise Refusal(
            400,
            f"exceeded maximum resolution of {MAX_POINTS:,} points per time series. "
            "Try increasing the value of the step parameter",
        )
    if end_ns - start_ns > max_secs * NS:
        length, limit_text = _long((end_ns - start_ns) // NS), _days(max_secs)
        raise Refusal(
            400,
            f"the query time range exceeds the limit (query length: {length}, limit: {limit_text})",
        )
    return Window(start_ns, end_ns, limit, direction == "forward")


def _long(secs: int) -> str:
    """As Go prints a duration."""
    return f"{secs // 3600}h{secs // 60 % 60}m{secs % 60}s"


def _days(secs: int) -> str:
    """As Prometheus prints one."""
    units = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    text = ""
    for unit, size in units:
        whole, secs = divmod(secs, size)
        text += f"{whole}{unit}" if whole else ""
    return text


def _limit(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise Refusal(400, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) <= 0:
        raise Refusal(400, "limit must be a positive value")
    return int(text)


def stamp_ns(text: str) -> int:
    """Nanoseconds (more than 10 digits), seconds with or without a fraction, or RFC 3339."""
    if re.fullmatch(r"-?\d{11,}", text):
        return int(text)
    try:
        return int(Decimal(text) * NS)
    except InvalidOperation:
        pass
    try:
        return int(Decimal(str(datetime.fromisoformat(text).timestamp())) * NS)
    except ValueError as error:
        raise Refusal(400, f'could not parse "{text}" as a time') from error


def duration_ns(text: str) -> int:
    """Seconds, or number and unit such as `60s` and `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text)
    if not match or not float(match[1]):
        raise Refusal(400, f'cannot parse "{text}" to a valid duration')
    unit_ns = {"ms": NS // 1000, "m": 60 * NS, "h": 3600 * NS, "d": 86_400 * NS}
    return int(Decimal(match[1]) * unit_ns.get(match[2], NS))
