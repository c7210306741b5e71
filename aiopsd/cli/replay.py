"""``aiopsd replay``: what the rules would have said about the last days, before they say it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiopsd.model import Incident
    from aiopsd.offline.life import Window
    from aiopsd.offline.replay import Report, RuleReport
    from aiopsd.offline.tally import Counts, Example

EXAMPLE = """aiopsd replay --since 7d
  aiopsd replay --since 2d --rule http_error_ratio --rule http_latency
  aiopsd replay --from 2026-11-01 --to '2026-11-08 12:00' --json"""
LEARN_SECS = 86_400.0  # at most, and a quarter of the window
SHOWN_INCIDENTS = 10
EVERY_SECS = 10.0  # a sign of life in a log
ENOUGH_SHARE = 0.5  # with values for less of the time, a rule's silence says little


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", type=Path, default=Path("aiopsd.yaml"), metavar="FILE")
    parser.add_argument("--since", metavar="7d", help="so long before --to")
    parser.add_argument("--from", dest="begin", metavar="TIME", help="UTC unless it says a zone")
    parser.add_argument("--to", dest="end", metavar="TIME", help="default: now")
    parser.add_argument("--learn", metavar="1d", help="how much of the beginning only teaches; "
                        "default: a day, at most a quarter")  # fmt: skip
    parser.add_argument("--rule", action="append", default=[], metavar="ID", help="only this one; "
                        "may be given again")  # fmt: skip
    parser.add_argument("--json", action="store_true")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd.cli.output import shown
    from aiopsd.config import load
    from aiopsd.offline.replay import chosen, replay

    now_s = time.time()
    window = _window(args, now_s)
    config = load(args.config)
    rules = chosen(config, args.rule)
    report = asyncio.run(replay(config, rules, window, lambda: now_s, _progress()))
    print(_json(report) if args.json else shown(_told(report)))
    return 1 if any(_is_trouble(one) for one in report.rules) else 0


def _window(args: argparse.Namespace, now_s: float) -> Window:
    """Raises Refused."""
    from aiopsd.errors import Refused
    from aiopsd.offline.life import Window

    if bool(args.since) == bool(args.begin):
        raise Refused("say how far back: --since 7d, or --from TIME")
    end_s = min(_moment("--to", args.end), now_s) if args.end else now_s
    begin_s = _moment("--from", args.begin) if args.begin else end_s - _secs("--since", args.since)
    if begin_s < 0:
        raise Refused("the window begins before 1970, and before there was anything to judge")
    if begin_s >= end_s:
        raise Refused("the window is empty: it must begin before it ends, and before now")
    quarter_secs = (end_s - begin_s) / 4
    learn_secs = _secs("--learn", args.learn) if args.learn else min(LEARN_SECS, quarter_secs)
    if learn_secs >= end_s - begin_s:
        raise Refused("--learn leaves nothing to judge")
    return Window(begin_s, begin_s + learn_secs, end_s)


def _secs(option: str, text: str) -> float:
    from aiopsd.errors import Refused
    from aiopsd.settings import Duration

    try:
        return float(Duration.parse(text))
    except ValueError as error:
        raise Refused(f"{option}: {error}") from None


def _moment(option: str, text: str) -> float:
    from aiopsd.errors import Refused
    from aiopsd.offline.moments import moments

    at_s = float(moments([text])[0])
    if at_s != at_s:
        raise Refused(f"{option}: {text!r} is not a time; write 2026-11-01 or 2026-11-01T12:00Z")
    return at_s


def _progress() -> Any:
    """One line on a terminal; elsewhere a line now and then, where it takes long."""
    said_s = time.monotonic()

    def told(rule: str, share: float) -> None:
        nonlocal said_s
        if sys.stderr is None:
            return
        if not sys.stderr.isatty():
            if time.monotonic() - said_s >= EVERY_SECS:
                said_s = time.monotonic()
                print(f"{rule} {share:.0%}", file=sys.stderr, flush=True)
        else:
            print(f"\r\033[K{rule} {share:.0%}", end="", file=sys.stderr, flush=True)
            if share >= 0.999:
                print("\r\033[K", end="", file=sys.stderr, flush=True)

    return told


def _is_trouble(one: RuleReport) -> bool:
    return one.trouble.startswith(("refused", "not answered"))


# --- for machines -----------------------------------------------------------------------


def _json(report: Report) -> str:
    from dataclasses import asdict

    incidents = None if report.incidents is None else [_incident(i) for i in report.incidents]
    rules = [asdict(one) for one in report.rules]
    return json.dumps({"window": asdict(report.window), "rules": rules, "incidents": incidents},
                      indent=1)  # fmt: skip


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "opened_s": incident.opened_s,
        "onset_s": incident.onset_s,
        "resolved_s": incident.resolved_s,
        "severity": incident.severity,
        "title": incident.title,
        "services": incident.services,
        "rules": sorted({member.rule for member in incident.anomalies}),
        "anomalies": len(incident.anomalies),
    }


# --- for people -------------------------------------------------------------------------


def _told(report: Report) -> Iterator[str]:
    window = report.window
    yield (f"{_when(window.begin_s)} to {_when(window.end_s)}: "
           f"{_age(window.judged_s - window.begin_s)} learned in silence, then "
           f"{_age(window.judged_secs)} judged")  # fmt: skip
    judged = [(one, one.counts) for one in report.rules if one.counts is not None]
    if judged:
        yield from _table(judged, window.judged_secs / 86_400)
        yield from _silent([one for one, _ in judged])
    for one, counts in judged:
        if counts.examples:
            yield ""
            yield f"{one.rule}, the first ones:"
            yield from map(_example, counts.examples)
    yield from _incidents(report)
    for one in report.rules:
        if one.trouble:
            yield f"not replayed: {one.rule}: {one.trouble}"


def _table(judged: list[tuple[RuleReport, Counts]], days: float) -> Iterator[str]:
    width = max(len("rule"), *(len(one.rule) for one, _ in judged))
    yield ""
    yield (f"{'rule':{width}}  series  certain  suspicious  a day  time strange  longest  "
           "noisiest series")  # fmt: skip
    for one, counts in judged:
        a_day = (counts.certain + counts.suspicious) / days
        noisy = "".join(f"{_labels(n.labels)} ({n.anomalies})" for n in counts.noisiest[:1])
        longest = _age(counts.longest_secs) if counts.longest_secs else ""
        line = (f"{one.rule:{width}}  {one.series:6}  {counts.certain:7}  {counts.suspicious:10}  "
                f"{a_day:5.1f}  {one.strange_share:12.2%}  {longest:>7}  {noisy}")  # fmt: skip
        yield line.rstrip()


def _silent(judged: list[RuleReport]) -> Iterator[str]:
    """A rule that heard nothing is as quiet as a good one, and must not pass for it."""
    if none := [one.rule for one in judged if not one.series]:
        yield ""
        yield f"no data: {', '.join(none)}: what they ask had no answer in this time"
    heard = [one for one in judged if one.series and one.heard_share < ENOUGH_SHARE]
    if heard:
        shares = ", ".join(f"{one.rule} {one.heard_share:.1%}" for one in heard)
        yield ""
        yield f"little data, as a share of the time judged: {shares}"


def _example(one: Example) -> str:
    return (f"  {_when(one.onset_s)}  {one.tier:10}  {_age(one.lasted_secs):>6}  {one.title}"
            f"  {_labels(one.labels)}").rstrip()  # fmt: skip


def _incidents(report: Report) -> Iterator[str]:
    if report.incidents is None:
        yield ""
        yield "incidents: too many anomalies to say which would have opened; tune first"
        return
    many = len(report.incidents)
    a_day = many / (report.window.judged_secs / 86_400)
    what = "1 incident" if many == 1 else f"{many} incidents"
    yield ""
    yield f"{what} would have opened, {a_day:.1f} a day"
    for one in report.incidents[:SHOWN_INCIDENTS]:
        lasted = "still open" if one.resolved_s is None else _age(one.resolved_s - one.opened_s)
        yield (f"  {_when(one.opened_s)}  {one.severity:8}  {lasted:>10}  "
               f"{_anomalies(len(one.anomalies))}  {one.title}")  # fmt: skip
    if many > SHOWN_INCIDENTS:
        yield f"  and {many - SHOWN_INCIDENTS} more; --json gives all"


def _anomalies(count: int) -> str:
    return "1 anomaly" if count == 1 else f"{count} anomalies"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _when(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M}Z"


def _age(secs: float) -> str:
    if secs < 7200:
        return f"{secs:.0f}s" if secs < 120 else f"{secs / 60:.0f}m"
    return f"{secs / 3600:.0f}h" if secs < 48 * 3600 else f"{secs / 86_400:.1f}d"
