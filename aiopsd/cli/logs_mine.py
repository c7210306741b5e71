"""Finds the templates of a log: what its lines have in common, with a mark where they vary.

Ids are those known when a line was read; two templates that turn out to be one keep both ids, but
with --final each line has the id that its template has in the end. The lines of a stack trace have
the id of the event that they belong to."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from aiopsd.cli.output import shown
from aiopsd.cli.table_file import is_read, opened, same

if TYPE_CHECKING:
    from aiopsd.logs.templates import Templates

EXAMPLE = """aiopsd logs mine app.log                      its templates, the most frequent first
  aiopsd logs mine app.log.xz -o lines.csv      a row for each line
  journalctl | aiopsd logs mine - -o lines.csv  from a pipe; the table is written when it ends"""
COLUMNS: Final = ("line_no", "cluster_id", "template")
BATCH: Final = 1000  # lines that are read before their ids are told; a name needs a few sights
MAX_TEMPLATES: Final = 10_000
SHOWN: Final = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="IN.log", help="plain, gzip, xz or bzip2; - reads standard input"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.csv", help=f"one row for each line: {','.join(COLUMNS)}; "
        "- writes to standard output, .gz compresses")  # fmt: skip
    parser.add_argument("--final", action="store_true", help="ids as they are in the end")
    parser.add_argument(
        "--batch", type=_count, default=BATCH, metavar="LINES",
        help="ids are told after so many lines were read (%(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from aiopsd.logs.reader import Reader
    from aiopsd.logs.templates import Templates
    from aiopsd.offline.lines import Lines
    from aiopsd.offline.log_events import events, portions

    if same(args.input, args.output):
        print(is_read(args.output), file=sys.stderr)
        return 2
    reader = Reader(Templates(MAX_TEMPLATES))
    ids, texts = array("i"), _Texts(reader.templates)
    lines = Lines(args.input)
    at_once = args.batch * -(-BATCH // args.batch)  # a trace is seen as a whole
    with opened(args.output) as out:
        for batch in portions(events(lines.batches(at_once)), args.batch):
            found = reader.ids(batch.texts)
            texts.keep(set(found))
            ids.extend(n for n, many in zip(found, batch.lines, strict=True) for _ in range(many))
        if args.final:
            ids = array("i", map(reader.templates.canon, ids))
        if out is None:
            print(shown(_told(ids, texts)))
        else:
            _rows(out, ids, texts)
    print(f"{_many(len(ids), 'line')}, {_many(len(reader.templates), 'template')}", file=sys.stderr)
    if lines.damage:
        print(shown([lines.damage]), file=sys.stderr)
        return os.EX_DATAERR
    return 0


class _Texts(dict[int, str]):
    """The newest text of each template, of those that are forgotten meanwhile, too."""

    def __init__(self, templates: Templates) -> None:
        super().__init__()
        self._templates = templates

    def keep(self, numbers: set[int]) -> None:
        for number in numbers.difference(self):
            self[number] = self._templates.text(number)

    def newest(self) -> dict[int, str]:
        return {number: self._templates.text(number) or text for number, text in self.items()}


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1,000,000")
    return number


def _rows(file: TextIO, ids: array[int], texts: _Texts) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    told = texts.newest()
    writer.writerows((n, number, told.get(number, "")) for n, number in enumerate(ids, 1))


def _told(ids: array[int], texts: _Texts) -> Iterator[str]:
    told = texts.newest()
    found = Counter(ids).most_common()
    if found:
        yield f"{'lines':>9} {'id':>6}  template"
    for number, lines in found[:SHOWN]:
        yield f"{lines:>9,} {number:>6}  {told.get(number, '').strip()}"
    if len(found) > SHOWN:
        yield f"the {SHOWN} most frequent of {len(found):,}; -o OUT.csv gives all"


def _many(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"
