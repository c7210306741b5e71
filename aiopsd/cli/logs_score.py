"""Scores the lines, sessions or windows of a log: how strange each is after those before it.

Labels are not needed. A session is what one id names: a trace, a request, a block. A window is a
stretch of time. What is only learned has a row too, with the flag 0 and `learned` as its reason.
The lines of a stack trace are scored as one."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TextIO

from aiopsd.cli.output import shown
from aiopsd.cli.table_file import is_read, opened, same

if TYPE_CHECKING:
    from aiopsd.offline.log_scores import Key, Score, Scoring

EXAMPLE = """aiopsd logs score app.log -o scores.csv               by session where lines name one
  aiopsd logs score app.log -o scores.csv --learn 0.5   its first half is only learned
  aiopsd logs score new.log -o scores.csv --learn old.log.gz --by window --window 5m"""
COLUMNS: Final = ("unit_id", "score", "flag", "why")
BATCH: Final = 1000
LOOK: Final = 20  # batches in which ids of sessions are looked for
LEARNED: Final = "learned"
WINDOW_SECS: Final = 60.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="IN.log", help="plain, gzip, xz or bzip2; - reads standard input"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.csv", required=True, help="one row for each unit: "
        f"{','.join(COLUMNS)}; - writes to standard output, .gz compresses")  # fmt: skip
    parser.add_argument(
        "--by", choices=("line", "session", "window"),
        help="what is scored; without it sessions where lines name them, else lines")  # fmt: skip
    parser.add_argument(
        "--session", type=_pattern, metavar="REGEX",
        help="the id of a session in a line: its first group, else all of it")  # fmt: skip
    parser.add_argument(
        "--window", type=_window, metavar="DURATION",
        help="how long a window is, such as 5m (60s)")  # fmt: skip
    parser.add_argument(
        "--learn", type=_lesson, default=0.0, metavar="FIRST",
        help="only learned: a log from before, or a share of this one such as 0.5")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from aiopsd.offline.lines import Lines
    from aiopsd.offline.log_events import events

    before = args.learn if isinstance(args.learn, str) else ""
    wrong = _wrong(args, before)
    if wrong:
        print(wrong, file=sys.stderr)
        return 2
    inputs = [Lines(name) for name in (args.input, before) if name]
    with opened(args.output) as out:
        assert out is not None  # noqa: S101 - it has a name
        reading = events(inputs[0].batches(BATCH))
        first = list(islice(reading, LOOK))
        scoring = _scoring(args, [text for part in first for text in part.texts])
        if before:
            for _ in scoring.scores(events(inputs[1].batches(BATCH))):
                pass
        share = 0.0 if before else args.learn
        units, flagged = _write(out, scoring.scores(chain(first, reading)), share)
    print(f"{units:,} {scoring.of} scored, {flagged:,} flagged", file=sys.stderr)
    damage = [one.damage for one in inputs if one.damage]
    if damage:
        print(shown(damage), file=sys.stderr)
    return os.EX_DATAERR if damage else 0


def _wrong(args: argparse.Namespace, before: str) -> str:
    """What cannot be meant, as a sentence."""
    if any(same(name, args.output) for name in (args.input, before) if name):
        return is_read(args.output)
    if before == args.input == "-":
        return "standard input can be read once only: --learn needs a file, or IN.log does"
    if args.window is not None and args.by != "window":
        return "--window says how long a window is: it needs --by window"
    if args.session is not None and args.by == "line":
        return "--session says how lines are put together: it needs --by session, or --by window"
    return ""


def _scoring(args: argparse.Namespace, first: Sequence[bytes]) -> Scoring:
    from aiopsd.offline.log_scores import ByLine, BySession, ByWindow

    if args.by == "line":
        return ByLine()
    key = _key(args, first)
    if args.by == "window":
        return ByWindow(key, args.window or WINDOW_SECS)
    return BySession(key) if key else ByLine()


def _key(args: argparse.Namespace, first: Sequence[bytes]) -> Key | None:
    from aiopsd.errors import Refused
    from aiopsd.offline.log_scores import Key

    if args.session:
        key = Key(args.session)
        if first and not any(map(key.of, first)):
            raise Refused(f"--session {args.session!r} is in none of the first lines")
        return key
    found = Key.found(first, bold=args.by == "session")
    if found is None:
        if args.by == "session" and first:
            raise Refused(
                "no id that comes again was found in the lines: which is it? Such as --session "
                r"'request (\w+)'; or --by line"
            )
        return None
    print(f"sessions by: {found[1]}", file=sys.stderr)
    return found[0]


def _write(out: TextIO, found: Iterable[Score], share: float) -> tuple[int, int]:
    """How many were scored, and flagged; without those that were learned."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = ([one.unit, f"{one.score:.4f}", str(int(one.flag)), one.why] for one in found)
    units = flagged = 0
    for row in _learned(rows, share) if share else rows:
        writer.writerow(row)
        units += row[3] != LEARNED
        flagged += row[2] == "1"
    return units, flagged


def _learned(rows: Iterable[list[str]], share: float) -> Iterator[list[str]]:
    """How many are a share is known at the end; until then they lie on disk."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        writer, many = csv.writer(file), 0
        for many, row in enumerate(rows, 1):  # noqa: B007 - how many there were
            writer.writerow(row)
        file.seek(0)
        for n, row in enumerate(csv.reader(file)):
            yield [*row[:2], "0", LEARNED] if n < int(share * many) else row


def _pattern(text: str) -> str:
    from aiopsd.patterns import line_pattern

    try:
        return line_pattern(text).text
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no pattern: {error}") from None


def _window(text: str) -> float:
    from aiopsd.settings import Duration

    try:
        secs = float(Duration.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if secs < 1:
        raise argparse.ArgumentTypeError(f"a window of {text} is too short; at least 1s")
    return secs


def _lesson(text: str) -> str | float:
    """A share, else the name of a file."""
    try:
        share = float(text)
    except ValueError:
        return text
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: from 0 to less than 1")
    return share
