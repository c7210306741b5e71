"""``aiopsd detect``: the daemon's engine over a file, one judgement a row."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from aiopsd.offline.judging import Judgement
    from aiopsd.offline.table import Table

EXAMPLE = """aiopsd detect requests.csv                     what was strange, as a table
  aiopsd detect requests.csv.gz -o judged.csv    every row with its score and band
  tail -n +2 export.csv | aiopsd detect - -o -   in a pipe; a header is not needed"""
COLUMNS = ("timestamp", "value", "score", "is_anomaly", "is_certain", "alert_score", "expected",
           "low", "high")  # fmt: skip
QUIET_SECS = 2.0  # work that is over sooner needs no progress
SHOWN = 50
ENOUGH = 20  # samples, from which on a series is judged
WRITE_ROWS = 16_384


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Judges timestamp,value[,more] rows by the engine and the defaults of the daemon. Several "
        "columns of values are sides of one thing, and are judged together."
    )
    parser.add_argument(
        "input", metavar="IN.csv", help="plain, gzip, xz or bzip2; - reads standard input"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.csv", help=f"one row for each of IN: {','.join(COLUMNS)}; "
        "- writes to standard output, .gz compresses")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="what was strange, as JSON")


def run(args: argparse.Namespace) -> int:
    from aiopsd.cli.output import shown
    from aiopsd.cli.table_file import is_read, opened, same
    from aiopsd.offline.judging import judge
    from aiopsd.offline.table import read_table

    if args.json and args.output == "-":
        print("--json and -o - would both write to standard output", file=sys.stderr)
        return 2
    if same(args.input, args.output):
        print(is_read(args.output), file=sys.stderr)
        return 2
    with opened(args.output) as out:
        table = read_table(args.input)
        for remark in table.remarks:
            print(shown([remark]), file=sys.stderr)
        judged = judge(table.times_s, table.values, _progress(len(table.stamps)))
        if out is not None:
            _rows(out, table, judged)
    if args.json:
        print(json.dumps(_summary(table, judged), indent=1))
    elif not args.output:
        print(shown(_told(table, judged)))
    if table.damage:
        print(shown([table.damage]), file=sys.stderr)
        return os.EX_DATAERR
    return 0


def _progress(rows: int) -> Callable[[int], None]:
    """On a terminal, and only for work that lasts."""
    begun_s = time.monotonic()

    def told(done: int) -> None:
        secs = time.monotonic() - begun_s
        if sys.stderr.isatty() and secs > QUIET_SECS and done:
            left = f"{secs * (rows - done) / done:.0f} s left" if done < rows else "      "
            end = "\n" if done == rows else ""
            print(f"\r{done:,} of {rows:,} rows, {left}   ", end=end, file=sys.stderr, flush=True)

    return told


# --- every row --------------------------------------------------------------------------


def _rows(file: TextIO, table: Table, judged: Judgement) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for first in range(0, len(table.stamps), WRITE_ROWS):
        part = slice(first, first + WRITE_ROWS)
        flags = (judged.is_anomaly[part] * 1).tolist(), (judged.is_certain[part] * 1).tolist()
        band = (judged.expected[:, 0], judged.low[:, 0], judged.high[:, 0])
        writer.writerows(
            zip(
                table.stamps[part],
                _texts(table.values[part, 0], "{!r}"),
                _texts(judged.score[part], "{:.6g}"),
                *flags,
                _texts(judged.alert_score[part], "{:.6g}"),
                *(_texts(one[part], "{:.9g}") for one in band),
                strict=True,
            )
        )


def _texts(numbers: Any, form: str) -> Iterator[str]:
    """Nothing where there is no number."""
    return ("" if x != x else form.format(x) for x in numbers.tolist())


# --- what was strange -------------------------------------------------------------------


def _summary(table: Table, judged: Judgement) -> dict[str, Any]:
    strange = judged.is_anomaly.nonzero()[0].tolist()
    return {
        "rows": len(table.stamps),
        "columns": table.names,
        "anomalies": [_anomaly(table, judged, row) for row in strange],
    }


def _anomaly(table: Table, judged: Judgement, row: int) -> dict[str, Any]:
    at = row, judged.strangest[row]
    numbers = {"value": table.values[at], "expected": judged.expected[at],
               "low": judged.low[at], "high": judged.high[at]}  # fmt: skip
    return {
        "row": row + 1,
        "timestamp": table.stamps[row],
        "column": table.names[at[1]],
        **{name: float(x) if abs(x) < float("inf") else None for name, x in numbers.items()},
        "severity": round(float(judged.alert_score[row]), 6),
        "certain": bool(judged.is_certain[row]),
    }


def _told(table: Table, judged: Judgement) -> Iterator[str]:
    found = _summary(table, judged)["anomalies"]
    certain = sum(one["certain"] for one in found)
    rows = "1 row" if len(table.stamps) == 1 else f"{len(table.stamps):,} rows"
    columns = "1 column" if len(table.names) == 1 else f"{len(table.names)} columns"
    yield f"{rows}, {columns}: {len(found)} strange, {certain} of them certain"
    if len(table.stamps) <= ENOUGH:
        yield f"too few to tell: a series is judged after {ENOUGH} rows"
    if found:
        yield f"{'since':25} {'value':>12} {'expected':>12}   usual range"
    for one in sorted(sorted(found, key=_loudness)[:SHOWN], key=lambda one: int(one["row"])):
        usual = f"{_shown(one['low'])} to {_shown(one['high'])}"
        of = f"  {one['column']}" if len(table.names) > 1 else ""
        sure = "  certain" if one["certain"] else ""
        yield (f"{one['timestamp']:25} {_shown(one['value']):>12} {_shown(one['expected']):>12}   "
               f"{usual}{of}{sure}")  # fmt: skip
    if len(found) > SHOWN:
        yield f"the {SHOWN} strangest; -o OUT.csv or --json gives all"


def _loudness(one: dict[str, Any]) -> tuple[bool, float]:
    return not one["certain"], -one["severity"]


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.5g}"
