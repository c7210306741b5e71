"""``aiopsd rank``: the daemon's ranking over a recorded case."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiopsd.correlation.attribution import Hypothesis
    from aiopsd.correlation.ranking import Ranking, Suspect
    from aiopsd.model import Reason

EXAMPLE = """aiopsd rank case/                 who did it, and why
  aiopsd rank case/ -o ranked.json  the same as JSON; - writes to standard output"""
_SHOWN = 5
_CHANGES = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ranks the causes of a recorded incident by the daemon's own ranking. A case is a folder "
        "with a metrics.csv of columns service_metric; docs/ranking.md says what else helps."
    )
    parser.add_argument("case", metavar="CASE_DIR")
    parser.add_argument(
        "-o", "--output", metavar="OUT.json",
        help="[{service, metric, score, reasons, ...}], best first; the first one also has changes",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from aiopsd.cli.output import shown
    from aiopsd.offline.case import read_case
    from aiopsd.offline.case_ranking import rank_case

    case = read_case(Path(args.case))
    for remark in case.remarks:
        print(shown([remark]), file=sys.stderr)
    ranking, hypotheses = rank_case(case)
    if args.output:
        _write(args.output, json.dumps(_entries(ranking, hypotheses), indent=1) + "\n")
    else:
        print(shown(_told(ranking, hypotheses)))
    return 0


def _write(name: str, text: str) -> None:
    """Raises Refused."""
    from aiopsd.errors import Refused

    if name == "-":
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text)
    except OSError as error:
        raise Refused(f"cannot write {name}: {error.strerror}") from None


# --- for programs -----------------------------------------------------------------------


def _entries(ranking: Ranking, hypotheses: Sequence[Hypothesis]) -> list[dict[str, Any]]:
    entries = [_entry(one) for one in ranking.suspects]
    if entries and ranking.unclear:
        entries[0]["unclear"] = ranking.unclear
    if entries and hypotheses:
        entries[0]["changes"] = [
            {"change": one.change, "service": one.service, "kind": one.kind, "score": one.score,
             "reasons": _reasons(one.reasons)}
            for one in hypotheses[:_CHANGES]
        ]  # fmt: skip
    return entries


def _entry(one: Suspect) -> dict[str, Any]:
    return {
        "service": one.service,
        "metric": one.metric,
        "score": one.score,
        "reasons": _reasons(one.reasons),
        "against": _reasons(one.against),
        "charts": list(one.charts),
    }


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    return [{"code": r.code, "text": r.text, "numbers": r.numbers} for r in reasons]


# --- for people -------------------------------------------------------------------------


def _told(ranking: Ranking, hypotheses: Sequence[Hypothesis]) -> Iterator[str]:
    if ranking.unclear:
        yield f"cause unclear: {ranking.unclear}"
    for one in ranking.suspects[:_SHOWN]:
        yield f"{one.score:4.0%}  {one.service}  {one.metric}"
        for reason in one.reasons:
            yield f"      + {reason.text}"
        for reason in one.against:
            yield f"      - {reason.text}"
    if hypotheses:
        yield "changes:"
    for change in hypotheses[:_CHANGES]:
        what = f"{change.kind} {change.change} of {change.service}" if change.change else "none"
        why = "; ".join(reason.text for reason in change.reasons[:3])
        yield f"{change.score:4.0%}  {what}: {why}"
