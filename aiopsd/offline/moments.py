"""Text to seconds since the epoch, whatever form a whole column of it has.

A form is chosen for a column, never for a cell: 03/04/2024 is a day in March or in April, and the
other cells say which. Times without a zone are taken as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

import numpy as np

from aiopsd.model import Floats

Read: TypeAlias = Callable[[str], float | None]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UNITS: Final = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (np.inf, 1e9))  # s, ms, us, ns
_PLAIN_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?")
_DIGITS: Final = {  # would else be seconds in 1970
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])": "%Y%m%d",
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d": "%Y%m%d%H%M",
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])\d\d(?:[01]\d|2[0-3])[0-5]\d[0-5]\d": "%Y%m%d%H%M%S",
}
_SAMPLE: Final = 2000  # cells that a form must fit to be taken
_DAYS: Final = (
    "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%d %b %Y",
    "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y", "%a %b %d %Y",
)  # fmt: skip
_TIMES: Final = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S %Z",
                 "%H:%M:%S %z")  # fmt: skip
_FORMS: Final = (
    "%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y:%H:%M:%S", "%a %b %d %H:%M:%S %Y",
    *(f"{day}{gap}{time}" for day in _DAYS for gap in (" ", ", ") for time in _TIMES), *_DAYS,
)  # fmt: skip


def moments(texts: Sequence[str]) -> Floats:
    """Seconds, ``[n]``; NaN where a cell is no time. Fractions to the microsecond."""
    texts = [text.strip() for text in texts]
    if all(map(_PLAIN_ISO.fullmatch, texts)):
        return _plain(texts)
    numbers = np.array([_number(text) for text in texts])
    for digits, form in _DIGITS.items():
        if all(map(re.compile(digits).fullmatch, texts)):
            return _read(_by_form(form), texts)
    if 2 * np.isfinite(numbers).sum() > sum(map(bool, texts)):
        return _epoch(numbers)
    sample = [text for text in texts if text][:_SAMPLE]
    readers = (_iso, *(_by_form(form) for form in _FORMS))
    whole = (read for read in readers if all(read(text) is not None for text in sample))
    return _read(next(whole, None) or _likeliest(readers, sample[:50]), texts)


def is_moment(text: str) -> bool:
    """Alone in its column it would be a time."""
    return bool(np.isfinite(moments([text])[0]))


def _likeliest(readers: Sequence[Read], sample: Sequence[str]) -> Read:
    return max(readers, key=lambda read: sum(read(text) is not None for text in sample))


def _read(read: Read, texts: Sequence[str]) -> Floats:
    return np.array([np.nan if (at := read(text)) is None else at for text in texts])


def _plain(texts: Sequence[str]) -> Floats:
    """ISO without a zone: numpy reads a whole column at once."""
    try:
        micros = np.array(texts, "datetime64[us]").astype(np.int64)
    except ValueError:  # such as a 31st of June
        return _read(_iso, texts)
    return np.asarray(micros / 1e6)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _epoch(numbers: Floats) -> Floats:
    """Seconds, milli-, micro- or nanoseconds, by what most of them would mean."""
    middle = float(np.median(np.abs(numbers[np.isfinite(numbers)])))
    divisor = next(unit for limit, unit in _EPOCH_UNITS if middle < limit)
    return np.where(np.isfinite(numbers), numbers, np.nan) / divisor


def _iso(text: str) -> float | None:
    """ISO 8601, also with spaces before the zone, a comma before the fraction, or ``UTC``."""
    tidy = re.sub(r"([+-]\d\d:?\d\d)\s+[A-Z]{3,4}$", r"\1", text.replace(",", "."))  # Go's
    tidy = re.sub(r"\s*(?:UTC|GMT|Z)$", "+00:00", tidy)
    tidy = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", tidy)
    try:
        return _seconds(datetime.fromisoformat(tidy))
    except ValueError:
        return None


def _by_form(form: str) -> Read:
    def read(text: str) -> float | None:
        try:
            return _seconds(datetime.strptime(text, form))  # noqa: DTZ007 - see _seconds
        except ValueError:
            return None

    return read


def _seconds(at: datetime) -> float:
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
