"""When lines were written, by the time that stands in them, in any usual form.

A form is chosen for all lines, by the first ones; a line without a time has that of the line
before it. Without a year it is the last such day; without a zone it is UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from aiopsd.model import Floats
from aiopsd.offline.moments import moments

READ_CHARS: Final = 200
_DAY_SECS: Final = 86_400.0
_TIME: Final = r"(\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
                  "Dec")  # fmt: skip
_MONTH: Final = f"({'|'.join(_MONTHS)})[a-z]*"


class Form(NamedTuple):
    found: re.Pattern[str]
    iso: Callable[[re.Match[str]], str]


def _month(name: str) -> str:
    return f"{_MONTHS.index(name) + 1:02}"


def _form(pattern: str, iso: Callable[[re.Match[str]], str]) -> Form:
    return Form(re.compile(pattern), iso)


FORMS: Final = (
    _form(  # 2024-03-01T10:00:00.123+01:00, 2024/03/01 10:00:00,123, 2005-06-03-15.42.50.675872
        r"(?<!\d)(\d{4})[-/.](\d\d)[-/.](\d\d)[Tt _-](\d\d)[:.](\d\d)[:.](\d\d(?:[.,]\d{1,9})?)"
        r" ?([Zz]|[+-]\d\d:?\d\d(?!\d))?",
        lambda m: f"{m[1]}-{m[2]}-{m[3]}T{m[4]}:{m[5]}:{m[6].replace(',', '.')[:9]}"
        + ("" if not m[7] else "+00:00" if m[7] in "Zz" else m[7]),
    ),
    _form(  # [01/Mar/2024:10:00:00 +0100]
        rf"(?<!\d)(\d\d)/{_MONTH}/(\d{{4}}):(\d\d:\d\d:\d\d) ?([+-]\d{{4}})?",
        lambda m: f"{m[3]}-{_month(m[2])}-{m[1]}T{m[4]}{m[5] or ''}",
    ),
    _form(  # Fri Mar 01 10:00:00 2024
        rf"{_MONTH} {{1,2}}(\d{{1,2}}) {_TIME}(?: [A-Z]{{3,4}})? (\d{{4}})(?!\d)",
        lambda m: f"{m[4]}-{_month(m[1])}-{int(m[2]):02}T{m[3][:15]}",
    ),
    _form(  # 24/03/01 10:00:00: the year first, as Hadoop and Spark write
        rf"(?<![\d/])(\d\d)/([01]\d)/([0-3]\d) {_TIME}",
        lambda m: f"20{m[1]}-{m[2]}-{m[3]}T{m[4].replace(',', '.')[:15]}",
    ),
    _form(  # 240301 100000
        r"(?<![\d.])(\d\d)([01]\d)([0-3]\d) ([0-2]\d)([0-5]\d)([0-5]\d)(?![\d.])",
        lambda m: f"20{m[1]}-{m[2]}-{m[3]}T{m[4]}:{m[5]}:{m[6]}",
    ),
    _form(  # 20240301-10:00:00:123
        r"(?<!\d)((?:19|20)\d\d)([01]\d)([0-3]\d)[-T ](\d{1,2}):(\d{1,2}):(\d{1,2})",
        lambda m: f"{m[1]}-{m[2]}-{m[3]}T{int(m[4]):02}:{int(m[5]):02}:{int(m[6]):02}",
    ),
    _form(  # Mar  1 10:00:00
        rf"{_MONTH} {{1,2}}(\d{{1,2}}) {_TIME}",
        lambda m: _lately(f"{_month(m[1])}-{int(m[2]):02}T{m[3].replace(',', '.')[:15]}"),
    ),
    _form(  # 03-01 10:00:00.123, [03.01 10:00:00]
        rf"(?<![\d.-])([01]\d)[-.]([0-3]\d) {_TIME}",
        lambda m: _lately(f"{m[1]}-{m[2]}T{m[3].replace(',', '.')[:15]}"),
    ),
)  # fmt: skip
EPOCH: Final = re.compile(
    r"(?:^|[\"' =\[:(,])(-?\d{19}|-?\d{16}|-?\d{13}|-?\d{10}(?:\.\d{1,9})?)(?![\d.])"
)


class LineMoments:
    """Keep it from batch to batch."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._form: Form | None = None
        self._chosen = False

    def of(self, lines: Sequence[str]) -> Floats:
        """Seconds since the epoch, ``[n]``; NaN for those before the first that has a time."""
        heads = [line[:READ_CHARS] for line in lines]
        if not self._chosen or self._last_s is None:
            self._form, self._chosen = _chosen(heads), True
        found = self._read(heads)
        known = {text: np.nan for text in found if text}
        known |= zip(known, moments(list(known)) if known else (), strict=True)
        times, last = np.empty(len(lines)), self._last_s
        for n, text in enumerate(found):
            at = known[text] if text else np.nan
            last = float(at) if np.isfinite(at) else last
            times[n] = np.nan if last is None else last
        self._last_s = last
        return times

    def _read(self, heads: Sequence[str]) -> list[str]:
        if self._form is None:
            return [_epoch(head) for head in heads]
        found, iso = self._form
        return [iso(one) if (one := found.search(head)) else "" for head in heads]


def _chosen(heads: Sequence[str]) -> Form | None:
    """The one that most lines have; of several, the one that stands first in them; None is a
    number of seconds."""
    votes: Counter[int] = Counter()
    for head in heads:
        began = [one.start() if (one := f.found.search(head)) else READ_CHARS for f in FORMS]
        epoch = one.start() if (one := EPOCH.search(head)) else READ_CHARS
        began.append(epoch)
        least = min(began)
        if least < READ_CHARS:
            votes[began.index(least)] += 1
    at = votes.most_common(1)[0][0] if votes else len(FORMS)
    return FORMS[at] if at < len(FORMS) else None


def _epoch(head: str) -> str:
    """In seconds, whatever its unit."""
    found = EPOCH.search(head)
    if not found:
        return ""
    whole, _, fraction = found[1].partition(".")
    unit = {10: 0, 13: 3, 16: 6, 19: 9}[len(whole.lstrip("-"))]
    seconds = int(whole) / 10**unit + (float(f"0.{fraction}") if fraction else 0.0)
    return repr(seconds)


def _lately(rest: str) -> str:
    now = datetime.now(UTC)
    try:
        at = datetime.fromisoformat(f"{now.year}-{rest}").replace(tzinfo=UTC)
    except ValueError:  # a 29th of February
        return f"{now.year - 1}-{rest}"
    ahead = (at - now).total_seconds() > _DAY_SECS
    return f"{now.year - ahead}-{rest}"
