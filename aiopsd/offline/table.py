"""Tables as people have them: ``timestamp,value[,more]``, plain or packed, tidy or not.

What can be read is read: a row of the file is a row here, in its order. An empty cell, a word
for nothing, or what is no number is a missing value; the last of these is counted, and told.
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from typing import Final

import numpy as np

from aiopsd.errors import Refused
from aiopsd.model import Floats
from aiopsd.offline.moments import is_moment, moments
from aiopsd.offline.unpacking import Unpacked, raw

TIME_NAMES: Final = frozenset(
    ["timestamp", "time", "date", "datetime", "date_time", "ts", "ds", "t", "_time", "@timestamp",
     "start_time", "epoch"]
)  # fmt: skip
NOTHING: Final = frozenset(
    ["", "-", "--", "?", ".", "na", "n/a", "#n/a", "nan", "null", "nil", "<nil>", "none",
     "nat", "missing", "undefined", "\\n"]
)  # fmt: skip
PORTION: Final = 16_384  # rows that are text at the same time
MAX_CELL_CHARS: Final = 1_000_000
SHARED_TIMES: Final = 0.1  # more rows that share theirs look like several series below each other
MAX_LINE_CHARS: Final = 16_000_000  # a file without line ends may be a disk
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:[, \u00a0\u202f']\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Table:
    """``values`` ``[rows, columns]``, NaN where there is none; ``times_s`` ``[rows]``, too."""

    stamps: list[str]  # as they were written
    times_s: Floats
    values: Floats
    names: tuple[str, ...]  # of the columns of values
    remarks: tuple[str, ...]  # what was passed over, for people
    damage: str = ""  # what is missing at the end of a damaged file, as a sentence


def read_table(name: str) -> Table:
    """A file, or ``-`` for standard input. Raises Refused: ``file:line:column: what is wrong``."""
    reading = _Reading("standard input" if name == "-" else name)
    try:
        unpacked = Unpacked(raw(name), reading.name, name)
        try:
            table = reading.read(unpacked)
        finally:
            unpacked.close()
        return replace(table, damage=unpacked.damage)
    except UnicodeDecodeError:
        raise reading.refused("not text") from None
    except csv.Error as error:
        raise reading.refused(f"not a table: {error}") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise Refused(f"{reading.name} is damaged: {error}") from None
    except OSError as error:
        raise Refused(f"{reading.name}: cannot be read: {error.strerror or error}") from None


class _Reading:
    """One file on its way; remembers what it passed over."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._line = 0  # of the file, the last that was taken
        self._lines: list[int] = []  # of each row
        self._long = 0
        self._odd: dict[int, tuple[int, int, str]] = {}  # column: count, line, text of the first
        self._filled: dict[int, int] = {}  # column: cells that are not empty

    def read(self, unpacked: Unpacked) -> Table:
        lines = _lines(unpacked)
        first = next(lines, "")
        while first and (not first.strip("\ufeff\r\n \t") or first.startswith("#")):
            self._line += 1
            first = next(lines, "")
        if not first:
            raise self.refused("empty; expected rows of timestamp,value")
        first = first.removeprefix("\ufeff")
        mark = _delimiter(first)
        self._comma_is_point = mark == ";"
        csv.field_size_limit(MAX_CELL_CHARS)
        rows = csv.reader(chain([first], lines), delimiter=mark, skipinitialspace=True)
        return self._table(rows)

    def refused(self, what: str, line: int | None = None, column: int = 0) -> Refused:
        return Refused(f"{self.name}:{line or self._line + 1}:{column + 1}: {what}")

    def _table(self, rows: Iterator[list[str]]) -> Table:
        head = next(rows)
        named = _is_header(head)
        time_at, places = _places(head) if named else (0, list(range(1, len(head))))
        if not places:
            raise self.refused("one column only; expected timestamp,value")
        names = [head[at].strip() if named else "" for at in places]
        self._line += named
        rest = rows if named else chain([head], rows)
        stamps: list[str] = []
        blocks: list[Floats] = []
        while portion := list(islice(rest, PORTION)):
            columns = self._columns(portion, len(head))
            stamps += columns[time_at]
            blocks.append(self._numbers([(at, columns[at]) for at in places]))
        if not stamps:
            raise self.refused("no rows below the header")
        return self._checked(stamps, time_at, np.concatenate(blocks), names, places)

    def _columns(self, portion: list[list[str]], width: int) -> list[tuple[str, ...]]:
        """Cells by column; a short row misses its last ones, what a long one has more is left."""
        lines = range(self._line + 1, self._line + 1 + len(portion))
        self._line += len(portion)
        self._lines += [n for n, row in zip(lines, portion, strict=True) if row]
        whole = [row for row in portion if row]  # a blank line is no row
        if any(len(row) > width for row in whole):
            self._long += sum(any(map(str.strip, row[width:])) for row in whole)
        columns = list(zip_longest(*whole, fillvalue=""))[:width]
        return columns + [("",) * len(whole)] * (width - len(columns))

    def _numbers(self, columns: list[tuple[int, tuple[str, ...]]]) -> Floats:
        return np.stack([self._column(at, texts) for at, texts in columns], axis=1)

    def _column(self, at: int, texts: tuple[str, ...]) -> Floats:
        try:
            found = np.array(list(map(float, texts)))
            self._filled[at] = self._filled.get(at, 0) + len(texts)
        except ValueError:
            first = len(self._lines) - len(texts)
            found = np.array([self._cell(at, first + n, text) for n, text in enumerate(texts)])
        return found

    def _cell(self, at: int, row: int, text: str) -> float:
        text = text.strip()
        if text.lower() in NOTHING:
            return np.nan
        self._filled[at] = self._filled.get(at, 0) + 1
        try:
            return float(text)
        except ValueError:
            pass
        if self._comma_is_point and _DECIMAL_COMMA.fullmatch(text):
            return float(text.replace(",", "."))
        if _THOUSANDS.fullmatch(text):
            return float(re.sub(r"[, \u00a0\u202f']", "", text))
        count, line, first = self._odd.get(at, (0, self._lines[row], text))
        self._odd[at] = count + 1, line, first
        return np.nan

    def _checked(
        self, stamps: list[str], time_at: int, values: Floats, names: list[str], places: list[int]
    ) -> Table:
        """Raises Refused where most of what must be times, or numbers, is not."""
        times_s = moments(stamps)
        lost = np.flatnonzero(~np.isfinite(times_s))
        if 2 * len(lost) > len(stamps):
            what = f"{_shown(stamps[lost[0]])} is not a time"
            raise self.refused(what, self._lines[lost[0]], time_at)
        good = [n for n, at in enumerate(places) if not self._is_text(at)]
        if not good:
            _, line, text = self._odd[places[0]]
            raise self.refused(f"{_shown(text)} is not a number", line, places[0])
        remarks = self._remarks(places, {places[n] for n in good})
        if len(lost):
            where = f"{self.name}:{self._lines[lost[0]]}:{time_at + 1}"
            remarks.append(f"{where}: no time; {_rows(len(lost))} judged at the time before")
        twice = len(times_s) - len(lost) - len(np.unique(times_s[np.isfinite(times_s)]))
        if twice > SHARED_TIMES * len(times_s):
            remarks.append(
                f"{self.name}: {_rows(twice)} at a time that was there before: judged as one "
                "series; if they are several, give each a column or a file"
            )
        kept = tuple(names[n] or f"column {places[n] + 1}" for n in good)
        return Table(stamps, times_s, values[:, good], kept, tuple(remarks))

    def _is_text(self, at: int) -> bool:
        return at in self._odd and 2 * self._odd[at][0] > self._filled[at]

    def _remarks(self, places: list[int], good: set[int]) -> list[str]:
        said = []
        for at in (at for at in places if at in self._odd):
            count, line, text = self._odd[at]
            what = f"{count} such taken as missing" if at in good else "the column is left out"
            said.append(f"{self.name}:{line}:{at + 1}: {_shown(text)} is not a number; {what}")
        if self._long:
            said.append(f"{self.name}: {_rows(self._long)} longer than the first, the rest left")
        return said


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _lines(unpacked: Unpacked) -> Iterator[str]:
    """UTF-16, too, as some spreadsheets save it. The last one of a damaged file is half a row.
    Raises csv.Error before one takes all memory."""
    wide = unpacked.file.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding, errors = ("utf-16", "strict") if wide else ("utf-8", "replace")
    text = io.TextIOWrapper(unpacked.file, encoding, errors, newline="")
    while line := text.readline(MAX_LINE_CHARS):
        if len(line) == MAX_LINE_CHARS:
            raise csv.Error(f"a line of {MAX_LINE_CHARS:,} characters or more")
        if line[-1] in "\r\n" or not unpacked.damage:
            yield line


def _is_header(head: list[str]) -> bool:
    """Names and no numbers; columns may be named 0, 1, 2 beside a ``timestamp``."""
    if is_moment(head[0]):
        return False
    return head[0].strip().lower() in TIME_NAMES or not any(map(_is_number, head[1:]))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return False
    return True


def _delimiter(line: str) -> str:
    """Comma, unless there is none and another mark is."""
    plain = re.sub(r'"[^"]*"', "", line)
    return next((mark for mark in ",;\t|" if mark in plain), ",")


def _places(head: list[str]) -> tuple[int, list[int]]:
    """Where the times stand, and where the values do, by the names."""
    names = [name.strip().lower() for name in head]
    time_at = next((at for at, name in enumerate(names) if name in TIME_NAMES), 0)
    index = {0} if time_at > 0 and names[0] in ("", "unnamed: 0", "index") else set[int]()
    return time_at, [at for at in range(len(head)) if at != time_at and at not in index]


def _shown(text: str) -> str:
    return repr(text if len(text) < 60 else text[:57] + "...")
