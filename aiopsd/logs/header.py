"""The leading columns of raw lines (time, host, level, logger ...), learnt for each stream.

Each leading column gets a letter: T time, M month, L level, N number or hexadecimal id, P
punctuation, B bracket group, C ends in ``:`` or ``]``, D is followed by ``|`` or ``;``, F is a word
before a tab, W another word, w one that is no word of a language, such as ``app.c:70``. A column is
strong when nine of ten lines agree; the header ends at the last strong one in reach. Without a
time, month or level there is no header. Lines of a trace or a table have none: where others begin
with a time, only those are learnt from, and what has no time there is all message. Glued groups,
``[a][b]``, are columns where they hold the time, or the level of a line with a time; else X, the
message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

MAX_COLUMNS, MAX_SAMPLE, HEAD_CHARS = 14, 500, 300
STRONG: Final = 0.9
HEADED: Final = 0.25  # lines that begin with a time; the others belong to the one before them
_TIMED: Final = frozenset("TML")  # of which there is one in a header
MAX_TEXTS: Final = 40  # trailing bracket groups with more are the message

_COLUMN: Final = re.compile(
    r"\s*(\[(?:[^\[\]]|\[[^\[\]]*\])*\](?:[:,]|@[^\s|;]*)?"
    r"|[^\s|;\[{]+(?:\{[^{}]*\})?(?:\[[^\]\s]*\])?[^\s|;]*|[{;])(?:\s*[|;])?"
)
_TIME: Final = re.compile(
    r"(?<![\d.])\d{1,2}:\d\d(?::\d\d)?(?!\d\d)|\d{4}[-/.]\d\d[-/.]\d\d|^\W?\d\d[-/.]\d\d(?:[-/.]\d{2,4})?\W?$"
    r"|^1\d{9}(?:\d{3}|\.\d+)?$|^\[ *\d+\.\d{3,9}\]$"
)
_LEVEL: Final = re.compile(
    r"^\W?(?:TRACE|DEBUG|DBG|INFO|INF|INFORMATION|NOTICE|WARN|WRN|WARNING|ERR|ERROR|CRIT|CRITICAL"
    r"|ALERT|FATAL|FTL|SEVERE|EMERG|FAILURE|PANIC|VERBOSE|VRB|[DIWEVF])[\W_]?$",
    re.IGNORECASE,
)
_MONTH: Final = re.compile(
    r"^(?:<\d{1,3}>|\W)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
    r"|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w{0,6},?$"
)
_PARTS: Final = re.compile(r"[\[\]/|:, ]+")
_PRIORITY: Final = re.compile(r"<\d{1,3}>\d?$")  # of syslog
_HEX: Final = re.compile(r"(?=.*\d)[0-9a-f-]{12,}$")
_IDS: Final = re.compile(r"[0-9a-f-]{8,}|\d+")
_ONES: Final = str.maketrans("023456789", "1" * 9)


@lru_cache(5_000)
def letter(column: str) -> str:
    if len(column) > 64:
        column = column[:60] + column[-1]
    if _PRIORITY.match(column):
        return "N"
    is_level = _LEVEL.match(column) is not None
    has_time = _TIME.search(column) is not None and len(column) < 40
    if (column[0] == "[" and column[-1] in "],:") or (column[0] == "<" and column[-1] == ">"):
        parts = _PARTS.split(column)
        if is_level or any(_LEVEL.match(part) and part.isupper() for part in parts):
            return "L"
        return "T" if has_time else "B"
    if is_level and (len(column) > 1 or column.isupper()):
        return "L"
    if column.isdigit():
        return "T" if _TIME.match(column) else "N"
    if _HEX.match(column):
        return "N"
    return "T" if has_time and column[0].isdigit() else _of_words(column)


def _of_words(column: str) -> str:
    if not any(map(str.isalnum, column)) or column in {"stdout", "stderr"}:
        return "P"
    if column[-1] in ":]":
        return "C"
    return "M" if _MONTH.match(column) else "W" if column.isalpha() else "w"


Row: TypeAlias = tuple[str, dict[int, str]]
"""Letters of a line's columns, and the texts of those that are bracket groups."""


