"""Scores the lines, sessions or windows of a log: how strange each is after those before it.

Labels are not needed. A session is what one id names: a trace, a request, a block. A window is a
stretch of time. What is only learned has a row too, with the flag 0 and `learned` as its reason."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TextIO

from aiopsd.cli.table_file import opened, same

if TYPE_CHECKING:
    from aiopsd.offline.log_scores import Key, Score, Scoring

EXAMPLE = """aiopsd logs score app.log -o scores.csv               by session where lines name one
  aiopsd logs score app.log -o scores.csv --learn 0.5   its first half is only learned
  aiopsd logs score new.log -o scores.csv --learn old.log.gz --by window --window 5m"""
COLUMNS: Final = ("unit_id", "score", "flag", "why")
BATCH: Final = 1000
LOOK: Final = 20  # batches in which ids of sessions are looked for
LEARNED: Final = "learned"
Batches = Iterable[Sequence[bytes]]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="IN.log", help="plain, gzipped or xz; - reads standard input"
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
        "--window", type=_window, default=60.0, metavar="DURATION",
        help="how long a window is, such as 5m (60s)")  # fmt: skip
    parser.add_argument(
        "--learn", type=_lesson, default=0.0, metavar="FIRST",
        help="only learned: a log from before, or a share of this one such as 0.5")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from aiopsd.offline.lines import batches

    before = args.learn if isinstance(args.learn, str) else ""
    for name in filter(None, (args.input, before)):
        if same(name, args.output):
            print(f"{args.output} is read: another name must be written", file=sys.stderr)
            return 2
    with opened(args.output) as out:
        assert out is not None  # noqa: S101 - it has a name
        reading = iter(batches(args.input, BATCH))
        first = list(islice(reading, LOOK))
        scoring = _scoring(args, [line for batch in first for line in batch])
        if before:
            for _ in scoring.scores(batches(before, BATCH)):
                pass
        found = list(scoring.scores(chain(first, reading)))
        learned = 0 if before else int(args.learn * len(found))
        _write(out, found, learned)
    flagged = sum(one.flag for one in found[learned:])
    print(f"{len(found) - learned:,} scored, {flagged:,} flagged", file=sys.stderr)
    return 0


def _scoring(args: argparse.Namespace, first: Sequence[bytes]) -> Scoring:
    from aiopsd.offline.log_scores import ByLine, BySession, ByWindow

    if args.by == "line":
        return ByLine()
    key = _key(args, first)
    if args.by == "window":
        return ByWindow(key, args.window)
    return BySession(key) if key else ByLine()


def _key(args: argparse.Namespace, first: Sequence[bytes]) -> Key | None:
    from aiopsd.errors import Refused
    from aiopsd.offline.log_scores import Key

    if args.session:
        key = Key(args.session)
        if first and not any(map(key.of, first)):
            raise Refused(f"--session {args.session.pattern!r} is in none of the first lines")
        return key
    found = Key.found(first)
    if found is None:
        if args.by == "session" and first:
            raise Refused(
                "no id that comes again was found in the lines: which is it? Such as --session "
                r"'request (\w+)'; or --by line"
            )
        return None
    print(f"sessions by: {found[1]}", file=sys.stderr)
    return found[0]


def _write(out: TextIO, found: Sequence[Score], learned: int) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for n, one in enumerate(found):
        row = (0, LEARNED) if n < learned else (int(one.flag), one.why)
        writer.writerow((one.unit, f"{one.score:.4f}", *row))
    out.flush()


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
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