class Header:
    """What one stream's lines begin with."""

    def __init__(
        self, plan: str = "", seen: int = 0, learn_at: int = 1, sample: Sequence[Row] = ()
    ) -> None:
        self.plan, self.seen, self._learn_at = plan, seen, learn_at
        self._sample = list(sample)

    def state(self) -> tuple[str, int, int, list[Row]]:
        """What makes the same header again."""
        return self.plan, self.seen, self._learn_at, self._sample

    def due(self, lines: int) -> bool:
        """Counts lines; True when it is time to learn: at 1, 20, 100, 500 ... of them."""
        due = self.seen + 1 >= self._learn_at
        self.seen += lines
        while due and self._learn_at <= self.seen:
            self._learn_at = max(20, self._learn_at * 5)
        return due

    def learn(self, lines: Sequence[str]) -> bool:
        """True when the plan changed."""
        self._sample = [*self._sample[-MAX_SAMPLE:], *map(_row, lines)]
        timed = any(not _TIMED.isdisjoint(letters) for letters, _ in self._sample)
        before, self.plan = self.plan, _planned(_headed(self._sample)) if timed else ""
        return before != self.plan

    def end(self, text: str) -> int:
        """Where the message begins."""
        at, groups, timed = 0, -1, False
        for number, wanted in enumerate(self.plan):
            if wanted != "B":
                groups = -1
            elif groups < 0:
                groups = at
            found = _COLUMN.match(text, at)
            if not found:
                break
            if wanted in "TM" and not timed:
                if letter(found[1].translate(_ONES)) not in "TM":
                    return 0  # the line belongs to the one before it
                timed = True
            if wanted in "PBCL" and not _fits(letter(found[1]), wanted):
                skipped = self._wide(text, found.end(), number)
                if skipped < 0:
                    break
                at = skipped
                continue
            if wanted == "F" and text[found.end() : found.end() + 1] != "\t":
                continue  # this line has no such column
            at = found.end()
        return groups if groups >= 0 and not text[at:].strip() else at  # the groups were all

    def _wide(self, text: str, at: int, number: int) -> int:
        """The end of a column that is another here: the word column before it may hold two or
        three words; or all is as ever from the next column on."""
        following = _COLUMN.match(text, at)
        if not following:
            return -1
        if _fits(letter(following[1]), self.plan[number + 1 : number + 2]):
            return at
        wanted = self.plan[number]
        if not number or self.plan[number - 1] != "W":
            return -1
        if letter(following[1]) == wanted:
            return following.end()
        third = _COLUMN.match(text, following.end())
        return third.end() if third and letter(third[1]) == wanted else -1


def _fits(found: str, wanted: str) -> bool:
    return found == wanted or found + wanted in {"LC", "CL"}


def _row(line: str) -> Row:
    letters: list[str] = []
    texts: dict[int, str] = {}
    at = run = 0  # the run: where glued groups begin
    while len(letters) < MAX_COLUMNS:
        found = _COLUMN.match(line, at)
        if not found:
            break
        if found[1][0] == '"':  # what is quoted is the message
            break
        one, at = letter(found[1]), found.end()
        after = line[at : at + 1]
        if (one in "WwN" and line[at - 1] in "|;") or (one in "Ww" and line[at : at + 2] == "  "):
            one = "D"
        elif one in "Ww" and after == "\t" and " " in line[at:]:  # else it may be a table
            one = "F"
        elif one == "B":
            texts[len(letters)] = _IDS.sub("", found[1])
            one = "X" if after == "[" else "B"
        letters.append(one)
        if after != "[":
            if _are_columns(letters, run):
                letters[run:] = ["B" if one == "X" else one for one in letters[run:]]
            run = len(letters)
    return "".join(letters), texts


def _are_columns(letters: Sequence[str], run: int) -> bool:
    """Whether glued groups are part of the header."""
    glued = letters[run:]
    return "T" in glued or ("L" in glued and ("T" in letters or "M" in letters))


def _headed(sample: list[Row]) -> list[Row]:
    """Those with a time where most of those have one that begin with it."""
    places = [len(row) - len(row.lstrip("NPB")) for row, _ in sample]
    timed = [
        place
        for place, (row, _) in zip(places, sample, strict=True)
        if place < 4 and row[place : place + 1] in ("T", "M")
    ]
    if len(timed) < HEADED * len(sample):
        return sample
    common = max(sorted(set(timed)), key=timed.count)
    return [row for row in sample if row[0][common : common + 1] in ("T", "M")]


def _planned(sample: Sequence[Row]) -> str:
    rows, total = [letters for letters, _ in sample], len(sample)
    plan, end, gap, seen = "", 0, 0, ""
    at = [0] * total
    groups: list[int] = []  # different texts in each column, if it is a bracket group
    for _ in range(MAX_COLUMNS):
        column = "".join([row[p] if p < len(row) else "W" for row, p in zip(rows, at, strict=True)])
        one = max(sorted(set(column)), key=column.count)
        agree = column.count(one)
        if one == "X":
            break
        if one in "CL":
            agree = column.count("C") + column.count("L")
        if one in "PBCDL" and plan[-1:] == "W" and total // 2 < agree < total:
            agree += _widened(rows, column, at, one)
        groups.append(len({texts.get(p) for (_, texts), p in zip(sample, at, strict=True)}))
        at = [p + 1 for p in at]
        code = column.count("w")
        if one in "Ww":
            agree = column.count("W") + code
        if agree < STRONG * total or (one == "L" and gap and not seen):
            one = "W"  # a level needs a time or number before it
        plan += one if one != "w" else "W"
        if one in "Ww":
            gap += code < STRONG * total
            continue
        near = 4 if one in "TML" and "L" not in seen else 1 if one in "PBCDFTM" else 0
        if gap > near:
            break
        end, gap, seen = len(plan), 0, seen + one
    while end and plan[end - 1] == "B" and groups[end - 1] > MAX_TEXTS:
        end -= 1
    return "" if _TIMED.isdisjoint(seen) else plan[:end]


def _widened(rows: Sequence[str], column: str, at: list[int], one: str) -> int:
    """Rows whose column before holds two or three words: moved on."""
    moved = 0
    for number, (row, p) in enumerate(zip(rows, list(at), strict=True)):
        for more in (1, 2):
            if column[number] != one and row[p + more : p + more + 1] == one:
                at[number] += more
                moved += 1
                break
    return moved
